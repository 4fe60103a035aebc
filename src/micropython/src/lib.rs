//! A safe layer over MicroPython's native function table, for Python modules written in Rust.
//!
//! The same source becomes a native module (`.mpy`, feature `natmod`) or a part of a firmware (user C module): every
//! call goes through the table `mp_fun_table`, which exists in both. The `.mpy` ABI is 6.3 (MicroPython 1.23 and
//! later); object representations A, B and C are served, since no tag bit is ever looked at.
//!
//! In a firmware (feature `firmware`) the tables of names and the types are constants in C, which cost no RAM; functions
//! and constructors are symbols for them. `ports/` has that C code.
//!
//! ```ignore
//! use micropython::{Exception, Obj, Vm, buffer, module};
//!
//! fn checksum(vm: &mut Vm, data: Obj) -> Result<Obj, Exception> {
//!     Ok(Obj::int(buffer(vm, data)?.iter().map(|&b| b as isize).sum()))
//! }
//!
//! module! {
//!     functions { checksum(data) = checksum; }
//! }
//! ```
//!
//! # What is different from other Rust
//!
//! **Raising.** A Python exception is a `longjmp` over the Rust frames below the call from Python. Destructors on the
//! way do not run, so nothing that needs `Drop` may be alive at a call that can raise; every such call has a section
//! `# Raises`. Rust code reports its own errors as `Result<_, Exception>`, which the boundary that [`function!`],
//! [`class!`] and [`module!`] generate raises, or raises itself ([`OrRaise`]). There is no way to catch an exception.
//! State that must be consistent is therefore changed after the last call that can raise, not before.
//!
//! **Re-entrance.** A call that can run Python code can come back to the same Rust object before it returns, and change
//! or free what was borrowed from Python. So it takes the token [`Vm`] mutably, which all that is borrowed borrows.
//!
//! **Garbage collection.** The collector is conservative. It scans the stack, the Python heap and little else, and
//! keeps a block alive only for a pointer to its first byte. So pointers to the heap live in objects on the heap (the
//! fields of a [`Native`]) or on the stack, never in a Rust `static`, and an offset is kept beside a block's pointer
//! instead of a pointer into the block. `Drop` never runs for what the collector owns.
//!
//! **Threads.** Where MicroPython has a global lock it protects Rust code as it protects C. On a port without one, an
//! object must not be used from two threads at once.
#![cfg_attr(not(test), no_std)]
#![cfg_attr(
    test,
    allow(unused_unsafe, reason = "the table is no foreign symbol then")
)]
#![warn(missing_docs, clippy::undocumented_unsafe_blocks)]

mod buffer;
mod class;
mod dict;
mod exception;
mod function;
mod gc;
mod iter;
mod memoryview;
#[cfg(test)]
mod mock;
mod module;
#[cfg(feature = "natmod")]
mod natmod;
mod obj;
mod qstr;
mod stream;
mod table;
#[cfg(test)]
mod tests;
mod vm;

pub use buffer::{buffer, buffer_mut, bytes_of};
pub use class::{Class, ClassTable, Native};
pub use dict::{Dict, Key};
pub use exception::{Exception, OrRaise};
pub use function::{Function, Outcome};
pub use gc::{GcBox, GcBytes, GcVec, Loan, NoMemory};
pub use iter::Iter;
pub use memoryview::MemoryView;
#[cfg(not(feature = "firmware"))]
pub use module::{Entry, Names};
pub use obj::Obj;
pub use qstr::Qstr;
pub use stream::{Stream, errno};
pub use vm::Vm;

/// What the macros expand to. No part of the API.
#[doc(hidden)]
pub mod internal {
    pub use crate::class::{make_new, this};
    pub use crate::function::{arguments, finish, signature};
    #[cfg(not(feature = "firmware"))]
    pub use crate::module::init;
    pub use crate::qstr::Symbol;
    pub use micropython_sys as sys;
}

#[cfg(feature = "panic-handler")]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    // Formatting the message would cost more code than everything else in this crate.
    Exception::Runtime(c"internal error: please report it").raise()
}
