//! Functions that Python can call.

use crate::{Exception, Obj, OrRaise};
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
    /// # Safety
    /// It is the object of a function, whose code is what the macro [`function!`](crate::function!) makes.
    pub const unsafe fn new(object: T) -> Self {
        Self(object)
    }

    /// The function as a Python object.
    pub fn obj(&'static self) -> Obj {
        // SAFETY: it is a function object.
        unsafe { Obj::from_raw((&raw const self.0).cast_mut().cast()) }
    }
}

/// What a function that Python calls gives back: an [`Obj`], or a `Result` of one, whose exception is raised.
pub trait Outcome {
    /// The object.
    ///
    /// # Raises
    /// The exception. The caller holds nothing that needs `Drop`. Only the boundary calls this.
    fn object(self) -> Obj;
}

impl Outcome for Obj {
    #[inline(always)]
    fn object(self) -> Obj {
        self
    }
}

impl Outcome for Result<Obj, Exception> {
    #[inline(always)]
    fn object(self) -> Obj {
        self.or_raise()
    }
}

/// The boundary: a result goes back to Python as an object or an exception.
///
/// # Raises
/// The exception. The caller holds nothing that needs `Drop`.
#[doc(hidden)]
#[inline(always)]
pub fn finish(result: impl Outcome) -> sys::mp_obj_t {
    result.object().raw()
}

/// The arguments of a call from Python, of which the runtime has checked that they are from `MIN` to `MAX`.
///
/// # Safety
/// `n` is in that range, and `arguments` points to so many objects, which stay as they are during the call.
#[doc(hidden)]
#[inline(always)]
pub unsafe fn arguments<'a, const MIN: usize, const MAX: usize>(
    n: usize,
    arguments: *const sys::mp_obj_t,
) -> &'a [Obj] {
    // Without arguments the runtime may pass a null pointer.
    if MIN == 0 && n == 0 {
        return &[];
    }
    // SAFETY: an Obj is an mp_obj_t; the rest is as the caller says. Known bounds spare the checks of constant indices.
    unsafe {
        core::hint::assert_unchecked(MIN <= n && n <= MAX);
        slice::from_raw_parts(arguments.cast(), n)
    }
}

/// How many arguments a function takes, as the runtime writes it (`MP_OBJ_FUN_MAKE_SIG`): from `min` to `max`
/// positional ones, none by keyword.
#[doc(hidden)]
pub const fn signature(min: usize, max: usize) -> u32 {
    assert!(min <= max && max < 0xffff, "argument counts out of order");
    (min as u32) << 17 | (max as u32) << 1
}

/// Defines a static [`Function`] that calls a Rust function.
///
/// The form of the arguments tells how the Rust function is called; the runtime checks their number.
///
/// ```ignore
/// function!(NOW() = now);            // fn now(vm: &mut Vm) -> Obj
/// function!(FEED(data) = feed);      // fn feed(vm: &mut Vm, data: Obj) -> Obj; up to three names
/// function!(SEND(1..=4) = send);     // fn send(vm: &mut Vm, arguments: &[Obj]) -> Obj
/// function!(NEXT(self) = next);      // fn next(vm: &mut Vm, this: Native<T>) -> Obj; up to two more names
/// function!(READ(self, 0..=2) = read); // fn read(vm: &mut Vm, this: Native<T>, arguments: &[Obj]) -> Obj
/// ```
/// The result may be a `Result<Obj, Exception>` too, whose exception is raised.
#[macro_export]
macro_rules! function {
    ($name:ident $arguments:tt = $function:expr) => {
        static $name: $crate::Function<$crate::function!(@object $arguments)> =
            $crate::function!(@new $name $arguments $function);
    };
    (@object ($min:literal ..= $max:literal)) => { $crate::internal::sys::mp_obj_fun_builtin_var_t };
    (@object (self, $min:literal ..= $max:literal)) => { $crate::internal::sys::mp_obj_fun_builtin_var_t };
    (@object $arguments:tt) => { $crate::internal::sys::mp_obj_fun_builtin_fixed_t };
    (@new $name:ident () $function:expr) => {
        $crate::function!(@fixed $name mp_type_fun_builtin_0 _0 () () $function)
    };
    (@new $name:ident ($min:literal ..= $max:literal) $function:expr) => {
        $crate::function!(@var $name $min, $max; vm, n, arguments; {
            // SAFETY: the runtime passes that many arguments.
            $function(vm, unsafe { $crate::internal::arguments::<{ $min }, { $max }>(n, arguments) })
        })
    };
    (@new $name:ident (self, $min:literal ..= $max:literal) $function:expr) => {
        $crate::function!(@var $name $min + 1, $max + 1; vm, n, arguments; {
            // SAFETY: the runtime passes that many arguments, which is one at least. No second `this` is made.
            let (this, arguments) = unsafe {
                let arguments = $crate::internal::arguments::<{ $min + 1 }, { $max + 1 }>(n, arguments);
                ($crate::internal::this(*arguments.get_unchecked(0)), arguments.get_unchecked(1..))
            };
            $function(vm, this, arguments)
        })
    };
    (@new $name:ident (self) $function:expr) => {
        $crate::function!(@fixed $name mp_type_fun_builtin_1 _1 (this) () $function)
    };
    (@new $name:ident (self, $b:ident) $function:expr) => {
        $crate::function!(@fixed $name mp_type_fun_builtin_2 _2 (this) ($b) $function)
    };
    (@new $name:ident (self, $b:ident, $c:ident) $function:expr) => {
        $crate::function!(@fixed $name mp_type_fun_builtin_3 _3 (this) ($b $c) $function)
    };
    (@new $name:ident ($a:ident) $function:expr) => {
        $crate::function!(@fixed $name mp_type_fun_builtin_1 _1 () ($a) $function)
    };
    (@new $name:ident ($a:ident, $b:ident) $function:expr) => {
        $crate::function!(@fixed $name mp_type_fun_builtin_2 _2 () ($a $b) $function)
    };
    (@new $name:ident ($a:ident, $b:ident, $c:ident) $function:expr) => {
        $crate::function!(@fixed $name mp_type_fun_builtin_3 _3 () ($a $b $c) $function)
    };
    (@fixed $name:ident $type:ident $arity:ident ($($this:ident)?) ($($argument:ident)*) $function:expr) => {{
        use $crate::internal::sys;

        // A type, so that the name is part of the symbol and stays out of the way of functions.
        #[allow(non_camel_case_types)]
        struct $name {}
        #[allow(unsafe_code)]
        impl $name {
            unsafe extern "C" fn entry($($this: sys::mp_obj_t,)? $($argument: sys::mp_obj_t),*) -> sys::mp_obj_t {
                // SAFETY: Python calls, and passes objects. No second `this` is made.
                unsafe {
                    let vm = &mut $crate::Vm::new();
                    $crate::internal::finish($function(
                        vm,
                        $($crate::internal::this($crate::Obj::from_raw($this)),)?
                        $($crate::Obj::from_raw($argument)),*
                    ))
                }
            }
        }
        // SAFETY: it is the object of a function with so many arguments.
        unsafe {
            $crate::Function::new(sys::mp_obj_fun_builtin_fixed_t {
                base: sys::mp_obj_base_t { type_: &raw const sys::$type },
                fun: sys::_mp_obj_fun_builtin_fixed_t__bindgen_ty_1 { $arity: Some($name::entry) },
            })
        }
    }};
    (@var $name:ident $min:expr, $max:expr; $vm:ident, $n:ident, $arguments:ident; $body:block) => {{
        use $crate::internal::sys;

        #[allow(non_camel_case_types)]
        struct $name {}
        #[allow(unsafe_code)]
        impl $name {
            unsafe extern "C" fn entry($n: usize, $arguments: *const sys::mp_obj_t) -> sys::mp_obj_t {
                // SAFETY: Python calls.
                let $vm = &mut unsafe { $crate::Vm::new() };
                $crate::internal::finish($body)
            }
        }
        // SAFETY: it is the object of a function that the runtime passes so many arguments.
        unsafe {
            $crate::Function::new(sys::mp_obj_fun_builtin_var_t {
                base: sys::mp_obj_base_t { type_: &raw const sys::mp_type_fun_builtin_var },
                sig: $crate::internal::signature($min, $max),
                fun: sys::_mp_obj_fun_builtin_var_t__bindgen_ty_1 { var: Some($name::entry) },
            })
        }
    }};
}
