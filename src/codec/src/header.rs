//! The fixed header (2.1).
use crate::{Error, QoS, Version, varint};

/// PINGREQ (3.12), the whole packet.
pub const PINGREQ: [u8; 2] = [PacketType::Pingreq as u8, 0];

/// Flags of PUBLISH (3.3.1).
pub(crate) const RETAIN: u8 = 1;
pub(crate) const DUP: u8 = 8;

/// The packet types (2.1.2) as they stand in the first byte, with the flags each demands (2.1.3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
#[allow(missing_docs, reason = "the names of the specification")]
pub enum PacketType {
    Connect = 0x10,
    Connack = 0x20,
    Publish = 0x30,
    Puback = 0x40,
    Pubrec = 0x50,
    Pubrel = 0x62,
    Pubcomp = 0x70,
    Subscribe = 0x82,
    Suback = 0x90,
    Unsubscribe = 0xA2,
    Unsuback = 0xB0,
    Pingreq = 0xC0,
    Pingresp = 0xD0,
    Disconnect = 0xE0,
    Auth = 0xF0,
}

/// What a client may receive, by the number of the packet type.
static RECEIVED: [Option<PacketType>; 16] = [
    None,
    None,
    Some(PacketType::Connack),
    Some(PacketType::Publish),
    Some(PacketType::Puback),
    Some(PacketType::Pubrec),
    Some(PacketType::Pubrel),
    Some(PacketType::Pubcomp),
    None,
    Some(PacketType::Suback),
    None,
    Some(PacketType::Unsuback),
    None,
    Some(PacketType::Pingresp),
    Some(PacketType::Disconnect),
    Some(PacketType::Auth),
];

impl PacketType {
    /// The type of a packet a client may receive, by the first byte. Checks the flags too, so that a bad packet
    /// is known before its body has come.
    pub fn received(version: Version, first: u8) -> Result<PacketType, Error> {
        let number = first >> 4;
        let packet_type = match RECEIVED.get(usize::from(number)) {
            Some(&Some(known)) if number < 14 || version.is_v5() => known,
            _ if matches!(number, 0 | 15) => return Err(Error::UnknownType),
            _ => return Err(Error::ServerOnly),
        };
        if packet_type == PacketType::Publish {
            PacketType::publish(first)
        } else if packet_type as u8 == first {
            Ok(packet_type)
        } else {
            Err(Error::ReservedFlags)
        }
    }

    /// PUBLISH, which has flags of its own (3.3.1).
    fn publish(first: u8) -> Result<PacketType, Error> {
        match QoS::from_bits(first >> 1 & 3) {
            None => Err(Error::BadQos),
            Some(QoS::AtMostOnce) if first & 8 != 0 => Err(Error::DupQos0),
            Some(_) => Ok(PacketType::Publish),
        }
    }
}

/// A fixed header.
pub(crate) struct Header {
    pub first: u8,
    /// Its own length, 2 to 5.
    pub len: usize,
    /// Remaining length: bytes of the packet that follow it.
    pub remaining: usize,
}

impl Header {
    /// The header at the front of `bytes`. [`Error::Truncated`]: it is not all there yet.
    pub fn parse(bytes: &[u8]) -> Result<Header, Error> {
        let (&first, rest) = bytes.split_first().ok_or(Error::Truncated)?;
        let (remaining, len) = varint::decode(rest)?;
        Ok(Header {
            first,
            len: 1 + len,
            remaining: remaining as usize,
        })
    }

    /// Length of the whole packet.
    pub fn total(&self) -> usize {
        self.len + self.remaining
    }
}
