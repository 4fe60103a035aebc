use crate::support::*;
use mqtt_codec::*;
use proptest::prelude::*;
use std::num::NonZeroU16;

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
    alias: None,
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
fn publish_with_alias() {
    let v5 = PublishHead {
        version: V5,
        alias: NonZeroU16::new(0x102),
        payload_len: 2,
        ..PUBLISH
    };
    let told = block(&[1, 1], Place::PublishOut);
    for (head, wanted) in [
        (v5, &b"\x30\x0B\0\x03a/b\x03\x23\x01\x02"[..]),
        (
            PublishHead { topic: b"", ..v5 },
            b"\x30\x08\0\0\x03\x23\x01\x02",
        ),
        (
            PublishHead {
                properties: told,
                ..v5
            },
            b"\x30\x0D\0\x03a/b\x05\x01\x01\x23\x01\x02",
        ),
        (
            PublishHead {
                topic: b"",
                properties: told,
                ..v5
            },
            b"\x30\x0A\0\0\x05\x01\x01\x23\x01\x02",
        ),
        (
            PublishHead {
                topic: b"",
                dup: true,
                retain: true,
                qos: QoS::AtLeastOnce,
                pid: Some(pid(0x304)),
                alias: Some(NonZeroU16::MAX),
                ..v5
            },
            b"\x3B\x0A\0\0\x03\x04\x03\x23\xFF\xFF",
        ),
    ] {
        assert_eq!(encode(&head).unwrap(), wanted);
        assert_eq!(head.packet_len(), Ok(wanted.len() + 2));
    }
    let longest = PublishHead {
        payload_len: 268_435_446,
        ..v5
    };
    assert_eq!(
        encode(&longest).unwrap(),
        b"\x30\xFF\xFF\xFF\x7F\0\x03a/b\x03\x23\x01\x02"
    );
    assert_eq!(longest.packet_len(), Ok(268_435_460));
}

/// With an alias the property length grows by three, perhaps to another number of bytes.
#[test]
fn property_length_with_alias() {
    // a property of 124 bytes and an alias have a length of one byte still
    let lengths = [
        0, 5, 123, 124, 125, 127, 128, 16_380, 16_381, 16_383, 16_384,
    ];
    for len in lengths.into_iter().filter(affordable) {
        for (alias, topic) in [(1, &b"topic"[..]), (0x102, b""), (65535, b"")] {
            let before = match len {
                0 => vec![],
                _ => raw(&[(38, Value::Pair(b"", &vec![b'a'; len - 5]))]),
            };
            assert_eq!(before.len(), len);
            let all = [before.clone(), raw(&[(0x23, Value::U16(alias))])].concat();
            let head = PublishHead {
                version: V5,
                topic,
                alias: NonZeroU16::new(alias as u16),
                properties: block(&before, Place::PublishOut),
                ..PUBLISH
            };
            let packet = encode(&head).unwrap();
            assert_eq!(head.packet_len(), Ok(packet.len()));
            let topic_len = (topic.len() as u16).to_be_bytes();
            let body = [&topic_len, topic, &varint(len as u32 + 3), &all].concat();
            assert_eq!(packet, frame(0x30, &body), "{len}");
            let wanted = Seen {
                topic,
                properties: block(&all, Place::PublishIn),
                ..bare(PacketType::Publish)
            };
            assert_eq!(see(V5, &packet), Ok(wanted), "{len}");
            // as if it stood among the properties
            let same = PublishHead {
                alias: None,
                properties: block(&all, Place::PublishOut),
                ..head
            };
            assert_eq!(encode(&same).unwrap(), packet);
        }
    }
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
                alias: NonZeroU16::new(1),
                ..PUBLISH
            },
            Error::NotInV3,
        ),
        (
            PublishHead {
                topic: b"",
                alias: NonZeroU16::new(1),
                ..PUBLISH
            },
            Error::NotInV3,
        ),
        (
            PublishHead {
                alias: NonZeroU16::new(1),
                properties: block(&[1, 1], Place::PublishOut),
                ..PUBLISH
            },
            Error::NotInV3,
        ),
        (
            PublishHead {
                topic: b"a/#",
                alias: NonZeroU16::new(1),
                ..v5
            },
            Error::WildcardInTopic,
        ),
        (
            PublishHead {
                topic: b"\0",
                alias: NonZeroU16::new(1),
                ..v5
            },
            Error::NulInString,
        ),
        (
            PublishHead {
                alias: NonZeroU16::new(1),
                qos: QoS::AtLeastOnce,
                ..v5
            },
            Error::MissingPid,
        ),
        (
            PublishHead {
                alias: NonZeroU16::new(1),
                payload_len: 268_435_447,
                ..v5
            },
            Error::PacketTooLong,
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

fn to_subscribe<'a>(
    unsubscribe: bool,
    version: Version,
    properties: Properties<'a>,
    filters: &[(&'a [u8], u8)],
) -> Result<Vec<u8>, Error> {
    encode(&Subscribe {
        unsubscribe,
        version,
        pid: pid(10),
        properties,
        filters: |i| filters.get(i).copied(),
    })
}

fn subscribe<'a>(
    version: Version,
    properties: Properties<'a>,
    filters: &[(&'a [u8], u8)],
) -> Result<Vec<u8>, Error> {
    to_subscribe(false, version, properties, filters)
}

fn unsubscribe<'a>(
    version: Version,
    properties: Properties<'a>,
    filters: &[(&'a [u8], u8)],
) -> Result<Vec<u8>, Error> {
    to_subscribe(true, version, properties, filters)
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
    assert_eq!(unsubscribe(V3, id, &two), Err(Error::NotInV3));
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
fn options() {
    let none = Properties::EMPTY;
    for options in octets() {
        let (qos, handling, reserved) = (options & 3, options >> 4 & 3, options >> 6);
        let v5 = match qos == 3 || handling == 3 || reserved != 0 {
            true => Err(Error::BadOptions),
            false => Ok(()),
        };
        let shared = match options & 4 {
            0 => v5,
            _ => Err(Error::BadOptions),
        };
        let v3 = match options {
            0..=2 => Ok(()),
            3 => Err(Error::BadOptions),
            _ => Err(Error::NotInV3),
        };
        for (version, filter, wanted) in [
            (V3, &b"a"[..], v3),
            (V3, b"$share/g/a", v3),
            (V5, b"a", v5),
            (V5, b"$share/g/a", shared),
            (V5, b"$share", v5),
            (V5, b"$shared/g/a", v5),
        ] {
            // each of several is looked at
            for at in 0..if cfg!(miri) { 1 } else { 3 } {
                let mut filters: [(&[u8], u8); 3] = [(b"b/+", 0), (b"c", 1), (b"#", 2)];
                filters[at] = (filter, options);
                let body = |with_options: bool| {
                    let mut body = vec![0, 10];
                    if version == V5 {
                        body.push(0);
                    }
                    for (filter, options) in filters {
                        body.extend((filter.len() as u16).to_be_bytes());
                        body.extend(filter);
                        body.extend(with_options.then_some(options));
                    }
                    body
                };
                assert_eq!(
                    subscribe(version, none, &filters),
                    wanted.map(|()| frame(0x82, &body(true))),
                    "{version:?} {options:#x}"
                );
                // not even sent
                assert_eq!(
                    unsubscribe(version, none, &filters),
                    Ok(frame(0xA2, &body(false)))
                );
            }
        }
    }
}

#[test]
fn several_filters() {
    let none = Properties::EMPTY;
    let id = block(&[0x0B, 7, 0x26, 0, 1, b'n', 0, 1, b'v'], Place::Subscribe);
    let user = block(&[0x26, 0, 1, b'n', 0, 1, b'v'], Place::Unsubscribe);
    let filters: [(&[u8], u8); 4] = [
        (b"a/+", 0x01),
        (b"$share/g/#", 0x1A),
        (b"a/+", 0x2C),
        ("\u{e4}".as_bytes(), 0),
    ];
    assert_eq!(
        subscribe(V5, id, &filters).unwrap(),
        b"\x82\x2A\0\x0A\x09\x0B\x07\x26\0\x01n\0\x01v\
          \0\x03a/+\x01\0\x0A$share/g/#\x1A\0\x03a/+\x2C\0\x02\xC3\xA4\0"
    );
    assert_eq!(
        unsubscribe(V5, user, &filters).unwrap(),
        b"\xA2\x24\0\x0A\x07\x26\0\x01n\0\x01v\
          \0\x03a/+\0\x0A$share/g/#\0\x03a/+\0\x02\xC3\xA4"
    );
    // a bad one wherever it stands, for whatever reason
    let long = [b'a'; 65536];
    let bad: [(&[u8], Error); 6] = [
        (b"", Error::BadTopicFilter),
        (b"a#", Error::BadTopicFilter),
        (b"$share/g", Error::BadTopicFilter),
        (b"\xFF", Error::BadUtf8),
        (b"\0", Error::NulInString),
        (&long, Error::StringTooLong),
    ];
    for (bad, error) in bad {
        for at in 0..4 {
            let mut filters = filters;
            filters[at] = (bad, 0);
            for version in [V3, V5] {
                let mut fine_in_both = filters;
                fine_in_both
                    .iter_mut()
                    .for_each(|(_, options)| *options &= 3);
                assert_eq!(subscribe(version, none, &fine_in_both), Err(error));
                assert_eq!(unsubscribe(version, none, &filters), Err(error));
            }
        }
    }
    // a list longer than what is counted in one byte
    let many: Vec<(&[u8], u8)> = (0..100).map(|i| (&b"abc"[..], i % 3)).collect();
    let body: Vec<u8> = (0..100)
        .flat_map(|i| [0, 3, b'a', b'b', b'c', i % 3])
        .collect();
    assert_eq!(
        subscribe(V3, none, &many),
        Ok(frame(0x82, &[&[0, 10], &body[..]].concat()))
    );
}

/// Whatever holds a filter's bytes will do, also if it is made at the moment.
#[test]
fn filters_of_any_kind() {
    fn check<T: std::ops::Deref<Target = [u8]>>(make: impl Fn(&'static [u8]) -> T) {
        for (unsubscribe, wanted) in [
            (false, &b"\x82\x0B\0\x01\0\x02a0\0\0\x01b\x01"[..]),
            (true, b"\xA2\x09\0\x01\0\x02a0\0\x01b"),
        ] {
            let all: [&[u8]; 2] = [b"a0", b"b"];
            let packet = Subscribe {
                unsubscribe,
                version: V3,
                pid: pid(1),
                properties: Properties::EMPTY,
                filters: |i: usize| all.get(i).map(|filter| (make(filter), i as u8)),
            };
            assert_eq!(encode(&packet).unwrap(), wanted);
        }
    }
    check(|filter| filter);
    check(|filter| filter.to_vec());
    check(Box::<[u8]>::from);
    check(std::rc::Rc::<[u8]>::from);
}

#[test]
fn filters_that_change() {
    type Filters = &'static [(&'static [u8], u8)];
    // what the first walk gives and what the second does: more, fewer, longer, shorter, not fit to be sent
    let walks: [(Filters, Filters); 6] = [
        (&[(b"a", 0)], &[(b"a", 0), (b"b", 0)]),
        (&[(b"a", 0), (b"b", 0)], &[(b"a", 0)]),
        (&[(b"a", 0)], &[(b"abc", 0)]),
        (&[(b"abc", 0)], &[(b"a", 0)]),
        (&[(b"a", 0), (b"b", 0)], &[(b"a", 0), (b"\xFF", 0)]),
        (&[(b"a", 0)], &[]),
    ];
    for (first, second) in walks {
        for unsubscribe in [false, true] {
            for version in [V3, V5] {
                let walk = std::cell::Cell::new(0);
                let changing = Subscribe {
                    unsubscribe,
                    version,
                    pid: pid(1),
                    properties: Properties::EMPTY,
                    filters: |i| {
                        if i == 0 {
                            walk.set(walk.get() + 1);
                        }
                        if walk.get() < 2 { first } else { second }.get(i).copied()
                    },
                };
                let mut out = [0xEE; 64];
                assert_eq!(changing.encode(&mut out), Err(Error::Changed));
                assert_eq!(walk.get(), 2);
                let whole = |i: usize| first.get(i).copied();
                let len = Subscribe {
                    unsubscribe,
                    version,
                    pid: pid(1),
                    properties: Properties::EMPTY,
                    filters: whole,
                }
                .len()
                .unwrap();
                assert!(out[len..].iter().all(|&byte| byte == 0xEE));
            }
        }
    }
    // options that have become bad; an UNSUBSCRIBE does not look at them
    for (unsubscribe, wanted) in [(false, Err(Error::Changed)), (true, Ok(7))] {
        let calls = std::cell::Cell::new(0);
        let changing = Subscribe {
            unsubscribe,
            version: V3,
            pid: pid(1),
            properties: Properties::EMPTY,
            filters: |i| {
                calls.set(calls.get() + 1);
                (i == 0).then_some((&b"a"[..], if calls.get() > 2 { 3 } else { 0 }))
            },
        };
        assert_eq!(changing.encode(&mut [0; 64]), wanted);
    }
}

#[test]
fn acks() {
    use AckKind::*;
    for (kind, first) in [
        (Puback, 0x40),
        (Pubrec, 0x50),
        (Pubrel, 0x62),
        (Pubcomp, 0x70),
    ] {
        // what was there before is no part of it
        let mut out = [0xEE; 5];
        assert_eq!(ack(V3, kind, pid(0x102), 0, &mut out), [first, 2, 1, 2]);
        assert_eq!(ack(V5, kind, pid(0x102), 0, &mut out), [first, 2, 1, 2]);
        assert_eq!(ack(V3, kind, pid(1), 0x92, &mut out), [first, 2, 0, 1]);
        assert_eq!(
            ack(V5, kind, pid(0xFFFE), 0x92, &mut out),
            [first, 3, 0xFF, 0xFE, 0x92]
        );
    }
}

#[test]
fn disconnect() {
    let bad = Disconnect {
        reason: 0x81,
        ..Disconnect::NORMAL
    };
    assert_eq!(encode(&(V3, Disconnect::NORMAL)).unwrap(), [0xE0, 0]);
    assert_eq!(encode(&(V5, Disconnect::NORMAL)).unwrap(), [0xE0, 0]);
    assert_eq!(encode(&(V3, bad)).unwrap(), [0xE0, 0]);
    assert_eq!(encode(&(V5, bad)).unwrap(), [0xE0, 1, 0x81]);
    let expiry = Disconnect {
        reason: 0,
        properties: block(&[0x11, 0, 0, 0, 9], Place::DisconnectOut),
    };
    assert_eq!(
        encode(&(V5, expiry)).unwrap(),
        [0xE0, 7, 0, 5, 0x11, 0, 0, 0, 9]
    );
    assert_eq!(encode(&(V3, expiry)), Err(Error::NotInV3));
    let from_server = Disconnect {
        reason: 0x8B,
        ..Disconnect::NORMAL
    };
    for version in [V3, V5] {
        assert_eq!(encode(&(version, from_server)), Err(Error::BadReason));
    }
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
    // the check is of the properties
    for bare in [&b""[..], b"\x16\0\0", b"\x1F\0\x01r"] {
        assert_eq!(
            Properties::parse(bare, Place::Auth),
            Err(Error::NoAuthMethod)
        );
    }
    let bare = Auth {
        properties: Properties::EMPTY,
        ..again
    };
    assert_eq!(encode(&bare), Err(Error::NoAuthMethod));
    for reason in [0, 1, 0x80] {
        let odd = Auth { reason, ..again };
        assert_eq!(encode(&odd), Err(Error::BadReason));
    }
}

/// What is measured once may be written with another number, as often as need be.
#[test]
fn measured_once() {
    let head = PublishHead {
        version: V5,
        qos: QoS::AtLeastOnce,
        pid: Some(pid(1)),
        alias: NonZeroU16::new(1),
        payload_len: 300,
        ..PUBLISH
    };
    let size = measure(&head).unwrap();
    assert_eq!((size.len, size.follows), (14, 300));
    assert_eq!(Ok(size.len), head.len());
    assert_eq!(Ok(size.len + size.follows), head.packet_len());
    let mut again = [0xEE; 15];
    assert_eq!(
        size.encode(&head, &mut again[..13]),
        Err(Error::BufferTooSmall)
    );
    assert_eq!(again, [0xEE; 15]);
    let other = PublishHead {
        dup: true,
        retain: true,
        pid: Some(pid(0xFFFE)),
        alias: NonZeroU16::new(0x102),
        ..head
    };
    for head in [head, other, head] {
        assert_eq!(size.encode(&head, &mut again), Ok(14));
        assert_eq!(again[..14], encode(&head).unwrap());
        assert_eq!(again[14], 0xEE);
    }
    // another length, or not to be sent at all
    for bad in [
        PublishHead {
            topic: b"a/b/c",
            ..head
        },
        PublishHead { topic: b"", ..head },
        PublishHead {
            topic: b"a/+",
            ..head
        },
        PublishHead { pid: None, ..head },
    ] {
        assert_eq!(size.encode(&bad, &mut again), Err(Error::Changed));
        assert_eq!(again[14], 0xEE);
    }

    let filters = |i: usize| [(&b"a"[..], 1), (b"b", 2)].get(i).copied();
    let subscribe = |id| Subscribe {
        unsubscribe: false,
        version: V5,
        pid: pid(id),
        properties: Properties::EMPTY,
        filters,
    };
    let size = measure(&subscribe(1)).unwrap();
    assert_eq!((size.len, size.follows), (13, 0));
    let mut out = [0xEE; 13];
    for id in [1, 0x102] {
        assert_eq!(size.encode(&subscribe(id), &mut out), Ok(13));
        assert_eq!(out[..], encode(&subscribe(id)).unwrap());
    }
    let none = |_: usize| None::<(&[u8], u8)>;
    let empty = Subscribe {
        unsubscribe: true,
        version: V3,
        pid: pid(1),
        properties: Properties::EMPTY,
        filters: none,
    };
    assert_eq!(
        measure(&empty).map(|size| size.len),
        Err(Error::NoTopicFilter)
    );
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
        (version, alias) in prop_oneof![
            Just((V3, None)),
            prop::option::of(1u16..).prop_map(|alias| (V5, alias)),
        ],
        (topic, keep_topic) in (topic(), any::<bool>()),
        user in prop::option::of((text(), "[a-z]{0,200}")),
        payload in bytes(300),
        (id, qos, dup, retain) in (1u16.., 0u8..3, any::<bool>(), any::<bool>()),
    ) {
        let qos = QoS::from_bits(qos).unwrap();
        let user = user.filter(|_| version == V5);
        let mut properties: Vec<(u8, Value)> = user
            .iter()
            .map(|(name, value)| (38, Value::Pair(name.as_bytes(), value.as_bytes())))
            .collect();
        let told = raw(&properties);
        let head = PublishHead {
            version,
            dup: dup && qos != QoS::AtMostOnce,
            retain,
            qos,
            pid: (qos != QoS::AtMostOnce).then(|| pid(id)),
            topic: if keep_topic || alias.is_none() { topic.as_bytes() } else { b"" },
            alias: alias.and_then(NonZeroU16::new),
            properties: block(&told, Place::PublishOut),
            payload_len: payload.len(),
        };
        let mut packet = encode(&head).unwrap();
        packet.extend(&payload);
        prop_assert_eq!(head.packet_len(), Ok(packet.len()));
        properties.extend(alias.map(|alias| (0x23, Value::U16(alias.into()))));
        let all = raw(&properties);
        prop_assert_eq!(see(version, &packet), Ok(Seen {
            dup: head.dup,
            retain,
            qos,
            pid: head.pid,
            topic: head.topic,
            properties: block(&all, Place::PublishIn),
            payload: &payload,
            ..bare(PacketType::Publish)
        }));
    }
}
