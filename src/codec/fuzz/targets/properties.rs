//! Properties: the first byte tells the place, the rest is the block. What parses is encoded the same again.
#![no_main]
use libfuzzer_sys::fuzz_target;
use mqtt_codec::{Error, Place, Properties, PropertyWriter};

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

fuzz_target!(|data: &[u8]| {
    let Some((&place, block)) = data.split_first() else {
        return;
    };
    let place = PLACES[usize::from(place) % PLACES.len()];
    let Ok(properties) = Properties::parse(block, place) else {
        return;
    };
    let mut out = vec![0; block.len()];
    let mut writer = PropertyWriter::new(&mut out, place);
    for (id, value) in properties {
        assert!(properties.get(id).is_some());
        writer.put(id, value).unwrap();
    }
    assert_eq!(writer.len(), block.len());
    assert_eq!(writer.finish(), Ok(properties));
    if let Some((_, short)) = out.split_last_mut() {
        let mut writer = PropertyWriter::new(short, place);
        for (id, value) in properties {
            writer.put(id, value).unwrap();
        }
        assert_eq!(writer.finish(), Err(Error::BufferTooSmall));
    }
});
