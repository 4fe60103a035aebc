use crate::encode::Body;
use crate::header::PacketType;
use crate::writer::Writer;
use crate::{Error, Properties, QoS, Version};

/// CONNECT (3.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Connect<'a> {
    /// Protocol version.
    pub version: Version,
    /// Clean session (3.1.1), clean start (MQTT 5).
    pub clean: bool,
    /// Keep alive in seconds; 0: none.
    pub keep_alive: u16,
    /// UTF-8, up to 65535 bytes; a server may accept less. Empty: the server makes one up, in 3.1.1 only for a
    /// clean session.
    pub client_id: &'a [u8],
    /// User name, UTF-8, up to 65535 bytes.
    pub user: Option<&'a [u8]>,
    /// Password, up to 65535 bytes. In 3.1.1 only with a user name.
    pub password: Option<&'a [u8]>,
    /// What the server publishes if the connection ends without DISCONNECT.
    pub will: Option<Will<'a>>,
    /// Of [`crate::Place::Connect`]; empty in 3.1.1.
    pub properties: Properties<'a>,
}

/// The will message (3.1.2.5).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Will<'a> {
    /// A topic name, see [`crate::check_topic_name`].
    pub topic: &'a [u8],
    /// Up to 65535 bytes.
    pub payload: &'a [u8],
    /// Quality of service.
    pub qos: QoS,
    /// To be kept by the server for subscriptions to come.
    pub retain: bool,
    /// Of [`crate::Place::Will`]; empty in 3.1.1.
    pub properties: Properties<'a>,
}

impl Body for Connect<'_> {
    fn body(&self, w: &mut Writer<'_>) -> u8 {
        if !self.version.is_v5() {
            if self.password.is_some() && self.user.is_none() {
                w.fail(Error::PasswordWithoutUser);
            }
            if self.client_id.is_empty() && !self.clean {
                w.fail(Error::EmptyClientId);
            }
        }
        // 3.1.2.3
        let mut flags = u8::from(self.user.is_some()) << 7
            | u8::from(self.password.is_some()) << 6
            | u8::from(self.clean) << 1;
        if let Some(will) = &self.will {
            flags |= u8::from(will.retain) << 5 | (will.qos as u8) << 3 | 1 << 2;
        }
        w.binary(b"MQTT");
        w.u8(self.version as u8);
        w.u8(flags);
        w.u16(self.keep_alive);
        w.properties(self.version, self.properties);
        w.string(self.client_id);
        if let Some(will) = &self.will {
            w.properties(self.version, will.properties);
            w.topic(will.topic);
            w.binary(will.payload);
        }
        if let Some(user) = self.user {
            w.string(user);
        }
        if let Some(password) = self.password {
            w.binary(password);
        }
        PacketType::Connect as u8
    }
}
