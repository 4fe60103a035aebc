//! A class whose type object is a constant of the firmware.

use crate::Obj;
use micropython_sys as sys;

/// The class's type object.
pub struct ClassTable(*const sys::mp_obj_type_t);

// SAFETY: the type is never changed.
unsafe impl Sync for ClassTable {}

impl ClassTable {
    /// # Safety
    /// It is the type object of the class.
    #[doc(hidden)]
    pub const unsafe fn new(class: *const sys::mp_obj_type_t) -> Self {
        Self(class)
    }

    /// Whether the object is of the class.
    #[inline]
    pub(super) fn made(&self, object: Obj) -> bool {
        object.type_ptr() == self.0
    }
}
