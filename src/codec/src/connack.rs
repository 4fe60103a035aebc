use crate::reader::Reader;
use crate::reason::{self, Carrier};
use crate::{Error, Place, Properties, Version};

const UNSUPPORTED_VERSION: u8 = 0x84;

/// CONNACK (3.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Connack<'a> {
    /// The server has kept the session. Never with a refusal.
    pub session_present: bool,
    /// 0: accepted. 3.1.1: the return code 1 to 5 (3.2.2.3 there); MQTT 5: the reason code, 0x80 and above.
    /// A server that knows 3.1.1 only refuses MQTT 5 with return code 1, which is given as 0x84 here.
    pub reason: u8,
    /// MQTT 5 only.
    pub properties: Properties<'a>,
}

impl<'a> Connack<'a> {
    pub(crate) fn parse(version: Version, r: &mut Reader<'a>) -> Result<Self, Error> {
        let flags = r.u8();
        let reason = r.u8();
        if flags > 1 || flags == 1 && reason != 0 {
            r.fail(Error::ConnackFlags);
        }
        if version == Version::V5 && flags == 0 && reason == 1 && r.is_empty() {
            // a server without MQTT 5 refuses it in the form of 3.1.1 (3.1.2.2 there)
            return Ok(Connack {
                session_present: false,
                reason: UNSUPPORTED_VERSION,
                properties: Properties::EMPTY,
            });
        }
        r.check(match version {
            Version::V3 if reason > 5 => Err(Error::BadReason),
            Version::V3 => Ok(()),
            Version::V5 => reason::check(reason, Carrier::Connack),
        });
        let properties = r.properties(version, Place::Connack);
        r.finish()?;
        Ok(Connack {
            session_present: flags == 1,
            reason,
            properties,
        })
    }
}
