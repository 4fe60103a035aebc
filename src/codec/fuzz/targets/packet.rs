//! One packet: the first byte tells the version, then come the first byte of the fixed header and the body.
//! What parses must lie within the body, and come out the same when it is encoded again.
#![no_main]
use libfuzzer_sys::fuzz_target;
use mqtt_codec::{
    Auth, Disconnect, Encode, Error, Packet, Properties, Publish, PublishHead, Value, Version,
};

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
        properties: publish.properties,
        payload_len: publish.payload.len(),
    };
    let mut out = vec![0; body.len() + 5];
    match head.encode(&mut out) {
        Ok(len) => {
            assert_eq!(out[0], first);
            let head = encoded_body(&out[..len]);
            assert_eq!([head, publish.payload].concat(), body);
        }
        // a subscription identifier comes from servers only
        Err(error) => {
            assert_eq!(error, Error::PropertyNotHere);
            assert!(publish.properties.get(0x0B).is_some());
        }
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
        Ok(Packet::Ack(ack)) => {
            check_properties(body, ack.properties);
            let len = ack.encode(version, &mut out).unwrap();
            assert_eq!(out[0], first);
            // what may be left out is left out
            assert!(body.starts_with(encoded_body(&out[..len])));
        }
        Ok(Packet::Disconnect(packet @ Disconnect { reason, properties })) => {
            check_properties(body, properties);
            match packet.encode(version, &mut out) {
                Ok(len) => assert!(body.starts_with(encoded_body(&out[..len]))),
                // a server has more to say
                Err(Error::BadReason) => assert!(reason >= 0x80),
                Err(error) => assert_eq!(error, Error::PropertyNotHere),
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
