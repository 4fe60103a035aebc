//! What Python passes, checked.
use micropython::{Exception, Obj, Vm, bytes_of};
use mqtt_codec::{Error, Properties, QoS, Will};

/// Argument `i`, or `None` where fewer were given.
pub fn arg(args: &[Obj], i: usize) -> Obj {
    args.get(i).copied().unwrap_or_else(Obj::none)
}

/// A reading of `ticks_ms`, of which the lower bits are enough.
///
/// # Raises
/// `TypeError`
pub fn ticks(vm: &mut Vm, obj: Obj) -> u32 {
    obj.to_int(vm) as u32
}

/// An `int` from 0 to `max`.
///
/// # Raises
/// `TypeError`, or `error` for other numbers.
pub fn uint(vm: &mut Vm, obj: Obj, max: u32, error: Exception) -> u32 {
    let max = isize::try_from(max).unwrap_or(isize::MAX);
    obj.int_in(vm, 0, max, error) as u32
}

/// # Raises
/// `TypeError`, `ValueError`
pub fn qos(vm: &mut Vm, obj: Obj) -> QoS {
    const RANGE: Exception = Exception::Value(c"qos must be 0, 1 or 2");
    QoS::from_bits(uint(vm, obj, 2, RANGE) as u8).unwrap_or(QoS::AtMostOnce)
}

/// The bytes of an argument that may be `None` or empty, which is the same.
///
/// # Raises
/// `TypeError`
pub fn optional(vm: &Vm, obj: Obj) -> Option<&[u8]> {
    if obj.is_none() {
        return None;
    }
    let bytes = bytes_of(vm, obj);
    (!bytes.is_empty()).then_some(bytes)
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

impl WillArgument {
    /// # Raises
    /// `TypeError`, `ValueError`
    pub fn new(vm: &mut Vm, obj: Obj) -> Option<Self> {
        if obj.is_none() {
            return None;
        }
        let n = obj.len(vm);
        if !(4..=5).contains(&n) {
            Exception::Value(c"will must be (topic, message, retain, qos) or that and properties")
                .raise()
        }
        let mut item = |i| obj.item(vm, Obj::int(i));
        let [topic, payload, retain, level] = [item(0), item(1), item(2), item(3)];
        let properties = if n == 5 { item(4) } else { Obj::none() };
        Some(WillArgument {
            topic,
            payload,
            retain: retain.is_true(vm),
            qos: qos(vm, level),
            properties,
        })
    }

    /// # Raises
    /// `TypeError`
    pub fn packet<'a>(&self, vm: &'a Vm, properties: Properties<'a>) -> Will<'a> {
        Will {
            topic: bytes_of(vm, self.topic),
            payload: bytes_of(vm, self.payload),
            qos: self.qos,
            retain: self.retain,
            properties,
        }
    }
}

/// What the codec found right.
///
/// # Raises
/// `ValueError`, that says what to change.
#[inline(always)]
pub fn sound<T>(result: Result<T, Error>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => refuse(error),
    }
}

/// # Raises
/// `ValueError`
#[cold]
#[inline(never)]
pub fn refuse(error: Error) -> ! {
    Exception::Value(match error {
        // Of the smallest module: what the most common mistakes have in common.
        _ if cfg!(feature = "umqtt") => c"bad topic, text, length or QoS",
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
        Error::PropertyValue | Error::TopicAlias => c"property out of range",
        Error::PacketTooLarge => c"longer than the broker takes",
        Error::PropertyType => c"property of another type",
        _ => c"cannot be encoded",
    })
    .raise()
}
