//! Access to the bytes of Python objects.

use crate::table::table;
use crate::{Exception, Obj, OrRaise, Vm};
use core::ptr::NonNull;
use core::slice;
use micropython_sys as sys;

/// The bytes of a `str` (UTF-8), `bytes`, `bytearray`, `memoryview` or `array`, for reading; `TypeError` for other objects.
///
/// They are neither copied nor locked, but borrow the virtual machine: no Python code runs that could change or free them.
/// The object has to stay alive meanwhile, as the arguments of the running function do.
///
/// # Raises
/// `MemoryError`, on the ESP8266 for what lies in flash.
#[inline(never)]
pub fn buffer(_: &Vm, object: Obj) -> Result<&[u8], Exception> {
    let mut info = sys::mp_buffer_info_t {
        buf: core::ptr::null_mut(),
        len: 0,
        typecode: 0,
    };
    // SAFETY: any object will do. Without the flag that asks for it nothing is raised. The runtime gives the address and
    // length of bytes, which last while no Python code runs, and the reference lasts no longer.
    unsafe {
        if !table!(get_buffer(
            object.raw(),
            &raw mut info,
            sys::MP_BUFFER_READ as usize
        )) {
            return Err(Exception::Type(
                c"expected str, bytes or an object with the buffer protocol",
            ));
        }
        // An object without bytes may have no address either.
        let data = NonNull::new(info.buf.cast()).unwrap_or(NonNull::dangling());
        let bytes = slice::from_raw_parts(data.as_ptr(), info.len);
        #[cfg(target_arch = "xtensa")]
        let bytes = out_of_flash(bytes);
        Ok(bytes)
    }
}

/// The same bytes where each can be read by itself.
///
/// The ESP8266's flash bears loads of whole words only. MicroPython's C compiler knows, rustc does not. No other chip has
/// data at these addresses.
///
/// # Raises
/// `MemoryError`
#[cfg(target_arch = "xtensa")]
fn out_of_flash(bytes: &[u8]) -> &[u8] {
    const FLASH: core::ops::Range<usize> = 0x4020_0000..0x4030_0000;
    if !FLASH.contains(&bytes.as_ptr().addr()) {
        return bytes;
    }
    let copy = crate::GcBytes::new(bytes.len());
    // SAFETY: the block has that many bytes, and lives as long as this pointer to it is on the stack.
    unsafe {
        let to = copy.as_ptr();
        table!(memmove_(to.cast(), bytes.as_ptr().cast(), bytes.len()));
        slice::from_raw_parts(to, bytes.len())
    }
}

/// The bytes of a `bytearray`, `array` or writable `memoryview`; `TypeError` for other objects.
///
/// What is said of [`buffer`] holds here too. They borrow the virtual machine whole, since any other reference could be to
/// the same bytes.
pub fn buffer_mut(_: &mut Vm, object: Obj) -> Result<&mut [u8], Exception> {
    let mut info = sys::mp_buffer_info_t {
        buf: core::ptr::null_mut(),
        len: 0,
        typecode: 0,
    };
    // SAFETY: any object will do. Without the flag that asks for it nothing is raised. The runtime gives the address and
    // length of bytes that may be written, which last while no Python code runs, and nobody else has a reference to them.
    unsafe {
        if !table!(get_buffer(
            object.raw(),
            &raw mut info,
            sys::MP_BUFFER_RW as usize
        )) {
            return Err(Exception::Type(
                c"expected a bytearray or another writable buffer",
            ));
        }
        let data = NonNull::new(info.buf.cast()).unwrap_or(NonNull::dangling());
        Ok(slice::from_raw_parts_mut(data.as_ptr(), info.len))
    }
}

/// As [`buffer`].
///
/// # Raises
/// `TypeError`, for objects without bytes.
#[inline(never)]
pub fn bytes_of(vm: &Vm, object: Obj) -> &[u8] {
    buffer(vm, object).or_raise()
}
