use crate::support::*;
use mqtt_codec::*;
use proptest::prelude::*;

#[track_caller]
fn refused(version: Version, packet: &[u8], error: Error) {
    assert_eq!(parse(version, packet), Err(error), "{packet:x?}");
}

#[test]
fn connack_3() {
    assert_eq!(
        parse(V3, b"\x20\x02\x01\0"),
        Ok(Packet::Connack(Connack {
            session_present: true,
            reason: 0,
            properties: Properties::EMPTY,
        }))
    );
    for code in 1..=5 {
        assert_eq!(
            parse(V3, &[0x20, 2, 0, code]),
            Ok(Packet::Connack(Connack {
                session_present: false,
                reason: code,
                properties: Properties::EMPTY,
            }))
        );
    }
    refused(V3, &[0x20, 2, 0, 6], Error::BadReason);
    refused(V3, &[0x20, 2, 2, 0], Error::ConnackFlags);
    refused(V3, &[0x20, 2, 1, 5], Error::ConnackFlags);
    refused(V3, &[0x20, 1, 0], Error::Truncated);
    refused(V3, &[0x20, 3, 0, 0, 0], Error::Trailing);
    refused(V3, &[0x21, 2, 0, 0], Error::ReservedFlags);
}

#[test]
fn connack_5() {
    let Ok(Packet::Connack(connack)) = parse(V5, b"\x20\x06\0\0\x03\x21\0\x0A") else {
        panic!()
    };
    assert!(!connack.session_present);
    assert_eq!(connack.properties.get(0x21), Some(Value::U16(10)));
    assert_eq!(connack.properties.get(0x22), None);
    assert!(parse(V5, &[0x20, 3, 0, 0x87, 0]).is_ok());
    // from a server that knows 3.1.1 only
    let Ok(Packet::Connack(connack)) = parse(V5, &[0x20, 2, 0, 1]) else {
        panic!()
    };
    assert_eq!((connack.session_present, connack.reason), (false, 0x84));
    refused(V5, &[0x20, 2, 1, 1], Error::ConnackFlags);
    refused(V5, &[0x20, 3, 0, 1, 0], Error::BadReason);
    refused(V5, &[0x20, 3, 0, 5, 0], Error::BadReason);
    refused(V5, &[0x20, 3, 1, 0x87, 0], Error::ConnackFlags);
    refused(V5, &[0x20, 2, 0, 0], Error::Truncated);
    refused(V5, &[0x20, 4, 0, 0, 0, 0], Error::Trailing);
    refused(V5, &[0x20, 3, 0, 0, 1], Error::Truncated);
    refused(V5, &[0x20, 4, 0, 0, 0x80, 0], Error::VarintOverlong);
    refused(V5, b"\x20\x06\0\0\x03\x21\0\0", Error::PropertyValue);
}

#[test]
fn publish() {
    assert_eq!(
        parse(V3, b"\x3D\x09\0\x03a/b\x01\x02hi"),
        Ok(Packet::Publish(Publish {
            dup: true,
            retain: true,
            qos: QoS::ExactlyOnce,
            pid: Some(pid(0x102)),
            topic: b"a/b",
            properties: Properties::EMPTY,
            payload: b"hi",
        }))
    );
    assert_eq!(
        parse(V3, b"\x30\x03\0\x01a"),
        Ok(Packet::Publish(Publish {
            dup: false,
            retain: false,
            qos: QoS::AtMostOnce,
            pid: None,
            topic: b"a",
            properties: Properties::EMPTY,
            payload: b"",
        }))
    );
    let Ok(Packet::Publish(publish)) = parse(V5, b"\x32\x0B\0\0\0\x01\x03\x23\0\x07abc") else {
        panic!()
    };
    assert_eq!(properties(publish.properties), [(0x23, Value::U16(7))]);
    assert_eq!((publish.topic, publish.payload), (&b""[..], &b"abc"[..]));

    for version in [V3, V5] {
        refused(version, b"\x36\x05\0\x01a\0\x01", Error::BadQos);
        refused(version, b"\x38\x03\0\x01a", Error::DupQos0);
        refused(version, b"\x32\x05\0\x01a\0\0", Error::ZeroPid);
        refused(version, b"\x32\x04\0\x01a\0", Error::Truncated);
        refused(version, b"\x30\x03\0\x02a", Error::StringBeyondPacket);
        refused(version, b"\x30\x01\0", Error::Truncated);
        refused(version, b"\x30\0", Error::Truncated);
        refused(version, b"\x30\x03\0\x01\xFF", Error::BadUtf8);
        refused(version, b"\x30\x03\0\x01\0", Error::NulInString);
        refused(version, b"\x30\x03\0\x01#", Error::WildcardInTopic);
        refused(version, b"\x30\x03\0\x01+", Error::WildcardInTopic);
        refused(version, b"\x30\x03\0\0\0", Error::EmptyTopic);
    }
    refused(V5, b"\x30\x03\0\x01a", Error::Truncated);
    refused(V5, b"\x30\x05\0\x01a\x02\0", Error::Truncated);
    refused(
        V5,
        b"\x30\x08\0\x01a\xFF\xFF\xFF\xFF\x7F",
        Error::VarintTooLong,
    );
}

#[test]
fn acks() {
    use AckKind::*;
    for version in [V3, V5] {
        for (first, kind) in [
            (0x40, Puback),
            (0x50, Pubrec),
            (0x62, Pubrel),
            (0x70, Pubcomp),
        ] {
            assert_eq!(
                parse(version, &[first, 2, 1, 2]),
                Ok(Packet::Ack(Ack {
                    kind,
                    pid: pid(0x102),
                    reason: 0,
                    properties: Properties::EMPTY,
                }))
            );
            refused(version, &[first, 2, 0, 0], Error::ZeroPid);
            refused(version, &[first, 1, 0], Error::Truncated);
            refused(version, &[first ^ 1, 2, 0, 1], Error::ReservedFlags);
        }
        refused(version, &[0x60, 2, 0, 1], Error::ReservedFlags);
    }
    refused(V3, &[0x40, 3, 0, 1, 0], Error::Trailing);
    assert_eq!(
        parse(V5, &[0x50, 3, 0, 1, 0x97]),
        Ok(Packet::Ack(Ack {
            kind: Pubrec,
            pid: pid(1),
            reason: 0x97,
            properties: Properties::EMPTY,
        }))
    );
    let Ok(Packet::Ack(ack)) = parse(V5, b"\x62\x08\0\x01\x92\x04\x1F\0\x01x") else {
        panic!()
    };
    assert_eq!(properties(ack.properties), [(0x1F, Value::Str(b"x"))]);
    assert!(parse(V5, &[0x40, 4, 0, 1, 0, 0]).is_ok());
    refused(V5, &[0x40, 3, 0, 1, 0x92], Error::BadReason);
    refused(V5, &[0x62, 3, 0, 1, 0x10], Error::BadReason);
    refused(V5, &[0x40, 5, 0, 1, 0, 0, 0], Error::Trailing);
    refused(V5, &[0x40, 4, 0, 1, 0, 1], Error::Truncated);
}

#[test]
fn suback() {
    let suback = |unsuback, codes| {
        Ok(Packet::Suback(Suback {
            unsuback,
            pid: pid(1),
            codes,
            properties: Properties::EMPTY,
        }))
    };
    assert_eq!(
        parse(V3, &[0x90, 6, 0, 1, 0, 1, 2, 0x80]),
        suback(false, &[0, 1, 2, 0x80])
    );
    assert_eq!(parse(V3, &[0xB0, 2, 0, 1]), suback(true, &[]));
    assert_eq!(
        parse(V5, &[0x90, 5, 0, 1, 0, 2, 0xA2]),
        suback(false, &[2, 0xA2])
    );
    assert_eq!(
        parse(V5, &[0xB0, 5, 0, 1, 0, 0x11, 0x8F]),
        suback(true, &[0x11, 0x8F])
    );
    refused(V3, &[0x90, 3, 0, 1, 3], Error::BadReason);
    refused(V3, &[0x90, 3, 0, 1, 0x87], Error::BadReason);
    refused(V3, &[0x90, 2, 0, 1], Error::Truncated);
    refused(V3, &[0x90, 3, 0, 0, 0], Error::ZeroPid);
    refused(V3, &[0xB0, 3, 0, 1, 0], Error::Trailing);
    refused(V5, &[0x90, 4, 0, 1, 0, 0x11], Error::BadReason);
    refused(V5, &[0xB0, 4, 0, 1, 0, 1], Error::BadReason);
    refused(V5, &[0x90, 3, 0, 1, 0], Error::Truncated);
    refused(V5, &[0xB0, 3, 0, 1, 0], Error::Truncated);
    refused(V5, &[0xB0, 2, 0, 1], Error::Truncated);
}

#[test]
fn pingresp() {
    for version in [V3, V5] {
        assert_eq!(parse(version, &[0xD0, 0]), Ok(Packet::Pingresp));
        refused(version, &[0xD0, 1, 0], Error::Trailing);
        refused(version, &[0xD1, 0], Error::ReservedFlags);
    }
}

#[test]
fn disconnect() {
    assert_eq!(
        parse(V5, &[0xE0, 0]),
        Ok(Packet::Disconnect(Disconnect::NORMAL))
    );
    assert_eq!(
        parse(V5, &[0xE0, 1, 0x8E]),
        Ok(Packet::Disconnect(Disconnect {
            reason: 0x8E,
            ..Disconnect::NORMAL
        }))
    );
    assert!(parse(V5, b"\xE0\x06\x9D\x04\x1C\0\x01b").is_ok());
    refused(V5, &[0xE0, 1, 0x04], Error::BadReason);
    refused(
        V5,
        &[0xE0, 7, 0, 5, 0x11, 0, 0, 0, 1],
        Error::PropertyNotHere,
    );
    refused(V5, &[0xE0, 3, 0, 0, 0], Error::Trailing);
    refused(V5, &[0xE1, 0], Error::ReservedFlags);
    refused(V3, &[0xE0, 0], Error::ServerOnly);
}

#[test]
fn auth() {
    assert!(matches!(
        parse(V5, &[0xF0, 0]),
        Ok(Packet::Auth(Auth { reason: 0, .. }))
    ));
    assert!(parse(V5, b"\xF0\x06\x18\x04\x15\0\x01m").is_ok());
    for reason in [1, Auth::RE_AUTHENTICATE, 0x80] {
        let packet = [b"\xF0\x06", &[reason][..], b"\x04\x15\0\x01m"].concat();
        refused(V5, &packet, Error::BadReason);
    }
    refused(V5, &[0xF0, 1, 0x18], Error::Truncated);
    refused(V5, &[0xF0, 2, 0x18, 0], Error::NoAuthMethod);
    refused(V5, b"\xF0\x06\x18\x04\x16\0\x01d", Error::NoAuthMethod);
    refused(V3, &[0xF0, 0], Error::UnknownType);
}

#[test]
fn packets_not_for_a_client() {
    for version in [V3, V5] {
        for first in [0x10, 0x82, 0xA2, 0xC0] {
            refused(version, &[first, 0], Error::ServerOnly);
        }
        refused(version, &[0x00, 0], Error::UnknownType);
    }
}

#[test]
fn reason_codes() {
    for (error, code) in [
        (Error::VarintOverlong, 0x81),
        (Error::PropertyNotHere, 0x81),
        (Error::ZeroPid, 0x82),
        (Error::DuplicateProperty, 0x82),
        (Error::WildcardInTopic, 0x90),
        (Error::PacketTooLarge, 0x95),
        (Error::MissingPid, 0x83),
    ] {
        assert_eq!(error.reason_code(), code);
        // the packet that says why the connection ends must be able to say it
        let disconnect = Disconnect {
            reason: code,
            ..Disconnect::NORMAL
        };
        assert_eq!((V5, disconnect).len(), Ok(3));
    }
}

/// Every slice a packet hands out.
pub fn slices<'a>(packet: &Packet<'a>) -> Vec<&'a [u8]> {
    let properties = carried(packet);
    let mut slices = match *packet {
        Packet::Publish(publish) => vec![publish.topic, publish.payload],
        Packet::Suback(suback) => vec![suback.codes],
        _ => vec![],
    };
    slices.push(properties.as_bytes());
    for (_, value) in properties {
        match value {
            Value::Str(bytes) | Value::Bin(bytes) => slices.push(bytes),
            Value::Pair(name, value) => slices.extend([name, value]),
            _ => {}
        }
    }
    slices
}

/// Bytes that get past the first checks more often than random ones.
fn body() -> impl Strategy<Value = Vec<u8>> {
    let small = prop_oneof![
        3 => 0u8..8,
        1 => prop::sample::select(vec![0x0B, 0x15, 0x16, 0x1F, 0x21, 0x23, 0x26, 0x80, 0x87]),
        1 => any::<u8>(),
    ];
    prop_oneof![bytes(64), prop::collection::vec(small, 0..64)]
}

proptest! {
    #![proptest_config(cases(10_000))]

    #[test]
    fn any_bytes(version in version(), first: u8, body in body()) {
        if let Ok(packet) = Packet::parse(version, first, &body) {
            let inside = body.as_ptr_range();
            for slice in slices(&packet) {
                let slice = slice.as_ptr_range();
                prop_assert!(
                    slice.is_empty() || slice.start >= inside.start && slice.end <= inside.end
                );
            }
        }
    }
}
