//! Modules, and tables of names.

use crate::table::table;
use crate::{ClassTable, Function, Obj, Qstr};
use core::ffi::c_void;

/// A name and a static object, in a table made at compile time.
#[derive(Clone, Copy)]
pub struct Entry {
    name: *const u16,
    object: *const c_void,
}

// SAFETY: an entry points to statics that are never changed.
unsafe impl Sync for Entry {}

impl Entry {
    /// `name` is what `qstr_symbol!` gives.
    #[doc(hidden)]
    pub const fn new<T>(name: *const u16, function: &'static Function<T>) -> Self {
        Self {
            name,
            object: (&raw const *function).cast(),
        }
    }
}

/// The functions of a module or the methods of a class.
pub type Names = &'static [Entry];

/// Something that a module can hold under a name: an [`Obj`], an integer, a `bool`, a text or bytes.
pub trait Value {
    /// The object.
    ///
    /// # Raises
    /// `MemoryError`
    fn to_obj(self) -> Obj;
}

impl Value for Obj {
    fn to_obj(self) -> Obj {
        self
    }
}

impl Value for isize {
    fn to_obj(self) -> Obj {
        Obj::int(self)
    }
}

impl Value for bool {
    fn to_obj(self) -> Obj {
        Obj::bool(self)
    }
}

impl Value for &str {
    fn to_obj(self) -> Obj {
        Obj::str(self)
    }
}

impl Value for &[u8] {
    fn to_obj(self) -> Obj {
        Obj::bytes(self)
    }
}

/// Stores an object in a dict under a name.
///
/// # Raises
/// `MemoryError`
///
/// # Safety
/// `dict` is a dict.
#[doc(hidden)]
pub unsafe fn store(dict: Obj, name: Qstr, object: Obj) {
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
pub(crate) unsafe fn store_all(dict: Obj, names: Names) {
    for entry in names {
        // SAFETY: `name` is the address of a qstr, and `object` that of an object; the dict is as the caller says.
        unsafe {
            store(
                dict,
                Qstr::from_raw(*entry.name),
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
            store(
                globals,
                Qstr::from_raw(*class.name()),
                crate::class::make_type(class),
            );
        }
    }
}

/// Defines the module: what its globals are.
///
/// ```ignore
/// module! {
///     functions {
///         parse(data) = parse;
///         publish(2..=4) = publish;
///     }
///     classes { Client }
///     constants { VERSION = "1.0"; QOS_MAX = 2 }
/// }
/// ```
/// All three parts may be left out. The forms of the functions are those of [`function!`](crate::function!), a class is
/// one that [`class!`](crate::class!) defines, a constant is a [`Value`].
///
/// With the feature `natmod` of the crate that uses it the macro makes the entry point of a `.mpy`, `mpy_init`. In any
/// case it makes `init_module(globals: Obj)`, which a user C module calls with the dict of its module.
#[macro_export]
macro_rules! module {
    (
        $(functions { $($function:ident $arguments:tt = $rust:expr);* $(;)? })?
        $(classes { $($class:ty),* $(,)? })?
        $(constants { $($constant:ident = $value:expr);* $(;)? })?
    ) => {
        /// Fills the globals of the module.
        ///
        /// # Raises
        /// `MemoryError`
        ///
        /// # Safety
        /// `globals` is the dict of a module.
        #[allow(unsafe_code, non_upper_case_globals)]
        pub unsafe fn init_module(globals: $crate::Obj) -> $crate::Obj {
            static FUNCTIONS: &[$crate::Entry] = $crate::names!($($($function $arguments = $rust);*)?);
            // SAFETY: as the caller says.
            unsafe {
                $crate::internal::init(globals, FUNCTIONS, &[$($(<$class as $crate::Class>::TABLE),*)?]);
                $($($crate::internal::store(globals, $crate::qstr!($constant), $crate::Value::to_obj($value));)*)?
            }
            $crate::Obj::none()
        }

        /// The entry point of the `.mpy`.
        #[cfg(feature = "natmod")]
        #[allow(unsafe_code)]
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn mpy_init(
            this: *mut $crate::internal::sys::mp_obj_fun_bc_t,
            _n_args: usize,
            _n_kw: usize,
            _arguments: *mut $crate::internal::sys::mp_obj_t,
        ) -> $crate::internal::sys::mp_obj_t {
            // SAFETY: the loader passes the function object of the module, whose context has the module's globals.
            $crate::internal::finish(unsafe {
                init_module($crate::Obj::from_raw((*(*this).context).module.globals.cast()))
            })
        }
    };
}

/// A table of functions: `names!(parse(data) = parse; publish(2..=4) = publish)`.
#[doc(hidden)]
#[macro_export]
macro_rules! names {
    ($($function:ident $arguments:tt = $rust:expr);* $(;)?) => {
        &[$($crate::Entry::new($crate::qstr_symbol!($function), {
            static FUNCTION: $crate::Function<$crate::function!(@object $arguments)> =
                $crate::function!(@new $function $arguments $rust);
            &FUNCTION
        })),*]
    };
}
