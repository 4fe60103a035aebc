//! Access to the bytes of Python objects.

use crate::table::table;
use crate::{Exception, Obj, OrRaise};
use core::ops::{Deref, DerefMut};
use core::ptr::NonNull;
use core::slice;
use micropython_sys as sys;

/// The bytes of a Python object, for reading: a slice by [`Deref`].
///
/// # Validity
/// The bytes are not copied and not locked. They are valid until Python code runs: that could change them, or resize
/// the `bytearray` that owns them and so free them; and only as long as the object itself is alive, as the arguments of
/// the running function are. Do not keep a `Buffer` across a call that runs Python code; ask for it again.
pub struct Buffer {
    data: NonNull<u8>,
    len: usize,
}

/// The bytes of a Python object, for reading and writing: a slice by [`DerefMut`].
///
/// What is said of [`Buffer`] holds here too, and two of them can be of the same object: do not hold another buffer,
/// unless it is known to be of another object.
pub struct BufferMut(Buffer);

/// The bytes of a `str` (UTF-8), `bytes`, `bytearray`, `memoryview` or `array`; `TypeError` for other objects.
///
/// # Raises
/// `MemoryError`, on the ESP8266 for what lies in flash.
pub fn buffer(object: Obj) -> Result<Buffer, Exception> {
    let found = get(object, sys::MP_BUFFER_READ);
    #[cfg(target_arch = "xtensa")]
    let found = found.map(Buffer::out_of_flash);
    found.ok_or(Exception::Type(
        c"expected str, bytes or an object with the buffer protocol",
    ))
}

#[cfg(target_arch = "xtensa")]
impl Buffer {
    /// The same bytes where each can be read by itself.
    ///
    /// The ESP8266's flash bears loads of whole words only. MicroPython's C compiler knows, rustc does not. No other
    /// chip has data at these addresses.
    ///
    /// # Raises
    /// `MemoryError`
    fn out_of_flash(self) -> Self {
        const FLASH: core::ops::Range<usize> = 0x4020_0000..0x4030_0000;
        if !FLASH.contains(&self.data.addr().get()) {
            return self;
        }
        let copy = crate::GcBytes::new(self.len);
        // SAFETY: the block has that many bytes, and lives as long as this pointer to it is on the stack.
        unsafe {
            let to = NonNull::new_unchecked(copy.as_ptr());
            table!(memmove_(
                to.as_ptr().cast(),
                self.data.as_ptr().cast(),
                self.len
            ));
            Self {
                data: to,
                len: self.len,
            }
        }
    }
}

/// As [`buffer`].
///
/// # Raises
/// `TypeError`, for objects without bytes.
#[inline(never)]
pub fn bytes_of(object: Obj) -> Buffer {
    buffer(object).or_raise()
}

/// The bytes of a `bytearray`, `array` or writable `memoryview`; `TypeError` for other objects.
pub fn buffer_mut(object: Obj) -> Result<BufferMut, Exception> {
    match get(object, sys::MP_BUFFER_RW) {
        Some(buffer) => Ok(BufferMut(buffer)),
        None => Err(Exception::Type(
            c"expected a bytearray or another writable buffer",
        )),
    }
}

#[inline(never)]
fn get(object: Obj, access: u32) -> Option<Buffer> {
    let mut info = sys::mp_buffer_info_t {
        buf: core::ptr::null_mut(),
        len: 0,
        typecode: 0,
    };
    // SAFETY: any object will do. Without the flag that asks for it nothing is raised.
    let found = unsafe { table!(get_buffer(object.raw(), &raw mut info, access as usize)) };
    found.then_some(Buffer {
        // An object without bytes may have no address either.
        data: NonNull::new(info.buf.cast()).unwrap_or(NonNull::dangling()),
        len: info.len,
    })
}

impl Deref for Buffer {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        // SAFETY: the runtime gave the address and length of bytes, which last as the type's documentation demands.
        unsafe { slice::from_raw_parts(self.data.as_ptr(), self.len) }
    }
}

impl Deref for BufferMut {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl DerefMut for BufferMut {
    #[inline]
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as for reading; the runtime said that the bytes may be written.
        unsafe { slice::from_raw_parts_mut(self.0.data.as_ptr(), self.0.len) }
    }
}
