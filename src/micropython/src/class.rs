//! Classes of Python objects that hold a Rust value.

#[cfg(not(feature = "firmware"))]
mod heap;
#[cfg(feature = "firmware")]
mod rom;

use crate::function::signature;
use crate::gc::allocate;
use crate::table::table;
use crate::{Exception, Obj, Vm};
use core::marker::PhantomData;
use core::mem::needs_drop;
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

/// The `self` of a method: a Python object that holds a `T`.
///
/// There is one in each call from Python. It can be lent to another function ([`lend`](Self::lend)), not copied, and it is
/// the only way to the value; so a reference that [`get_mut`](Self::get_mut) gives is the only one, and no Python code,
/// which could call another method of the object, runs while it is in use.
///
/// The object stays alive while the method runs.
pub struct Native<'a, T>(NonNull<Object<T>>, PhantomData<&'a mut T>);

impl<T: Class> Native<'_, T> {
    /// # Safety
    /// The object is of this class, and there is no other `Native` of it in this call from Python.
    #[inline(always)]
    pub(crate) unsafe fn assume(object: Obj) -> Self {
        // SAFETY: the object has a type, so it is not null.
        Self(
            unsafe { NonNull::new_unchecked(object.as_ptr()) },
            PhantomData,
        )
    }
}

impl<T> Native<'_, T> {
    /// The value, for reading.
    #[inline(always)]
    pub fn get<'v>(&'v self, _: &'v Vm) -> &'v T {
        // SAFETY: the object holds a T. Others reach it by calls from Python only, which do not happen while the virtual
        // machine is borrowed, and this call has no second way to it.
        unsafe { &(*self.0.as_ptr()).value }
    }

    /// The value.
    #[inline(always)]
    pub fn get_mut<'v>(&'v mut self, _: &'v Vm) -> &'v mut T {
        // SAFETY: as for reading, and this way is borrowed mutably.
        unsafe { &mut (*self.0.as_ptr()).value }
    }

    /// The same, for another function to use.
    #[inline(always)]
    pub fn lend(&mut self) -> Native<'_, T> {
        Native(self.0, PhantomData)
    }
}

/// A method's `self`.
///
/// # Raises
/// `TypeError`, if the object is of another class. Only the boundary calls this.
///
/// # Safety
/// There is no other [`Native`] of the object in this call from Python.
#[doc(hidden)]
#[inline(always)]
pub unsafe fn this<'a, T: Class>(object: Obj) -> Native<'a, T> {
    accept(object, T::TABLE);
    // SAFETY: it is of the class, the rest is as the caller says.
    unsafe { Native::assume(object) }
}

/// # Raises
/// `TypeError`, if the object's type was not made from the table.
#[inline(never)]
fn accept(object: Obj, table: &ClassTable) {
    if !table.made(object) {
        Exception::Type(c"object of another class").raise();
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
    new: impl FnOnce(&mut Vm, &[Obj]) -> T,
) -> sys::mp_obj_t {
    const {
        assert!(
            !needs_drop::<T>(),
            "destructors do not run on the Python heap"
        )
    };
    // SAFETY: any numbers will do; after the check the number of arguments is in range. Python calls.
    let (arguments, mut vm) = unsafe {
        table!(arg_check_num_sig(n, n_kw, const { signature(MIN, MAX) }));
        let arguments = crate::function::arguments::<MIN, MAX>(n, arguments);
        (arguments, Vm::new())
    };
    // First the value: to be built up in place it must not raise any more.
    let value = new(&mut vm, arguments);
    let object = allocate::<Object<T>>();
    // SAFETY: the block is large enough, aligned and ours.
    unsafe {
        object.write(Object {
            base: sys::mp_obj_base_t { type_: class },
            value,
        })
    };
    object.as_ptr().cast()
}

/// Makes a Rust type the value of a Python class of the same name.
///
/// ```ignore
/// struct Counter { n: isize }
///
/// class! {
///     Counter {
///         new(0..=1) = Counter::new;          // fn new(vm: &mut Vm, arguments: &[Obj]) -> Counter
///         methods {
///             add(self, n) = Counter::add;    // fn add(vm: &mut Vm, this: Native<Counter>, n: Obj) -> Obj
///             reset(self, 0..=2) = Counter::reset;
///         }
///     }
/// }
/// ```
/// The constructor takes positional arguments, as many as the range says. The forms of the methods are those of
/// [`function!`](crate::function!).
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
                // SAFETY: the symbol is that of a name, and the constructor that of the class.
                static TABLE: $crate::ClassTable =
                    unsafe { $crate::ClassTable::new($crate::qstr_symbol!($class), make_new, METHODS) };
                #[cfg(feature = "firmware")]
                static TABLE: $crate::ClassTable = {
                    unsafe extern "C" {
                        #[link_name = concat!(env!("CARGO_CRATE_NAME"), "_", stringify!($class), "_type")]
                        static CLASS: sys::mp_obj_type_t;
                    }
                    // SAFETY: the symbol is that of the class's type object.
                    unsafe { $crate::ClassTable::new(&raw const CLASS) }
                };
                &TABLE
            };
        }
    };
}
