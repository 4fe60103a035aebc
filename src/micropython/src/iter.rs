//! Iteration over Python objects.

use crate::table::table;
use crate::{Obj, Vm};
use core::mem::MaybeUninit;
use micropython_sys as sys;

/// An iterator over the items of a Python object, made by [`Obj::iter`].
///
/// For the builtin containers it lives on the stack and allocates nothing.
pub struct Iter(sys::mp_obj_iter_buf_t);

impl Iter {
    pub(crate) fn new(_: &mut Vm, items: Obj) -> Self {
        let mut state = MaybeUninit::zeroed();
        // SAFETY: any object will do, and the state is large enough for every iterator that is not on the heap.
        unsafe { table!(getiter(items.raw(), state.as_mut_ptr())) };
        // SAFETY: all its fields are pointers, for which zero is a value. No iterator points into its own state, which
        // may therefore move.
        Self(unsafe { state.assume_init() })
    }
}

impl Iter {
    /// The next item.
    ///
    /// # Raises
    /// What the iterator raises, if it is one in Python. Runs Python code in that case.
    #[allow(clippy::should_implement_trait, reason = "it takes the token")]
    pub fn next(&mut self, _: &mut Vm) -> Option<Obj> {
        // SAFETY: getiter has filled in the state. The runtime gives an object, or null.
        unsafe {
            let item = table!(iternext(&raw mut self.0));
            (!item.is_null()).then(|| Obj::from_raw(item))
        }
    }
}
