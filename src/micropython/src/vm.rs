//! The virtual machine, as a token.

use core::marker::PhantomData;

/// The right to run Python code. Of no size; the boundary makes one for each call from Python.
///
/// What can run Python code takes it mutably: `__int__`, `__eq__`, iterators, callbacks, streams, whatever an object may
/// have written in Python. What Python code could free, move or change borrows it: the bytes of an object
/// ([`buffer`](crate::buffer())), the value of a native object ([`Native::get`](crate::Native::get)). So whoever holds such a
/// reference cannot run Python code before it is let go of:
///
/// ```compile_fail
/// # use micropython::{Obj, Vm, buffer};
/// fn length_or(vm: &mut Vm, data: Obj, length: Obj) -> usize {
///     let bytes = buffer(vm, data).unwrap_or_default();
///     let length = length.to_int(vm); // __int__() may empty the bytearray that `bytes` shows
///     bytes.len().min(length as usize)
/// }
/// ```
/// The other order compiles:
/// ```
/// # use micropython::{Obj, Vm, buffer};
/// fn length_or(vm: &mut Vm, data: Obj, length: Obj) -> usize {
///     let length = length.to_int(vm);
///     let bytes = buffer(vm, data).unwrap_or_default();
///     bytes.len().min(length as usize)
/// }
/// ```
/// And nothing of a native object is borrowed while a stream, which may be written in Python, calls back:
/// ```compile_fail
/// # use micropython::{GcBytes, Native, Stream, Vm};
/// struct Client { stream: Stream, block: GcBytes }
///
/// fn read(vm: &mut Vm, mut this: Native<'_, Client>) -> Result<usize, i32> {
///     let client = this.get_mut(vm);
///     let loan = client.block.lend();
///     let n = client.stream.read(vm, &loan, 0..16);
///     client.block.settle(loan);
///     n
/// }
/// ```
/// ```
/// # use micropython::{GcBytes, Native, Stream, Vm};
/// # struct Client { stream: Stream, block: GcBytes }
/// fn read(vm: &mut Vm, mut this: Native<'_, Client>) -> Result<usize, i32> {
///     let client = this.get_mut(vm);
///     let (stream, loan) = (client.stream, client.block.lend());
///     let n = stream.read(vm, &loan, 0..16);
///     this.get_mut(vm).block.settle(loan);
///     n
/// }
/// ```
///
/// To allocate takes no token, though it may collect garbage and that may run finalisers. Those are native functions, and
/// while they run the heap is locked: nothing can be freed or moved, whatever code a finaliser gets to.
///
/// Raising an exception takes none either: it does not return, so nothing that was borrowed is looked at again.
pub struct Vm(PhantomData<*mut ()>);

impl Vm {
    /// # Safety
    /// Python code called, on this thread, and no other token is in use below that call.
    #[doc(hidden)]
    #[inline(always)]
    pub const unsafe fn new() -> Self {
        Self(PhantomData)
    }
}
