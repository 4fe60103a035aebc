//! What the server announced that it takes (MQTT 5, 3.2.2.3).
use mqtt_codec::{Properties, QoS, Value};

/// Identifiers of properties that are looked at here (MQTT 5, 2.2.2.2).
pub mod property {
    pub const SUBSCRIPTION_ID: u8 = 0x0B;
    pub const SERVER_KEEP_ALIVE: u8 = 0x13;
    pub const RECEIVE_MAXIMUM: u8 = 0x21;
    pub const TOPIC_ALIAS_MAXIMUM: u8 = 0x22;
    pub const TOPIC_ALIAS: u8 = 0x23;
    pub const MAXIMUM_QOS: u8 = 0x24;
    pub const RETAIN_AVAILABLE: u8 = 0x25;
    pub const MAXIMUM_PACKET_SIZE: u8 = 0x27;
    pub const WILDCARD_AVAILABLE: u8 = 0x28;
    pub const SUBSCRIPTION_ID_AVAILABLE: u8 = 0x29;
    pub const SHARED_AVAILABLE: u8 = 0x2A;
}

/// What the server announced in its CONNACK (MQTT 5, 3.2.2.3).
#[derive(Clone, Copy)]
pub struct Limits {
    pub packet: u32,
    pub alias: u16,
    pub qos: u8,
    pub retain: bool,
    pub wildcard: bool,
    pub subscription_id: bool,
    pub shared: bool,
}

impl Limits {
    pub fn new(announced: Properties<'_>) -> Self {
        let get = |id, default| number(announced, id).unwrap_or(default);
        Limits {
            packet: get(property::MAXIMUM_PACKET_SIZE, u32::MAX),
            alias: get(property::TOPIC_ALIAS_MAXIMUM, 0) as u16,
            qos: get(property::MAXIMUM_QOS, 2) as u8,
            retain: get(property::RETAIN_AVAILABLE, 1) != 0,
            wildcard: get(property::WILDCARD_AVAILABLE, 1) != 0,
            subscription_id: get(property::SUBSCRIPTION_ID_AVAILABLE, 1) != 0,
            shared: get(property::SHARED_AVAILABLE, 1) != 0,
        }
    }

    /// A packet of that many bytes is too large.
    pub fn exceeds(&self, len: usize) -> bool {
        len > self.packet as usize
    }

    /// The reason code for which a PUBLISH of `len` bytes is not to be sent.
    pub fn refuse_publish(
        &self,
        len: usize,
        qos: QoS,
        retain: bool,
        properties: Properties<'_>,
    ) -> Option<u8> {
        let alias = number(properties, property::TOPIC_ALIAS).unwrap_or(0);
        first(&[
            (self.exceeds(len), 0x95),
            (qos as u8 > self.qos, 0x9b),
            (retain && !self.retain, 0x9a),
            (alias > self.alias.into(), 0x94),
        ])
    }

    /// The reason code for which a SUBSCRIBE is not to be sent.
    pub fn refuse_subscribe(&self, filter: &[u8], properties: Properties<'_>) -> Option<u8> {
        let has_id = number(properties, property::SUBSCRIPTION_ID).is_some();
        let wildcard = filter.iter().any(|c| matches!(c, b'+' | b'#'));
        first(&[
            (has_id && !self.subscription_id, 0xa1),
            (filter.starts_with(b"$share/") && !self.shared, 0x9e),
            (wildcard && !self.wildcard, 0xa2),
        ])
    }
}

fn first(refusals: &[(bool, u8)]) -> Option<u8> {
    refusals
        .iter()
        .find(|refusal| refusal.0)
        .map(|refusal| refusal.1)
}

/// The value of a property that is a number.
pub fn number(properties: Properties<'_>, id: u8) -> Option<u32> {
    match properties.get(id)? {
        Value::Byte(n) => Some(n.into()),
        Value::U16(n) => Some(n.into()),
        Value::U32(n) | Value::Varint(n) => Some(n),
        _ => None,
    }
}
