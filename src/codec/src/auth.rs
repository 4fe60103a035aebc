use crate::encode::Body;
use crate::header::PacketType;
use crate::reader::Reader;
use crate::writer::Writer;
use crate::{Error, Place, Properties, Version};

/// AUTH (3.15), MQTT 5 only.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Auth<'a> {
    /// [`Auth::SUCCESS`] from the server, [`Auth::RE_AUTHENTICATE`] from the client, [`Auth::CONTINUE`] from
    /// both (3.15.2.1).
    pub reason: u8,
    /// Of [`Place::Auth`], with an authentication method. A success may do without any.
    pub properties: Properties<'a>,
}

impl<'a> Auth<'a> {
    /// Authentication has succeeded.
    pub const SUCCESS: u8 = 0;
    /// Another step of the authentication.
    pub const CONTINUE: u8 = 0x18;
    /// Authentication starts anew, on a connection that is up.
    pub const RE_AUTHENTICATE: u8 = 0x19;

    pub(crate) fn parse(r: &mut Reader<'a>) -> Result<Self, Error> {
        // only success may leave out the rest, and then all of it
        if r.is_empty() {
            return Ok(Auth {
                reason: Auth::SUCCESS,
                properties: Properties::EMPTY,
            });
        }
        let reason = r.u8();
        if !matches!(reason, Auth::SUCCESS | Auth::CONTINUE) {
            r.fail(Error::BadReason);
        }
        let properties = r.properties(Version::V5, Place::Auth);
        r.finish()?;
        Ok(Auth { reason, properties })
    }
}

impl Body for Auth<'_> {
    fn body(&self, w: &mut Writer<'_>) -> u8 {
        if !matches!(self.reason, Auth::CONTINUE | Auth::RE_AUTHENTICATE) {
            w.fail(Error::BadReason);
        }
        w.u8(self.reason);
        w.properties(Version::V5, self.properties);
        PacketType::Auth as u8
    }
}
