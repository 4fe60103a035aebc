//! Classes of Python objects that hold a Rust value.

#[cfg(not(feature = "firmware"))]
mod heap;
#[cfg(feature = "firmware")]
mod rom;

use crate::function::signature;
use crate::gc::allocate;
use crate::table::table;
use crate::{Argument, Exception, Obj};
use core::mem::needs_drop;
use core::ops::{Deref, DerefMut};
use core::ptr::NonNull;
#[cfg(not(feature = "firmware"))]
pub use heap::{ClassTable, make_type};
use micropython_sys as sys;
#[cfg(feature = "firmware")]
pub use rom::ClassTable;

/// A Rust type that is the value of a class of Python objects. Implemented by [`class!`](crate::class!).
///
/// # Safety
/// `TABLE` belongs to this type alone, so that an object made by its constructor has a value of this type.
#[allow(unsafe_code)]
pub unsafe trait Class: Sized + 'static {
    /// What the class has.
    const TABLE: &'static ClassTable;
}

#[repr(C)]
struct Object<T> {
    base: sys::mp_obj_base_t,
    value: T,
}

/// A Python object that holds a `T`: the `self` of a method. One machine word, to be copied freely.
///
/// Like an [`Obj`] it keeps the object alive while it is on the stack or in a block on the Python heap.
///
/// # Re-entrance
/// Several `Native` can be of the same object, so each access is to be short: a field is read or written, or a function
/// called that stays in Rust. A call that can run Python code can come back and change the value through a `Native` of
/// its own. So do not hold a reference into the value across such a call; where that cannot be avoided (a buffer that is
/// read into from a [`Stream`](crate::Stream)), keep a mark in the value by which the other methods refuse to work.
pub struct Native<T>(NonNull<Object<T>>);

impl<T> Clone for Native<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Native<T> {}

impl<T: Class> Native<T> {
    /// The native object behind a Python object, or `TypeError` if it is not of this class.
    pub fn get(object: Obj) -> Result<Self, Exception> {
        if T::TABLE.made(object) {
            Ok(Self::assume(object))
        } else {
            Err(OTHER_CLASS)
        }
    }

    /// The native object behind a Python object that is known to be of this class.
    #[inline(always)]
    fn assume(object: Obj) -> Self {
        // SAFETY: the object has a type, so it is not null.
        Self(unsafe { NonNull::new_unchecked(object.as_ptr()) })
    }

    /// A new object of the class, whose type object is `class`.
    ///
    /// # Raises
    /// `MemoryError`, and what `value` raises.
    #[inline(always)]
    fn new(class: *const sys::mp_obj_type_t, value: impl FnOnce() -> T) -> Self {
        const {
            assert!(
                !needs_drop::<T>(),
                "destructors do not run on the Python heap"
            )
        };
        // First the value: to be built up in place it must not raise any more.
        let value = value();
        let native = allocate::<Object<T>>();
        // SAFETY: the block is large enough, aligned and ours.
        unsafe {
            native.write(Object {
                base: sys::mp_obj_base_t { type_: class },
                value,
            })
        };
        Self(native)
    }

    /// The Python object.
    pub fn obj(self) -> Obj {
        Obj::from_raw(self.0.as_ptr().cast())
    }
}

impl<T: Class> Argument for Native<T> {
    #[inline(always)]
    fn accept(object: Obj) -> Self {
        accept(object, T::TABLE);
        Self::assume(object)
    }
}

/// # Raises
/// `TypeError`, if the object's type was not made from the table.
#[inline(never)]
fn accept(object: Obj, table: &ClassTable) {
    if !table.made(object) {
        OTHER_CLASS.raise();
    }
}

const OTHER_CLASS: Exception = Exception::Type(c"object of another class");

impl<T> Deref for Native<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the object holds a T, and accesses do not overlap as long as the rule on re-entrance is kept.
        unsafe { &(*self.0.as_ptr()).value }
    }
}

impl<T> DerefMut for Native<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as above.
        unsafe { &mut (*self.0.as_ptr()).value }
    }
}

/// What `class!` makes of a constructor.
///
/// # Raises
/// What the constructor raises, and `TypeError` if the number of arguments is wrong.
///
/// # Safety
/// `class` is the type object of T, and `arguments` points to `n` positional arguments and `n_kw` pairs.
#[doc(hidden)]
#[inline(always)]
pub unsafe fn make_new<T: Class, const MIN: usize, const MAX: usize>(
    class: *const sys::mp_obj_type_t,
    n: usize,
    n_kw: usize,
    arguments: *const sys::mp_obj_t,
    new: impl FnOnce(&[Obj]) -> T,
) -> sys::mp_obj_t {
    // SAFETY: any numbers will do; after the check the number of arguments is in range.
    let arguments = unsafe {
        table!(arg_check_num_sig(n, n_kw, const { signature(MIN, MAX) }));
        crate::function::arguments::<MIN, MAX>(n, arguments)
    };
    Native::new(class, || new(arguments)).obj().raw()
}

/// What `class!` makes of an `iternext`.
///
/// # Raises
/// What the function returns.
#[doc(hidden)]
#[inline(always)]
pub fn iternext<T: Class>(
    this: sys::mp_obj_t,
    next: impl FnOnce(Native<T>) -> Result<Option<Obj>, Exception>,
) -> sys::mp_obj_t {
    match next(Native::accept(Obj::from_raw(this))) {
        Ok(Some(item)) => item.raw(),
        // MP_OBJ_STOP_ITERATION
        Ok(None) => core::ptr::null_mut(),
        Err(exception) => exception.raise(),
    }
}

impl<T: Class> From<Native<T>> for Obj {
    fn from(native: Native<T>) -> Obj {
        native.obj()
    }
}

/// Makes a Rust type the value of a Python class of the same name.
///
/// ```ignore
/// struct Counter { n: isize }
///
/// class! {
///     Counter {
///         new(0..=1) = Counter::new;          // fn new(arguments: &[Obj]) -> Counter
///         iternext = Counter::next;           // fn next(this: Native<Counter>) -> Result<Option<Obj>, Exception>
///         methods {
///             add(self, n) = Counter::add;    // fn add(this: Native<Counter>, n: Obj) -> Result<Obj, Exception>
///             reset(self, 0..=2) = Counter::reset;
///         }
///     }
/// }
/// ```
/// The constructor takes positional arguments, as many as the range says; `iternext` may be left out. The forms of the
/// methods are those of [`function!`](crate::function!). A class with `iternext` can be iterated and awaited: `None`
/// from it ends the iteration, or completes the `await` with the value `None`, and allocates nothing.
///
/// With the feature `firmware` of the crate that uses it the methods and the constructor are symbols,
/// `CRATE_CLASS_METHOD_obj` and `CRATE_CLASS_make_new`, and so is the type object `CRATE_CLASS_type`, for C to define.
///
/// The class can be subclassed in Python. An object of another class in the place of `self` gives `TypeError`.
#[macro_export]
macro_rules! class {
    (
        $class:ident {
            new($min:literal ..= $max:literal) = $new:expr;
            $(iternext = $iternext:expr;)?
            methods { $($method:ident $arguments:tt = $rust:expr);* $(;)? }
        }
    ) => {
        #[allow(unsafe_code)]
        // SAFETY: the table is made here, for this type.
        unsafe impl $crate::Class for $class {
            const TABLE: &'static $crate::ClassTable = {
                use $crate::internal::sys;

                #[cfg_attr(feature = "firmware", unsafe(export_name =
                    concat!(env!("CARGO_CRATE_NAME"), "_", stringify!($class), "_make_new")))]
                unsafe extern "C" fn make_new(
                    class: *const sys::mp_obj_type_t,
                    n: usize,
                    n_kw: usize,
                    arguments: *const sys::mp_obj_t,
                ) -> sys::mp_obj_t {
                    // SAFETY: the runtime calls the constructor so.
                    unsafe { $crate::internal::make_new::<$class, { $min }, { $max }>(class, n, n_kw, arguments, $new) }
                }
                $crate::names!(METHODS concat!(stringify!($class), "_"); $($method $arguments = $rust);*);
                #[cfg(not(feature = "firmware"))]
                static TABLE: $crate::ClassTable = $crate::ClassTable::new(
                    $crate::qstr_symbol!($class),
                    make_new,
                    $crate::class!(@iternext $class $($iternext)?),
                    METHODS,
                );
                #[cfg(feature = "firmware")]
                static TABLE: $crate::ClassTable = {
                    $(compile_error!(concat!("no class of a firmware can have iternext = ", stringify!($iternext)));)?
                    unsafe extern "C" {
                        #[link_name = concat!(env!("CARGO_CRATE_NAME"), "_", stringify!($class), "_type")]
                        static CLASS: sys::mp_obj_type_t;
                    }
                    $crate::ClassTable::new(&raw const CLASS)
                };
                &TABLE
            };
        }
    };
    (@iternext $class:ident) => { None };
    (@iternext $class:ident $iternext:expr) => {{
        unsafe extern "C" fn iternext(this: sys::mp_obj_t) -> sys::mp_obj_t {
            $crate::internal::iternext::<$class>(this, $iternext)
        }
        Some(iternext)
    }};
}
