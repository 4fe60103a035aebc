//! What several tests use.
use crate::fields;
use mqtt_codec::{
    Encode, Error, OutOfMemory, Packet, PacketType, Pid, Place, Properties, PropertyWriter, QoS,
    Storage, Value, Version,
};
use proptest::prelude::*;
use std::ops::Range;

pub use mqtt_codec::Version::{V3, V5};

pub fn pid(pid: u16) -> Pid {
    Pid::new(pid).unwrap()
}

/// Cases of a property test: few where each takes long.
pub fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases: if cfg!(miri) { 4 } else { cases },
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

/// All values of a byte; for Miri, where that takes long, some on either side of what is allowed.
pub fn octets() -> impl Iterator<Item = u8> {
    let some = [0, 1, 3, 4, 0x18, 0x24, 0x30, 0x80, 0x92, 0xFF];
    (0..=255).filter(move |octet| !cfg!(miri) || some.contains(octet))
}

/// Whether so many bytes are not too many: for Miri they soon are.
pub fn affordable(len: &usize) -> bool {
    !cfg!(miri) || *len < 1000
}

/// Parses a whole packet, fixed header included, and checks what holds for all of them.
pub fn parse(version: Version, bytes: &[u8]) -> Result<Packet<'_>, Error> {
    let body = bytes.iter().skip(1).position(|&byte| byte < 0x80).unwrap() + 2;
    let (first, body) = (bytes[0], &bytes[body..]);
    let packet = Packet::parse(version, first, body)?;
    fields::check(version, first, body, &packet);
    Ok(packet)
}

/// All that can be seen of a packet received.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Seen<'a> {
    pub packet_type: PacketType,
    pub dup: bool,
    pub retain: bool,
    pub qos: QoS,
    pub session_present: bool,
    pub reason: u8,
    pub pid: Option<Pid>,
    pub topic: &'a [u8],
    pub properties: Properties<'a>,
    pub payload: &'a [u8],
}

/// A packet with no field but its type.
pub fn bare(packet_type: PacketType) -> Seen<'static> {
    Seen {
        packet_type,
        dup: false,
        retain: false,
        qos: QoS::AtMostOnce,
        session_present: false,
        reason: 0,
        pid: None,
        topic: b"",
        properties: Properties::EMPTY,
        payload: b"",
    }
}

/// Parses a whole packet, to be compared in all its fields.
pub fn see(version: Version, bytes: &[u8]) -> Result<Seen<'_>, Error> {
    let packet = parse(version, bytes)?;
    Ok(Seen {
        packet_type: packet.packet_type,
        dup: packet.dup(),
        retain: packet.retain(),
        qos: match packet.packet_type {
            // has flags, but no QoS
            PacketType::Pubrel => QoS::AtMostOnce,
            _ => packet.qos(),
        },
        session_present: packet.session_present,
        reason: packet.reason,
        pid: packet.pid,
        topic: packet.topic,
        properties: packet.properties,
        payload: packet.payload,
    })
}

/// Encodes a packet and checks what is promised for every packet: `len` is the length, nothing behind it is
/// touched, and a slice one byte shorter is refused and left alone.
pub fn encode(packet: &impl Encode) -> Result<Vec<u8>, Error> {
    let len = match packet.len() {
        Ok(len) => len,
        Err(error) => {
            let mut out = [0xEE; 64];
            assert_eq!(packet.encode(&mut out), Err(error));
            assert_eq!(out, [0xEE; 64], "written in spite of {error:?}");
            return Err(error);
        }
    };
    let mut out = vec![0xEE; len + 1];
    assert_eq!(
        packet.encode(&mut out[..len - 1]),
        Err(Error::BufferTooSmall)
    );
    assert!(out.iter().all(|&byte| byte == 0xEE));
    assert_eq!(packet.encode(&mut out), Ok(len));
    assert_eq!(out.pop(), Some(0xEE));
    Ok(out)
}

/// Puts a fixed header before a body.
pub fn frame(first: u8, body: &[u8]) -> Vec<u8> {
    [&[first][..], &varint(body.len() as u32), body].concat()
}

pub fn varint(mut value: u32) -> Vec<u8> {
    let mut bytes = vec![];
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

pub fn properties(properties: Properties<'_>) -> Vec<(u8, Value<'_>)> {
    properties.iter().collect()
}

/// Encodes properties without any check.
pub fn raw(properties: &[(u8, Value)]) -> Vec<u8> {
    let string = |bytes: &[u8]| [&(bytes.len() as u16).to_be_bytes(), bytes].concat();
    let mut block = vec![];
    for &(id, value) in properties {
        block.push(id);
        block.extend(match value {
            Value::Byte(value) => vec![value as u8],
            Value::U16(value) => (value as u16).to_be_bytes().to_vec(),
            Value::U32(value) => value.to_be_bytes().to_vec(),
            Value::Varint(value) => varint(value),
            Value::Str(bytes) | Value::Bin(bytes) => string(bytes),
            Value::Pair(name, value) => [string(name), string(value)].concat(),
        });
    }
    block
}

/// Appends a property by the method its value calls for.
pub fn put_value(writer: &mut PropertyWriter, id: u8, value: Value) -> Result<(), Error> {
    match value {
        Value::Byte(value) | Value::U16(value) | Value::U32(value) | Value::Varint(value) => {
            writer.put_int(id, value)
        }
        Value::Str(bytes) | Value::Bin(bytes) => writer.put_bytes(id, bytes),
        Value::Pair(name, value) => {
            assert_eq!(id, 0x26);
            writer.put_pair(name, value);
            Ok(())
        }
    }
}

/// Encodes properties in two passes.
pub fn write(place: Place, properties: &[(u8, Value)]) -> Result<Vec<u8>, Error> {
    let mut measure = PropertyWriter::new(&mut []);
    for &(id, value) in properties {
        put_value(&mut measure, id, value)?;
    }
    let mut block = vec![0xEE; measure.len()];
    let mut writer = PropertyWriter::new(&mut block);
    for &(id, value) in properties {
        put_value(&mut writer, id, value)?;
    }
    Ok(writer.finish(place)?.as_bytes().to_vec())
}

/// Memory that may be refused, and in which stale bytes show.
pub struct Memory {
    pub bytes: Vec<u8>,
    pub limit: usize,
}

impl Memory {
    pub fn new(len: usize) -> Self {
        Memory {
            bytes: vec![0xEE; len],
            limit: usize::MAX,
        }
    }
}

impl Storage for Memory {
    fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }

    fn resize(&mut self, capacity: usize, live: Range<usize>) -> Result<(), OutOfMemory> {
        if capacity > self.limit {
            return Err(OutOfMemory);
        }
        assert!(capacity >= live.len(), "would lose bytes");
        assert_ne!(capacity, self.bytes.len(), "to no purpose");
        let mut bytes = vec![0xEE; capacity];
        bytes[..live.len()].copy_from_slice(&self.bytes[live]);
        self.bytes = bytes;
        Ok(())
    }
}

/// Strings as they may stand in a packet.
pub fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z/]{0,12}",
        prop::collection::vec(
            any::<char>().prop_filter("no U+0000", |&c| c != '\0'),
            0..20
        )
        .prop_map(String::from_iter),
    ]
}

/// Topic names.
pub fn topic() -> impl Strategy<Value = String> {
    (text(), "[a-z]").prop_map(|(text, more)| text.replace(['+', '#'], "/") + &more)
}

pub fn bytes(max: usize) -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..=max)
}

pub fn version() -> impl Strategy<Value = Version> {
    prop_oneof![Just(V3), Just(V5)]
}
