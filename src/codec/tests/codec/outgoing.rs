use crate::support::*;
use mqtt_codec::*;
use proptest::prelude::*;

const CONNECT: Connect<'static> = Connect {
    version: V3,
    clean: true,
    keep_alive: 60,
    client_id: b"id",
    user: None,
    password: None,
    will: None,
    properties: Properties::EMPTY,
};

const WILL: Will<'static> = Will {
    topic: b"t",
    payload: b"gone",
    qos: QoS::AtLeastOnce,
    retain: true,
    properties: Properties::EMPTY,
};

const PUBLISH: PublishHead<'static> = PublishHead {
    version: V3,
    dup: false,
    retain: false,
    qos: QoS::AtMostOnce,
    pid: None,
    topic: b"a/b",
    properties: Properties::EMPTY,
    payload_len: 0,
};

fn block<'a>(bytes: &'a [u8], place: Place) -> Properties<'a> {
    Properties::parse(bytes, place).unwrap()
}

#[test]
fn connect_3() {
    assert_eq!(
        encode(&CONNECT).unwrap(),
        b"\x10\x0E\0\x04MQTT\x04\x02\0\x3C\0\x02id"
    );
    let full = Connect {
        clean: false,
        keep_alive: 0x1234,
        user: Some(b"me"),
        password: Some(b"\0\xFF"),
        will: Some(WILL),
        ..CONNECT
    };
    assert_eq!(
        encode(&full).unwrap(),
        b"\x10\x1F\0\x04MQTT\x04\xEC\x12\x34\0\x02id\0\x01t\0\x04gone\0\x02me\0\x02\0\xFF"
    );
    let anonymous = Connect {
        client_id: b"",
        ..CONNECT
    };
    assert_eq!(
        encode(&anonymous).unwrap(),
        b"\x10\x0C\0\x04MQTT\x04\x02\0\x3C\0\0"
    );
}

#[test]
fn connect_5() {
    let plain = Connect {
        version: V5,
        ..CONNECT
    };
    assert_eq!(
        encode(&plain).unwrap(),
        b"\x10\x0F\0\x04MQTT\x05\x02\0\x3C\0\0\x02id"
    );
    let full = Connect {
        clean: false,
        client_id: b"",
        password: Some(b"secret"),
        will: Some(Will {
            qos: QoS::ExactlyOnce,
            retain: false,
            properties: block(&[0x18, 0, 0, 0, 5], Place::Will),
            ..WILL
        }),
        properties: block(&[0x21, 0, 10], Place::Connect),
        ..plain
    };
    assert_eq!(
        encode(&full).unwrap(),
        b"\x10\x27\0\x04MQTT\x05\x54\0\x3C\x03\x21\0\x0A\0\0\
          \x05\x18\0\0\0\x05\0\x01t\0\x04gone\0\x06secret"
    );
}

#[test]
fn bad_connect() {
    let long = [b'a'; 65536];
    let will = |will| Connect {
        will: Some(will),
        ..CONNECT
    };
    let cases = [
        (
            Connect {
                password: Some(b"x"),
                ..CONNECT
            },
            Error::PasswordWithoutUser,
        ),
        (
            Connect {
                clean: false,
                client_id: b"",
                ..CONNECT
            },
            Error::EmptyClientId,
        ),
        (
            Connect {
                client_id: &long,
                ..CONNECT
            },
            Error::StringTooLong,
        ),
        (
            Connect {
                client_id: b"a\0",
                ..CONNECT
            },
            Error::NulInString,
        ),
        (
            Connect {
                user: Some(b"\x80"),
                ..CONNECT
            },
            Error::BadUtf8,
        ),
        (
            Connect {
                user: Some(b"a"),
                password: Some(&long),
                ..CONNECT
            },
            Error::StringTooLong,
        ),
        (
            Connect {
                properties: block(&[0x21, 0, 10], Place::Connect),
                ..CONNECT
            },
            Error::NotInV3,
        ),
        (
            Connect {
                version: V5,
                properties: block(&[0x18, 0, 0, 0, 5], Place::Will),
                ..CONNECT
            },
            Error::PropertyNotHere,
        ),
        (
            will(Will {
                topic: b"a/#",
                ..WILL
            }),
            Error::WildcardInTopic,
        ),
        (will(Will { topic: b"", ..WILL }), Error::EmptyTopic),
        (
            will(Will {
                payload: &long,
                ..WILL
            }),
            Error::StringTooLong,
        ),
        (
            will(Will {
                properties: block(&[0x18, 0, 0, 0, 5], Place::Will),
                ..WILL
            }),
            Error::NotInV3,
        ),
    ];
    for (connect, error) in cases {
        assert_eq!(encode(&connect), Err(error));
    }
}

#[test]
fn publish() {
    assert_eq!(encode(&PUBLISH).unwrap(), b"\x30\x05\0\x03a/b");
    assert_eq!(PUBLISH.packet_len(), Ok(7));
    let full = PublishHead {
        dup: true,
        retain: true,
        qos: QoS::ExactlyOnce,
        pid: Some(pid(0x102)),
        payload_len: 200,
        ..PUBLISH
    };
    assert_eq!(encode(&full).unwrap(), b"\x3D\xCF\x01\0\x03a/b\x01\x02");
    assert_eq!(full.packet_len(), Ok(210));
    let longest = PublishHead {
        payload_len: 268_435_450,
        ..PUBLISH
    };
    assert_eq!(encode(&longest).unwrap(), b"\x30\xFF\xFF\xFF\x7F\0\x03a/b");
    assert_eq!(longest.packet_len(), Ok(268_435_460));
    let v5 = PublishHead {
        version: V5,
        ..full
    };
    assert_eq!(encode(&v5).unwrap(), b"\x3D\xD0\x01\0\x03a/b\x01\x02\0");
    let alias = PublishHead {
        topic: b"",
        properties: block(&[1, 1, 0x23, 0, 1], Place::PublishOut),
        ..v5
    };
    assert_eq!(
        encode(&alias).unwrap(),
        b"\x3D\xD2\x01\0\0\x01\x02\x05\x01\x01\x23\0\x01"
    );
}

#[test]
fn bad_publish() {
    let v5 = PublishHead {
        version: V5,
        ..PUBLISH
    };
    let cases = [
        (
            PublishHead {
                dup: true,
                ..PUBLISH
            },
            Error::DupQos0,
        ),
        (
            PublishHead {
                pid: Some(pid(1)),
                ..PUBLISH
            },
            Error::PidQos0,
        ),
        (
            PublishHead {
                qos: QoS::AtLeastOnce,
                ..PUBLISH
            },
            Error::MissingPid,
        ),
        (
            PublishHead {
                topic: b"",
                ..PUBLISH
            },
            Error::EmptyTopic,
        ),
        (PublishHead { topic: b"", ..v5 }, Error::EmptyTopic),
        (
            PublishHead {
                topic: b"",
                properties: block(&[1, 1], Place::PublishOut),
                ..v5
            },
            Error::EmptyTopic,
        ),
        (
            PublishHead {
                topic: b"",
                properties: block(&[0x23, 0, 1], Place::PublishOut),
                ..PUBLISH
            },
            Error::NotInV3,
        ),
        (
            PublishHead {
                properties: block(&[0x0B, 1], Place::PublishIn),
                ..v5
            },
            Error::PropertyNotHere,
        ),
        (
            PublishHead {
                topic: b"+",
                ..PUBLISH
            },
            Error::WildcardInTopic,
        ),
        (
            PublishHead {
                topic: &[b'a'; 65536],
                ..PUBLISH
            },
            Error::StringTooLong,
        ),
        (
            PublishHead {
                payload_len: 268_435_451,
                ..PUBLISH
            },
            Error::PacketTooLong,
        ),
        (
            PublishHead {
                payload_len: usize::MAX,
                ..PUBLISH
            },
            Error::PacketTooLong,
        ),
    ];
    for (publish, error) in cases {
        assert_eq!(encode(&publish), Err(error));
        assert_eq!(publish.packet_len(), Err(error));
    }
}

fn subscribe<'a>(
    version: Version,
    properties: Properties<'a>,
    filters: &[(&'a [u8], u8)],
) -> Result<Vec<u8>, Error> {
    encode(&Subscribe {
        version,
        pid: pid(10),
        properties,
        filters: &|i| filters.get(i).copied(),
    })
}

fn unsubscribe<'a>(
    version: Version,
    properties: Properties<'a>,
    filters: &[(&'a [u8], u8)],
) -> Result<Vec<u8>, Error> {
    encode(&Unsubscribe {
        version,
        pid: pid(10),
        properties,
        filters: &|i| filters.get(i).copied(),
    })
}

#[test]
fn subscriptions() {
    let none = Properties::EMPTY;
    let two: [(&[u8], u8); 2] = [(b"a/+", 1), (b"#", 2)];
    assert_eq!(
        subscribe(V3, none, &two).unwrap(),
        b"\x82\x0C\0\x0A\0\x03a/+\x01\0\x01#\x02"
    );
    assert_eq!(
        unsubscribe(V3, none, &two).unwrap(),
        b"\xA2\x0A\0\x0A\0\x03a/+\0\x01#"
    );
    let id = block(&[0x0B, 0x80, 1], Place::Subscribe);
    assert_eq!(
        subscribe(V5, id, &[(b"a", 0x2E)]).unwrap(),
        b"\x82\x0A\0\x0A\x03\x0B\x80\x01\0\x01a\x2E"
    );
    assert_eq!(
        unsubscribe(V5, none, &[(b"a", 0)]).unwrap(),
        b"\xA2\x06\0\x0A\0\0\x01a"
    );

    assert_eq!(subscribe(V3, none, &[]), Err(Error::NoTopicFilter));
    assert_eq!(unsubscribe(V5, none, &[]), Err(Error::NoTopicFilter));
    assert_eq!(subscribe(V3, none, &[(b"", 0)]), Err(Error::BadTopicFilter));
    assert_eq!(
        unsubscribe(V3, none, &[(b"a", 0), (b"b#", 0)]),
        Err(Error::BadTopicFilter)
    );
    assert_eq!(subscribe(V3, id, &two), Err(Error::NotInV3));
    assert_eq!(unsubscribe(V5, id, &two), Err(Error::PropertyNotHere));
    assert_eq!(subscribe(V3, none, &[(b"a", 3)]), Err(Error::BadOptions));
    assert_eq!(subscribe(V3, none, &[(b"a", 4)]), Err(Error::NotInV3));
    for options in [0x03, 0x30, 0x40, 0x80, 0xFF] {
        assert_eq!(
            subscribe(V5, none, &[(b"a", options)]),
            Err(Error::BadOptions)
        );
    }
    assert_eq!(
        subscribe(V5, none, &[(b"$share/g/a", 4)]),
        Err(Error::BadOptions)
    );
    let long = [b'a'; 65536];
    assert_eq!(
        subscribe(V3, none, &[(&long, 0)]),
        Err(Error::StringTooLong)
    );
}

#[test]
fn filters_that_change() {
    let calls = std::cell::Cell::new(0);
    let changing = Subscribe {
        version: V3,
        pid: pid(1),
        properties: Properties::EMPTY,
        filters: &|i| {
            calls.set(calls.get() + 1);
            // more of them on the second walk
            let all: [(&[u8], u8); 2] = [(b"a", 0), (b"b", 0)];
            all.get(i).copied().filter(|_| i == 0 || calls.get() > 2)
        },
    };
    let mut out = [0xEE; 32];
    assert_eq!(changing.encode(&mut out), Err(Error::Changed));
    assert!(out[8..].iter().all(|&byte| byte == 0xEE));
}

#[test]
fn acks() {
    let mut out = [0; 8];
    let mut bytes = |version, kind, reason| {
        let len = ack(version, kind, pid(0x102), reason, &mut out)?;
        Ok(out[..len].to_vec())
    };
    use AckKind::*;
    for (kind, first) in [
        (Puback, 0x40),
        (Pubrec, 0x50),
        (Pubrel, 0x62),
        (Pubcomp, 0x70),
    ] {
        assert_eq!(bytes(V3, kind, 0).unwrap(), [first, 2, 1, 2]);
        assert_eq!(bytes(V5, kind, 0).unwrap(), [first, 2, 1, 2]);
    }
    assert_eq!(bytes(V5, Puback, 0x10).unwrap(), [0x40, 3, 1, 2, 0x10]);
    assert_eq!(bytes(V3, Puback, 0x10).unwrap(), [0x40, 2, 1, 2]);
    assert_eq!(bytes(V5, Pubcomp, 0x92).unwrap(), [0x70, 3, 1, 2, 0x92]);
    assert_eq!(bytes(V5, Puback, 0x92), Err(Error::BadReason));
    assert_eq!(bytes(V5, Pubrel, 0x10), Err(Error::BadReason));

    let told = Ack {
        kind: Puback,
        pid: pid(1),
        reason: 0,
        properties: block(b"\x1F\0\x01x", Place::Ack),
    };
    let mut out = [0; 16];
    assert_eq!(told.len(V5), Ok(10));
    assert_eq!(told.encode(V5, &mut out), Ok(10));
    assert_eq!(out[..10], *b"\x40\x08\0\x01\0\x04\x1F\0\x01x");
    assert_eq!(told.encode(V3, &mut out), Err(Error::NotInV3));
    assert_eq!(told.encode(V5, &mut out[..9]), Err(Error::BufferTooSmall));
}

#[test]
fn disconnect() {
    let mut out = [0; 16];
    let mut bytes = |version, packet: Disconnect| {
        let len = packet.encode(version, &mut out)?;
        assert_eq!(packet.len(version), Ok(len));
        Ok(out[..len].to_vec())
    };
    let bad = Disconnect {
        reason: 0x81,
        ..Disconnect::NORMAL
    };
    assert_eq!(bytes(V3, Disconnect::NORMAL).unwrap(), [0xE0, 0]);
    assert_eq!(bytes(V5, Disconnect::NORMAL).unwrap(), [0xE0, 0]);
    assert_eq!(bytes(V3, bad).unwrap(), [0xE0, 0]);
    assert_eq!(bytes(V5, bad).unwrap(), [0xE0, 1, 0x81]);
    let expiry = Disconnect {
        reason: 0,
        properties: block(&[0x11, 0, 0, 0, 9], Place::DisconnectOut),
    };
    assert_eq!(
        bytes(V5, expiry).unwrap(),
        [0xE0, 7, 0, 5, 0x11, 0, 0, 0, 9]
    );
    assert_eq!(bytes(V3, expiry), Err(Error::NotInV3));
    let from_server = Disconnect {
        reason: 0x8B,
        ..Disconnect::NORMAL
    };
    assert_eq!(bytes(V5, from_server), Err(Error::BadReason));
    let moved = Disconnect {
        reason: 0,
        properties: block(b"\x1C\0\x01b", Place::DisconnectIn),
    };
    assert_eq!(bytes(V5, moved), Err(Error::PropertyNotHere));
}

#[test]
fn auth() {
    let again = Auth {
        reason: 0x19,
        properties: block(b"\x15\0\x01m\x16\0\x02\0\xFF", Place::Auth),
    };
    assert_eq!(
        encode(&again).unwrap(),
        b"\xF0\x0B\x19\x09\x15\0\x01m\x16\0\x02\0\xFF"
    );
    let bare = Auth {
        reason: 0x18,
        properties: Properties::EMPTY,
    };
    assert_eq!(encode(&bare), Err(Error::NoAuthMethod));
    for reason in [Auth::SUCCESS, 1, 0x80] {
        let odd = Auth { reason, ..again };
        assert_eq!(encode(&odd), Err(Error::BadReason));
    }
}

#[test]
fn ping() {
    assert_eq!(PINGREQ, [0xC0, 0]);
}

proptest! {
    #![proptest_config(cases(2_000))]

    /// What a client sends as PUBLISH it would understand as such.
    #[test]
    fn publish_round_trip(
        version in version(),
        topic in topic(),
        payload in bytes(300),
        (id, qos, dup, retain) in (1u16.., 0u8..3, any::<bool>(), any::<bool>()),
    ) {
        let qos = QoS::from_bits(qos).unwrap();
        let head = PublishHead {
            version,
            dup: dup && qos != QoS::AtMostOnce,
            retain,
            qos,
            pid: (qos != QoS::AtMostOnce).then(|| pid(id)),
            topic: topic.as_bytes(),
            properties: Properties::EMPTY,
            payload_len: payload.len(),
        };
        let mut packet = encode(&head).unwrap();
        packet.extend(&payload);
        prop_assert_eq!(head.packet_len(), Ok(packet.len()));
        let Packet::Publish(publish) = parse(version, &packet).unwrap() else { panic!() };
        prop_assert_eq!(publish, Publish {
            dup: head.dup,
            retain,
            qos,
            pid: head.pid,
            topic: topic.as_bytes(),
            properties: Properties::EMPTY,
            payload: &payload,
        });
    }
}
