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
use micropython::{Dict, Exception, GcBytes, Key, Obj, Vm, buffer, bytes_of};
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
    pub fn new(vm: &mut Vm, obj: Obj, place: Place) -> Self {
        if obj.is_none() {
            return Self::NONE;
        }
        if !obj.is_dict() {
            Exception::Type(c"properties must be a dict or None").raise()
        }
        let mut measure = PropertyWriter::new(&mut []);
        put_all(vm, &mut measure, obj);
        let mut bytes = GcBytes::new(measure.len());
        let mut writer = PropertyWriter::new(&mut bytes);
        put_all(vm, &mut writer, obj);
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
fn put_all(vm: &mut Vm, writer: &mut PropertyWriter<'_>, dict: Obj) {
    const UNKNOWN: Exception = Exception::Value(c"no such property");
    let mut keys = dict.iter(vm);
    while let Some(key) = keys.next(vm) {
        let id = key.int_in(vm, 1, 0x7f, UNKNOWN) as u8;
        let value = dict.item(vm, key);
        if id != USER_PROPERTY && !value.is_list() {
            put(vm, writer, id, value);
            continue;
        }
        let named = value.is_dict();
        let mut items = value.iter(vm);
        while let Some(item) = items.next(vm) {
            if id != USER_PROPERTY {
                put(vm, writer, id, item);
                continue;
            }
            let (name, value) = if named {
                (item, value.item(vm, item))
            } else {
                pair(vm, item)
            };
            writer.put_pair(bytes_of(vm, name), bytes_of(vm, value));
        }
    }
}

/// Two items.
///
/// # Raises
/// `TypeError` if there are no items.
fn pair(vm: &mut Vm, items: Obj) -> (Obj, Obj) {
    let mut items = items.iter(vm);
    match (items.next(vm), items.next(vm), items.next(vm)) {
        (Some(name), Some(value), None) => (name, value),
        _ => Exception::Value(c"user properties must be a dict or pairs").raise(),
    }
}

/// # Raises
/// `TypeError`, `ValueError`
fn put(vm: &mut Vm, writer: &mut PropertyWriter<'_>, id: u8, value: Obj) {
    let put = match (buffer(vm, value), mqtt_codec::kind(id)) {
        // Flags as a single byte are the form of old.
        (Ok(bytes), Some(mqtt_codec::Kind::Flag)) => match *bytes {
            [flag] => writer.put_int(id, flag.into()),
            _ => Err(Error::PropertyValue),
        },
        (Ok(bytes), _) => writer.put_bytes(id, bytes),
        (Err(_), _) => {
            let number = value.to_int(vm) as u32;
            if !Obj::uint(number as usize).equals(vm, value) {
                refuse(Error::PropertyValue)
            }
            writer.put_int(id, number)
        }
    };
    sound(put)
}

/// User properties beyond so many are a list whether a name repeats or not: to look
/// up names that somebody chose to have one hash takes time that grows with the square.
const NAMED: usize = 32;

/// Properties as Python has them; `None` if there are none.
///
/// # Raises
/// `MemoryError`
pub fn decoded(properties: Properties<'_>) -> Obj {
    if properties.is_empty() {
        return Obj::none();
    }
    let dict = Dict::new(4);
    let mut list = Obj::none();
    loop {
        let mut user = None;
        let mut named = 0;
        let mut identifiers = Obj::none();
        for (id, value) in properties {
            let value = match value {
                Value::Pair(name, value) => {
                    named += 1;
                    let (name, value) = (text(name), text(value).into());
                    if list.is_list() {
                        list.list_append(Obj::tuple(&[name.into(), value]));
                        list
                    } else {
                        let user = *user.get_or_insert_with(|| Dict::new(1));
                        if named <= NAMED {
                            user.store(name, value);
                        }
                        user.obj()
                    }
                }
                Value::Str(utf8) => text(utf8).into(),
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
            dict.store(Key::int(id.into()), value);
        }
        match user {
            // A name repeats, or there are many.
            Some(user) if user.len() != named => list = Obj::list_new(),
            _ => return dict.obj(),
        }
    }
}

/// # Raises
/// `MemoryError`
#[allow(unsafe_code)]
fn text(utf8: &[u8]) -> Key {
    // SAFETY: the codec gives nothing as text that is not UTF-8.
    unsafe { Key::text(utf8) }
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
pub fn encode_properties(vm: &mut Vm, properties: Obj) -> Obj {
    let encoded = Encoded::new(vm, properties, Place::Any);
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
pub fn decode_properties(vm: &mut Vm, data: Obj, length: Obj) -> Obj {
    const BEYOND: Exception = Exception::Value(c"length beyond the data");
    let length = length.int_in(vm, 0, isize::MAX, BEYOND) as usize;
    let Some(block) = bytes_of(vm, data).get(..length) else {
        BEYOND.raise()
    };
    decoded(sound(Properties::parse(block, Place::Any)))
}
