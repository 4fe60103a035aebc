//! Functions that Python can call.

use crate::{Exception, Obj};
use core::slice;
use micropython_sys as sys;

/// A function object of Python, `mp_obj_fun_builtin_fixed_t` or `mp_obj_fun_builtin_var_t`, in a `static`.
///
/// Made by [`function!`](crate::function!).
#[repr(transparent)]
pub struct Function<T>(T);

// SAFETY: the object is never changed.
unsafe impl<T> Sync for Function<T> {}

impl<T> Function<T> {
    #[doc(hidden)]
    pub const fn new(object: T) -> Self {
        Self(object)
    }

    /// The function as a Python object.
    pub fn obj(&'static self) -> Obj {
        Obj::from_raw((&raw const self.0).cast_mut().cast())
    }
}

/// What an argument of a function can be.
///
/// Every [`Obj`] is one; [`Native<T>`](crate::Native) refuses objects of another class by `TypeError`.
pub trait FromObj: Sized {
    /// The argument as that type, or the exception that tells the caller what is wrong with it.
    fn from_obj(object: Obj) -> Result<Self, Exception>;
}

impl FromObj for Obj {
    #[inline(always)]
    fn from_obj(object: Obj) -> Result<Self, Exception> {
        Ok(object)
    }
}

/// The boundary: a result goes back to Python as an object or an exception.
///
/// # Raises
/// The exception. The caller holds nothing that needs `Drop`.
#[doc(hidden)]
#[inline(always)]
pub fn finish(result: Result<Obj, Exception>) -> sys::mp_obj_t {
    match result {
        Ok(object) => object.raw(),
        Err(exception) => exception.raise(),
    }
}

/// The arguments of a call from Python.
///
/// # Safety
/// `arguments` points to `n` objects, which stay as they are during the call.
#[doc(hidden)]
#[inline(always)]
pub unsafe fn arguments<'a>(n: usize, arguments: *const sys::mp_obj_t) -> &'a [Obj] {
    if n == 0 {
        return &[];
    }
    // SAFETY: an Obj is an mp_obj_t; the rest is as the caller says.
    unsafe { slice::from_raw_parts(arguments.cast(), n) }
}

/// How many arguments a function takes, as the runtime writes it (`MP_OBJ_FUN_MAKE_SIG`): from `min` to `max`
/// positional ones, none by keyword.
#[doc(hidden)]
pub const fn signature(min: u32, max: u32) -> u32 {
    assert!(min <= max && max < 0xffff, "argument counts out of order");
    min << 17 | max << 1
}

/// Defines a static [`Function`] that calls a Rust function.
///
/// The form of the arguments tells how the Rust function is called; the runtime checks their number.
///
/// ```ignore
/// function!(NOW() = now);            // fn now() -> Result<Obj, Exception>
/// function!(FEED(data) = feed);      // fn feed(data: Obj) -> Result<Obj, Exception>; up to three names
/// function!(SEND(1..=4) = send);     // fn send(arguments: &[Obj]) -> Result<Obj, Exception>
/// function!(NEXT(self) = next);      // fn next(this: Native<T>) -> Result<Obj, Exception>; up to two more names
/// function!(READ(self, 0..=2) = read); // fn read(this: Native<T>, arguments: &[Obj]) -> Result<Obj, Exception>
/// ```
/// A named argument is of any type that is [`FromObj`].
#[macro_export]
macro_rules! function {
    ($static:ident () = $function:expr) => {
        $crate::function!(@fixed $static mp_type_fun_builtin_0 _0 () $function);
    };
    ($static:ident ($a:tt) = $function:expr) => {
        $crate::function!(@fixed $static mp_type_fun_builtin_1 _1 (a) $function);
    };
    ($static:ident ($min:literal ..= $max:literal) = $function:expr) => {
        $crate::function!(@var $static $min, $max; n, arguments; {
            // SAFETY: the runtime passes that many arguments.
            $function(unsafe { $crate::internal::arguments(n, arguments) })
        });
    };
    ($static:ident (self, $min:literal ..= $max:literal) = $function:expr) => {
        $crate::function!(@var $static $min + 1, $max + 1; n, arguments; {
            // SAFETY: the runtime passes that many arguments, which is one at least.
            let (this, arguments) =
                unsafe { (*arguments, $crate::internal::arguments(n - 1, arguments.add(1))) };
            $function($crate::FromObj::from_obj($crate::Obj::from_raw(this))?, arguments)
        });
    };
    ($static:ident ($a:tt, $b:tt) = $function:expr) => {
        $crate::function!(@fixed $static mp_type_fun_builtin_2 _2 (a b) $function);
    };
    ($static:ident ($a:tt, $b:tt, $c:tt) = $function:expr) => {
        $crate::function!(@fixed $static mp_type_fun_builtin_3 _3 (a b c) $function);
    };
    (@fixed $static:ident $type:ident $arity:ident ($($argument:ident)*) $function:expr) => {
        #[allow(unsafe_code)]
        static $static: $crate::Function<$crate::internal::sys::mp_obj_fun_builtin_fixed_t> = {
            use $crate::internal::sys;

            unsafe extern "C" fn entry($($argument: sys::mp_obj_t),*) -> sys::mp_obj_t {
                #[inline(always)]
                fn call($($argument: sys::mp_obj_t),*) -> Result<$crate::Obj, $crate::Exception> {
                    $function($($crate::FromObj::from_obj($crate::Obj::from_raw($argument))?),*)
                }
                $crate::internal::finish(call($($argument),*))
            }
            $crate::Function::new(sys::mp_obj_fun_builtin_fixed_t {
                base: sys::mp_obj_base_t { type_: &raw const sys::$type },
                fun: sys::_mp_obj_fun_builtin_fixed_t__bindgen_ty_1 { $arity: Some(entry) },
            })
        };
    };
    (@var $static:ident $min:expr, $max:expr; $n:ident, $arguments:ident; $body:block) => {
        #[allow(unsafe_code)]
        static $static: $crate::Function<$crate::internal::sys::mp_obj_fun_builtin_var_t> = {
            use $crate::internal::sys;

            unsafe extern "C" fn entry(n: usize, arguments: *const sys::mp_obj_t) -> sys::mp_obj_t {
                #[inline(always)]
                fn call($n: usize, $arguments: *const sys::mp_obj_t) -> Result<$crate::Obj, $crate::Exception> $body
                $crate::internal::finish(call(n, arguments))
            }
            $crate::Function::new(sys::mp_obj_fun_builtin_var_t {
                base: sys::mp_obj_base_t { type_: &raw const sys::mp_type_fun_builtin_var },
                sig: $crate::internal::signature($min, $max),
                fun: sys::_mp_obj_fun_builtin_var_t__bindgen_ty_1 { var: Some(entry) },
            })
        };
    };
}
