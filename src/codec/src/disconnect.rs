use crate::encode::Body;
use crate::header::PacketType;
use crate::reader::Reader;
use crate::reason::{self, Carrier};
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
}

/// In 3.1.1 there is no field for the reason, and properties are an error ([`crate::Error::NotInV3`]).
impl Body for (Version, Disconnect<'_>) {
    fn body(&self, w: &mut Writer<'_>) -> u8 {
        let &(version, ref packet) = self;
        w.check(reason::check(packet.reason, Carrier::DisconnectOut));
        let says = !packet.properties.is_empty();
        // 3.14.2.1: what says nothing may be left out, in 3.1.1 it must
        if version == Version::V5 && (packet.reason != 0 || says) {
            w.u8(packet.reason);
        }
        if says {
            w.properties(version, packet.properties);
        }
        PacketType::Disconnect as u8
    }
}
