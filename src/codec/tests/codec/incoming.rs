use crate::{fields, support::*};
use mqtt_codec::*;
use proptest::prelude::*;

#[track_caller]
fn refused(version: Version, packet: &[u8], error: Error) {
    assert_eq!(parse(version, packet), Err(error), "{packet:x?}");
}

#[test]
fn connack_3() {
    let connack = |session_present, reason| {
        Ok(Seen {
            session_present,
            reason,
            ..bare(PacketType::Connack)
        })
    };
    assert_eq!(see(V3, &[0x20, 2, 1, 0]), connack(true, 0));
    for code in 0..=5 {
        assert_eq!(see(V3, &[0x20, 2, 0, code]), connack(false, code));
    }
    refused(V3, &[0x20, 2, 0, 6], Error::BadReason);
    refused(V3, &[0x20, 2, 2, 0], Error::ConnackFlags);
    refused(V3, &[0x20, 2, 1, 5], Error::ConnackFlags);
    refused(V3, &[0x20, 0], Error::Truncated);
    refused(V3, &[0x20, 1, 0], Error::Truncated);
    refused(V3, &[0x20, 1, 1], Error::Truncated);
    refused(V3, &[0x20, 3, 0, 0, 0], Error::Trailing);
    refused(V3, &[0x21, 2, 0, 0], Error::ReservedFlags);
}

#[test]
fn connack_5() {
    let connack = bare(PacketType::Connack);
    let kept = Seen {
        session_present: true,
        properties: Properties::parse(b"\x21\0\x0A", Place::Connack).unwrap(),
        ..connack
    };
    assert_eq!(see(V5, b"\x20\x06\x01\0\x03\x21\0\x0A"), Ok(kept));
    assert_eq!(kept.properties.get(0x21), Some(Value::U16(10)));
    assert_eq!(kept.properties.get(0x22), None);
    assert_eq!(see(V5, &[0x20, 3, 0, 0, 0]), Ok(connack));
    // 0x84 with return code 1 is from a server that knows 3.1.1 only
    for (packet, reason) in [
        (&[0x20, 3, 0, 0x87, 0][..], 0x87),
        (&[0x20, 3, 0, 0x84, 0], 0x84),
        (&[0x20, 2, 0, 1], 0x84),
    ] {
        assert_eq!(see(V5, packet), Ok(Seen { reason, ..connack }));
    }
    for flags in [1, 2, 3, 0x80, 0xFF] {
        refused(V5, &[0x20, 2, flags, 1], Error::ConnackFlags);
        refused(V5, &[0x20, 3, flags, 1, 0], Error::ConnackFlags);
    }
    refused(V5, &[0x20, 0], Error::Truncated);
    refused(V5, &[0x20, 1, 1], Error::Truncated);
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
fn publish_with_known_properties() {
    // only a block that is wrong shows that it is not checked again
    let known = Properties::checked(b"\x01\x02");
    let body = b"\0\x01t\x02\x01\x02m";
    let after = |body| Packet::parse_after(V5, 0x30, body, known);
    let packet = after(body).unwrap();
    assert!(packet.known);
    assert_eq!((packet.properties, packet.payload), (known, &b"m"[..]));
    for (body, error) in [
        (&b"\0\x01t\x02\x01\x03m"[..], Error::PropertyValue),
        (b"\0\x01t\x04\x01\x02\x01\x02", Error::PropertyValue),
        (b"\0\x01t\x02\x01", Error::Truncated),
    ] {
        assert_eq!(after(body), Err(error));
    }
    let other = after(b"\0\x01t\x02\x01\x01m").unwrap();
    assert!(!other.known);
    assert_eq!(other.properties.get(0x01), Some(Value::Byte(1)));
    refused(V5, b"\x30\x07\0\x01t\x02\x01\x02m", Error::PropertyValue);
    // nor are they known in 3.1.1 and in other packets
    let packet = Packet::parse_after(V3, 0x30, body, known).unwrap();
    assert!(!packet.known && packet.properties.is_empty());
    let connack = Packet::parse_after(V5, 0x20, &[0, 0, 2, 1, 2], known);
    assert_eq!(connack, Err(Error::PropertyNotHere));
}

#[test]
fn publish() {
    let publish = bare(PacketType::Publish);
    assert_eq!(
        see(V3, b"\x3D\x09\0\x03a/b\x01\x02hi"),
        Ok(Seen {
            dup: true,
            retain: true,
            qos: QoS::ExactlyOnce,
            pid: Some(pid(0x102)),
            topic: b"a/b",
            payload: b"hi",
            ..publish
        })
    );
    assert_eq!(
        see(V3, b"\x30\x03\0\x01a"),
        Ok(Seen {
            topic: b"a",
            ..publish
        })
    );
    let aliased = see(V5, b"\x32\x0B\0\0\0\x01\x03\x23\0\x07abc").unwrap();
    assert_eq!(properties(aliased.properties), [(0x23, Value::U16(7))]);
    assert_eq!(
        aliased,
        Seen {
            qos: QoS::AtLeastOnce,
            pid: Some(pid(1)),
            properties: aliased.properties,
            payload: b"abc",
            ..publish
        }
    );
    // each flag by itself
    for (first, dup, qos, retain) in [
        (0x30, false, QoS::AtMostOnce, false),
        (0x31, false, QoS::AtMostOnce, true),
        (0x32, false, QoS::AtLeastOnce, false),
        (0x34, false, QoS::ExactlyOnce, false),
        (0x3A, true, QoS::AtLeastOnce, false),
    ] {
        let wanted = Seen {
            dup,
            retain,
            qos,
            topic: b"a",
            pid: (qos != QoS::AtMostOnce).then(|| pid(0x102)),
            payload: match qos {
                QoS::AtMostOnce => b"\x01\x02hi",
                _ => b"hi",
            },
            ..publish
        };
        let packet = frame(first, b"\0\x01a\x01\x02hi");
        assert_eq!(see(V3, &packet), Ok(wanted), "{first:#x}");
    }

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
    refused(V5, b"\x30\x07\0\x01a\x03\x08\0\0", Error::EmptyTopic);
    refused(V5, b"\x30\x05\0\x01a\x02\0", Error::Truncated);
    refused(
        V5,
        b"\x30\x08\0\x01a\xFF\xFF\xFF\xFF\x7F",
        Error::VarintTooLong,
    );
}

#[test]
fn acks() {
    use PacketType::*;
    for version in [V3, V5] {
        for (first, packet_type) in [
            (0x40, Puback),
            (0x50, Pubrec),
            (0x62, Pubrel),
            (0x70, Pubcomp),
        ] {
            assert_eq!(
                see(version, &[first, 2, 1, 2]),
                Ok(Seen {
                    pid: Some(pid(0x102)),
                    ..bare(packet_type)
                })
            );
            refused(version, &[first, 2, 0, 0], Error::ZeroPid);
            refused(version, &[first, 1, 0], Error::Truncated);
            refused(version, &[first ^ 1, 2, 0, 1], Error::ReservedFlags);
        }
        refused(version, &[0x60, 2, 0, 1], Error::ReservedFlags);
    }
    refused(V3, &[0x40, 3, 0, 1, 0], Error::Trailing);
    let ack = |packet_type, reason, properties| {
        Ok(Seen {
            reason,
            pid: Some(pid(1)),
            properties: Properties::parse(properties, Place::Ack).unwrap(),
            ..bare(packet_type)
        })
    };
    assert_eq!(see(V5, &[0x50, 3, 0, 1, 0x97]), ack(Pubrec, 0x97, b""));
    assert_eq!(
        see(V5, b"\x62\x08\0\x01\x92\x04\x1F\0\x01x"),
        ack(Pubrel, 0x92, b"\x1F\0\x01x")
    );
    assert_eq!(see(V5, &[0x40, 4, 0, 1, 0, 0]), ack(Puback, 0, b""));
    refused(V5, &[0x40, 3, 0, 1, 0x92], Error::BadReason);
    refused(V5, &[0x62, 3, 0, 1, 0x10], Error::BadReason);
    refused(V5, &[0x40, 5, 0, 1, 0, 0, 0], Error::Trailing);
    refused(V5, &[0x40, 4, 0, 1, 0, 1], Error::Truncated);
}

#[test]
fn suback() {
    use PacketType::*;
    let suback = |packet_type, properties, codes| {
        Ok(Seen {
            pid: Some(pid(1)),
            properties: Properties::parse(properties, Place::Ack).unwrap(),
            payload: codes,
            ..bare(packet_type)
        })
    };
    assert_eq!(
        see(V3, &[0x90, 6, 0, 1, 0, 1, 2, 0x80]),
        suback(Suback, b"", &[0, 1, 2, 0x80])
    );
    assert_eq!(see(V3, &[0xB0, 2, 0, 1]), suback(Unsuback, b"", &[]));
    assert_eq!(
        see(V5, &[0x90, 5, 0, 1, 0, 2, 0xA2]),
        suback(Suback, b"", &[2, 0xA2])
    );
    assert_eq!(
        see(V5, &[0xB0, 5, 0, 1, 0, 0x11, 0x8F]),
        suback(Unsuback, b"", &[0x11, 0x8F])
    );
    assert_eq!(
        see(V5, b"\x90\x08\0\x01\x04\x1F\0\x01x\x01"),
        suback(Suback, b"\x1F\0\x01x", &[1])
    );
    // the first error is told
    refused(V5, &[0x90, 4, 0, 0, 0, 0x11], Error::ZeroPid);
    refused(V5, &[0x90, 5, 0, 1, 1, 0x55, 0x11], Error::UnknownProperty);
    refused(V3, &[0xB0, 3, 0, 0, 0], Error::ZeroPid);
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
        assert_eq!(see(version, &[0xD0, 0]), Ok(bare(PacketType::Pingresp)));
        refused(version, &[0xD0, 1, 0], Error::Trailing);
        refused(version, &[0xD1, 0], Error::ReservedFlags);
    }
}

#[test]
fn disconnect() {
    let disconnect = |reason, properties| {
        Ok(Seen {
            reason,
            properties: Properties::parse(properties, Place::DisconnectIn).unwrap(),
            ..bare(PacketType::Disconnect)
        })
    };
    assert_eq!(see(V5, &[0xE0, 0]), disconnect(0, b""));
    assert_eq!(see(V5, &[0xE0, 1, 0x8E]), disconnect(0x8E, b""));
    assert_eq!(
        see(V5, b"\xE0\x06\x9D\x04\x1C\0\x01b"),
        disconnect(0x9D, b"\x1C\0\x01b")
    );
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
    assert_eq!(see(V5, &[0xF0, 0]), Ok(bare(PacketType::Auth)));
    for reason in [0, Auth::CONTINUE] {
        let packet = [b"\xF0\x06", &[reason][..], b"\x04\x15\0\x01m"].concat();
        assert_eq!(
            see(V5, &packet),
            Ok(Seen {
                reason,
                properties: Properties::parse(b"\x15\0\x01m", Place::Auth).unwrap(),
                ..bare(PacketType::Auth)
            })
        );
    }
    for reason in [1, Auth::RE_AUTHENTICATE, 0x80] {
        let packet = [b"\xF0\x06", &[reason][..], b"\x04\x15\0\x01m"].concat();
        refused(V5, &packet, Error::BadReason);
    }
    refused(V5, &[0xF0, 1, 0], Error::Truncated);
    refused(V5, &[0xF0, 1, 0x18], Error::Truncated);
    refused(V5, &[0xF0, 2, 0, 0], Error::NoAuthMethod);
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
        (Error::TopicAlias, 0x94),
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
            fields::check(version, first, &body, &packet);
        }
    }
}
