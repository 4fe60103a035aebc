use crate::encode::Body;
use crate::header::PacketType;
use crate::reason::{self, Carrier};
use crate::writer::Writer;
use crate::{Properties, Version};

/// DISCONNECT (3.14) to the server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Disconnect<'a> {
    /// Reason code; 0 in 3.1.1, which has none.
    pub reason: u8,
    /// Of [`crate::Place::DisconnectOut`]; empty in 3.1.1.
    pub properties: Properties<'a>,
}

impl Disconnect<'_> {
    /// Normal disconnection: the server discards the will.
    pub const NORMAL: Disconnect<'static> = Disconnect {
        reason: 0,
        properties: Properties::EMPTY,
    };
}

/// In 3.1.1 there is no field for the reason, and properties are an error ([`crate::Error::NotInV3`]).
impl Body for (Version, Disconnect<'_>) {
    fn body(&self, w: &mut Writer<'_>) -> u8 {
        let &(version, ref packet) = self;
        w.check(reason::check(packet.reason, Carrier::DisconnectOut));
        let says = !packet.properties.is_empty();
        // 3.14.2.1: what says nothing may be left out, in 3.1.1 it must
        if version.is_v5() && (packet.reason != 0 || says) {
            w.u8(packet.reason);
        }
        if says {
            w.properties(version, packet.properties);
        }
        PacketType::Disconnect as u8
    }
}
