//! Variable byte integers (1.5.5).
use crate::Error;

/// The greatest value of a variable byte integer, and so the greatest remaining length (2.1.4).
pub const MAX: u32 = 268_435_455;

/// The value at the front of `bytes` and the number of bytes it takes, 1 to 4; None if it is not all there yet.
pub(crate) fn decode(bytes: &[u8]) -> Result<Option<(u32, usize)>, Error> {
    let mut value = 0;
    for (i, &byte) in bytes.iter().take(4).enumerate() {
        value |= u32::from(byte & 0x7F) << (7 * i);
        if byte & 0x80 == 0 {
            return if byte == 0 && i > 0 {
                Err(Error::VarintOverlong)
            } else {
                Ok(Some((value, i + 1)))
            };
        }
    }
    if bytes.len() < 4 {
        Ok(None)
    } else {
        Err(Error::VarintTooLong)
    }
}
