//! What the specification has in tables, in full: each property and each reason code in each packet, both ways.
use crate::support::*;
use mqtt_codec::*;

pub const PLACES: [Place; 11] = [
    Place::Connect,
    Place::Will,
    Place::Connack,
    Place::PublishOut,
    Place::PublishIn,
    Place::Ack,
    Place::Subscribe,
    Place::Unsubscribe,
    Place::DisconnectOut,
    Place::DisconnectIn,
    Place::Auth,
];

/// Table 2-4 of the specification once more, in its order and its terms: identifier, a value, where it goes.
#[rustfmt::skip]
pub const SPECIFIED: [(u8, Value<'static>, &[Place]); 27] = {
    use Place::*;
    const ANY: &[Place] = &PLACES;
    const PUBLISH: &[Place] = &[PublishOut, PublishIn, Will];
    const SESSION: &[Place] = &[Connect, Connack];
    const STRING: Value = Value::Str(b"s");
    [
        (1, Value::Byte(1), PUBLISH),
        (2, Value::U32(0), PUBLISH),
        (3, STRING, PUBLISH),
        (8, STRING, PUBLISH),
        (9, Value::Bin(b"\0\xFF"), PUBLISH),
        (11, Value::Varint(268_435_455), &[PublishIn, Subscribe]),
        (17, Value::U32(u32::MAX), &[Connect, Connack, DisconnectOut]),
        (18, STRING, &[Connack]),
        (19, Value::U16(0), &[Connack]),
        (21, STRING, &[Connect, Connack, Auth]),
        (22, Value::Bin(b""), &[Connect, Connack, Auth]),
        (23, Value::Byte(0), &[Connect]),
        (24, Value::U32(1), &[Will]),
        (25, Value::Byte(1), &[Connect]),
        (26, STRING, &[Connack]),
        (28, STRING, &[Connack, DisconnectIn]),
        (31, STRING, &[Connack, Ack, DisconnectOut, DisconnectIn, Auth]),
        (33, Value::U16(1), SESSION),
        (34, Value::U16(0), SESSION),
        (35, Value::U16(65535), &[PublishOut, PublishIn]),
        (36, Value::Byte(0), &[Connack]),
        (37, Value::Byte(0), &[Connack]),
        (38, Value::Pair(b"name", b"value"), ANY),
        (39, Value::U32(1), SESSION),
        (40, Value::Byte(1), &[Connack]),
        (41, Value::Byte(1), &[Connack]),
        (42, Value::Byte(1), &[Connack]),
    ]
};

pub const METHOD: (u8, Value<'static>) = (21, Value::Str(b"m"));

/// Whether an authentication method must stand beside the property there.
pub fn needs_method(id: u8, place: Place) -> bool {
    id == 22 || place == Place::Auth && id != 21
}

pub fn may_repeat(id: u8, place: Place) -> bool {
    id == 38 || (id, place) == (11, Place::PublishIn)
}

/// Values the property does not take, though they are of its type.
pub fn bad_values(id: u8, like: Value) -> Vec<(Value<'static>, Error)> {
    use Error::*;
    let mut bad = match like {
        Value::Byte(_) => vec![
            (Value::Byte(2), PropertyValue),
            (Value::Byte(255), PropertyValue),
        ],
        Value::U16(_) if id == 33 => vec![(Value::U16(0), PropertyValue)],
        Value::U16(_) if id == 35 => vec![(Value::U16(0), TopicAlias)],
        Value::U32(_) if id == 39 => vec![(Value::U32(0), PropertyValue)],
        Value::Varint(_) => vec![(Value::Varint(0), PropertyValue)],
        Value::Str(_) => vec![
            (Value::Str(b"\xC0\x80"), BadUtf8),
            (Value::Str(b"a\0"), NulInString),
        ],
        Value::Pair(..) => vec![
            (Value::Pair(b"\xFF", b""), BadUtf8),
            (Value::Pair(b"", b"\xFF"), BadUtf8),
            (Value::Pair(b"\0", b""), NulInString),
            (Value::Pair(b"", b"\0"), NulInString),
        ],
        Value::U16(_) | Value::U32(_) | Value::Bin(_) => vec![],
    };
    if id == 8 {
        bad.push((Value::Str(b"a/+"), WildcardInTopic));
        bad.push((Value::Str(b"#"), WildcardInTopic));
    }
    bad
}

/// Properties, and whether they are right.
type Attempt = (Vec<(u8, Value<'static>)>, Result<(), Error>);

/// Each property in a place: once and twice, with bad values, with and without a method if it needs one.
fn attempts(place: Place) -> Vec<Attempt> {
    let mut attempts = vec![];
    for (id, value, places) in SPECIFIED {
        let here = |result| match places.contains(&place) {
            true => result,
            false => Err(Error::PropertyNotHere),
        };
        let mut attempt = |mut put: Vec<_>, result: Result<(), Error>| {
            if needs_method(id, place) {
                attempts.push((put.clone(), here(result.and(Err(Error::NoAuthMethod)))));
                put.push(METHOD);
            }
            attempts.push((put, here(result)));
        };
        attempt(vec![(id, value)], Ok(()));
        let twice = match may_repeat(id, place) {
            true => Ok(()),
            false => Err(Error::DuplicateProperty),
        };
        attempt(vec![(id, value), (id, value)], twice);
        for (bad, error) in bad_values(id, value) {
            attempt(vec![(id, bad)], Err(error));
        }
    }
    attempts
}

#[test]
fn each_property_in_each_place() {
    for place in PLACES {
        for (put, wanted) in attempts(place) {
            let block = raw(&put);
            let parsed = Properties::parse(&block, place);
            assert_eq!(parsed.map(|_| ()), wanted, "{place:?} {put:?}");
            let written = write(place, &put);
            assert_eq!(written, wanted.map(|()| block.clone()), "{place:?} {put:?}");
            if let Ok(parsed) = parsed {
                assert_eq!(properties(parsed), put);
                assert_eq!(parsed.as_bytes(), block);
            }
        }
    }
}

/// A packet of MQTT 5 that has properties: name, where they belong, first byte, what stands before their length and
/// behind them.
type Carrier = (&'static str, Place, u8, &'static [u8], &'static [u8]);

#[rustfmt::skip]
const RECEIVED: [Carrier; 10] = [
    ("CONNACK", Place::Connack, 0x20, &[0, 0], b""),
    ("PUBLISH", Place::PublishIn, 0x32, b"\0\x01t\0\x0A", b"payload"),
    ("PUBACK", Place::Ack, 0x40, &[0, 10, 0x10], b""),
    ("PUBREC", Place::Ack, 0x50, &[0, 10, 0x80], b""),
    ("PUBREL", Place::Ack, 0x62, &[0, 10, 0x92], b""),
    ("PUBCOMP", Place::Ack, 0x70, &[0, 10, 0], b""),
    ("SUBACK", Place::Ack, 0x90, &[0, 10], &[2, 0x80]),
    ("UNSUBACK", Place::Ack, 0xB0, &[0, 10], &[0x11, 0]),
    ("DISCONNECT", Place::DisconnectIn, 0xE0, &[0x8E], b""),
    ("AUTH", Place::Auth, 0xF0, &[0x18], b""),
];

#[rustfmt::skip]
const SENT: [Carrier; 8] = [
    ("CONNECT", Place::Connect, 0x10, b"\0\x04MQTT\x05\x02\0\x3C", b"\0\x02id"),
    ("will", Place::Will, 0x10, b"\0\x04MQTT\x05\x06\0\x3C\0\0\x02id", b"\0\x01t\0\x04gone"),
    ("PUBLISH", Place::PublishOut, 0x32, b"\0\x01t\0\x0A", b""),
    ("SUBSCRIBE", Place::Subscribe, 0x82, b"\0\x0A", b"\0\x01t\x01\0\x01#\x02"),
    ("UNSUBSCRIBE", Place::Unsubscribe, 0xA2, b"\0\x0A", b"\0\x01t\0\x01#"),
    ("DISCONNECT", Place::DisconnectOut, 0xE0, &[0], b""),
    ("DISCONNECT with will", Place::DisconnectOut, 0xE0, &[4], b""),
    ("AUTH", Place::Auth, 0xF0, &[0x18], b""),
];

fn packet(&(_, _, first, before, behind): &Carrier, block: &[u8]) -> Vec<u8> {
    frame(
        first,
        &[before, &varint(block.len() as u32), block, behind].concat(),
    )
}

/// Encodes the packet of the table.
fn send(
    version: Version,
    &(_, place, _, before, _): &Carrier,
    properties: Properties,
) -> Result<Vec<u8>, Error> {
    let pid = pid(10);
    let subscribe = |unsubscribe| {
        let filters: [(&[u8], u8); 2] = [(b"t", 1), (b"#", 2)];
        encode(&Subscribe {
            unsubscribe,
            version,
            pid,
            properties,
            filters: |i| filters.get(i).copied(),
        })
    };
    let connect = |will: Option<Will>, properties| {
        encode(&Connect {
            version,
            clean: true,
            keep_alive: 60,
            client_id: b"id",
            user: None,
            password: None,
            will,
            properties,
        })
    };
    let will = Will {
        topic: b"t",
        payload: b"gone",
        qos: QoS::AtMostOnce,
        retain: false,
        properties,
    };
    match place {
        Place::Connect => connect(None, properties),
        Place::Will => connect(Some(will), Properties::EMPTY),
        Place::PublishOut => encode(&PublishHead {
            version,
            dup: false,
            retain: false,
            qos: QoS::AtLeastOnce,
            pid: Some(pid),
            topic: b"t",
            alias: None,
            properties,
            payload_len: 0,
        }),
        Place::Subscribe => subscribe(false),
        Place::Unsubscribe => subscribe(true),
        Place::DisconnectOut => {
            let reason = before[0];
            encode(&(version, Disconnect { reason, properties }))
        }
        Place::Auth => {
            let reason = before[0];
            encode(&Auth { reason, properties })
        }
        _ => panic!("{place:?} is not sent"),
    }
}

#[test]
fn each_property_in_each_packet_received() {
    for carrier in &RECEIVED {
        let &(name, place, ..) = carrier;
        for (put, wanted) in attempts(place) {
            let packet = packet(carrier, &raw(&put));
            match parse(V5, &packet) {
                Ok(parsed) => {
                    assert_eq!(wanted, Ok(()), "{name} {put:?}");
                    assert_eq!(properties(parsed.properties), put, "{name}");
                }
                Err(error) => assert_eq!(Err(error), wanted, "{name} {put:?}"),
            }
        }
    }
}

#[test]
fn each_property_in_each_packet_sent() {
    for carrier in &SENT {
        let &(name, place, ..) = carrier;
        for (put, wanted) in attempts(place) {
            let mut block = vec![0; 100];
            let mut writer = PropertyWriter::new(&mut block);
            for (id, value) in &put {
                // a flag too great for a byte is refused earlier
                put_value(&mut writer, *id, *value).unwrap();
            }
            let finished = writer.finish(place);
            assert_eq!(finished.map(|_| ()), wanted, "{name} {put:?}");
            let Ok(finished) = finished else { continue };
            assert_eq!(
                send(V5, carrier, finished).unwrap(),
                packet(carrier, &raw(&put)),
                "{name} {put:?}"
            );
            if place != Place::Auth {
                assert_eq!(send(V3, carrier, finished), Err(Error::NotInV3), "{name}");
            }
        }
    }
}

/// The property length is itself of one byte to 127, two to 16383, then three.
#[test]
fn property_lengths() {
    let lengths = [0, 126, 127, 128, 129, 16_383, 16_384];
    for len in lengths.into_iter().filter(affordable) {
        for carrier in RECEIVED.iter().chain(&SENT) {
            let &(name, place, ..) = carrier;
            let method = raw(&[METHOD]);
            let mut block = match place {
                Place::Auth if len > 0 => method,
                _ => vec![],
            };
            let text = vec![b'a'; len.saturating_sub(block.len() + 6)];
            if len > 0 {
                block.extend(raw(&[(38, Value::Pair(b"n", &text))]));
            }
            assert_eq!(block.len(), len);
            let packet = packet(carrier, &block);
            let parsed = Properties::parse(&block, place);
            if place == Place::Auth && len == 0 {
                assert_eq!(parsed, Err(Error::NoAuthMethod));
                assert_eq!(parse(V5, &packet), Err(Error::NoAuthMethod));
                continue;
            }
            if RECEIVED.contains(carrier) {
                let received = parse(V5, &packet).unwrap();
                assert_eq!(received.properties, parsed.unwrap(), "{name} {len}");
            } else {
                let sent = send(V5, carrier, parsed.unwrap()).unwrap();
                // a DISCONNECT may leave out what says nothing
                match (place, len) {
                    (Place::DisconnectOut, 0) if carrier.3 == [0] => assert_eq!(sent, [0xE0, 0]),
                    (Place::DisconnectOut, 0) => assert_eq!(sent, [0xE0, 1, 4]),
                    _ => assert_eq!(sent, packet, "{name} {len}"),
                }
            }
        }
    }
}

/// A block that has more or less than its length says.
#[test]
fn property_length_and_block_differ() {
    for carrier in &RECEIVED {
        let &(name, place, first, before, behind) = carrier;
        let block = raw(&[METHOD, (38, Value::Pair(b"name", b"value"))]);
        let block = match place {
            Place::Auth => &block[..],
            _ => &block[4..],
        };
        for len in 0..block.len() {
            let body = [before, &[len as u8], block, behind].concat();
            // what follows is payload there, or a list of codes
            if place != Place::PublishIn || len != 0 {
                assert!(parse(V5, &frame(first, &body)).is_err(), "{name} {len}");
            }
        }
        let len = block.len() + behind.len() + 1;
        let packet = frame(first, &[before, &[len as u8], block, behind].concat());
        assert_eq!(parse(V5, &packet), Err(Error::Truncated), "{name}");
    }
}

/// The codes the specification gives for each packet, in the packet's own section.
mod codes {
    #[rustfmt::skip]
    pub const CONNACK: &[u8] = &[
        0x00, 0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8A, 0x8C, 0x90, 0x95,
        0x97, 0x99, 0x9A, 0x9B, 0x9C, 0x9D, 0x9F,
    ];
    pub const PUBACK: &[u8] = &[0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99];
    pub const PUBREL: &[u8] = &[0x00, 0x92];
    #[rustfmt::skip]
    pub const SUBACK: &[u8] = &[
        0x00, 0x01, 0x02, 0x80, 0x83, 0x87, 0x8F, 0x91, 0x97, 0x9E, 0xA1, 0xA2,
    ];
    pub const UNSUBACK: &[u8] = &[0x00, 0x11, 0x80, 0x83, 0x87, 0x8F, 0x91];
    // 0x8C is in the table of 2.4 only
    #[rustfmt::skip]
    pub const FROM_SERVER: &[u8] = &[
        0x00, 0x80, 0x81, 0x82, 0x83, 0x87, 0x89, 0x8B, 0x8C, 0x8D, 0x8E, 0x8F, 0x90, 0x93, 0x94,
        0x95, 0x96, 0x97, 0x98, 0x99, 0x9A, 0x9B, 0x9C, 0x9D, 0x9E, 0x9F, 0xA0, 0xA1, 0xA2,
    ];
    #[rustfmt::skip]
    pub const FROM_CLIENT: &[u8] = &[
        0x00, 0x04, 0x80, 0x81, 0x82, 0x83, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99,
    ];
    pub const AUTH_FROM_SERVER: &[u8] = &[0x00, 0x18];
    pub const AUTH_FROM_CLIENT: &[u8] = &[0x18, 0x19];
    pub const CONNACK_3: &[u8] = &[0, 1, 2, 3, 4, 5];
    pub const SUBACK_3: &[u8] = &[0, 1, 2, 0x80];
}

#[track_caller]
fn allowed(name: &str, code: u8, codes: &[u8], result: Result<(), Error>) {
    let wanted = match codes.contains(&code) {
        true => Ok(()),
        false => Err(Error::BadReason),
    };
    assert_eq!(result, wanted, "{name} {code:#x}");
}

#[test]
fn each_reason_in_each_packet_received() {
    use codes::*;
    const USER: &[u8] = b"\x09\x26\0\x02na\0\x02va";
    const METHOD: &[u8] = b"\x04\x15\0\x01m";
    // name, codes, first byte, what precedes the code, what may follow it
    #[rustfmt::skip]
    type Form = (&'static str, Version, &'static [u8], u8, &'static [u8], &'static [&'static [u8]]);
    #[rustfmt::skip]
    let forms: [Form; 8] = [
        ("CONNACK", V5, CONNACK, 0x20, &[0], &[&[0], USER]),
        ("PUBACK", V5, PUBACK, 0x40, &[0, 1], &[&[], &[0], USER]),
        ("PUBREC", V5, PUBACK, 0x50, &[0, 1], &[&[], &[0], USER]),
        ("PUBREL", V5, PUBREL, 0x62, &[0, 1], &[&[], &[0], USER]),
        ("PUBCOMP", V5, PUBREL, 0x70, &[0, 1], &[&[], &[0], USER]),
        ("DISCONNECT", V5, FROM_SERVER, 0xE0, &[], &[&[], &[0], USER]),
        ("AUTH", V5, AUTH_FROM_SERVER, 0xF0, &[], &[METHOD]),
        ("CONNACK 3.1.1", V3, CONNACK_3, 0x20, &[0], &[&[]]),
    ];
    for code in octets() {
        for (name, version, codes, first, before, behind) in forms {
            for behind in behind {
                let packet = frame(first, &[before, &[code], *behind].concat());
                let parsed = parse(version, &packet);
                allowed(name, code, codes, parsed.map(|_| ()));
                if let Ok(parsed) = parsed {
                    assert_eq!(parsed.reason, code, "{name}");
                    assert_eq!(
                        parsed.properties.as_bytes(),
                        behind.get(1..).unwrap_or(b""),
                        "{name}"
                    );
                }
            }
        }
        // one for each filter, and every one is looked at
        for (name, version, codes, before) in [
            ("SUBACK", V5, SUBACK, &[0x90, 0, 1, 0][..]),
            ("UNSUBACK", V5, UNSUBACK, &[0xB0, 0, 1, 0]),
            ("SUBACK 3.1.1", V3, SUBACK_3, &[0x90, 0, 1]),
        ] {
            for list in [&[code][..], &[code, 0, 0], &[0, code, 0x80], &[0, 0, code]] {
                let packet = frame(before[0], &[&before[1..], list].concat());
                let parsed = parse(version, &packet);
                allowed(name, code, codes, parsed.map(|_| ()));
                if let Ok(parsed) = parsed {
                    assert_eq!((parsed.pid, parsed.payload), (Some(pid(1)), list), "{name}");
                }
            }
        }
    }
}

#[test]
fn each_reason_in_each_packet_sent() {
    use codes::*;
    let user = Properties::parse(b"\x26\0\x02na\0\x02va", Place::DisconnectOut).unwrap();
    let method = Properties::parse(b"\x15\0\x01m", Place::Auth).unwrap();
    for reason in octets() {
        let disconnect = Disconnect {
            reason,
            ..Disconnect::NORMAL
        };
        let told = Disconnect {
            reason,
            properties: user,
        };
        for (version, packet, wanted) in [
            (V3, disconnect, &[0xE0, 0][..]),
            (V5, disconnect, &[0xE0, 1, reason]),
            (V5, told, b"\xE0\x0B?\x09\x26\0\x02na\0\x02va"),
        ] {
            let mut wanted = wanted.to_vec();
            match wanted.get_mut(2) {
                Some(_) if reason == 0 && packet == disconnect => wanted = vec![0xE0, 0],
                Some(place) => *place = reason,
                None => {}
            }
            let sent = encode(&(version, packet));
            allowed("DISCONNECT", reason, FROM_CLIENT, sent.clone().map(|_| ()));
            if let Ok(sent) = sent {
                assert_eq!(sent, wanted);
            }
        }
        let refused = match FROM_CLIENT.contains(&reason) {
            true => Error::NotInV3,
            false => Error::BadReason,
        };
        assert_eq!(encode(&(V3, told)), Err(refused));

        let sent = encode(&Auth {
            reason,
            properties: method,
        });
        allowed("AUTH", reason, AUTH_FROM_CLIENT, sent.clone().map(|_| ()));
        if let Ok(sent) = sent {
            assert_eq!(sent, [0xF0, 6, reason, 4, 0x15, 0, 1, b'm']);
        }

        use AckKind::*;
        for (kind, packet_type, first, codes) in [
            (Puback, PacketType::Puback, 0x40, PUBACK),
            (Pubrec, PacketType::Pubrec, 0x50, PUBACK),
            (Pubrel, PacketType::Pubrel, 0x62, PUBREL),
            (Pubcomp, PacketType::Pubcomp, 0x70, PUBREL),
        ] {
            let (mut out, pid) = ([0xEE; 5], pid(0x102));
            assert_eq!(ack(V3, kind, pid, reason, &mut out), [first, 2, 1, 2]);
            let sent = ack(V5, kind, pid, reason, &mut out);
            match reason {
                0 => assert_eq!(sent, [first, 2, 1, 2]),
                _ => assert_eq!(sent, [first, 3, 1, 2, reason]),
            }
            // what may be sent a client understands
            let parsed = see(V5, sent);
            allowed("acknowledgement", reason, codes, parsed.map(|_| ()));
            if let Ok(parsed) = parsed {
                let wanted = Seen {
                    reason,
                    pid: Some(pid),
                    ..bare(packet_type)
                };
                assert_eq!(parsed, wanted);
            }
        }
    }
}

/// Each first byte of a fixed header, before there is anything of the packet.
#[test]
fn each_first_byte() {
    for first in 0..=255u8 {
        for version in [V3, V5] {
            let (flags, fine) = (first & 15, Err(Error::Truncated));
            let exact = |demanded| match flags == demanded {
                true => fine,
                false => Err(Error::ReservedFlags),
            };
            let wanted = match (first >> 4, version) {
                (0, _) | (15, V3) => Err(Error::UnknownType),
                (1 | 8 | 10 | 12, _) | (14, V3) => Err(Error::ServerOnly),
                (3, _) => match (flags & 8, flags >> 1 & 3) {
                    (_, 3) => Err(Error::BadQos),
                    (8, 0) => Err(Error::DupQos0),
                    _ => fine,
                },
                (6, _) => exact(2),
                // these may be empty
                (13..=15, _) => exact(0).or_else(|error| match error {
                    Error::Truncated => Ok(()),
                    error => Err(error),
                }),
                _ => exact(0),
            };
            let parsed = parse(version, &[first, 0]).map(|_| ());
            assert_eq!(parsed, wanted, "{first:#x} {version:?}");
        }
    }
}
