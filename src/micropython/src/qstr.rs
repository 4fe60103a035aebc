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
    /// The value of a symbol.
    ///
    /// # Safety
    /// `symbol` is what `qstr_symbol!` gives.
    #[doc(hidden)]
    #[inline(always)]
    #[allow(clippy::unnecessary_cast, reason = "a symbol can be a word")]
    pub unsafe fn at(symbol: *const Symbol) -> Self {
        // SAFETY: the linker puts the qstr there, in a `.mpy` the loader does before any code of the module runs.
        Self(unsafe { *symbol } as u16)
    }

    pub(crate) const fn raw(self) -> sys::qstr {
        self.0 as sys::qstr
    }
}

impl From<Qstr> for Obj {
    /// The `str` object of that text. Allocates nothing.
    fn from(name: Qstr) -> Obj {
        // SAFETY: the value is a valid qstr, and native_to_obj knows the port's representation of it.
        unsafe {
            Obj::from_raw(table!(native_to_obj(
                name.raw(),
                sys::MP_NATIVE_TYPE_QSTR as sys::mp_uint_t
            )))
        }
    }
}

/// What the symbol of a name is: in a firmware a word, since the flash of some chips cannot be read by less.
#[doc(hidden)]
#[cfg(not(feature = "firmware"))]
pub type Symbol = u16;
#[doc(hidden)]
#[cfg(feature = "firmware")]
pub type Symbol = usize;

/// The [`Qstr`] of a name, which must be an identifier: `qstr!(topic)`.
///
/// The name becomes a reference to the symbol `MP_QSTR_topic`, which the linker of a `.mpy` or the firmware provides.
#[macro_export]
macro_rules! qstr {
    ($name:ident) => {{
        #[allow(unsafe_code)]
        // SAFETY: the symbol is that of a qstr.
        unsafe {
            $crate::Qstr::at($crate::qstr_symbol!($name))
        }
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
            static SYMBOL: $crate::internal::Symbol;
        }
        &raw const SYMBOL
    }};
}
