//! A class whose type object is made on the Python heap, as in a `.mpy`.

use crate::Obj;
use crate::gc::allocate;
use crate::module::{Names, store_all};
use crate::qstr::{Qstr, Symbol};
use core::ffi::c_void;
use core::mem::offset_of;
use micropython_sys as sys;

type MakeNew = unsafe extern "C" fn(
    *const sys::mp_obj_type_t,
    usize,
    usize,
    *const sys::mp_obj_t,
) -> sys::mp_obj_t;

/// The constructor, the methods and the rest of a class, made at compile time.
pub struct ClassTable {
    name: *const Symbol,
    make_new: MakeNew,
    methods: Names,
}

// SAFETY: the table points to statics that are never changed.
unsafe impl Sync for ClassTable {}

impl ClassTable {
    /// # Safety
    /// `name` is what `qstr_symbol!` gives, and `make_new` makes the objects of the class, of no other.
    #[doc(hidden)]
    pub const unsafe fn new(name: *const Symbol, make_new: MakeNew, methods: Names) -> Self {
        Self {
            name,
            make_new,
            methods,
        }
    }

    pub(crate) const fn name(&self) -> *const Symbol {
        self.name
    }

    /// Whether the object's type was made from this table.
    #[inline(never)]
    pub(super) fn made(&self, object: Obj) -> bool {
        let class = object.type_ptr();
        // SAFETY: a type has as many slots as the highest index in it says, counted from one. The symbol of the name is
        // a qstr. Two classes with the same constructor differ by name: the compiler may merge equal functions.
        unsafe {
            let slots = (&raw const (*class).slots).cast::<*const c_void>();
            let index = usize::from((*class).slot_index_make_new);
            index != 0
                && *slots.add(index - 1) == self.make_new as *const c_void
                && (*class).name == Qstr::at(self.name).raw() as u16
        }
    }
}

/// A type object with room for the slots that are used here.
#[repr(C)]
struct Type {
    head: sys::mp_obj_type_t,
    slots: [*const c_void; 2],
}
const _: () = assert!(offset_of!(Type, slots) == offset_of!(sys::mp_obj_type_t, slots));

/// Makes the type object of a class, on the heap.
///
/// # Raises
/// `MemoryError`
#[doc(hidden)]
#[inline(never)]
pub fn make_type(table: &'static ClassTable) -> Obj {
    let methods = crate::Dict::new(table.methods.len()).obj();
    // SAFETY: it is a dict; a type may be all zero, the symbol of the name is a qstr, and the slots that are filled are
    // of the kinds their indices say.
    unsafe {
        store_all(methods, table.methods);
        let class = allocate::<Type>().as_ptr();
        class.write_bytes(0, 1);
        (*class).head.base.type_ = crate::table::mp_fun_table.type_type;
        (*class).head.name = Qstr::at(table.name).raw() as u16;
        (*class).head.slot_index_make_new = 1;
        (*class).head.slot_index_locals_dict = 2;
        (*class).slots[0] = table.make_new as *const c_void;
        (*class).slots[1] = methods.as_ptr();
        Obj::from_raw(class.cast())
    }
}
