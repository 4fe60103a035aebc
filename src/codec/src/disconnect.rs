use crate::encode::{Body, Encode};
use crate::header::PacketType;
use crate::reader::Reader;
use crate::reason::Carrier;
use crate::writer::Writer;
use crate::{Error, Place, Properties, Version};

/// DISCONNECT (3.14).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Disconnect<'a> {
    /// Reason code; 0 in 3.1.1, which has none.
    pub reason: u8,
    /// Of [`Place::DisconnectOut`] to send, of [`Place::DisconnectIn`] as received. Empty in 3.1.1.
    pub properties: Properties<'a>,
}

impl<'a> Disconnect<'a> {
    /// Normal disconnection: the server discards the will.
    pub const NORMAL: Disconnect<'static> = Disconnect {
        reason: 0,
        properties: Properties::EMPTY,
    };

    pub(crate) fn parse(r: &mut Reader<'a>) -> Result<Self, Error> {
        let (reason, properties) = r.reason(Carrier::DisconnectIn, Place::DisconnectIn);
        r.finish()?;
        Ok(Disconnect { reason, properties })
    }

    /// Checks the packet and returns the number of bytes that `encode` writes.
    pub fn len(&self, version: Version) -> Result<usize, Error> {
        (version, *self).len()
    }

    /// Checks the packet, writes it to the front of `out` and returns its length: 2 bytes if the reason is 0 and
    /// there are no properties, otherwise 3 bytes or more.
    ///
    /// [`Error::NotInV3`]: properties in 3.1.1. A reason code is left out there, since 3.1.1 has no field for it.
    pub fn encode(&self, version: Version, out: &mut [u8]) -> Result<usize, Error> {
        (version, *self).encode(out)
    }
}

impl Body for (Version, Disconnect<'_>) {
    fn body(&self, w: &mut Writer<'_>) -> u8 {
        let &(version, ref packet) = self;
        w.reason(
            version,
            (packet.reason, Carrier::DisconnectOut),
            (packet.properties, Place::DisconnectOut),
        );
        PacketType::Disconnect as u8
    }
}
