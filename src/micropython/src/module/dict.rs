//! Dicts made from tables of names, as a `.mpy` needs them.

use crate::class::make_type;
use crate::qstr::{Qstr, Symbol};
use crate::table::table;
use crate::{ClassTable, Function, Obj};
use core::ffi::c_void;

/// A name and a static object, in a table made at compile time.
#[derive(Clone, Copy)]
pub struct Entry {
    name: *const Symbol,
    object: *const c_void,
}

// SAFETY: an entry points to statics that are never changed.
unsafe impl Sync for Entry {}

impl Entry {
    /// # Safety
    /// `name` is what `qstr_symbol!` gives.
    #[doc(hidden)]
    pub const unsafe fn new<T>(name: *const Symbol, function: &'static Function<T>) -> Self {
        Self {
            name,
            object: (&raw const *function).cast(),
        }
    }
}

/// The functions of a module or the methods of a class.
pub type Names = &'static [Entry];

/// Stores an object in a dict under a name.
///
/// # Raises
/// `MemoryError`
///
/// # Safety
/// `dict` is a dict.
unsafe fn store(dict: Obj, name: Qstr, object: Obj) {
    // SAFETY: as the caller says.
    unsafe { table!(dict_store(dict.raw(), Obj::from(name).raw(), object.raw())) };
}

/// Stores all entries of a table in a dict.
///
/// # Raises
/// `MemoryError`
///
/// # Safety
/// `dict` is a dict.
#[doc(hidden)]
pub unsafe fn store_all(dict: Obj, names: Names) {
    for entry in names {
        // SAFETY: `name` is the address of a qstr, and `object` that of an object; the dict is as the caller says.
        unsafe {
            store(
                dict,
                Qstr::at(entry.name),
                Obj::from_raw(entry.object.cast_mut().cast()),
            )
        }
    }
}

/// Fills the globals of a module.
///
/// # Raises
/// `MemoryError`
///
/// # Safety
/// `globals` is the dict of a module.
#[doc(hidden)]
pub unsafe fn init(globals: Obj, functions: Names, classes: &[&'static ClassTable]) {
    // SAFETY: as the caller says, and the name in a class table is the address of a qstr.
    unsafe {
        store_all(globals, functions);
        for class in classes {
            store(globals, Qstr::at(class.name()), make_type(class));
        }
    }
}
