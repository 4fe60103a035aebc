use crate::encode::Body;
use crate::header::PacketType;
use crate::writer::Writer;
use crate::{Error, Properties, Version};

/// AUTH (3.15) to the server, MQTT 5 only.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Auth<'a> {
    /// [`Auth::CONTINUE`] or [`Auth::RE_AUTHENTICATE`] (3.15.2.1).
    pub reason: u8,
    /// Of [`crate::Place::Auth`], with an authentication method.
    pub properties: Properties<'a>,
}

impl Auth<'_> {
    /// Another step of the authentication.
    pub const CONTINUE: u8 = 0x18;
    /// Authentication starts anew, on a connection that is up.
    pub const RE_AUTHENTICATE: u8 = 0x19;
}

impl Body for Auth<'_> {
    fn body(&self, w: &mut Writer<'_>) -> u8 {
        if !matches!(self.reason, Auth::CONTINUE | Auth::RE_AUTHENTICATE) {
            w.fail(Error::BadReason);
        }
        if self.properties.is_empty() {
            w.fail(Error::NoAuthMethod);
        }
        w.u8(self.reason);
        w.properties(Version::V5, self.properties);
        PacketType::Auth as u8
    }
}
