//! Properties (2.2.2). One table drives decoding, checking and encoding.
use crate::reader::Reader;
use crate::writer::Writer;
use crate::{Error, Version, string, topic, varint};

/// Where properties stand: a packet, as sent or as received by a client, or the will within a CONNECT.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u16)]
pub enum Place {
    /// CONNECT (3.1.2.11)
    Connect = 1,
    /// The will (3.1.3.2)
    Will = 2,
    /// CONNACK (3.2.2.3)
    Connack = 4,
    /// PUBLISH from the client (3.3.2.3)
    PublishOut = 8,
    /// PUBLISH from the server (3.3.2.3)
    PublishIn = 0x10,
    /// PUBACK, PUBREC, PUBREL, PUBCOMP, SUBACK and UNSUBACK (3.4.2.2), which share theirs
    Ack = 0x20,
    /// SUBSCRIBE (3.8.2.1)
    Subscribe = 0x40,
    /// UNSUBSCRIBE (3.10.2.1)
    Unsubscribe = 0x80,
    /// DISCONNECT from the client (3.14.2.2)
    DisconnectOut = 0x100,
    /// DISCONNECT from the server (3.14.2.2)
    DisconnectIn = 0x200,
    /// AUTH (3.15.2.2)
    Auth = 0x400,
    /// No packet in particular: every property, and those repeat that do somewhere
    Any = 0x7FF,
}

/// What values a property takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Kind {
    /// A byte, 0 or 1
    Flag,
    /// Two bytes
    U16,
    /// Two bytes, not 0
    U16NonZero,
    /// Four bytes
    U32,
    /// Four bytes, not 0
    U32NonZero,
    /// A variable byte integer, 1 to 268435455
    Varint,
    /// A UTF-8 encoded string
    Str,
    /// A topic name: a UTF-8 encoded string without wildcards, of one character at least
    Topic,
    /// Binary data
    Bin,
    /// Two UTF-8 encoded strings
    Pair,
}

/// The value of a property; a number as one of 32 bits, whatever its width.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Value<'a> {
    /// A byte
    Byte(u32),
    /// Two bytes
    U16(u32),
    /// Four bytes
    U32(u32),
    /// A variable byte integer
    Varint(u32),
    /// A UTF-8 encoded string of at most 65535 bytes
    Str(&'a [u8]),
    /// Binary data of at most 65535 bytes
    Bin(&'a [u8]),
    /// Two UTF-8 encoded strings, name and value
    Pair(&'a [u8], &'a [u8]),
}

impl Value<'_> {
    /// The number, of whatever width, if it is one.
    pub fn number(&self) -> Option<u32> {
        match *self {
            Value::Byte(n) | Value::U16(n) | Value::U32(n) | Value::Varint(n) => Some(n),
            _ => None,
        }
    }
}

struct Property {
    id: u8,
    kind: Kind,
    places: u16,
}

const CONNECT: u16 = Place::Connect as u16;
const WILL: u16 = Place::Will as u16;
const CONNACK: u16 = Place::Connack as u16;
const PUB_IN: u16 = Place::PublishIn as u16;
const PUBLISH: u16 = Place::PublishOut as u16 | PUB_IN;
const ACK: u16 = Place::Ack as u16;
const SUBSCRIBE: u16 = Place::Subscribe as u16;
const DISC_OUT: u16 = Place::DisconnectOut as u16;
const DISC_IN: u16 = Place::DisconnectIn as u16;
const AUTH: u16 = Place::Auth as u16;
const ALL: u16 = Place::Any as u16;

const SUBSCRIPTION_ID: u8 = 0x0B;
const USER_PROPERTY: u8 = 0x26;
const AUTH_METHOD: u8 = 0x15;
const AUTH_DATA: u8 = 0x16;
pub(crate) const TOPIC_ALIAS: u8 = 0x23;

const fn row(id: u8, kind: Kind, places: u16) -> Property {
    Property { id, kind, places }
}

/// All properties (2.2.2.2); those of a PUBLISH come first, since they are looked for most.
#[rustfmt::skip]
static TABLE: [Property; 27] = [
    row(USER_PROPERTY, Kind::Pair, ALL),
    row(0x01, Kind::Flag, PUBLISH | WILL),            // payload format indicator
    row(0x02, Kind::U32, PUBLISH | WILL),             // message expiry interval, s
    row(0x03, Kind::Str, PUBLISH | WILL),             // content type
    row(0x08, Kind::Topic, PUBLISH | WILL),           // response topic
    row(0x09, Kind::Bin, PUBLISH | WILL),             // correlation data
    row(SUBSCRIPTION_ID, Kind::Varint, PUB_IN | SUBSCRIBE),
    row(0x11, Kind::U32, CONNECT | CONNACK | DISC_OUT), // session expiry interval, s
    row(0x12, Kind::Str, CONNACK),                    // assigned client identifier
    row(0x13, Kind::U16, CONNACK),                    // server keep alive, s
    row(AUTH_METHOD, Kind::Str, CONNECT | CONNACK | AUTH),
    row(AUTH_DATA, Kind::Bin, CONNECT | CONNACK | AUTH),
    row(0x17, Kind::Flag, CONNECT),                   // request problem information
    row(0x18, Kind::U32, WILL),                       // will delay interval, s
    row(0x19, Kind::Flag, CONNECT),                   // request response information
    row(0x1A, Kind::Str, CONNACK),                    // response information
    row(0x1C, Kind::Str, CONNACK | DISC_IN),          // server reference
    row(0x1F, Kind::Str, CONNACK | ACK | DISC_OUT | DISC_IN | AUTH), // reason string
    row(0x21, Kind::U16NonZero, CONNECT | CONNACK),   // receive maximum
    row(0x22, Kind::U16, CONNECT | CONNACK),          // topic alias maximum
    row(TOPIC_ALIAS, Kind::U16NonZero, PUBLISH),
    row(0x24, Kind::Flag, CONNACK),                   // maximum QoS
    row(0x25, Kind::Flag, CONNACK),                   // retain available
    row(0x27, Kind::U32NonZero, CONNECT | CONNACK),   // maximum packet size
    row(0x28, Kind::Flag, CONNACK),                   // wildcard subscription available
    row(0x29, Kind::Flag, CONNACK),                   // subscription identifiers available
    row(0x2A, Kind::Flag, CONNACK),                   // shared subscription available
];

fn find(id: u32) -> Result<&'static Property, Error> {
    TABLE
        .iter()
        .find(|property| u32::from(property.id) == id)
        .ok_or(Error::UnknownProperty)
}

/// What values the property takes; None for an identifier that is none.
pub fn kind(id: u8) -> Option<Kind> {
    find(id.into()).ok().map(|property| property.kind)
}

impl<'a> Reader<'a> {
    /// A property, without a check of its value.
    fn property(&mut self) -> Result<(&'static Property, Value<'a>), Error> {
        let id = self.varint();
        self.result()?;
        let property = find(id)?;
        let value = match property.kind {
            Kind::Flag => Value::Byte(self.number(1)),
            Kind::U16 | Kind::U16NonZero => Value::U16(self.number(2)),
            Kind::U32 | Kind::U32NonZero => Value::U32(self.number(4)),
            Kind::Varint => Value::Varint(self.varint()),
            Kind::Str | Kind::Topic => Value::Str(self.binary()),
            Kind::Bin => Value::Bin(self.binary()),
            Kind::Pair => Value::Pair(self.binary(), self.binary()),
        };
        self.result()?;
        Ok((property, value))
    }

    /// Property length and properties, checked. In 3.1.1 there are none.
    pub fn properties(&mut self, version: Version, place: Place) -> Properties<'a> {
        if !version.is_v5() {
            return Properties::EMPTY;
        }
        let properties = self.unchecked();
        // the absence of a property is no error of a packet that has failed already
        if self.result().is_ok() {
            self.check(properties.check(place));
        }
        properties
    }

    /// Property length and properties.
    pub fn unchecked(&mut self) -> Properties<'a> {
        let len = self.varint();
        Properties {
            block: self.take(len as usize, Error::Truncated),
        }
    }
}

/// Checks a value that was read as `kind`.
fn check_value(kind: Kind, value: Value<'_>) -> Result<(), Error> {
    let in_range = match value {
        Value::Byte(value) => value <= 1,
        Value::U16(value) => value != 0 || kind == Kind::U16,
        Value::U32(value) => value != 0 || kind == Kind::U32,
        Value::Varint(value) => value != 0,
        Value::Bin(_) => true,
        Value::Str(name) if kind == Kind::Topic => return topic::check_topic_name(name),
        Value::Str(text) => return string::check(text),
        Value::Pair(name, value) => {
            string::check(name)?;
            return string::check(value);
        }
    };
    if in_range {
        Ok(())
    } else {
        Err(Error::PropertyValue)
    }
}

/// Checks properties one after the other.
struct Checker {
    place: Place,
    /// A bit for each identifier met: bit 0 of the first word is identifier 0, of the second 32.
    seen: [u32; 2],
}

impl Checker {
    fn new(place: Place) -> Self {
        Checker {
            place,
            seen: [0, 0],
        }
    }

    fn word(&mut self, id: u8) -> &mut u32 {
        let [low, high] = &mut self.seen;
        if id < 32 { low } else { high }
    }

    fn has_seen(&mut self, id: u8) -> bool {
        *self.word(id) >> (id & 31) & 1 != 0
    }

    fn check(&mut self, property: &Property, value: Value<'_>) -> Result<(), Error> {
        if property.places & self.place as u16 == 0 {
            return Err(Error::PropertyNotHere);
        }
        let repeats = property.kind == Kind::Pair
            || property.id == SUBSCRIPTION_ID && self.place as u16 & PUB_IN != 0;
        if self.has_seen(property.id) && !repeats {
            return Err(Error::DuplicateProperty);
        }
        check_value(property.kind, value).map_err(|error| match property.id {
            TOPIC_ALIAS => Error::TopicAlias,
            _ => error,
        })?;
        *self.word(property.id) |= 1 << (property.id & 31);
        Ok(())
    }

    fn end(&mut self) -> Result<(), Error> {
        let needs_method = self.place == Place::Auth || self.has_seen(AUTH_DATA);
        if needs_method && !self.has_seen(AUTH_METHOD) {
            return Err(Error::NoAuthMethod);
        }
        Ok(())
    }
}

/// Properties as they stand in a packet, encoded, without the property length. In 3.1.1 there are none.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Properties<'a> {
    block: &'a [u8],
}

impl<'a> Properties<'a> {
    /// No properties.
    pub const EMPTY: Properties<'static> = Properties { block: &[] };

    /// Checks an encoded block: each property known, whole, allowed in that place, in range, and given once
    /// where it may be given once (2.2.2.2).
    pub fn parse(block: &'a [u8], place: Place) -> Result<Properties<'a>, Error> {
        let properties = Properties { block };
        properties.check(place)?;
        Ok(properties)
    }

    /// Of a block that [`Properties::parse`] or [`PropertyWriter::finish`] has found right.
    pub fn checked(block: &'a [u8]) -> Properties<'a> {
        Properties { block }
    }

    pub(crate) fn check(&self, place: Place) -> Result<(), Error> {
        let mut reader = Reader::new(self.block);
        let mut checker = Checker::new(place);
        while !reader.is_empty() {
            let (property, value) = reader.property()?;
            checker.check(property, value)?;
        }
        checker.end()
    }

    /// True if there is no property.
    pub fn is_empty(&self) -> bool {
        !Version::V5.is_v5() || self.block.is_empty()
    }

    /// The encoded block, without the property length.
    pub fn as_bytes(&self) -> &'a [u8] {
        self.block
    }

    /// Walks identifiers and values in the order of the packet.
    pub fn iter(&self) -> Iter<'a> {
        Iter {
            reader: Reader::new(self.block),
        }
    }

    /// The first property with that identifier.
    #[allow(
        clippy::manual_contains,
        reason = "made for speed on long slices, of many times the code"
    )]
    pub fn get(&self, id: u8) -> Option<Value<'a>> {
        // what has it has that byte too, and most have neither
        if self.is_empty() || !self.block.iter().any(|&byte| byte == id) {
            return None;
        }
        self.iter()
            .find(|&(found, _)| found == id)
            .map(|(_, value)| value)
    }
}

impl<'a> IntoIterator for Properties<'a> {
    type Item = (u8, Value<'a>);
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

/// Yields identifiers and values, see [`Properties::iter`].
pub struct Iter<'a> {
    reader: Reader<'a>,
}

impl<'a> Iterator for Iter<'a> {
    type Item = (u8, Value<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        // checked before, so the only error is the end
        let (property, value) = self.reader.property().ok()?;
        Some((property.id, value))
    }
}

/// Encodes properties into a slice of the caller, or measures them.
pub struct PropertyWriter<'b> {
    writer: Writer<'b>,
}

impl<'b> PropertyWriter<'b> {
    /// Writes to the front of `out`. With an empty slice nothing is written; [`PropertyWriter::len`] then tells
    /// the length needed.
    pub fn new(out: &'b mut [u8]) -> Self {
        PropertyWriter {
            writer: Writer::new(out),
        }
    }

    /// Appends a property whose value is a number, of whatever width the property has.
    /// [`Error::PropertyValue`]: it does not fit; [`Error::PropertyType`]: the property takes no number.
    pub fn put_int(&mut self, id: u8, value: u32) -> Result<(), Error> {
        let writer = &mut self.writer;
        let max = match find(id.into())?.kind {
            Kind::Flag => u8::MAX.into(),
            Kind::U16 | Kind::U16NonZero => u16::MAX.into(),
            Kind::U32 | Kind::U32NonZero => u32::MAX,
            Kind::Varint => varint::MAX,
            _ => return Err(Error::PropertyType),
        };
        if value > max {
            return Err(Error::PropertyValue);
        }
        writer.u8(id);
        match max {
            0xFF => writer.u8(value as u8),
            0xFFFF => writer.u16(value as u16),
            u32::MAX => writer.u32(value),
            _ => writer.varint(value),
        }
        Ok(())
    }

    /// Appends a property whose value is a string or binary data. [`Error::PropertyType`]: it takes neither.
    pub fn put_bytes(&mut self, id: u8, bytes: &[u8]) -> Result<(), Error> {
        match find(id.into())?.kind {
            Kind::Str | Kind::Topic | Kind::Bin => {
                self.writer.u8(id);
                self.writer.binary(bytes);
                Ok(())
            }
            _ => Err(Error::PropertyType),
        }
    }

    /// Appends a user property.
    pub fn put_pair(&mut self, name: &[u8], value: &[u8]) {
        self.writer.u8(USER_PROPERTY);
        self.writer.binary(name);
        self.writer.binary(value);
    }

    /// Bytes needed so far.
    #[allow(
        clippy::len_without_is_empty,
        reason = "a count of bytes, no container"
    )]
    pub fn len(&self) -> usize {
        self.writer.len()
    }

    /// The properties, checked as by [`Properties::parse`]. [`Error::BufferTooSmall`]: the slice must have
    /// [`PropertyWriter::len`] bytes at least.
    pub fn finish(self, place: Place) -> Result<Properties<'b>, Error> {
        Properties::parse(self.writer.finish()?, place)
    }
}
