use crate::support::*;
use mqtt_codec::*;
use proptest::prelude::*;

const PLACES: [Place; 11] = [
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
const SPECIFIED: [(u8, Value<'static>, &[Place]); 27] = {
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

/// Encodes in two passes.
fn write(place: Place, properties: &[(u8, Value)]) -> Result<Vec<u8>, Error> {
    let mut measure = PropertyWriter::new(&mut [], place);
    for &(id, value) in properties {
        measure.put(id, value)?;
    }
    let mut block = vec![0xEE; measure.len()];
    let mut writer = PropertyWriter::new(&mut block, place);
    for &(id, value) in properties {
        writer.put(id, value)?;
    }
    Ok(writer.finish()?.as_bytes().to_vec())
}

/// Encodes without any check.
fn raw(id: u8, value: Value) -> Vec<u8> {
    let string = |bytes: &[u8]| [&(bytes.len() as u16).to_be_bytes(), bytes].concat();
    let value = match value {
        Value::Byte(value) => vec![value],
        Value::U16(value) => value.to_be_bytes().to_vec(),
        Value::U32(value) => value.to_be_bytes().to_vec(),
        Value::Varint(268_435_455) => vec![0xFF, 0xFF, 0xFF, 0x7F],
        Value::Varint(value) => vec![u8::try_from(value).unwrap()],
        Value::Str(bytes) | Value::Bin(bytes) => string(bytes),
        Value::Pair(name, value) => [string(name), string(value)].concat(),
    };
    [vec![id], value].concat()
}

#[test]
fn each_in_each_place() {
    for (id, value, places) in SPECIFIED {
        for place in PLACES {
            let mut block = raw(id, value);
            let mut put = vec![(id, value)];
            let needs_method = id == 22 || place == Place::Auth && id != 21;
            if needs_method && [Place::Connect, Place::Connack, Place::Auth].contains(&place) {
                assert_eq!(
                    Properties::parse(&block, place),
                    Err(if places.contains(&place) {
                        Error::NoAuthMethod
                    } else {
                        Error::PropertyNotHere
                    })
                );
                block.extend(raw(21, Value::Str(b"m")));
                put.push((21, Value::Str(b"m")));
            }
            let parsed = Properties::parse(&block, place);
            let written = write(place, &put);
            if places.contains(&place) {
                assert_eq!(properties(parsed.unwrap()), put, "{id} {place:?}");
                assert_eq!(written.unwrap(), block);
            } else {
                assert_eq!(parsed, Err(Error::PropertyNotHere), "{id} {place:?}");
                assert_eq!(written, Err(Error::PropertyNotHere));
            }
        }
    }
}

#[test]
fn given_twice() {
    for (id, value, places) in SPECIFIED {
        for &place in places {
            let mut put = vec![(id, value), (id, value)];
            if place == Place::Auth || id == 22 {
                put.insert(1, (21, Value::Str(b"m")));
            }
            let block: Vec<u8> = put.iter().flat_map(|&(id, value)| raw(id, value)).collect();
            let parsed = Properties::parse(&block, place);
            if id == 38 || (id, place) == (11, Place::PublishIn) {
                assert_eq!(properties(parsed.unwrap()), put);
                assert_eq!(write(place, &put), Ok(block));
            } else {
                assert_eq!(parsed, Err(Error::DuplicateProperty), "{id} {place:?}");
                assert_eq!(write(place, &put), Err(Error::DuplicateProperty));
            }
        }
    }
}

#[test]
fn cut_short() {
    for (id, value, places) in SPECIFIED {
        let block = raw(id, value);
        for len in 1..block.len() {
            let error = Properties::parse(&block[..len], places[0]).unwrap_err();
            assert!(
                matches!(error, Error::Truncated | Error::StringBeyondPacket),
                "{id} {len} {error:?}"
            );
        }
    }
}

#[test]
fn values() {
    let both = |place, id, value, error| {
        let block = raw(id, value);
        assert_eq!(
            Properties::parse(&block, place),
            Err(error),
            "{id} {value:?}"
        );
        assert_eq!(write(place, &[(id, value)]), Err(error), "{id} {value:?}");
    };
    for (id, value, places) in SPECIFIED {
        if let Value::Byte(_) = value {
            both(places[0], id, Value::Byte(2), Error::PropertyValue);
        }
        if let Value::Str(_) = value {
            both(places[0], id, Value::Str(b"\xC0\x80"), Error::BadUtf8);
            both(places[0], id, Value::Str(b"\0"), Error::NulInString);
        }
        // a value of another type than the property has
        for (_, other, _) in SPECIFIED {
            if std::mem::discriminant(&other) != std::mem::discriminant(&value) {
                assert_eq!(write(places[0], &[(id, other)]), Err(Error::PropertyType));
            }
        }
    }
    both(Place::Connack, 33, Value::U16(0), Error::PropertyValue);
    both(Place::PublishIn, 35, Value::U16(0), Error::PropertyValue);
    both(Place::Connect, 39, Value::U32(0), Error::PropertyValue);
    both(Place::PublishIn, 11, Value::Varint(0), Error::PropertyValue);
    both(
        Place::PublishIn,
        8,
        Value::Str(b"a/+"),
        Error::WildcardInTopic,
    );
    both(Place::Ack, 38, Value::Pair(b"\0", b""), Error::NulInString);
    both(Place::Ack, 38, Value::Pair(b"", b"\xFF"), Error::BadUtf8);
    assert_eq!(
        write(Place::Subscribe, &[(11, Value::Varint(268_435_456))]),
        Err(Error::PropertyValue)
    );
    let long = [b'a'; 65536];
    for value in [Value::Pair(b"", &long), Value::Pair(&long, b"")] {
        assert_eq!(write(Place::Ack, &[(38, value)]), Err(Error::StringTooLong));
    }
    assert_eq!(
        Properties::parse(&[11, 0x80, 0], Place::PublishIn),
        Err(Error::VarintOverlong)
    );
}

#[test]
fn unknown() {
    for id in 0..=255 {
        let known = SPECIFIED.iter().any(|&(specified, ..)| specified == id);
        assert_eq!(kind(id).is_some(), known);
        if !known {
            let mut block = [id, 0x01, 0, 0, 0];
            if id >= 0x80 {
                // an identifier is a variable byte integer too
                block[1] = 0x01;
            }
            assert_eq!(
                Properties::parse(&block, Place::Connack),
                Err(Error::UnknownProperty),
                "{id}"
            );
            let mut writer = PropertyWriter::new(&mut [], Place::Connack);
            assert_eq!(writer.put(id, Value::Byte(1)), Err(Error::UnknownProperty));
            assert_eq!(writer.put_int(id, 1), Err(Error::UnknownProperty));
            assert_eq!(writer.put_bytes(id, b""), Err(Error::UnknownProperty));
        }
    }
}

#[test]
fn any_place() {
    let all: Vec<_> = SPECIFIED
        .iter()
        .map(|&(id, value, _)| (id, value))
        .collect();
    let block = write(Place::Any, &all).unwrap();
    let parsed = Properties::parse(&block, Place::Any).unwrap();
    assert_eq!(properties(parsed), all);
    for (id, value, _) in SPECIFIED {
        let mut twice = all.clone();
        twice.push((id, value));
        let repeats = id == 11 || id == 38;
        assert_eq!(write(Place::Any, &twice).is_ok(), repeats, "{id}");
    }
}

#[test]
fn framed() {
    assert_eq!(Properties::EMPTY.frame(&mut []), 1);
    let mut out = [0xEE; 200];
    assert_eq!(Properties::EMPTY.frame(&mut out), 1);
    assert_eq!(out[..2], [0, 0xEE]);
    let text = [b'a'; 130];
    let block = write(Place::Ack, &[(31, Value::Str(&text))]).unwrap();
    let reason = Properties::parse(&block, Place::Ack).unwrap();
    assert_eq!(reason.frame(&mut []), 135);
    assert_eq!(reason.frame(&mut out), 135);
    assert_eq!(out[..2], [0x85, 1]);
    assert_eq!(out[2..135], block);
    assert_eq!(out[135], 0xEE);
}

#[test]
fn by_the_kind_of_argument() {
    let mut block = [0xEE; 40];
    let mut writer = PropertyWriter::new(&mut block, Place::PublishIn);
    assert_eq!(writer.put_int(1, 256), Err(Error::PropertyValue));
    assert_eq!(writer.put_int(1, 2), Err(Error::PropertyValue));
    assert_eq!(writer.put_int(35, 65536), Err(Error::PropertyValue));
    assert_eq!(writer.put_int(3, 1), Err(Error::PropertyType));
    assert_eq!(writer.put_bytes(1, b"1"), Err(Error::PropertyType));
    assert_eq!(writer.put_bytes(38, b"1"), Err(Error::PropertyType));
    assert_eq!(writer.put_bytes(3, b"\xFF"), Err(Error::BadUtf8));
    assert_eq!(writer.len(), 0, "written in spite of errors");
    writer.put_int(1, 1).unwrap();
    writer.put_int(2, u32::MAX).unwrap();
    writer.put_int(35, 65535).unwrap();
    writer.put_int(11, 300).unwrap();
    writer.put_bytes(3, b"text").unwrap();
    writer.put_bytes(9, b"\xFF").unwrap();
    assert_eq!(
        properties(writer.finish().unwrap()),
        [
            (1, Value::Byte(1)),
            (2, Value::U32(u32::MAX)),
            (35, Value::U16(65535)),
            (11, Value::Varint(300)),
            (3, Value::Str(b"text")),
            (9, Value::Bin(b"\xFF")),
        ]
    );

    let mut writer = PropertyWriter::new(&mut block[..2], Place::PublishIn);
    writer.put_int(35, 1).unwrap();
    assert_eq!(writer.len(), 3);
    assert_eq!(writer.finish(), Err(Error::BufferTooSmall));
}

proptest! {
    #![proptest_config(cases(2_000))]

    #[test]
    fn round_trip(
        place in prop::sample::select(&PLACES[..]),
        chosen in prop::collection::vec((0usize..27, text(), bytes(20), any::<u32>()), 0..12),
    ) {
        let wanted: Vec<(u8, Value)> = chosen.iter().map(|(index, text, bytes, number)| {
            let (id, like, _) = SPECIFIED[*index];
            let value = match like {
                Value::Byte(_) => Value::Byte(*number as u8 & 1),
                Value::U16(_) => Value::U16(*number as u16),
                Value::U32(_) => Value::U32(*number),
                Value::Varint(_) => Value::Varint(*number >> (number % 31).max(4)),
                Value::Str(_) => Value::Str(text.as_bytes()),
                Value::Bin(_) => Value::Bin(bytes),
                Value::Pair(..) => Value::Pair(text.as_bytes(), text.as_bytes()),
            };
            (id, value)
        }).collect();
        let mut block = [0; 2048];
        let mut writer = PropertyWriter::new(&mut block, place);
        // those accepted come out as they went in
        let mut accepted: Vec<_> = wanted
            .into_iter()
            .filter(|&(id, value)| writer.put(id, value).is_ok())
            .collect();
        let finished = match writer.finish() {
            Err(Error::NoAuthMethod) => {
                accepted.clear();
                Properties::EMPTY
            }
            finished => {
                let finished = finished.unwrap();
                prop_assert_eq!(Properties::parse(finished.as_bytes(), place), Ok(finished));
                finished
            }
        };
        prop_assert_eq!(properties(finished), accepted);
    }
}
