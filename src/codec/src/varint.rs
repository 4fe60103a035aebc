//! Variable byte integers (1.5.5).
use crate::Error;

/// The greatest value of a variable byte integer, and so the greatest remaining length (2.1.4).
pub const MAX: u32 = 268_435_455;

/// The value at the front of `bytes` and the number of bytes it takes, 1 to 4. [`Error::Truncated`]: it is not all there.
pub(crate) fn decode(bytes: &[u8]) -> Result<(u32, usize), Error> {
    let mut value = 0;
    let mut len = 0;
    for &byte in bytes {
        value |= u32::from(byte & 0x7F) << (7 * len);
        len += 1;
        if byte == 0 && len > 1 {
            return Err(Error::VarintOverlong);
        }
        if byte & 0x80 == 0 {
            return Ok((value, len));
        }
        if len == 4 {
            return Err(Error::VarintTooLong);
        }
    }
    Err(Error::Truncated)
}
