use core::num::NonZeroU16;

use crate::encode::{Body, measure};
use crate::header::{DUP, PacketType, RETAIN};
use crate::property::TOPIC_ALIAS;
use crate::writer::Writer;
use crate::{Error, Pid, Properties, QoS, Version};

/// PUBLISH (3.3) to the server, all but the payload: `len` and `encode` concern the bytes before it, and
/// `payload_len` bytes must follow them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PublishHead<'a> {
    /// Protocol version.
    pub version: Version,
    /// Sent again. Not with QoS 0.
    pub dup: bool,
    /// To be kept by the server for subscriptions to come.
    pub retain: bool,
    /// Quality of service.
    pub qos: QoS,
    /// The packet identifier, if and only if QoS is 1 or 2.
    pub pid: Option<Pid>,
    /// The topic name, see [`crate::check_topic_name`]; may be empty in MQTT 5 with a topic alias.
    pub topic: &'a [u8],
    /// A topic alias (3.3.2.3.4) besides the properties, which must not have one then. MQTT 5 only.
    pub alias: Option<NonZeroU16>,
    /// Of [`crate::Place::PublishOut`]; empty in 3.1.1.
    pub properties: Properties<'a>,
    /// Length of the payload in bytes, at most 268435455 less what else there is.
    pub payload_len: usize,
}

impl PublishHead<'_> {
    /// Checks the head and returns the length of the packet with its payload.
    pub fn packet_len(&self) -> Result<usize, Error> {
        measure(self).map(|size| size.len + size.follows)
    }
}

impl Body for PublishHead<'_> {
    fn body(&self, w: &mut Writer<'_>) -> u8 {
        let aliased = self.alias.is_some() || self.properties.get(TOPIC_ALIAS).is_some();
        if self.topic.is_empty() && aliased {
            w.u16(0);
        } else {
            w.topic(self.topic);
        }
        match (self.qos, self.pid) {
            (QoS::AtMostOnce, None) if self.dup => w.fail(Error::DupQos0),
            (QoS::AtMostOnce, None) => {}
            (QoS::AtMostOnce, Some(_)) => w.fail(Error::PidQos0),
            (_, Some(pid)) => w.u16(pid.get()),
            (_, None) => w.fail(Error::MissingPid),
        }
        match self.alias {
            None => w.properties(self.version, self.properties),
            Some(alias) => {
                w.properties_and(self.version, self.properties, 3);
                w.u8(TOPIC_ALIAS);
                w.u16(alias.get());
            }
        }
        w.follow(self.payload_len);
        let mut first = PacketType::Publish as u8 | (self.qos as u8) << 1;
        if self.dup {
            first |= DUP;
        }
        if self.retain {
            first |= RETAIN;
        }
        first
    }
}
