//! Python objects.

use crate::table::{mp_fun_table, table};
use crate::{Exception, Iter, Qstr, Vm};
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
    /// # Safety
    /// It is an object of the runtime.
    #[doc(hidden)]
    #[inline(always)]
    pub const unsafe fn from_raw(raw: sys::mp_obj_t) -> Self {
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
        Self(unsafe { mp_fun_table.const_none }.cast_mut())
    }

    /// `True`.
    #[inline]
    pub fn true_() -> Self {
        // SAFETY: the table is constant.
        Self(unsafe { mp_fun_table.const_true }.cast_mut())
    }

    /// `False`.
    #[inline]
    pub fn false_() -> Self {
        // SAFETY: the table is constant.
        Self(unsafe { mp_fun_table.const_false }.cast_mut())
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
    pub fn is_true(self, _: &mut Vm) -> bool {
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
    /// `TypeError`, for any other object, and what its own `__int__` raises.
    #[inline(never)]
    pub fn to_int(self, _: &mut Vm) -> isize {
        // SAFETY: any object will do.
        unsafe { table!(native_from_obj(self.0, sys::MP_NATIVE_TYPE_INT as usize)) as isize }
    }

    /// The value of an `int` or `bool` from `min` to `max`, both included.
    ///
    /// # Raises
    /// `TypeError`, for any other object, and `out_of_range` for other values, however large.
    pub fn int_in(self, vm: &mut Vm, min: isize, max: isize, out_of_range: Exception) -> isize {
        let value = self.to_int(vm);
        // Bits may have been lost, so the way back must lead to the same number (or the bool that equals it).
        if min <= value && value <= max {
            let same = Self::int(value);
            if same == self || same.equals(vm, self) {
                return value;
            }
        }
        out_of_range.raise()
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

    /// A `str` object with a copy of the text. It is not one of the interned strings:
    /// to look for it there takes many times as long as all else.
    ///
    /// # Raises
    /// `MemoryError`
    ///
    /// # Safety
    /// It is UTF-8.
    pub unsafe fn text(utf8: &[u8]) -> Self {
        // SAFETY: pointer and length are those of a slice. `bytes` and `str` have one layout, and an object that is new on
        // the heap, as one that is not empty has to be, is not known to anyone yet.
        unsafe {
            if utf8.is_empty() {
                return Self(table!(obj_new_str(utf8.as_ptr().cast(), 0)));
            }
            let text = Self::bytes(utf8);
            (*text.as_ptr::<sys::mp_obj_base_t>()).type_ = mp_fun_table.type_str;
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
            let copy = Self(table!(new_dict((*from).map.alloc)));
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

    /// The item of a `list`, or `None` of Rust if it is none or has not so many.
    pub fn list_item(self, i: usize) -> Option<Self> {
        // SAFETY: it is a list, and the mark means a load of the item, which there is.
        (i < self.list_len()).then(|| unsafe {
            Self(table!(obj_subscr(
                self.0,
                Self::uint(i).0,
                SENTINEL as sys::mp_obj_t
            )))
        })
    }

    /// The number of items of a `list`; 0 if it is none.
    pub fn list_len(self) -> usize {
        if self.is_list() { self.count() } else { 0 }
    }

    /// The number of items of a builtin container.
    pub(crate) fn count(self) -> usize {
        // SAFETY: any object will do.
        unsafe {
            let len = table!(unary_op(sys::MP_UNARY_OP_LEN, self.0));
            table!(native_from_obj(len, sys::MP_NATIVE_TYPE_INT as usize))
        }
    }

    /// The item of a `dict`, `list` or other container: `self[key]`.
    ///
    /// # Raises
    /// `KeyError`, `IndexError`, `TypeError`, and what the object's own `__getitem__` raises.
    pub fn item(self, _: &mut Vm, key: Obj) -> Self {
        // SAFETY: any objects will do; the mark means a load.
        Self(unsafe { table!(obj_subscr(self.0, key.0, SENTINEL as sys::mp_obj_t)) })
    }

    /// The number of items: `len(self)`. [`is_true`](Self::is_true) tells whether there are any.
    ///
    /// # Raises
    /// `TypeError`, for objects without length, and what the object's own `__len__` raises.
    #[allow(clippy::len_without_is_empty)]
    pub fn len(self, _: &mut Vm) -> usize {
        self.count()
    }

    /// `self == other` as Python tells it.
    ///
    /// # Raises
    /// What the object's own `__eq__` raises.
    pub fn equals(self, _: &mut Vm, other: Obj) -> bool {
        // SAFETY: any objects will do.
        Self(unsafe { table!(binary_op(sys::MP_BINARY_OP_EQUAL, self.0, other.0)) })
            == Self::true_()
    }

    /// The items one by one, as `for` takes them.
    ///
    /// # Raises
    /// `TypeError`, if the object cannot be iterated; [`Iter::next`] raises what the iterator raises.
    pub fn iter(self, vm: &mut Vm) -> Iter {
        Iter::new(vm, self)
    }

    /// A builtin, whatever the Python code that called has of that name. `builtins` itself can have been changed.
    ///
    /// # Raises
    /// `NameError`, `MemoryError`
    pub(crate) fn builtin(name: Qstr) -> Self {
        // SAFETY: a name is looked for among the globals and then among the builtins. These globals are empty, and they are
        // gone again unless a NameError passes, which for no name that is asked for here it does.
        unsafe {
            let none = table!(new_dict(0));
            let globals = table!(swap_globals(none.cast()));
            let object = table!(load_global(name.raw()));
            table!(swap_globals(globals));
            Self(object)
        }
    }

    /// Whether the bytes of the object are these. `False` if it has none.
    pub fn has_bytes(self, bytes: &[u8]) -> bool {
        // SAFETY: no Python code runs here, and the token goes nowhere.
        let vm = unsafe { Vm::new() };
        crate::buffer(&vm, self).is_ok_and(|own| *own == *bytes)
    }

    /// Calls the object with at most 255 positional arguments.
    ///
    /// # Raises
    /// What the call raises, and `TypeError` if the object cannot be called. Runs Python code.
    pub fn call(self, _: &mut Vm, arguments: &[Obj]) -> Self {
        // SAFETY: an Obj is an mp_obj_t. The byte above the number of arguments is that of keywords, here none.
        Self(unsafe {
            table!(call_function_n_kw(
                self.0,
                arguments.len() & 0xff,
                arguments.as_ptr().cast()
            ))
        })
    }

    /// Whether the object is a type of the runtime's own with that name.
    pub(crate) fn is_native_type(self, name: Qstr) -> bool {
        // SAFETY: what is of the type `type` is a type.
        unsafe {
            let class = self.as_ptr::<sys::mp_obj_type_t>();
            self.type_ptr() == mp_fun_table.type_type
                && (*class).name == name.raw() as u16
                && u32::from((*class).flags) & sys::MP_TYPE_FLAG_INSTANCE_TYPE == 0
        }
    }

    /// Whether the object is a `dict`.
    #[inline(never)]
    pub fn is_dict(self) -> bool {
        // SAFETY: the table is constant.
        self.type_ptr() == unsafe { mp_fun_table.type_dict }
    }

    /// Whether the object is a `list`.
    #[inline(never)]
    pub fn is_list(self) -> bool {
        // SAFETY: the table is constant.
        self.type_ptr() == unsafe { mp_fun_table.type_list }
    }

    #[inline]
    pub(crate) fn type_ptr(self) -> *const sys::mp_obj_type_t {
        // SAFETY: any object will do.
        unsafe { table!(obj_get_type(self.0)) }
    }
}
