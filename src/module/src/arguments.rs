//! What Python passes, checked.
use micropython::{Buffer, Exception, Obj, buffer};
use mqtt_codec::{Error, Properties, QoS, Will};

/// Argument `i`, or `None` where fewer were given.
pub fn arg(args: &[Obj], i: usize) -> Obj {
    args.get(i).copied().unwrap_or_else(Obj::none)
}

/// A reading of `ticks_ms`, of which the lower bits are enough.
///
/// # Raises
/// `TypeError`
pub fn ticks(obj: Obj) -> u32 {
    obj.to_int() as u32
}

/// An `int` from 0 to `max`, or `error`.
///
/// # Raises
/// `TypeError`
pub fn uint(obj: Obj, max: u32, error: Exception) -> Result<u32, Exception> {
    let max = isize::try_from(max).unwrap_or(isize::MAX);
    obj.int_in(0, max, error).map(|n| n as u32)
}

/// # Raises
/// `TypeError`
pub fn qos(obj: Obj) -> Result<QoS, Exception> {
    const RANGE: Exception = Exception::Value(c"qos must be 0, 1 or 2");
    QoS::from_bits(uint(obj, 2, RANGE)? as u8).ok_or(RANGE)
}

/// The bytes of an argument that may be `None` or empty, which is the same.
pub fn optional(obj: Obj) -> Result<Option<Buffer>, Exception> {
    if obj.is_none() {
        return Ok(None);
    }
    let bytes = buffer(obj)?;
    Ok((!bytes.is_empty()).then_some(bytes))
}

/// A will as the application gives it: (topic, message, retain, qos), and in
/// MQTT 5 its properties if it has any.
pub struct WillArgument {
    topic: Obj,
    payload: Obj,
    retain: bool,
    qos: QoS,
    pub properties: Obj,
}

/// The bytes of a will, valid until Python code runs.
pub struct WillBytes {
    topic: Buffer,
    payload: Buffer,
}

impl WillArgument {
    /// # Raises
    /// `TypeError`
    pub fn new(obj: Obj) -> Result<Option<Self>, Exception> {
        if obj.is_none() {
            return Ok(None);
        }
        let n = obj.len();
        if !(4..=5).contains(&n) {
            return Err(Exception::Value(
                c"will must be (topic, message, retain, qos) or that and properties",
            ));
        }
        let item = |i| obj.item(Obj::int(i));
        Ok(Some(WillArgument {
            topic: item(0),
            payload: item(1),
            retain: item(2).is_true(),
            qos: qos(item(3))?,
            properties: if n == 5 { item(4) } else { Obj::none() },
        }))
    }

    pub fn bytes(&self) -> Result<WillBytes, Exception> {
        Ok(WillBytes {
            topic: buffer(self.topic)?,
            payload: buffer(self.payload)?,
        })
    }

    pub fn packet<'a>(&self, bytes: &'a WillBytes, properties: Properties<'a>) -> Will<'a> {
        Will {
            topic: &bytes.topic,
            payload: &bytes.payload,
            qos: self.qos,
            retain: self.retain,
            properties,
        }
    }
}

/// Why a packet cannot be sent, as an exception that says what to change.
#[cold]
#[inline(never)]
pub fn refused(error: Error) -> Exception {
    Exception::Value(match error {
        Error::StringTooLong => c"longer than 65535 bytes",
        Error::PacketTooLong => c"packet longer than 268435455 bytes",
        Error::BadUtf8 => c"not UTF-8",
        Error::NulInString => c"U+0000 in a string",
        Error::WildcardInTopic => c"wildcard in a topic name",
        Error::EmptyTopic => c"empty topic",
        Error::BadTopicFilter => c"bad topic filter",
        Error::PasswordWithoutUser => c"password without user",
        Error::EmptyClientId => c"empty client_id needs clean=True",
        Error::BadOptions => c"bad subscription options",
        Error::NoTopicFilter => c"no topic",
        Error::UnknownProperty => c"no such property",
        Error::PropertyNotHere => c"property not for this packet",
        Error::DuplicateProperty => c"property given twice",
        Error::PropertyValue => c"property out of range",
        Error::PropertyType => c"property of another type",
        _ => c"cannot be encoded",
    })
}
