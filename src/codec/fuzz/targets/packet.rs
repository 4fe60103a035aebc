//! One packet: the first byte tells the version, then come the first byte of the fixed header and the body.
//! What parses must lie within the body, and come out the same when it is encoded again.
#![no_main]
#[path = "../../tests/codec/fields.rs"]
mod fields;

use libfuzzer_sys::fuzz_target;
use mqtt_codec::{
    AckKind, Auth, Disconnect, Encode, Error, Packet, PacketType, Place, Properties, PublishHead,
    Value, Version, ack,
};
use std::num::NonZeroU16;

/// The body that was encoded, without the fixed header.
fn encoded_body(out: &[u8]) -> &[u8] {
    let header = out[1..].iter().position(|byte| byte & 0x80 == 0).unwrap() + 2;
    &out[header..]
}

fn check_publish(version: Version, first: u8, body: &[u8], publish: &Packet) {
    let head = PublishHead {
        version,
        dup: publish.dup(),
        retain: publish.retain(),
        qos: publish.qos(),
        pid: publish.pid,
        topic: publish.topic,
        alias: None,
        properties: publish.properties,
        payload_len: publish.payload.len(),
    };
    let whole = |head: PublishHead| {
        let mut out = vec![0; body.len() + 16];
        let len = head.encode(&mut out).unwrap();
        assert_eq!(head.packet_len(), Ok(len + publish.payload.len()));
        assert_eq!(out[0], first);
        [encoded_body(&out[..len]), publish.payload].concat()
    };
    assert_eq!(whole(head), body);
    let block = publish.properties.as_bytes();
    match (
        publish.properties.iter().last(),
        publish.properties.get(0x23),
    ) {
        // the last property may as well be given apart
        (Some((0x23, Value::U16(alias))), _) => {
            let before = &block[..block.len() - 3];
            let apart = PublishHead {
                alias: NonZeroU16::new(alias as u16),
                properties: Properties::parse(before, Place::PublishIn).unwrap(),
                ..head
            };
            assert_eq!(whole(apart), body);
        }
        (_, None) if version == Version::V5 => {
            let added = PublishHead {
                alias: NonZeroU16::new(0x102),
                ..head
            };
            let body = whole(added);
            let all = [block, &[0x23, 1, 2]].concat();
            let mut wanted = *publish;
            wanted.properties = Properties::parse(&all, Place::PublishIn).unwrap();
            let parsed = Packet::parse(version, first, &body);
            assert_eq!(parsed, Ok(wanted));
        }
        (_, None) => {
            let added = PublishHead {
                alias: NonZeroU16::new(1),
                ..head
            };
            assert_eq!(added.len(), Err(Error::NotInV3));
        }
        _ => {}
    }
}

fn check_ack(version: Version, first: u8, body: &[u8], kind: AckKind, packet: &Packet) {
    let mut out = [0; 5];
    let bytes = ack(version, kind, packet.pid.unwrap(), packet.reason, &mut out);
    assert_eq!(bytes[0], first);
    assert_eq!(usize::from(bytes[1]), bytes.len() - 2);
    // what may be left out is left out
    assert!(body.starts_with(&bytes[2..]));
    let mut plain = *packet;
    plain.properties = Properties::EMPTY;
    assert_eq!(Packet::parse(version, bytes[0], &bytes[2..]), Ok(plain));
}

fuzz_target!(|data: &[u8]| {
    let &[version, first, ref body @ ..] = data else {
        return;
    };
    let version = if version & 1 == 0 {
        Version::V3
    } else {
        Version::V5
    };
    let Ok(packet) = Packet::parse(version, first, body) else {
        return;
    };
    fields::check(version, first, body, &packet);
    let (reason, properties) = (packet.reason, packet.properties);
    let mut out = vec![0; body.len() + 8];
    match packet.packet_type {
        PacketType::Publish => check_publish(version, first, body, &packet),
        PacketType::Puback => check_ack(version, first, body, AckKind::Puback, &packet),
        PacketType::Pubrec => check_ack(version, first, body, AckKind::Pubrec, &packet),
        PacketType::Pubrel => check_ack(version, first, body, AckKind::Pubrel, &packet),
        PacketType::Pubcomp => check_ack(version, first, body, AckKind::Pubcomp, &packet),
        PacketType::Connack | PacketType::Suback | PacketType::Unsuback => {}
        PacketType::Pingresp => assert!(body.is_empty()),
        PacketType::Disconnect => {
            match (version, Disconnect { reason, properties }).encode(&mut out) {
                Ok(len) => {
                    let encoded = encoded_body(&out[..len]);
                    assert!(body.starts_with(encoded));
                    assert_eq!(Packet::parse(version, out[0], encoded), Ok(packet));
                }
                // a server has more to say
                Err(error) => {
                    assert_eq!(error, Error::BadReason);
                    assert!(reason >= 0x80);
                }
            }
        }
        PacketType::Auth => match (Auth { reason, properties }).encode(&mut out) {
            Ok(len) => assert_eq!(encoded_body(&out[..len]), body),
            // only a server tells of success
            Err(error) => assert_eq!((error, reason), (Error::BadReason, 0)),
        },
        PacketType::Connect
        | PacketType::Subscribe
        | PacketType::Unsubscribe
        | PacketType::Pingreq => panic!("not for a client: {packet:?}"),
    }
});
