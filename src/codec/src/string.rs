//! UTF-8 encoded strings (1.5.4).
use crate::Error;

/// Checks that `bytes` are UTF-8 without U+0000 and no more than 65535.
///
/// Not by `core::str::from_utf8`: that is made for speed on long texts and takes several times the code.
pub(crate) fn check(bytes: &[u8]) -> Result<(), Error> {
    check_len(bytes)?;
    let mut bytes = bytes.iter();
    while let Some(&lead) = bytes.next() {
        let (following, least) = match lead {
            0 => return Err(Error::NulInString),
            0x01..=0x7F => continue,
            0xC0..=0xDF => (1, 0x80),
            0xE0..=0xEF => (2, 0x800),
            0xF0..=0xF7 => (3, 0x1_0000),
            _ => return Err(Error::BadUtf8),
        };
        let mut char = u32::from(lead) & (0x3F >> following);
        for _ in 0..following {
            match bytes.next() {
                Some(&byte) if byte & 0xC0 == 0x80 => char = char << 6 | u32::from(byte & 0x3F),
                _ => return Err(Error::BadUtf8),
            }
        }
        // over-long form, beyond Unicode, surrogate
        if char < least || char > 0x10_FFFF || char >> 11 == 0xD800 >> 11 {
            return Err(Error::BadUtf8);
        }
    }
    Ok(())
}

/// Checks the length of a string or of binary data (1.5.4, 1.5.6), and returns it.
pub(crate) fn check_len(bytes: &[u8]) -> Result<u16, Error> {
    u16::try_from(bytes.len()).map_err(|_| Error::StringTooLong)
}
