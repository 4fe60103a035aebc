//! Interned strings.

use crate::Obj;
use crate::table::table;
use micropython_sys as sys;

/// An interned string of the runtime, as the names of attributes, globals and types are.
///
/// Made by [`qstr!`](crate::qstr!).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Qstr(u16);

impl Qstr {
    #[doc(hidden)]
    #[inline(always)]
    pub const fn from_raw(value: u16) -> Self {
        Self(value)
    }

    pub(crate) const fn raw(self) -> sys::qstr {
        self.0 as sys::qstr
    }
}

impl From<Qstr> for Obj {
    /// The `str` object of that text. Allocates nothing.
    fn from(name: Qstr) -> Obj {
        // SAFETY: the value is a valid qstr, and native_to_obj knows the port's representation of it.
        Obj::from_raw(unsafe {
            table!(native_to_obj(
                name.raw(),
                sys::MP_NATIVE_TYPE_QSTR as sys::mp_uint_t
            ))
        })
    }
}

/// The [`Qstr`] of a name, which must be an identifier: `qstr!(topic)`.
///
/// The name becomes a reference to the symbol `MP_QSTR_topic`, a `u16` which the linker of the module provides.
#[macro_export]
macro_rules! qstr {
    ($name:ident) => {{
        #[allow(unsafe_code)]
        // SAFETY: the linker puts a u16 there, and the loader fills it in before any code of the module runs.
        let value = unsafe { *$crate::qstr_symbol!($name) };
        $crate::Qstr::from_raw(value)
    }};
}

/// The address of the symbol `MP_QSTR_name`, for tables that are made at compile time.
#[doc(hidden)]
#[macro_export]
macro_rules! qstr_symbol {
    ($name:ident) => {{
        #[allow(unsafe_code)]
        unsafe extern "C" {
            #[link_name = concat!("MP_QSTR_", stringify!($name))]
            static SYMBOL: u16;
        }
        &raw const SYMBOL
    }};
}
