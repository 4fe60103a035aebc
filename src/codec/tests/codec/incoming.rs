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

/// Which codes the specification gives for each packet, in its own tables there.
#[test]
fn reason_codes_of_each_packet() {
    #[rustfmt::skip]
    let connack = [
        0x00, 0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8A, 0x8C, 0x90, 0x95,
        0x97, 0x99, 0x9A, 0x9B, 0x9C, 0x9D, 0x9F,
    ];
    let puback = [0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99];
    let pubrel = [0x00, 0x92];
    #[rustfmt::skip]
    let suback = [
        0x00, 0x01, 0x02, 0x80, 0x83, 0x87, 0x8F, 0x91, 0x97, 0x9E, 0xA1, 0xA2,
    ];
    let unsuback = [0x00, 0x11, 0x80, 0x83, 0x87, 0x8F, 0x91];
    // 0x8C is in the table of 2.4 only
    #[rustfmt::skip]
    let from_server = [
        0x00, 0x80, 0x81, 0x82, 0x83, 0x87, 0x89, 0x8B, 0x8C, 0x8D, 0x8E, 0x8F, 0x90, 0x93, 0x94,
        0x95, 0x96, 0x97, 0x98, 0x99, 0x9A, 0x9B, 0x9C, 0x9D, 0x9E, 0x9F, 0xA0, 0xA1, 0xA2,
    ];
    #[rustfmt::skip]
    let from_client = [
        0x00, 0x04, 0x80, 0x81, 0x82, 0x83, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99,
    ];
    let check = |name, code: u8, codes: &[u8], result: Result<(), Error>| {
        let wanted = if codes.contains(&code) {
            Ok(())
        } else {
            Err(Error::BadReason)
        };
        assert_eq!(result, wanted, "{name} {code:#x}");
    };
    for code in 0..=255 {
        let parsed = |packet: &[u8]| parse(V5, packet).map(|_| ());
        check("CONNACK", code, &connack, parsed(&[0x20, 3, 0, code, 0]));
        check("PUBACK", code, &puback, parsed(&[0x40, 3, 0, 1, code]));
        check("PUBREC", code, &puback, parsed(&[0x50, 3, 0, 1, code]));
        check("PUBREL", code, &pubrel, parsed(&[0x62, 3, 0, 1, code]));
        check("PUBCOMP", code, &pubrel, parsed(&[0x70, 3, 0, 1, code]));
        check("SUBACK", code, &suback, parsed(&[0x90, 4, 0, 1, 0, code]));
        check(
            "UNSUBACK",
            code,
            &unsuback,
            parsed(&[0xB0, 4, 0, 1, 0, code]),
        );
        check("DISCONNECT", code, &from_server, parsed(&[0xE0, 1, code]));
        let disconnect = Disconnect {
            reason: code,
            ..Disconnect::NORMAL
        };
        let sent = disconnect.len(V5).map(|_| ());
        check("DISCONNECT to send", code, &from_client, sent);
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
        assert_eq!(disconnect.len(V5), Ok(3));
    }
}

/// Every slice a packet hands out.
pub fn slices<'a>(packet: &Packet<'a>) -> Vec<&'a [u8]> {
    let (properties, mut slices) = match *packet {
        Packet::Connack(connack) => (connack.properties, vec![]),
        Packet::Publish(publish) => (publish.properties, vec![publish.topic, publish.payload]),
        Packet::Ack(ack) => (ack.properties, vec![]),
        Packet::Suback(suback) => (suback.properties, vec![suback.codes]),
        Packet::Pingresp => (Properties::EMPTY, vec![]),
        Packet::Disconnect(disconnect) => (disconnect.properties, vec![]),
        Packet::Auth(auth) => (auth.properties, vec![]),
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
