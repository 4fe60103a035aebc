/// What is wrong with a packet that came in, or with one that was to be sent. The numbers stay as they are, so
/// that a text can be found for them elsewhere.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Error {
    /// A variable byte integer is longer than its value needs (1.5.5).
    VarintOverlong = 1,
    /// A variable byte integer does not end within four bytes (1.5.5).
    VarintTooLong = 2,
    /// No such packet type: 0, or 15 in 3.1.1 (2.1.2).
    UnknownType = 3,
    /// A packet type that only a server may receive (2.1.2).
    ServerOnly = 4,
    /// Flags in the fixed header differ from those the packet type demands (2.1.3).
    ReservedFlags = 5,
    /// QoS 3 (3.3.1.2).
    BadQos = 6,
    /// DUP in a PUBLISH of QoS 0 (3.3.1.1).
    DupQos0 = 7,
    /// Packet identifier 0 (2.2.1).
    ZeroPid = 8,
    /// The packet ends before a field it must have: remaining length too small.
    Truncated = 9,
    /// Bytes are left over behind the last field: remaining length too great.
    Trailing = 10,
    /// The length of a string or of binary data, a topic's for instance, exceeds the packet (1.5.4, 1.5.6).
    StringBeyondPacket = 11,
    /// A string is not UTF-8 (1.5.4).
    BadUtf8 = 12,
    /// A string contains U+0000 (1.5.4).
    NulInString = 13,
    /// A topic name contains a wildcard, `+` or `#` (4.7.1).
    WildcardInTopic = 14,
    /// A topic name is empty and no topic alias stands for it (3.3.2.1), or one was required.
    EmptyTopic = 15,
    /// Reserved CONNACK flags, or session present in a refusal (3.2.2.1).
    ConnackFlags = 16,
    /// A reason code, or return code, that this packet cannot carry (2.4).
    BadReason = 17,
    /// Longer than the maximum packet size agreed on, or set as a limit (3.1.2.11.4).
    PacketTooLarge = 18,
    /// No such property (2.2.2.2).
    UnknownProperty = 19,
    /// A property that this packet cannot carry (2.2.2.2).
    PropertyNotHere = 20,
    /// A property that may be given once was given again (2.2.2.2).
    DuplicateProperty = 21,
    /// A property has a value outside its range, 0 or a byte other than 0 and 1 for instance (2.2.2.2).
    PropertyValue = 22,
    /// Authentication data without a method, or an AUTH without one (3.1.2.11.10, 3.15.2.2.2).
    NoAuthMethod = 23,
    /// Topic alias 0 (3.3.2.3.4).
    TopicAlias = 24,

    /// To send: a string, or binary data, of more than 65535 bytes (1.5.4).
    StringTooLong = 32,
    /// To send: remaining length of more than 268435455 (2.1.4).
    PacketTooLong = 33,
    /// To send: a topic filter that is empty or has a wildcard in a wrong place (4.7.1, 4.8.2).
    BadTopicFilter = 34,
    /// To send: subscription options with reserved bits, or No Local for a shared subscription (3.8.3.1).
    BadOptions = 35,
    /// To send: SUBSCRIBE or UNSUBSCRIBE without a topic filter (3.8.3).
    NoTopicFilter = 36,
    /// To send: QoS 1 or 2 without a packet identifier (2.2.1).
    MissingPid = 37,
    /// To send: QoS 0 with a packet identifier (2.2.1).
    PidQos0 = 38,
    /// To send: a password without a user name, in 3.1.1 (3.1.2.9).
    PasswordWithoutUser = 39,
    /// To send: an empty client identifier without clean session, in 3.1.1 (3.1.3.1).
    EmptyClientId = 40,
    /// To send: something that only MQTT 5 has (properties, AUTH, options of a subscription) in 3.1.1.
    NotInV3 = 41,
    /// To send: the value given for a property has another type than the property (2.2.2.2).
    PropertyType = 42,
    /// To send: the slice to encode into is shorter than the packet.
    BufferTooSmall = 43,
    /// To send: what was to be encoded changed between measuring and writing. The slice holds rubbish.
    Changed = 44,
}

impl Error {
    /// The reason code that tells a server of this error (2.4): in a DISCONNECT after a bad packet. Errors in
    /// what was to be sent do not concern the server; for them it is 0x83, implementation specific error.
    pub const fn reason_code(self) -> u8 {
        match self {
            Error::VarintOverlong
            | Error::VarintTooLong
            | Error::UnknownType
            | Error::ReservedFlags
            | Error::BadQos
            | Error::Truncated
            | Error::Trailing
            | Error::StringBeyondPacket
            | Error::BadUtf8
            | Error::NulInString
            | Error::ConnackFlags
            | Error::UnknownProperty
            | Error::PropertyNotHere => 0x81,
            Error::ServerOnly
            | Error::DupQos0
            | Error::ZeroPid
            | Error::EmptyTopic
            | Error::BadReason
            | Error::DuplicateProperty
            | Error::PropertyValue
            | Error::NoAuthMethod => 0x82,
            Error::WildcardInTopic => 0x90,
            Error::TopicAlias => 0x94,
            Error::PacketTooLarge => 0x95,
            _ => 0x83,
        }
    }
}
