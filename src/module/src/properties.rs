//! Properties of MQTT 5 (2.2.2): a dict by identifier to bytes and back.
//!
//! Integers, flags included, are `int`; text is `str`, binary data `bytes`.
//! User properties (0x26) are a dict, or a list of pairs where a name repeats;
//! subscription identifiers (0x0B) an int, or a list of them.
use crate::arguments::{refuse, sound};
use core::mem::replace;
use micropython::{Exception, GcBytes, Obj, buffer, bytes_of};
use mqtt_codec::{Error, Place, Properties, PropertyWriter, Value};

const USER_PROPERTY: u8 = 0x26;

/// Properties of a packet to be sent, encoded on the Python heap.
pub struct Encoded(GcBytes);

impl Encoded {
    pub const NONE: Encoded = Encoded(GcBytes::EMPTY);

    /// From a dict or `None`.
    ///
    /// # Raises
    /// `TypeError`
    pub fn new(obj: Obj, place: Place) -> Self {
        if obj.is_none() {
            return Self::NONE;
        }
        if !obj.is_dict() {
            Exception::Type(c"properties must be a dict or None").raise()
        }
        let mut measure = PropertyWriter::new(&mut []);
        put_all(&mut measure, obj);
        let mut bytes = GcBytes::new(measure.len());
        let mut writer = PropertyWriter::new(&mut bytes);
        put_all(&mut writer, obj);
        let len = sound(writer.finish(place)).as_bytes().len();
        // An iterator gives its items once, a dict may change in between.
        if len != bytes.len() {
            refuse(Error::Changed)
        }
        Encoded(bytes)
    }

    /// What was encoded, and checked then.
    pub fn get(&self) -> Properties<'_> {
        Properties::checked(&self.0)
    }

    pub fn free(self) {
        self.0.free();
    }
}

/// # Raises
/// `TypeError`, `ValueError`
fn put_all(writer: &mut PropertyWriter<'_>, dict: Obj) {
    const UNKNOWN: Exception = Exception::Value(c"no such property");
    for key in dict.iter() {
        let id = key.int_in(1, 0x7f, UNKNOWN) as u8;
        let value = dict.item(key);
        if id == USER_PROPERTY {
            let named = value.is_dict();
            for item in value.iter() {
                let (name, value) = if named {
                    (item, value.item(item))
                } else {
                    pair(item)
                };
                writer.put_pair(&bytes_of(name), &bytes_of(value));
            }
        } else if value.is_list() {
            for item in value.iter() {
                put(writer, id, item);
            }
        } else {
            put(writer, id, value);
        }
    }
}

/// Two items.
///
/// # Raises
/// `TypeError` if there are no items.
fn pair(items: Obj) -> (Obj, Obj) {
    let mut items = items.iter();
    match (items.next(), items.next(), items.next()) {
        (Some(name), Some(value), None) => (name, value),
        _ => Exception::Value(c"user properties must be a dict or pairs").raise(),
    }
}

/// # Raises
/// `TypeError`, `ValueError`
fn put(writer: &mut PropertyWriter<'_>, id: u8, value: Obj) {
    sound(match (buffer(value), mqtt_codec::kind(id)) {
        // Flags as a single byte are the form of old.
        (Ok(bytes), Some(mqtt_codec::Kind::Flag)) => match *bytes {
            [flag] => writer.put_int(id, flag.into()),
            _ => Err(Error::PropertyValue),
        },
        (Ok(bytes), _) => writer.put_bytes(id, &bytes),
        (Err(_), _) => {
            let number = value.to_int() as u32;
            if !Obj::uint(number as usize).equals(value) {
                refuse(Error::PropertyValue)
            }
            writer.put_int(id, number)
        }
    })
}

/// Properties as Python has them; `None` if there are none.
///
/// # Raises
/// `MemoryError`
pub fn decoded(properties: Properties<'_>) -> Obj {
    if properties.is_empty() {
        return Obj::none();
    }
    let dict = Obj::dict_new(4);
    let (mut paired, mut listed) = (false, false);
    for (id, value) in properties {
        // Where one may repeat the first stands for all.
        let repeated = match value {
            Value::Pair(..) => replace(&mut paired, true),
            Value::Varint(_) => replace(&mut listed, true),
            _ => false,
        };
        if !repeated {
            dict.set_item(Obj::int(id.into()), decoded_value(properties, value));
        }
    }
    dict
}

/// The value of a property of which this is the first.
fn decoded_value(properties: Properties<'_>, value: Value<'_>) -> Obj {
    match value {
        Value::Pair(..) => pairs(properties),
        Value::Str(text) => Obj::text(text),
        Value::Bin(data) => Obj::bytes(data),
        Value::Byte(n) => Obj::uint(n.into()),
        Value::U16(n) => Obj::uint(n.into()),
        Value::U32(n) => Obj::uint(n as usize),
        Value::Varint(_) => identifiers(properties),
    }
}

/// The subscription identifiers: an int, or a list if there are more.
fn identifiers(properties: Properties<'_>) -> Obj {
    let mut found = Obj::none();
    for (_, value) in properties {
        if let Value::Varint(n) = value {
            let n = Obj::uint(n as usize);
            if found.is_none() {
                found = n;
            } else {
                if !found.is_list() {
                    found = Obj::list(&[found]);
                }
                found.list_append(n);
            }
        }
    }
    found
}

/// The user properties: a dict, or a list of pairs if a name repeats.
fn pairs(properties: Properties<'_>) -> Obj {
    let dict = Obj::dict_new(1);
    let list = Obj::list_new();
    for (_, value) in properties {
        if let Value::Pair(name, value) = value {
            let (name, value) = (Obj::text(name), Obj::text(value));
            dict.set_item(name, value);
            list.list_append(Obj::tuple(&[name, value]));
        }
    }
    if dict.len() == list.len() { dict } else { list }
}

/// `encode_properties(properties)`: as they stand in a packet, without their
/// length. `None`: none.
///
/// # Raises
/// `TypeError`, `MemoryError`
#[cfg(feature = "v5")]
pub fn encode_properties(properties: Obj) -> Obj {
    let encoded = Encoded::new(properties, Place::Any);
    let block = Obj::bytes(encoded.get().as_bytes());
    encoded.free();
    block
}

/// `decode_properties(data, length)`: the first `length` bytes of `data`, which
/// are properties without their length, as a dict or `None`.
///
/// # Raises
/// `TypeError`, `MemoryError`
#[cfg(feature = "v5")]
pub fn decode_properties(data: Obj, length: Obj) -> Obj {
    const BEYOND: Exception = Exception::Value(c"length beyond the data");
    let bytes = bytes_of(data);
    let length = length.int_in(0, bytes.len() as isize, BEYOND) as usize;
    let block = bytes.get(..length).unwrap_or_default();
    decoded(sound(Properties::parse(block, Place::Any)))
}
