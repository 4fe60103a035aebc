//! Python objects.

use crate::table::table;
use crate::{Exception, Iter, Qstr};
use micropython_sys as sys;

/// Any Python object: one machine word, to be copied freely.
///
/// `==` compares identity, like Python's `is`; [`equals`](Obj::equals) is Python's `==`.
///
/// An `Obj` keeps its object alive while it is on the stack or in a block on the Python heap, and nowhere else.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(transparent)]
pub struct Obj(sys::mp_obj_t);

/// A load of a subscript (`MP_OBJ_SENTINEL`; builds that number these marks differently for debugging are not served).
const SENTINEL: usize = 4;

impl Obj {
    #[doc(hidden)]
    #[inline(always)]
    pub const fn from_raw(raw: sys::mp_obj_t) -> Self {
        Self(raw)
    }

    #[doc(hidden)]
    #[inline(always)]
    pub const fn raw(self) -> sys::mp_obj_t {
        self.0
    }

    /// The address of an object that is known to be neither a small int nor a qstr nor another immediate value.
    #[inline(always)]
    pub(crate) const fn as_ptr<T>(self) -> *mut T {
        self.0.cast()
    }

    /// `None`.
    #[inline(never)]
    pub fn none() -> Self {
        // SAFETY: the table is constant.
        Self(unsafe { sys::mp_fun_table.const_none }.cast_mut())
    }

    /// `True`.
    #[inline]
    pub fn true_() -> Self {
        // SAFETY: the table is constant.
        Self(unsafe { sys::mp_fun_table.const_true }.cast_mut())
    }

    /// `False`.
    #[inline]
    pub fn false_() -> Self {
        // SAFETY: the table is constant.
        Self(unsafe { sys::mp_fun_table.const_false }.cast_mut())
    }

    /// `True` or `False`.
    #[inline]
    pub fn bool(value: bool) -> Self {
        if value { Self::true_() } else { Self::false_() }
    }

    /// Whether the object is `None`.
    #[inline]
    pub fn is_none(self) -> bool {
        self == Self::none()
    }

    /// The truth of the object, as `bool()` tells it.
    ///
    /// # Raises
    /// What the object's own `__bool__` or `__len__` raises.
    pub fn is_true(self) -> bool {
        // SAFETY: any object will do.
        unsafe { table!(obj_is_true(self.0)) }
    }

    /// An `int`.
    ///
    /// # Raises
    /// `MemoryError`, for values too large for a small int (more than 30 bits, on a 32-bit port).
    #[inline(never)]
    pub fn int(value: isize) -> Self {
        // SAFETY: the type says how to read the word.
        Self(unsafe {
            table!(native_to_obj(
                value as usize,
                sys::MP_NATIVE_TYPE_INT as usize
            ))
        })
    }

    /// An `int` of an unsigned value.
    ///
    /// # Raises
    /// `MemoryError`, for values too large for a small int (more than 30 bits, on a 32-bit port).
    #[inline(never)]
    pub fn uint(value: usize) -> Self {
        // SAFETY: the type says how to read the word.
        Self(unsafe { table!(native_to_obj(value, sys::MP_NATIVE_TYPE_UINT as usize)) })
    }

    /// The value of an `int` or `bool`, of which the bits beyond a machine word are lost: see [`int_in`](Self::int_in).
    ///
    /// # Raises
    /// `TypeError`, for any other object.
    #[inline(never)]
    pub fn to_int(self) -> isize {
        // SAFETY: any object will do.
        unsafe { table!(native_from_obj(self.0, sys::MP_NATIVE_TYPE_INT as usize)) as isize }
    }

    /// The value of an `int` or `bool` from `min` to `max`, both included.
    ///
    /// # Raises
    /// `TypeError`, for any other object, and `out_of_range` for other values, however large.
    pub fn int_in(self, min: isize, max: isize, out_of_range: Exception) -> isize {
        let value = self.to_int();
        // Bits may have been lost, so the way back must lead to the same number (or the bool that equals it).
        let same = |value: Obj| value == self || value.equals(self);
        if min <= value && value <= max && same(Self::int(value)) {
            value
        } else {
            out_of_range.raise()
        }
    }

    /// A `bytes` object with a copy of the bytes.
    ///
    /// # Raises
    /// `MemoryError`
    #[inline(never)]
    pub fn bytes(bytes: &[u8]) -> Self {
        // SAFETY: pointer and length are those of a slice.
        Self(unsafe { table!(obj_new_bytes(bytes.as_ptr(), bytes.len())) })
    }

    /// A `str` object with a copy of the text.
    ///
    /// # Raises
    /// `MemoryError`
    pub fn str(text: &str) -> Self {
        // SAFETY: pointer and length are those of a slice, which is UTF-8.
        Self(unsafe { table!(obj_new_str(text.as_ptr().cast(), text.len())) })
    }

    /// A `str` object with a copy of the text, which is to be UTF-8: no one checks. It is not one of the interned strings:
    /// to look for it there takes many times as long as all else.
    ///
    /// # Raises
    /// `MemoryError`
    pub fn text(utf8: &[u8]) -> Self {
        // SAFETY: pointer and length are those of a slice. `bytes` and `str` have one layout, and an object that is new on
        // the heap, as one that is not empty has to be, is not known to anyone yet.
        unsafe {
            if utf8.is_empty() {
                return Self(table!(obj_new_str(utf8.as_ptr().cast(), 0)));
            }
            let text = Self::bytes(utf8);
            (*text.as_ptr::<sys::mp_obj_base_t>()).type_ = sys::mp_fun_table.type_str;
            text
        }
    }

    /// A `tuple` of the items.
    ///
    /// # Raises
    /// `MemoryError`
    pub fn tuple(items: &[Obj]) -> Self {
        // SAFETY: an Obj is an mp_obj_t, and pointer and length are those of a slice.
        Self(unsafe { table!(new_tuple(items.len(), items.as_ptr().cast())) })
    }

    /// A `list` of the items.
    ///
    /// # Raises
    /// `MemoryError`
    pub fn list(items: &[Obj]) -> Self {
        // SAFETY: an Obj is an mp_obj_t; the items are copied, not changed.
        Self(unsafe { table!(new_list(items.len(), items.as_ptr().cast_mut().cast())) })
    }

    /// An empty `list`.
    ///
    /// # Raises
    /// `MemoryError`
    pub fn list_new() -> Self {
        Self::list(&[])
    }

    /// Appends an item to a `list`.
    ///
    /// # Raises
    /// `MemoryError`, and `TypeError` if it is no list.
    pub fn list_append(self, item: Obj) {
        if !self.is_list() {
            Exception::Type(c"expected a list").raise()
        }
        // SAFETY: it is a list.
        unsafe { table!(list_append(self.0, item.0)) };
    }

    /// An empty `dict` with room for that many items.
    ///
    /// # Raises
    /// `MemoryError`
    pub fn dict_new(capacity: usize) -> Self {
        // SAFETY: any number will do.
        Self(unsafe { table!(new_dict(capacity)) })
    }

    /// Stores an item in a `dict`; an error if it is none.
    ///
    /// # Raises
    /// `MemoryError`, `TypeError` if the key cannot be hashed, and what the key's own `__hash__` or `__eq__` raises.
    pub fn dict_store(self, key: Obj, value: Obj) -> Result<(), Exception> {
        if !self.is_dict() {
            return Err(Exception::Type(c"expected a dict"));
        }
        // SAFETY: it is a dict.
        unsafe { table!(dict_store(self.0, key.0, value.0)) };
        Ok(())
    }

    /// Of a `list` a new one with its items, of a `dict` a new one with such copies of its values; else the object itself.
    ///
    /// # Raises
    /// `MemoryError`
    pub fn copied(self) -> Self {
        if self.is_list() {
            // SAFETY: any objects will do. A list times one is a new list.
            return Self(unsafe {
                table!(binary_op(
                    sys::MP_BINARY_OP_MULTIPLY,
                    self.0,
                    Self::int(1).0
                ))
            });
        }
        if !self.is_dict() {
            return self;
        }
        // SAFETY: both are dicts. Entries that are not in use are null. Only to allocate may run other code, a finaliser,
        // and that does not know of the copy.
        unsafe {
            let from = self.as_ptr::<sys::mp_obj_dict_t>();
            let copy = Self::dict_new((*from).map.alloc);
            let (from, to) = (
                &(*from).map,
                &mut (*copy.as_ptr::<sys::mp_obj_dict_t>()).map,
            );
            if from.alloc != to.alloc {
                return self.copied();
            }
            to._bitfield_1 = from._bitfield_1;
            to.set_is_fixed(0);
            to.table.copy_from_nonoverlapping(from.table, from.alloc);
            for i in 0..to.alloc {
                let value = &mut (*to.table.add(i)).value;
                if !value.is_null() {
                    *value = Self(*value).copied().0;
                }
            }
            copy
        }
    }

    /// The item of a `dict`, `list` or other container: `self[key]`.
    ///
    /// # Raises
    /// `KeyError`, `IndexError`, `TypeError`, and what the object's own `__getitem__` raises.
    pub fn item(self, key: Obj) -> Self {
        // SAFETY: any objects will do; the mark means a load.
        Self(unsafe { table!(obj_subscr(self.0, key.0, SENTINEL as sys::mp_obj_t)) })
    }

    /// Stores an item in a `dict`, `list` or other container: `self[key] = value`.
    ///
    /// # Raises
    /// `MemoryError`, `IndexError`, `TypeError`, and what the object's own `__setitem__` raises.
    pub fn set_item(self, key: Obj, value: Obj) {
        // SAFETY: any objects will do.
        unsafe { table!(obj_subscr(self.0, key.0, value.0)) };
    }

    /// The number of items: `len(self)`. [`is_true`](Self::is_true) tells whether there are any.
    ///
    /// # Raises
    /// `TypeError`, for objects without length, and what the object's own `__len__` raises.
    #[allow(clippy::len_without_is_empty)]
    pub fn len(self) -> usize {
        // SAFETY: any object will do.
        Self(unsafe { table!(unary_op(sys::MP_UNARY_OP_LEN, self.0)) }).to_int() as usize
    }

    /// `self == other` as Python tells it.
    ///
    /// # Raises
    /// What the object's own `__eq__` raises.
    pub fn equals(self, other: Obj) -> bool {
        // SAFETY: any objects will do.
        Self(unsafe { table!(binary_op(sys::MP_BINARY_OP_EQUAL, self.0, other.0)) })
            == Self::true_()
    }

    /// The items one by one, as `for` takes them.
    ///
    /// # Raises
    /// `TypeError`, if the object cannot be iterated; [`Iter::next`] raises what the iterator raises.
    pub fn iter(self) -> Iter {
        Iter::new(self)
    }

    /// A global variable of the Python code that called, or else a builtin.
    ///
    /// # Raises
    /// `NameError`
    pub fn global(name: Qstr) -> Self {
        // SAFETY: any qstr will do.
        Self(unsafe { table!(load_global(name.raw())) })
    }

    /// An attribute.
    ///
    /// # Raises
    /// `AttributeError`, and what the object's own `__getattr__` raises.
    pub fn attr(self, name: Qstr) -> Self {
        // SAFETY: any object and qstr will do.
        Self(unsafe { table!(load_attr(self.0, name.raw())) })
    }

    /// Sets an attribute.
    ///
    /// # Raises
    /// `AttributeError`, `MemoryError`, and what the object's own `__setattr__` raises.
    pub fn set_attr(self, name: Qstr, value: Obj) {
        // SAFETY: any objects and qstr will do.
        unsafe { table!(store_attr(self.0, name.raw(), value.0)) }
    }

    /// Calls the object with at most 255 positional arguments.
    ///
    /// # Raises
    /// What the call raises, and `TypeError` if the object cannot be called. Runs Python code.
    pub fn call(self, arguments: &[Obj]) -> Self {
        // SAFETY: an Obj is an mp_obj_t. The byte above the number of arguments is that of keywords, here none.
        Self(unsafe {
            table!(call_function_n_kw(
                self.0,
                arguments.len() & 0xff,
                arguments.as_ptr().cast()
            ))
        })
    }

    /// Calls a method with positional arguments: `object.call_method(qstr!(write), [data])`.
    ///
    /// # Raises
    /// `AttributeError`, and what the method raises. Runs Python code.
    pub fn call_method<const N: usize>(self, name: Qstr, arguments: [Obj; N]) -> Self {
        #[repr(C)]
        struct Call<const N: usize> {
            method: [sys::mp_obj_t; 2],
            arguments: [Obj; N],
        }
        let mut call = Call {
            method: [core::ptr::null_mut(); 2],
            arguments,
        };
        // SAFETY: load_method fills in two words, the function and self, and the arguments follow them without a gap.
        unsafe {
            table!(load_method(self.0, name.raw(), call.method.as_mut_ptr()));
            Self(table!(call_method_n_kw(N, 0, (&raw const call).cast())))
        }
    }

    /// The type of the object, as `type()` gives it.
    pub fn type_of(self) -> Self {
        Self(self.type_ptr().cast_mut().cast())
    }

    /// Whether the type of the object is exactly this one. Subclasses do not count.
    pub fn is_type(self, class: Obj) -> bool {
        self.type_of() == class
    }

    /// Whether the object is a `str`.
    pub fn is_str(self) -> bool {
        // SAFETY: the table is constant.
        self.type_ptr() == unsafe { sys::mp_fun_table.type_str }
    }

    /// Whether the object is a `dict`.
    #[inline(never)]
    pub fn is_dict(self) -> bool {
        // SAFETY: the table is constant.
        self.type_ptr() == unsafe { sys::mp_fun_table.type_dict }
    }

    /// Whether the object is a `list`.
    #[inline(never)]
    pub fn is_list(self) -> bool {
        // SAFETY: the table is constant.
        self.type_ptr() == unsafe { sys::mp_fun_table.type_list }
    }

    #[inline]
    pub(crate) fn type_ptr(self) -> *const sys::mp_obj_type_t {
        // SAFETY: any object will do.
        unsafe { table!(obj_get_type(self.0)) }
    }
}
