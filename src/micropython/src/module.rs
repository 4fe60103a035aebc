//! Modules, and tables of names.

#[cfg(not(feature = "firmware"))]
mod dict;

#[cfg(not(feature = "firmware"))]
pub use dict::{Entry, Names, init, store_all};

/// Defines the module: what its globals are.
///
/// ```ignore
/// module! {
///     functions {
///         parse(data) = parse;
///         publish(2..=4) = publish;
///     }
///     classes { Client }
/// }
/// ```
/// Both parts may be left out. The forms of the functions are those of [`function!`](crate::function!), a class is one
/// that [`class!`](crate::class!) defines.
///
/// With the feature `natmod` of the crate that uses it the macro makes the entry point of a `.mpy`, `mpy_init`. With the
/// feature `firmware` the function objects are symbols, `CRATE_FUNCTION_obj`, for the module's table in C.
#[macro_export]
macro_rules! module {
    (
        $(functions { $($function:ident $arguments:tt = $rust:expr);* $(;)? })?
        $(classes { $($class:ty),* $(,)? })?
    ) => {
        $crate::names!(FUNCTIONS ""; $($($function $arguments = $rust);*)?);

        // A firmware names the classes in C.
        $($(#[cfg(not(feature = "natmod"))] const _: Option<$class> = None;)*)?

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
            unsafe {
                let globals = $crate::Obj::from_raw((*(*this).context).module.globals.cast());
                $crate::internal::init(globals, FUNCTIONS, &[$($(<$class as $crate::Class>::TABLE),*)?]);
            }
            $crate::Obj::none().raw()
        }
    };
}

/// Functions and their names, `parse(data) = parse; publish(2..=4) = publish`, as a static table of [`Entry`]s or, in a
/// firmware, as symbols of that prefix.
#[doc(hidden)]
#[macro_export]
macro_rules! names {
    ($table:ident $prefix:expr; $($function:ident $arguments:tt = $rust:expr);* $(;)?) => {
        #[cfg(not(feature = "firmware"))]
        #[allow(unsafe_code)]
        // SAFETY: the symbols are those of names.
        static $table: &[$crate::Entry] = &[$(unsafe { $crate::Entry::new($crate::qstr_symbol!($function), {
            static FUNCTION: $crate::Function<$crate::function!(@object $arguments)> =
                $crate::function!(@new $function $arguments $rust);
            &FUNCTION
        }) }),*];
        $(#[cfg(feature = "firmware")]
        const _: () = {
            #[allow(unsafe_code)]
            #[unsafe(export_name = concat!(env!("CARGO_CRATE_NAME"), "_", $prefix, stringify!($function), "_obj"))]
            static FUNCTION: $crate::Function<$crate::function!(@object $arguments)> =
                $crate::function!(@new $function $arguments $rust);
        };)*
    };
}
