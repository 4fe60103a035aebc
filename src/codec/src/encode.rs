use crate::writer::Writer;
use crate::{Error, varint};

/// What a packet to be sent consists of, written once for measuring and for encoding.
pub trait Body {
    /// Writes all that follows the fixed header and returns the header's first byte.
    fn body(&self, writer: &mut Writer<'_>) -> u8;
}

/// A packet that can be sent.
#[allow(
    clippy::len_without_is_empty,
    reason = "no packet is empty, and its length may be an error"
)]
pub trait Encode: Body {
    /// Checks the packet and returns the number of bytes that [`Encode::encode`] writes, 2 to 268435460.
    fn len(&self) -> Result<usize, Error>
    where
        Self: Sized,
    {
        measure(self).map(|size| size.len)
    }

    /// Checks the packet, writes it to the front of `out` and returns its length.
    ///
    /// On an error nothing has been written, but for [`Error::Changed`]. [`Error::BufferTooSmall`]: `out` must
    /// have [`Encode::len`] bytes at least.
    fn encode(&self, out: &mut [u8]) -> Result<usize, Error>
    where
        Self: Sized,
    {
        encode(self, out)
    }
}

impl<T: Body> Encode for T {}

pub(crate) struct Size {
    first: u8,
    remaining: u32,
    /// Bytes to write: fixed header and body, without what follows.
    pub len: usize,
    /// Bytes that follow those.
    pub follows: usize,
}

/// Checks and measures a packet.
pub(crate) fn measure(packet: &dyn Body) -> Result<Size, Error> {
    let mut writer = Writer::new(&mut []);
    let first = packet.body(&mut writer);
    writer.result()?;
    let (body, follows) = (writer.len(), writer.follows());
    let remaining = match u32::try_from(body.saturating_add(follows)) {
        Ok(remaining) if remaining <= varint::MAX => remaining,
        _ => return Err(Error::PacketTooLong),
    };
    let mut header = Writer::new(&mut []);
    header.u8(first);
    header.varint(remaining);
    Ok(Size {
        first,
        remaining,
        len: header.len() + body,
        follows,
    })
}

/// See [`Encode::encode`]. One copy of this code serves all packets.
pub(crate) fn encode(packet: &dyn Body, out: &mut [u8]) -> Result<usize, Error> {
    let size = measure(packet)?;
    let out = out.get_mut(..size.len).ok_or(Error::BufferTooSmall)?;
    let mut writer = Writer::new(out);
    writer.u8(size.first);
    writer.varint(size.remaining);
    packet.body(&mut writer);
    if writer.result().is_err() || writer.len() != size.len {
        return Err(Error::Changed);
    }
    Ok(size.len)
}
