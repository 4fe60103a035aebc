use crate::header::{DUP, PacketType, RETAIN};
use crate::property::TOPIC_ALIAS;
use crate::reader::Reader;
use crate::reason::{self, Carrier};
use crate::{Error, Pid, Place, Properties, QoS, Version};

/// What CONNACK of MQTT 5 says instead of return code 1 of 3.1.1.
const UNSUPPORTED_VERSION: u8 = 0x84;

/// A packet from the server. A field that its type does not have is 0, empty, false or None.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Packet<'a> {
    /// What it is.
    pub packet_type: PacketType,
    /// The first byte of the fixed header.
    first: u8,
    /// CONNACK: the server has kept the session. Never with a refusal.
    pub session_present: bool,
    /// CONNACK: 0: accepted; 3.1.1: the return code 1 to 5 (3.2.2.3 there); MQTT 5: the reason code, 0x80 and above.
    /// A server that knows 3.1.1 only refuses MQTT 5 with return code 1, which is given as 0x84 here.
    ///
    /// PUBACK, PUBREC, PUBREL, PUBCOMP, DISCONNECT and AUTH of MQTT 5: the reason code; 0x80 and above is a failure.
    pub reason: u8,
    /// The packet identifier. PUBLISH has one if its QoS is 1 or 2.
    pub pid: Option<Pid>,
    /// PUBLISH: UTF-8 without wildcards; empty only in MQTT 5 and with a topic alias.
    pub topic: &'a [u8],
    /// MQTT 5 only.
    pub properties: Properties<'a>,
    /// PUBLISH: the properties are those that [`Packet::parse_after`] was given.
    pub known: bool,
    /// PUBLISH: the message.
    ///
    /// SUBACK and UNSUBACK: a code for each topic filter, one at least: the QoS granted or 0x80 and above for a failure.
    /// Empty for an UNSUBACK of 3.1.1. That there are as many as filters is for the caller to check.
    pub payload: &'a [u8],
}

impl<'a> Packet<'a> {
    /// PUBLISH: the quality of service.
    pub fn qos(&self) -> QoS {
        QoS::from_bits(self.first >> 1 & 3).unwrap_or(QoS::AtMostOnce)
    }

    /// PUBLISH: a retained message, sent because of a new subscription.
    pub fn retain(&self) -> bool {
        self.first & RETAIN != 0
    }

    /// PUBLISH: sent before, perhaps.
    pub fn dup(&self) -> bool {
        self.first & DUP != 0
    }

    /// Parses one packet: `first` is the first byte of its fixed header, `body` exactly the bytes of its
    /// remaining length. All of the packet has been checked when this returns Ok.
    pub fn parse(version: Version, first: u8, body: &'a [u8]) -> Result<Packet<'a>, Error> {
        Self::parse_after(version, first, body, Properties::EMPTY)
    }

    /// As [`Packet::parse`]. `known` are the properties of a PUBLISH before: if this one has the same they are not checked
    /// again.
    pub fn parse_after(
        version: Version,
        first: u8,
        body: &'a [u8],
        known: Properties<'_>,
    ) -> Result<Packet<'a>, Error> {
        let packet_type = PacketType::received(version, first)?;
        let r = &mut Reader::new(body);
        let mut p = Packet {
            packet_type,
            first,
            session_present: false,
            reason: 0,
            pid: None,
            topic: &[],
            properties: Properties::EMPTY,
            known: false,
            payload: &[],
        };
        match packet_type {
            PacketType::Publish => {
                p.topic = r.topic();
                if p.qos() != QoS::AtMostOnce {
                    p.pid = Some(r.pid());
                }
                if version.is_v5() {
                    p.properties = r.unchecked();
                    p.known = p.properties == known;
                    if !p.known {
                        r.check(p.properties.check(Place::PublishIn));
                    }
                }
                if p.topic.is_empty() && p.properties.get(TOPIC_ALIAS).is_none() {
                    r.fail(Error::EmptyTopic);
                }
                p.payload = r.rest();
            }
            PacketType::Connack => p.connack(version, r),
            PacketType::Suback | PacketType::Unsuback => p.suback(version, r),
            PacketType::Disconnect => {
                (p.reason, p.properties) = r.reason(Carrier::DisconnectIn, Place::DisconnectIn)
            }
            // 3.15.2.1: only success may leave out the rest, and then all of it
            PacketType::Auth if r.is_empty() => {}
            PacketType::Auth => {
                p.reason = r.u8();
                r.check(reason::check(p.reason, Carrier::AuthIn));
                p.properties = r.properties(version, Place::Auth);
            }
            PacketType::Pingresp => {}
            ack => {
                p.pid = Some(r.pid());
                if version.is_v5() {
                    let carrier = if matches!(ack, PacketType::Puback | PacketType::Pubrec) {
                        Carrier::Puback
                    } else {
                        Carrier::Pubrel
                    };
                    (p.reason, p.properties) = r.reason(carrier, Place::Ack);
                }
            }
        }
        r.finish()?;
        Ok(p)
    }

    #[inline(never)]
    fn connack(&mut self, version: Version, r: &mut Reader<'a>) {
        let flags = r.u8();
        self.reason = r.u8();
        self.session_present = flags == 1;
        if flags > 1 || flags == 1 && self.reason != 0 {
            r.fail(Error::ConnackFlags);
        }
        if version.is_v5() {
            if self.reason == 1 && r.is_empty() {
                // a server without MQTT 5 refuses it in the form of 3.1.1 (3.1.2.2 there)
                self.reason = UNSUPPORTED_VERSION;
                return;
            }
            r.check(reason::check(self.reason, Carrier::Connack));
        } else if self.reason > 5 {
            r.fail(Error::BadReason);
        }
        self.properties = r.properties(version, Place::Connack);
    }

    fn suback(&mut self, version: Version, r: &mut Reader<'a>) {
        self.pid = Some(r.pid());
        self.properties = r.properties(version, Place::Ack);
        let carrier = if self.packet_type == PacketType::Suback {
            Carrier::Suback
        } else if version.is_v5() {
            Carrier::Unsuback
        } else {
            return;
        };
        self.payload = r.rest();
        if self.payload.is_empty() {
            r.fail(Error::Truncated);
        }
        for &code in self.payload {
            r.check(reason::check(code, carrier));
            // 3.1.1 has one failure only
            if version == Version::V3 && code > 0x80 {
                r.fail(Error::BadReason);
            }
        }
    }
}
