//! Properties of MQTT 5 (2.2.2): a dict by identifier to bytes and back.
//!
//! Integers, flags included, are `int`; text is `str`, binary data `bytes`.
//! User properties (0x26) are a dict, or a list of pairs where a name repeats;
//! subscription identifiers (0x0B) an int, or a list of them.
use crate::arguments::{refuse, sound};
#[cfg(feature = "v5")]
use core::mem::replace;
#[cfg(feature = "v5")]
use micropython::GcBox;
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
    let mut user = Obj::none();
    loop {
        let mut named = 0;
        let mut identifiers = Obj::none();
        for (id, value) in properties {
            let value = match value {
                Value::Pair(name, value) => {
                    let (name, value) = (Obj::text(name), Obj::text(value));
                    if user.is_list() {
                        user.list_append(Obj::tuple(&[name, value]));
                    } else {
                        if named == 0 {
                            user = Obj::dict_new(1);
                        }
                        user.set_item(name, value);
                    }
                    named += 1;
                    user
                }
                Value::Str(text) => Obj::text(text),
                Value::Bin(data) => Obj::bytes(data),
                Value::Byte(n) | Value::U16(n) | Value::U32(n) => Obj::uint(n as usize),
                Value::Varint(n) => {
                    let n = Obj::uint(n as usize);
                    if identifiers.is_list() {
                        identifiers.list_append(n);
                    } else if identifiers.is_none() {
                        identifiers = n;
                    } else {
                        identifiers = Obj::list(&[identifiers, n]);
                    }
                    identifiers
                }
            };
            dict.set_item(Obj::int(id.into()), value);
        }
        if named == 0 || user.len() == named {
            return dict;
        }
        // A name repeats.
        user = Obj::list_new();
    }
}

/// Bytes of properties that are kept at most.
#[cfg(feature = "v5")]
const KEPT: usize = 256;

/// Properties that two messages in a row had: the next is likely to have them too.
/// Nothing, as long as no message has any.
#[cfg(feature = "v5")]
pub struct Known(Option<GcBox<Kept>>);

#[cfg(feature = "v5")]
struct Kept {
    block: GcBytes,
    /// Made of the block, and never handed out.
    dict: Obj,
}

#[cfg(feature = "v5")]
impl Known {
    pub fn new() -> Self {
        Known(None)
    }

    /// What [`Receiver::peek_after`](mqtt_codec::Receiver::peek_after) is to look for.
    pub fn get(&self) -> Properties<'_> {
        match &self.0 {
            Some(kept) => Properties::checked(&kept.block),
            None => Properties::EMPTY,
        }
    }

    /// As [`decoded`], a new dict for each message; its strings are those of the
    /// message before, if the packet's properties are known. `hash`: of those of the
    /// last message that had others.
    ///
    /// # Raises
    /// `MemoryError`
    pub fn decoded(&mut self, hash: &mut u8, properties: Properties<'_>, known: bool) -> Obj {
        let bytes = properties.as_bytes();
        if bytes.is_empty() {
            return Obj::none();
        }
        if !known {
            let mix = |hash: u8, byte: &u8| hash.wrapping_mul(33) ^ byte;
            let new = bytes.iter().fold(0, mix);
            // Of properties that change each time nothing is kept.
            if replace(hash, new) != new || bytes.len() > KEPT {
                return decoded(properties);
            }
            let mut block = GcBytes::new(bytes.len());
            block.copy_from_slice(bytes);
            let dict = decoded(properties);
            self.0 = Some(GcBox::new(Kept { block, dict }));
        }
        self.0
            .as_ref()
            .map_or_else(Obj::none, |kept| kept.dict.copied())
    }
}

/// In 3.1.1 there are none.
#[cfg(not(feature = "v5"))]
pub struct Known;

#[cfg(not(feature = "v5"))]
impl Known {
    pub fn new() -> Self {
        Known
    }

    pub fn get(&self) -> Properties<'_> {
        Properties::EMPTY
    }

    pub fn decoded(&mut self, _: &mut u8, _: Properties<'_>, _: bool) -> Obj {
        Obj::none()
    }
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
