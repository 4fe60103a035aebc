//! Python exceptions as Rust values.

use core::ffi::{CStr, c_void};
use core::ptr;

/// An exception that is to be raised when control returns to Python.
///
/// It is written like an `enum` (`Exception::Value(c"…")`, `Exception::Memory`) but takes two machine words whatever
/// the kind, and a `Result<(), Exception>` is returned in registers. Messages say what to do about the error.
#[derive(Clone, Copy)]
pub struct Exception {
    kind: Kind,
    /// A message or an error number, as the kind says. No union, since the compiler returns that in memory.
    argument: *const c_void,
}

/// In the order of `NAMES`.
#[derive(Clone, Copy)]
#[cfg_attr(test, derive(Debug, PartialEq))]
#[repr(u8)]
pub(crate) enum Kind {
    Value,
    Type,
    Index,
    Runtime,
    Memory,
    Os,
}

/// Named like the variants of an `enum`, which this is to its users.
#[allow(non_snake_case, non_upper_case_globals)]
impl Exception {
    /// `MemoryError`: an allocation failed.
    pub const Memory: Self = Self::new(Kind::Memory, c"memory allocation failed");
    /// `IndexError`: an index or an offset is out of range.
    pub const Index: Self = Self::new(Kind::Index, c"index out of range");

    const fn new(kind: Kind, message: &'static CStr) -> Self {
        Self {
            kind,
            argument: message.as_ptr().cast(),
        }
    }

    /// `ValueError`: the type is right, the value is not.
    pub const fn Value(message: &'static CStr) -> Self {
        Self::new(Kind::Value, message)
    }

    /// `TypeError`: an argument is of a type that does not fit.
    pub const fn Type(message: &'static CStr) -> Self {
        Self::new(Kind::Type, message)
    }

    /// `RuntimeError`: any other error.
    pub const fn Runtime(message: &'static CStr) -> Self {
        Self::new(Kind::Runtime, message)
    }

    /// `OSError` with an error number (see [`errno`](crate::errno)).
    pub const fn Os(errno: i32) -> Self {
        Self {
            kind: Kind::Os,
            argument: ptr::without_provenance(errno as usize),
        }
    }

    /// Raises the exception: control passes to the nearest handler in Python.
    ///
    /// No destructor runs on the way, so the callers up to the boundary hold nothing that needs `Drop`. Functions that
    /// raise say so; against `Err` that spares each caller a test.
    #[inline(always)]
    pub fn raise(self) -> ! {
        // Two words in registers make shorter callers than one structure in memory.
        raise(self.kind, self.argument)
    }
}

/// A result whose error can be raised on the spot.
pub trait OrRaise<T> {
    /// The value.
    ///
    /// # Raises
    /// The exception.
    fn or_raise(self) -> T;
}

impl<T> OrRaise<T> for Result<T, Exception> {
    #[inline(always)]
    fn or_raise(self) -> T {
        match self {
            Ok(value) => value,
            Err(exception) => exception.raise(),
        }
    }
}

#[cfg(test)]
use crate::mock::raise;
#[cfg(not(test))]
use raised::raise;

/// What needs the runtime.
#[cfg(not(test))]
mod raised {
    use super::Kind;
    use crate::qstr::Symbol;
    use crate::table::{mp_fun_table, table};
    use crate::{Obj, Qstr, qstr_symbol};
    use core::ffi::c_void;
    use core::ptr;
    use micropython_sys as sys;

    /// The names of the exception types, one for each [`Kind`].
    struct Names([*const Symbol; Kind::Os as usize + 1]);

    // SAFETY: the names are never changed.
    unsafe impl Sync for Names {}

    static NAMES: Names = Names([
        qstr_symbol!(ValueError),
        qstr_symbol!(TypeError),
        qstr_symbol!(IndexError),
        qstr_symbol!(RuntimeError),
        qstr_symbol!(MemoryError),
        qstr_symbol!(OSError),
    ]);

    #[cold]
    #[inline(never)]
    pub fn raise(kind: Kind, argument: *const c_void) -> ! {
        // SAFETY: there is a name for each kind, and it is the symbol of a name. The class is one that the runtime itself
        // makes exceptions of, whose constructor runs no Python code; a message is static and ends with a zero byte.
        unsafe {
            let name = Qstr::at(*NAMES.0.get_unchecked(kind as usize));
            let mut class = Obj::builtin(name).as_ptr();
            // `builtins.ValueError = something` is possible.
            if !is_native_exception(class) {
                class = mp_fun_table.type_Exception.cast_mut();
            }
            if let Kind::Os = kind {
                let number = Obj::int(argument.addr() as isize);
                let object = table!(call_function_n_kw(
                    class.cast(),
                    1,
                    (&raw const number).cast()
                ));
                table!(raise(object));
            }
            table!(raise_msg(class, argument.cast()))
        }
    }

    /// # Safety
    /// It is an object.
    unsafe fn is_native_exception(class: *const sys::mp_obj_type_t) -> bool {
        // SAFETY: what is of the type `type` is a type, and one whose objects are made like those of `Exception` itself is one
        // of the runtime's.
        unsafe {
            let object = Obj::from_raw(class.cast_mut().cast());
            object.type_ptr() == mp_fun_table.type_type
                && make_new(class) == make_new(mp_fun_table.type_Exception)
        }
    }

    /// # Safety
    /// It is a type.
    unsafe fn make_new(class: *const sys::mp_obj_type_t) -> *const c_void {
        // SAFETY: a type has as many slots as the highest index in it says, counted from one.
        unsafe {
            match usize::from((*class).slot_index_make_new) {
                0 => ptr::null(),
                i => *(&raw const (*class).slots)
                    .cast::<*const c_void>()
                    .add(i - 1),
            }
        }
    }
}
