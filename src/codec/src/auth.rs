use crate::encode::Body;
use crate::header::PacketType;
use crate::reader::Reader;
use crate::reason::{self, Carrier};
use crate::writer::Writer;
use crate::{Error, Place, Properties, Version};

/// AUTH (3.15), MQTT 5 only.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Auth<'a> {
    /// 0: success, 0x18: continue, 0x19: re-authenticate.
    pub reason: u8,
    /// Of [`Place::Auth`], with an authentication method unless the reason is 0.
    pub properties: Properties<'a>,
}

impl<'a> Auth<'a> {
    pub(crate) fn parse(r: &mut Reader<'a>) -> Result<Self, Error> {
        // only success may leave out the rest, and then all of it
        if r.is_empty() {
            return Ok(Auth {
                reason: 0,
                properties: Properties::EMPTY,
            });
        }
        let reason = r.reason(Carrier::Auth);
        let properties = r.properties(Version::V5, Place::Auth);
        r.finish()?;
        Ok(Auth { reason, properties })
    }
}

impl Body for Auth<'_> {
    fn body(&self, w: &mut Writer<'_>) -> u8 {
        w.check(reason::check(self.reason, Carrier::Auth));
        if self.reason != 0 || !self.properties.is_empty() {
            w.u8(self.reason);
            w.properties(Version::V5, self.properties, Place::Auth);
        }
        PacketType::Auth as u8
    }
}
