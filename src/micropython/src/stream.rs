//! Sockets, files and other objects with the stream protocol.

use crate::table::table;
use crate::{Loan, Obj, Vm};
use core::ffi::c_int;
use core::ops::Range;
use micropython_sys as sys;

/// Error numbers, the same on every port that has sockets.
pub mod errno {
    /// Input or output error.
    pub const EIO: i32 = 5;
    /// Nothing can be read or written now: try again when `poll` says so.
    pub const EAGAIN: i32 = 11;
    /// There is no memory for it.
    pub const ENOMEM: i32 = 12;
    /// The peer broke the connection off.
    pub const ECONNRESET: i32 = 104;
    /// The queue for sending is full, whatever `poll` says: try again a little later.
    pub const ENOBUFS: i32 = 105;
    /// A socket's timeout has passed; so where the port has error numbers of its own.
    pub const ETIMEDOUT: i32 = 110;
    /// The same where it has those of newlib.
    pub const ETIMEDOUT_NEWLIB: i32 = 116;
}

/// What a stream's functions return besides a number of bytes (`MP_STREAM_ERROR`).
const ERROR: usize = usize::MAX;

/// An object that can be read from and written to without an intermediate Python object.
///
/// Keep it like an [`Obj`]: where the collector can see it.
#[derive(Clone, Copy)]
pub struct Stream {
    object: Obj,
    protocol: *const sys::mp_stream_p_t,
}

impl Stream {
    /// The stream protocol of an object.
    ///
    /// A class in Python is a stream if it derives from `io.IOBase`. One that derives from a native stream such as
    /// `socket` must not be used: the runtime lets the native functions loose on an object they do not know, here as in
    /// `poll`.
    ///
    /// # Raises
    /// `OSError`, if the object cannot be read from or cannot be written to.
    pub fn new(object: Obj) -> Stream {
        let flags = (sys::MP_STREAM_OP_READ | sys::MP_STREAM_OP_WRITE) as c_int;
        // SAFETY: any object will do.
        let protocol = unsafe { table!(get_stream_raise(object.raw(), flags)) };
        Stream { object, protocol }
    }

    /// The object.
    pub fn object(&self) -> Obj {
        self.object
    }

    /// Reads once to that part of the bytes: the number of bytes read, 0 at the end of the stream, or an error number,
    /// [`errno::EAGAIN`] where the call would block.
    ///
    /// # Raises
    /// What a `readinto` written in Python raises. Such a method must not keep what it is given.
    pub fn read(&self, _: &mut Vm, bytes: &Loan, part: Range<usize>) -> Result<usize, i32> {
        let mut errno: c_int = errno::EIO;
        let to = bytes.part(&part).ok_or(errno)?;
        // SAFETY: the protocol is the object's own and has the function; so many bytes are lent.
        let n = unsafe {
            let read = (*self.protocol).read.unwrap_unchecked();
            read(self.object.raw(), to.cast(), part.len(), &raw mut errno)
        };
        result(n, part.len(), errno)
    }

    /// Writes that part of the bytes once: the number of bytes written, which may be fewer than given, or an error number,
    /// [`errno::EAGAIN`] where the call would block.
    ///
    /// # Raises
    /// What a `write` written in Python raises. Such a method must not keep what it is given.
    pub fn write(&self, _: &mut Vm, bytes: &Loan, part: Range<usize>) -> Result<usize, i32> {
        let mut errno: c_int = errno::EIO;
        let from = bytes.part(&part).ok_or(errno)?;
        // SAFETY: as for reading.
        let n = unsafe {
            let write = (*self.protocol).write.unwrap_unchecked();
            write(self.object.raw(), from.cast(), part.len(), &raw mut errno)
        };
        result(n, part.len(), errno)
    }

    /// Which of these events there are, of those that `select.poll` knows, or an error number. Does not wait.
    ///
    /// # Raises
    /// What an `ioctl` written in Python raises.
    pub fn poll(&self, _: &mut Vm, events: usize) -> Result<usize, i32> {
        let mut errno: c_int = errno::EIO;
        // SAFETY: the protocol is the object's own; a stream may lack the function.
        let ready = unsafe {
            let Some(ioctl) = (*self.protocol).ioctl else {
                return Err(errno);
            };
            ioctl(
                self.object.raw(),
                sys::MP_STREAM_POLL as usize,
                events,
                &raw mut errno,
            )
        };
        if ready == ERROR {
            Err(errno)
        } else {
            Ok(ready)
        }
    }
}

/// A stream in Python can say that it moved more bytes than there are.
fn result(n: usize, len: usize, errno: c_int) -> Result<usize, i32> {
    match n {
        ERROR => Err(errno),
        n if n > len => Err(errno::EIO),
        n => Ok(n),
    }
}
