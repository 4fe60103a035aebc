//! What the server announced that it takes (MQTT 5, 3.2.2.3).
use mqtt_codec::{Properties, QoS};

/// Identifiers of properties that are looked at here (MQTT 5, 2.2.2.2).
pub mod property {
    pub const SUBSCRIPTION_ID: u8 = 0x0B;
    pub const AUTHENTICATION_METHOD: u8 = 0x15;
    pub const REQUEST_PROBLEM_INFORMATION: u8 = 0x17;
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

/// What the server announced in its CONNACK of what it is sent (MQTT 5, 3.2.2.3).
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
    /// Nothing was announced.
    pub const NONE: Limits = Limits {
        packet: u32::MAX,
        alias: 0,
        qos: 2,
        retain: true,
        wildcard: true,
        subscription_id: true,
        shared: true,
    };

    pub fn new(announced: Properties<'_>) -> Self {
        let short = |id| number(announced, id).map(|n| n as u16);
        let available = |id| number(announced, id) != Some(0);
        Limits {
            packet: number(announced, property::MAXIMUM_PACKET_SIZE).unwrap_or(u32::MAX),
            alias: short(property::TOPIC_ALIAS_MAXIMUM).unwrap_or(0),
            qos: short(property::MAXIMUM_QOS).unwrap_or(2) as u8,
            retain: available(property::RETAIN_AVAILABLE),
            wildcard: available(property::WILDCARD_AVAILABLE),
            subscription_id: available(property::SUBSCRIPTION_ID_AVAILABLE),
            shared: available(property::SHARED_AVAILABLE),
        }
    }

    /// A packet of that many bytes is too large.
    pub fn exceeds(&self, len: usize) -> bool {
        cfg!(feature = "v5") && len > self.packet as usize
    }

    /// The reason code for which a PUBLISH of `len` bytes is not to be sent.
    pub fn refuse_publish(&self, len: usize, qos: QoS, retain: bool, alias: u32) -> Option<u8> {
        if !cfg!(feature = "v5") {
            return None;
        }
        first(&[
            (self.exceeds(len), 0x95),
            (qos as u8 > self.qos, 0x9b),
            (retain && !self.retain, 0x9a),
            (alias > self.alias.into(), 0x94),
        ])
    }

    /// The reason code for which a SUBSCRIBE, with a subscription identifier
    /// or without, is not to be sent.
    pub fn refuse_subscribe(&self, filter: &[u8], has_id: bool) -> Option<u8> {
        if !cfg!(feature = "v5") {
            return None;
        }
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
    if !cfg!(feature = "v5") {
        return None;
    }
    properties.get(id)?.number()
}
