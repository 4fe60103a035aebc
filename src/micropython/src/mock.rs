//! What the tests have in the place of the runtime: a function table of which each function does what MicroPython's does
//! to memory, on the host's heap, where Miri watches it. An allocation that grows always moves.

#![allow(non_upper_case_globals, reason = "the runtime's names")]

use crate::exception::Kind;
use core::ffi::{c_char, c_int, c_void};
use core::ops::Deref;
use core::ptr;
use micropython_sys as sys;
use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::boxed::Box;
use std::cell::{Cell, RefCell};

/// The runtime's table.
pub struct Table(sys::mp_fun_table_t);

// SAFETY: it is never changed.
unsafe impl Sync for Table {}

impl Deref for Table {
    type Target = sys::mp_fun_table_t;

    fn deref(&self) -> &sys::mp_fun_table_t {
        &self.0
    }
}

/// A type without slots.
#[repr(transparent)]
pub struct Type(sys::mp_obj_type_t);

// SAFETY: it is never changed.
unsafe impl Sync for Type {}

impl Type {
    const fn new(of: *const sys::mp_obj_type_t) -> Self {
        // SAFETY: a type may be all zero.
        let mut all: sys::mp_obj_type_t = unsafe { core::mem::zeroed() };
        all.base.type_ = of;
        Self(all)
    }

    const fn raw(&'static self) -> *const sys::mp_obj_type_t {
        &raw const self.0
    }
}

static TYPE: Type = Type::new(ptr::null());
static NONE: Type = Type::new(ptr::null());
pub static BYTES: Type = Type::new(TYPE.raw());
pub static STR: Type = Type::new(TYPE.raw());
pub static INT: Type = Type::new(TYPE.raw());
pub static STREAM: Type = Type::new(TYPE.raw());

/// `bytes`, `str`, or an `int`, whose value is `len`.
#[repr(C)]
pub struct Bytes {
    base: sys::mp_obj_base_t,
    len: usize,
    data: *mut u8,
}

pub static mp_fun_table: Table = {
    // SAFETY: pointers and optional functions may be null.
    let mut t: sys::mp_fun_table_t = unsafe { core::mem::zeroed() };
    t.const_none = NONE.raw().cast();
    t.type_type = TYPE.raw();
    t.type_str = STR.raw();
    t.native_to_obj = Some(native_to_obj);
    t.native_from_obj = Some(native_from_obj);
    t.realloc_ = Some(realloc);
    t.memmove_ = Some(memmove);
    t.obj_new_bytes = Some(obj_new_bytes);
    t.obj_new_str = Some(obj_new_str);
    t.obj_get_type = Some(obj_get_type);
    t.get_buffer = Some(get_buffer);
    t.get_stream_raise = Some(get_stream);
    t.arg_check_num_sig = Some(arg_check);
    Table(t)
};

/// In front of each block: its length.
const HEAD: usize = 64;

std::thread_local! {
    /// After so many allocations there is no more memory.
    pub static ALLOCATIONS: Cell<usize> = const { Cell::new(usize::MAX) };

    /// What a stream does when it is read from.
    pub static READ: RefCell<Option<Box<Read>>> = const { RefCell::new(None) };
}

pub type Read = dyn FnMut(*mut u8, usize) -> Result<usize, i32>;

fn layout(len: usize) -> Layout {
    Layout::from_size_align(len + HEAD, HEAD).unwrap()
}

unsafe extern "C" fn realloc(block: *mut c_void, len: usize, _: bool) -> *mut c_void {
    let block = block.cast::<u8>();
    // SAFETY: a block that is not null came from here.
    unsafe {
        let old = if block.is_null() {
            0
        } else {
            *block.sub(HEAD).cast::<usize>()
        };
        let mut new: *mut u8 = ptr::null_mut();
        if len > 0 {
            let left = ALLOCATIONS.get();
            if left == 0 {
                return new.cast();
            }
            ALLOCATIONS.set(left - 1);
            let head = alloc(layout(len));
            if head.is_null() {
                handle_alloc_error(layout(len));
            }
            head.cast::<usize>().write(len);
            new = head.add(HEAD);
            if !block.is_null() {
                new.copy_from_nonoverlapping(block, old.min(len));
            }
        }
        if !block.is_null() {
            dealloc(block.sub(HEAD), layout(old));
        }
        new.cast()
    }
}

unsafe extern "C" fn memmove(to: *mut c_void, from: *const c_void, n: usize) -> *mut c_void {
    // SAFETY: the caller keeps the contract of C.
    unsafe { to.cast::<u8>().copy_from(from.cast(), n) };
    to
}

unsafe fn object(class: &'static Type, data: *const u8, len: usize) -> sys::mp_obj_t {
    // SAFETY: as the caller says.
    unsafe {
        let block = realloc(ptr::null_mut(), len.max(1), true).cast::<u8>();
        if !data.is_null() {
            block.copy_from_nonoverlapping(data, len);
        }
        let object = realloc(ptr::null_mut(), size_of::<Bytes>(), true).cast::<Bytes>();
        let base = sys::mp_obj_base_t { type_: class.raw() };
        object.write(Bytes {
            base,
            len,
            data: block,
        });
        object.cast()
    }
}

/// An object of another class.
pub fn new(class: &'static Type) -> sys::mp_obj_t {
    // SAFETY: no bytes are copied.
    unsafe { object(class, ptr::null(), 0) }
}

unsafe extern "C" fn obj_new_bytes(data: *const u8, len: usize) -> sys::mp_obj_t {
    // SAFETY: as the caller says.
    unsafe { object(&BYTES, data, len) }
}

unsafe extern "C" fn obj_new_str(data: *const c_char, len: usize) -> sys::mp_obj_t {
    // SAFETY: as the caller says.
    unsafe { object(&STR, data.cast(), len) }
}

unsafe extern "C" fn native_to_obj(value: usize, _: usize) -> sys::mp_obj_t {
    let int = new(&INT).cast::<Bytes>();
    // SAFETY: it is ours.
    unsafe { (*int).len = value };
    int.cast()
}

unsafe extern "C" fn native_from_obj(object: sys::mp_obj_t, _: usize) -> usize {
    // SAFETY: the tests convert nothing else.
    unsafe { (*object.cast::<Bytes>()).len }
}

unsafe extern "C" fn obj_get_type(object: sys::mp_const_obj_t) -> *const sys::mp_obj_type_t {
    // SAFETY: each object begins with its type.
    unsafe { (*object.cast::<sys::mp_obj_base_t>()).type_ }
}

unsafe extern "C" fn get_buffer(
    object: sys::mp_obj_t,
    info: *mut sys::mp_buffer_info_t,
    _: usize,
) -> bool {
    // SAFETY: as the caller says.
    unsafe {
        let class = obj_get_type(object);
        let found = class == BYTES.raw() || class == STR.raw();
        if found {
            let object = &*object.cast::<Bytes>();
            (*info).buf = object.data.cast();
            (*info).len = object.len;
        }
        found
    }
}

unsafe extern "C" fn read(
    _: sys::mp_obj_t,
    data: *mut c_void,
    n: usize,
    errno: *mut c_int,
) -> usize {
    let mut read = READ.take().unwrap();
    match read(data.cast(), n) {
        Ok(n) => n,
        Err(e) => {
            // SAFETY: as the caller says.
            unsafe { *errno = e };
            usize::MAX
        }
    }
}

/// Raising an exception: the test panics, which it may catch.
pub fn raise(kind: Kind, _: *const c_void) -> ! {
    std::panic::panic_any(kind)
}

unsafe extern "C" fn arg_check(_: usize, _: usize, _: u32) {}

struct Protocol(sys::mp_stream_p_t);

// SAFETY: it is never changed.
unsafe impl Sync for Protocol {}

static PROTOCOL: Protocol = {
    // SAFETY: optional functions may be null.
    let mut p: sys::mp_stream_p_t = unsafe { core::mem::zeroed() };
    p.read = Some(read);
    Protocol(p)
};

unsafe extern "C" fn get_stream(_: sys::mp_obj_t, _: c_int) -> *const sys::mp_stream_p_t {
    &raw const PROTOCOL.0
}
