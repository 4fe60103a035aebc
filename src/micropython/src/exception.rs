//! Python exceptions as Rust values.

use crate::qstr::Symbol;
use crate::table::table;
use crate::{Obj, Qstr, qstr_symbol};
use core::ffi::{CStr, c_void};
use core::ptr;

/// An exception that is to be raised when control returns to Python.
///
/// It is written like an `enum` (`Exception::Value(c"…")`, `Exception::Memory`) but takes two machine words whatever
/// the kind, and a `Result<(), Exception>` is returned in registers. Messages say what to do about the error.
#[derive(Clone, Copy)]
pub struct Exception {
    kind: Kind,
    /// A message, an error number or an object, as the kind says. No union, since the compiler returns that in memory.
    argument: *const c_void,
}

/// In the order of [`NAMES`].
#[derive(Clone, Copy)]
#[repr(u8)]
enum Kind {
    Value,
    Type,
    Index,
    Runtime,
    Memory,
    Os,
    Object,
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

    /// An exception object, or an exception class to make one of without arguments.
    pub const fn Object(exception: Obj) -> Self {
        Self {
            kind: Kind::Object,
            argument: exception.raw(),
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

/// The names of the exception types, one for each [`Kind`] but `Object`.
struct Names([*const Symbol; Kind::Object as usize]);

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
fn raise(kind: Kind, argument: *const c_void) -> ! {
    let Some(&name) = NAMES.0.get(kind as usize) else {
        raise_object(Obj::from_raw(argument.cast_mut()))
    };
    // SAFETY: it is the symbol of a name.
    let class = Obj::global(unsafe { Qstr::at(name) });
    if let Kind::Os = kind {
        raise_object(class.call(&[Obj::int(argument.addr() as isize)]))
    }
    // SAFETY: the global of that name is an exception type, and the other kinds are only ever made with a message that
    // is static and ends with a zero byte.
    unsafe { table!(raise_msg(class.as_ptr(), argument.cast())) }
}

fn raise_object(exception: Obj) -> ! {
    // SAFETY: the runtime turns what is no exception into a TypeError.
    unsafe { table!(raise(exception.raw())) };
    // Only None is not raised.
    Exception::Type(c"exceptions must derive from BaseException").raise()
}
