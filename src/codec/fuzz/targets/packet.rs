//! One packet: the first byte tells the version, then come the first byte of the fixed header and the body.
//! What parses must lie within the body, and come out the same when it is encoded again.
#![no_main]
use libfuzzer_sys::fuzz_target;
use mqtt_codec::{
    Ack, Auth, Disconnect, Encode, Error, Packet, Place, Properties, Publish, PublishHead, Value,
    Version, ack,
};
use std::num::NonZeroU16;

fn check_inside(body: &[u8], slice: &[u8]) {
    let (outer, inner) = (body.as_ptr_range(), slice.as_ptr_range());
    assert!(slice.is_empty() || outer.start <= inner.start && inner.end <= outer.end);
}

fn check_properties(body: &[u8], properties: Properties) {
    check_inside(body, properties.as_bytes());
    for (_, value) in properties {
        match value {
            Value::Str(bytes) | Value::Bin(bytes) => check_inside(body, bytes),
            Value::Pair(name, value) => {
                check_inside(body, name);
                check_inside(body, value);
            }
            _ => {}
        }
    }
}

/// The body that was encoded, without the fixed header.
fn encoded_body(out: &[u8]) -> &[u8] {
    let header = out[1..].iter().position(|byte| byte & 0x80 == 0).unwrap() + 2;
    &out[header..]
}

fn check_publish(version: Version, first: u8, body: &[u8], publish: &Publish) {
    check_inside(body, publish.topic);
    check_inside(body, publish.payload);
    check_properties(body, publish.properties);
    assert!(std::str::from_utf8(publish.topic).is_ok());
    let head = PublishHead {
        version,
        dup: publish.dup,
        retain: publish.retain,
        qos: publish.qos,
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
                alias: NonZeroU16::new(alias),
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
            let wanted = Publish {
                properties: Properties::parse(&all, Place::PublishIn).unwrap(),
                ..*publish
            };
            let parsed = Packet::parse(version, first, &body);
            assert_eq!(parsed, Ok(Packet::Publish(wanted)));
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

fuzz_target!(|data: &[u8]| {
    let &[version, first, ref body @ ..] = data else {
        return;
    };
    let version = if version & 1 == 0 {
        Version::V3
    } else {
        Version::V5
    };
    let mut out = vec![0; body.len() + 8];
    match Packet::parse(version, first, body) {
        Err(_) => {}
        Ok(Packet::Publish(publish)) => check_publish(version, first, body, &publish),
        Ok(Packet::Connack(connack)) => check_properties(body, connack.properties),
        Ok(Packet::Suback(suback)) => {
            check_inside(body, suback.codes);
            check_properties(body, suback.properties);
        }
        Ok(Packet::Pingresp) => assert!(body.is_empty()),
        Ok(Packet::Ack(packet)) => {
            check_properties(body, packet.properties);
            let mut out = [0; 5];
            let bytes = ack(version, packet.kind, packet.pid, packet.reason, &mut out);
            assert_eq!(bytes[0], first);
            assert_eq!(usize::from(bytes[1]), bytes.len() - 2);
            // what may be left out is left out
            assert!(body.starts_with(&bytes[2..]));
            let plain = Ack {
                properties: Properties::EMPTY,
                ..packet
            };
            let parsed = Packet::parse(version, bytes[0], &bytes[2..]);
            assert_eq!(parsed, Ok(Packet::Ack(plain)));
        }
        Ok(Packet::Disconnect(packet @ Disconnect { reason, properties })) => {
            check_properties(body, properties);
            match (version, packet).encode(&mut out) {
                Ok(len) => {
                    let encoded = encoded_body(&out[..len]);
                    assert!(body.starts_with(encoded));
                    let parsed = Packet::parse(version, out[0], encoded);
                    assert_eq!(parsed, Ok(Packet::Disconnect(packet)));
                }
                // a server has more to say
                Err(error) => {
                    assert_eq!(error, Error::BadReason);
                    assert!(reason >= 0x80);
                }
            }
        }
        Ok(Packet::Auth(packet @ Auth { reason, properties })) => {
            check_properties(body, properties);
            match packet.encode(&mut out) {
                Ok(len) => assert_eq!(encoded_body(&out[..len]), body),
                // only a server tells of success
                Err(error) => assert_eq!((error, reason), (Error::BadReason, Auth::SUCCESS)),
            }
        }
    }
});
