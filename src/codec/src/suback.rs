use crate::reader::Reader;
use crate::reason::{self, Carrier};
use crate::{Error, Pid, Place, Properties, Version};

/// SUBACK (3.9) or UNSUBACK (3.11).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Suback<'a> {
    /// True: UNSUBACK.
    pub unsuback: bool,
    /// The packet identifier of the SUBSCRIBE or UNSUBSCRIBE.
    pub pid: Pid,
    /// A code for each topic filter, one at least: the QoS granted or 0x80 and above for a failure. Empty for an
    /// UNSUBACK of 3.1.1. That there are as many as filters is for the caller to check.
    pub codes: &'a [u8],
    /// MQTT 5 only.
    pub properties: Properties<'a>,
}

impl<'a> Suback<'a> {
    pub(crate) fn parse(
        version: Version,
        unsuback: bool,
        r: &mut Reader<'a>,
    ) -> Result<Self, Error> {
        let pid = r.pid();
        let properties = r.properties(version, Place::Ack);
        let (carrier, has_codes) = match (unsuback, version) {
            (false, _) => (Carrier::Suback, true),
            (true, Version::V5) => (Carrier::Unsuback, true),
            (true, Version::V3) => (Carrier::Unsuback, false),
        };
        let codes = if has_codes { r.rest() } else { &[] };
        r.finish()?;
        if has_codes && codes.is_empty() {
            return Err(Error::Truncated);
        }
        for &code in codes {
            reason::check(code, carrier)?;
            // 3.1.1 has one failure only
            if version == Version::V3 && code > 0x80 {
                return Err(Error::BadReason);
            }
        }
        Ok(Suback {
            unsuback,
            pid,
            codes,
            properties,
        })
    }
}
