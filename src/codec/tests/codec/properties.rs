use crate::support::*;
use crate::tables::{METHOD, PLACES, SPECIFIED, may_repeat, needs_method};
use mqtt_codec::*;
use proptest::prelude::*;

#[test]
fn cut_short() {
    for (id, value, places) in SPECIFIED {
        let block = raw(&[(id, value)]);
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
    for (id, value, _) in SPECIFIED {
        let mut writer = PropertyWriter::new(&mut []);
        // the greatest number that has room
        let max = match value {
            Value::Byte(_) => Some(0xFF),
            Value::U16(_) => Some(0xFFFF),
            Value::U32(_) => Some(u32::MAX),
            Value::Varint(_) => Some(268_435_455),
            _ => None,
        };
        match max {
            Some(max) => {
                if max < u32::MAX {
                    for more in [max + 1, u32::MAX] {
                        assert_eq!(writer.put_int(id, more), Err(Error::PropertyValue));
                    }
                }
                assert_eq!(writer.len(), 0, "written in spite of errors");
                assert_eq!(writer.put_int(id, max), Ok(()));
                assert_eq!(writer.len(), raw(&[(id, value)]).len());
            }
            None => assert_eq!(writer.put_int(id, 0), Err(Error::PropertyType), "{id}"),
        }
        let mut writer = PropertyWriter::new(&mut []);
        if !matches!(value, Value::Str(_) | Value::Bin(_)) {
            let refused = writer.put_bytes(id, b"");
            assert_eq!(refused, Err(Error::PropertyType), "{id}");
            assert_eq!(writer.len(), 0, "written in spite of an error");
        }
    }
    assert_eq!(
        Properties::parse(&[11, 0x80, 0], Place::PublishIn),
        Err(Error::VarintOverlong)
    );
    assert_eq!(
        Properties::parse(&[11, 0x80, 0x80, 0x80, 0x80, 1], Place::PublishIn),
        Err(Error::VarintTooLong)
    );
    for value in [1, 127, 128, 16_383, 16_384, 2_097_151, 2_097_152] {
        let put = [(11, Value::Varint(value))];
        assert_eq!(write(Place::Subscribe, &put), Ok(raw(&put)), "{value}");
    }
}

#[test]
#[cfg_attr(miri, ignore = "takes long, and is of lengths only")]
fn longest_strings() {
    let long = [b'a'; 65536];
    let longest = &long[1..];
    for (id, value, places) in SPECIFIED {
        let like = match value {
            Value::Str(_) => |bytes| Value::Str(bytes),
            Value::Bin(_) => |bytes| Value::Bin(bytes),
            _ => continue,
        };
        let mut put = vec![(id, like(longest))];
        if needs_method(id, places[0]) {
            put.push(METHOD);
        }
        assert_eq!(write(places[0], &put), Ok(raw(&put)), "{id}");
        put[0] = (id, like(&long));
        assert_eq!(write(places[0], &put), Err(Error::StringTooLong), "{id}");
    }
    for (name, value) in [(longest, &b""[..]), (b"", longest), (longest, longest)] {
        let put = [(38, Value::Pair(name, value))];
        assert_eq!(write(Place::Ack, &put), Ok(raw(&put)));
    }
    for (name, value) in [(&long[..], &b""[..]), (b"", &long)] {
        let put = [(38, Value::Pair(name, value))];
        assert_eq!(write(Place::Ack, &put), Err(Error::StringTooLong));
    }
}

#[test]
fn numbers() {
    for (value, number) in [
        (Value::Byte(255), Some(255)),
        (Value::U16(65535), Some(65535)),
        (Value::U32(u32::MAX), Some(u32::MAX)),
        (Value::Varint(268_435_455), Some(268_435_455)),
        (Value::Byte(0), Some(0)),
        (Value::Str(b"1"), None),
        (Value::Bin(b"1"), None),
        (Value::Pair(b"1", b"1"), None),
    ] {
        assert_eq!(value.number(), number);
    }
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
            let mut writer = PropertyWriter::new(&mut []);
            assert_eq!(writer.put_int(id, 1), Err(Error::UnknownProperty));
            assert_eq!(writer.put_bytes(id, b""), Err(Error::UnknownProperty));
            assert_eq!(writer.len(), 0);
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
        let wanted = match repeats {
            true => Ok(raw(&twice)),
            false => Err(Error::DuplicateProperty),
        };
        assert_eq!(write(Place::Any, &twice), wanted, "{id}");
    }
}

#[test]
fn writer() {
    let mut block = [0xEE; 60];
    let mut writer = PropertyWriter::new(&mut block);
    assert_eq!(writer.len(), 0);
    // what is refused at once leaves no trace
    assert_eq!(writer.put_int(1, 256), Err(Error::PropertyValue));
    assert_eq!(writer.put_int(3, 1), Err(Error::PropertyType));
    assert_eq!(writer.put_bytes(1, b"1"), Err(Error::PropertyType));
    writer.put_int(1, 1).unwrap();
    writer.put_int(2, u32::MAX).unwrap();
    writer.put_int(35, 65535).unwrap();
    writer.put_pair(b"n", b"v");
    writer.put_int(11, 300).unwrap();
    writer.put_bytes(3, b"text").unwrap();
    writer.put_bytes(9, b"\xFF").unwrap();
    writer.put_pair(b"", b"");
    assert_eq!(writer.len(), 2 + 5 + 3 + 7 + 3 + 7 + 4 + 5);
    assert_eq!(
        properties(writer.finish(Place::PublishIn).unwrap()),
        [
            (1, Value::Byte(1)),
            (2, Value::U32(u32::MAX)),
            (35, Value::U16(65535)),
            (38, Value::Pair(b"n", b"v")),
            (11, Value::Varint(300)),
            (3, Value::Str(b"text")),
            (9, Value::Bin(b"\xFF")),
            (38, Value::Pair(b"", b"")),
        ]
    );
    assert_eq!(block[36..], [0xEE; 24]);

    let nothing = PropertyWriter::new(&mut []);
    assert_eq!(nothing.finish(Place::Ack), Ok(Properties::EMPTY));
    let nothing = PropertyWriter::new(&mut []);
    assert_eq!(nothing.finish(Place::Auth), Err(Error::NoAuthMethod));
}

#[test]
fn writer_without_room() {
    for (id, value, places) in SPECIFIED {
        let mut put = vec![(38, Value::Pair(b"a", b"b")), (id, value)];
        if needs_method(id, places[0]) {
            put.push(METHOD);
        }
        let whole = raw(&put);
        for room in 0..=whole.len() {
            let mut out = vec![0xEE; whole.len()];
            let mut writer = PropertyWriter::new(&mut out[..room]);
            for &(id, value) in &put {
                put_value(&mut writer, id, value).unwrap();
            }
            assert_eq!(writer.len(), whole.len());
            let finished = writer
                .finish(places[0])
                .map(|done| done.as_bytes().to_vec());
            if room < whole.len() {
                assert_eq!(finished, Err(Error::BufferTooSmall), "{id} {room}");
            } else {
                assert_eq!(finished.as_ref(), Ok(&whole), "{id}");
            }
            assert!(out[room..].iter().all(|&byte| byte == 0xEE));
        }
    }
}

proptest! {
    #![proptest_config(cases(2_000))]

    /// What is taken as checked without having been makes no panic; what follows the first defect is not seen.
    #[test]
    fn unchecked(block in bytes(40), whole in prop::sample::select(&SPECIFIED[..])) {
        let whole = raw(&[(whole.0, whole.1)]);
        let all = [&whole[..], &block].concat();
        let taken = Properties::checked(&all);
        prop_assert_eq!(taken.as_bytes(), &all[..]);
        prop_assert_eq!(taken.is_empty(), false);
        let seen = raw(&properties(taken));
        prop_assert!(all.starts_with(&seen));
        prop_assert!(seen.starts_with(&whole));
        prop_assert!(taken.get(whole[0]).is_some());
        prop_assert_eq!(taken.get(0), None);
        if let Ok(parsed) = Properties::parse(&all, Place::Any) {
            prop_assert_eq!(parsed, taken);
            prop_assert_eq!(seen, all.clone());
        }
    }

    #[test]
    fn round_trip(
        place in prop::sample::select(&PLACES[..]),
        chosen in prop::collection::vec((0usize..27, text(), bytes(20), any::<u32>()), 0..12),
    ) {
        let any: Vec<(u8, Value)> = chosen.iter().map(|(index, text, bytes, number)| {
            let (id, like, _) = SPECIFIED[*index];
            let value = match like {
                Value::Byte(_) => Value::Byte(*number & 3),
                Value::U16(_) => Value::U16((*number & 0xFFFF) >> (number >> 16 & 15)),
                Value::U32(_) => Value::U32(*number >> (number & 31)),
                Value::Varint(_) => Value::Varint(*number >> (number & 31).max(4)),
                Value::Str(_) => Value::Str(text.as_bytes()),
                Value::Bin(_) => Value::Bin(bytes),
                Value::Pair(..) => Value::Pair(text.as_bytes(), bytes),
            };
            (id, value)
        }).collect();
        // what is written is what is parsed, or the same is wrong with it
        let block = raw(&any);
        let parsed = Properties::parse(&block, place);
        let parsed = parsed.map(|parsed| parsed.as_bytes().to_vec());
        prop_assert_eq!(write(place, &any), parsed);

        // what is fine is accepted, and comes out as it went in
        let mut fine: Vec<(u8, Value)> = vec![];
        for (id, value) in any {
            let (_, _, places) = SPECIFIED.iter().find(|row| row.0 == id).unwrap();
            let again = fine.iter().any(|&(other, _)| other == id) && !may_repeat(id, place);
            let in_range = match value {
                Value::Byte(value) => value < 2,
                Value::U16(value) => value != 0 || ![33, 35].contains(&id),
                Value::U32(value) => value != 0 || id != 39,
                Value::Varint(value) => value != 0,
                Value::Str(text) => id != 8 || !text.is_empty() && !text.iter().any(|byte| b"+#".contains(byte)),
                Value::Bin(_) => true,
                Value::Pair(_, value) => {
                    std::str::from_utf8(value).is_ok() && !value.contains(&0)
                }
            };
            if places.contains(&place) && !again && in_range {
                fine.push((id, value));
            }
        }
        let has = |wanted| fine.iter().any(|&(id, _)| id == wanted);
        if !has(21) && (place == Place::Auth || has(22)) {
            fine.push(METHOD);
        }
        let block = write(place, &fine).unwrap();
        let parsed = Properties::parse(&block, place).unwrap();
        prop_assert_eq!(properties(parsed), fine.clone());
        for (id, _) in fine.iter().copied() {
            let first = fine.iter().find(|&&(other, _)| other == id).map(|&(_, value)| value);
            prop_assert_eq!(parsed.get(id), first);
        }
        prop_assert_eq!(parsed.get(0), None);
    }
}
