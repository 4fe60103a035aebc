use crate::header::PacketType;
use crate::reader::Reader;
use crate::{Ack, AckKind, Auth, Connack, Disconnect, Error, Publish, Suback, Version};

/// A packet from the server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Packet<'a> {
    /// CONNACK (3.2)
    Connack(Connack<'a>),
    /// PUBLISH (3.3)
    Publish(Publish<'a>),
    /// PUBACK, PUBREC, PUBREL or PUBCOMP (3.4 to 3.7)
    Ack(Ack<'a>),
    /// SUBACK (3.9) or UNSUBACK (3.11)
    Suback(Suback<'a>),
    /// PINGRESP (3.13)
    Pingresp,
    /// DISCONNECT (3.14), MQTT 5 only
    Disconnect(Disconnect<'a>),
    /// AUTH (3.15), MQTT 5 only
    Auth(Auth<'a>),
}

impl<'a> Packet<'a> {
    /// Parses one packet: `first` is the first byte of its fixed header, `body` exactly the bytes of its
    /// remaining length. All of the packet has been checked when this returns Ok.
    pub fn parse(version: Version, first: u8, body: &'a [u8]) -> Result<Packet<'a>, Error> {
        let r = &mut Reader::new(body);
        let ack = match PacketType::received(version, first)? {
            PacketType::Connack => return Connack::parse(version, r).map(Packet::Connack),
            PacketType::Publish => return Publish::parse(version, first, r).map(Packet::Publish),
            PacketType::Suback => return Suback::parse(version, false, r).map(Packet::Suback),
            PacketType::Unsuback => return Suback::parse(version, true, r).map(Packet::Suback),
            PacketType::Pingresp => return r.finish().map(|()| Packet::Pingresp),
            PacketType::Disconnect => return Disconnect::parse(r).map(Packet::Disconnect),
            PacketType::Auth => return Auth::parse(r).map(Packet::Auth),
            PacketType::Puback => AckKind::Puback,
            PacketType::Pubrec => AckKind::Pubrec,
            PacketType::Pubrel => AckKind::Pubrel,
            PacketType::Pubcomp => AckKind::Pubcomp,
            _ => return Err(Error::ServerOnly),
        };
        Ack::parse(version, ack, r).map(Packet::Ack)
    }
}
