//! Properties: the first byte tells the place, the rest is the block. What parses is encoded the same again, as far
//! as there is room, and goes into no place that it must not.
#![no_main]
use libfuzzer_sys::fuzz_target;
use mqtt_codec::{Error, Place, Properties, PropertyWriter, Value};

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

/// Writes all properties.
fn write<'b>(properties: Properties, out: &'b mut [u8]) -> PropertyWriter<'b> {
    let mut writer = PropertyWriter::new(out);
    for (id, value) in properties {
        let result = match value {
            Value::Byte(value) | Value::U16(value) | Value::U32(value) | Value::Varint(value) => {
                writer.put_int(id, value)
            }
            Value::Str(bytes) | Value::Bin(bytes) => writer.put_bytes(id, bytes),
            Value::Pair(name, value) => {
                assert_eq!(id, 0x26);
                writer.put_pair(name, value);
                Ok(())
            }
        };
        assert_eq!(result, Ok(()));
    }
    writer
}

fuzz_target!(|data: &[u8]| {
    let Some((&place, block)) = data.split_first() else {
        return;
    };
    // no harm, whatever the block
    let unchecked = Properties::checked(block);
    assert!(unchecked.iter().count() <= block.len());
    let place = PLACES[usize::from(place) % PLACES.len()];
    let Ok(properties) = Properties::parse(block, place) else {
        return;
    };
    assert_eq!(properties, unchecked);
    for (id, _) in properties {
        assert!(properties.get(id).is_some());
    }
    let mut out = vec![0; block.len()];
    let writer = write(properties, &mut out);
    assert_eq!(writer.len(), block.len());
    assert_eq!(writer.finish(place), Ok(properties));
    for other in PLACES {
        let finished = write(properties, &mut out).finish(other);
        assert_eq!(finished, Properties::parse(block, other));
    }
    if let Some((_, short)) = out.split_last_mut() {
        let writer = write(properties, short);
        assert_eq!(writer.len(), block.len());
        assert_eq!(writer.finish(place), Err(Error::BufferTooSmall));
    }
});
