//! Iteration over Python objects.

use crate::Obj;
use crate::table::table;
use core::mem::MaybeUninit;
use micropython_sys as sys;

/// An iterator over the items of a Python object, made by [`Obj::iter`].
///
/// For the builtin containers it lives on the stack and allocates nothing.
pub struct Iter(sys::mp_obj_iter_buf_t);

impl Iter {
    pub(crate) fn new(items: Obj) -> Self {
        let mut state = MaybeUninit::zeroed();
        // SAFETY: any object will do, and the state is large enough for every iterator that is not on the heap.
        unsafe { table!(getiter(items.raw(), state.as_mut_ptr())) };
        // SAFETY: all its fields are pointers, for which zero is a value. No iterator points into its own state, which
        // may therefore move.
        Self(unsafe { state.assume_init() })
    }
}

impl Iterator for Iter {
    type Item = Obj;

    /// The next item.
    ///
    /// # Raises
    /// What the iterator raises, if it is one in Python. Runs Python code in that case.
    fn next(&mut self) -> Option<Obj> {
        // SAFETY: getiter has filled in the state.
        let item = unsafe { table!(iternext(&raw mut self.0)) };
        if item.is_null() {
            None
        } else {
            Some(Obj::from_raw(item))
        }
    }
}
