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
        measure(self)?.encode(self, out)
    }
}

impl<T: Body> Encode for T {}

/// What [`measure`] found out about a packet. It holds for one that differs in its flags or its packet identifier only.
#[derive(Clone, Copy)]
pub struct Size {
    remaining: u32,
    /// Bytes to write: fixed header and body, without what follows.
    pub len: usize,
    /// Bytes that follow those.
    pub follows: usize,
}

/// Checks and measures a packet.
pub fn measure(packet: &dyn Body) -> Result<Size, Error> {
    let mut writer = Writer::new(&mut []);
    packet.body(&mut writer);
    writer.result()?;
    let (body, follows) = (writer.len(), writer.follows());
    let remaining = match u32::try_from(body.saturating_add(follows)) {
        Ok(remaining) if remaining <= varint::MAX => remaining,
        _ => return Err(Error::PacketTooLong),
    };
    let mut header = Writer::new(&mut []);
    header.u8(0);
    header.varint(remaining);
    Ok(Size {
        remaining,
        len: header.len() + body,
        follows,
    })
}

impl Size {
    /// Writes the packet that was measured to the front of `out`, see [`Encode::encode`]. One copy of this code serves
    /// all packets.
    pub fn encode(&self, packet: &dyn Body, out: &mut [u8]) -> Result<usize, Error> {
        let out = out.get_mut(..self.len).ok_or(Error::BufferTooSmall)?;
        let mut writer = Writer::new(out);
        writer.u8(0);
        writer.varint(self.remaining);
        let first = packet.body(&mut writer);
        if writer.result().is_err() || writer.len() != self.len {
            return Err(Error::Changed);
        }
        if let Some(byte) = out.first_mut() {
            *byte = first;
        }
        Ok(self.len)
    }
}
