use crate::encode::Body;
use crate::header::PacketType;
use crate::writer::Writer;
use crate::{Error, Pid, Place, Properties, Version, topic};

/// Topic filters by index, from 0 on, with their subscription options; None ends the list. It is walked twice,
/// to measure and to write, and must give the same both times.
///
/// One filter: `&|i| (i == 0).then_some((filter, options))`, a slice of them: `&|i| slice.get(i).copied()`.
pub type Filters<'f, 'a> = &'f dyn Fn(usize) -> Option<(&'a [u8], u8)>;

const QOS: u8 = 0b11;
const NO_LOCAL: u8 = 1 << 2;

/// SUBSCRIBE (3.8).
#[derive(Clone, Copy)]
pub struct Subscribe<'f, 'a> {
    /// Protocol version.
    pub version: Version,
    /// Packet identifier.
    pub pid: Pid,
    /// Of [`Place::Subscribe`]; empty in 3.1.1.
    pub properties: Properties<'a>,
    /// One filter at least, see [`crate::check_topic_filter`]. Options (3.8.3.1): bits 0 and 1 the QoS, and in
    /// MQTT 5 bit 2 No Local, bit 3 Retain As Published, bits 4 and 5 Retain Handling 0 to 2.
    pub filters: Filters<'f, 'a>,
}

/// UNSUBSCRIBE (3.10).
#[derive(Clone, Copy)]
pub struct Unsubscribe<'f, 'a> {
    /// Protocol version.
    pub version: Version,
    /// Packet identifier.
    pub pid: Pid,
    /// Of [`Place::Unsubscribe`]; empty in 3.1.1.
    pub properties: Properties<'a>,
    /// One filter at least, see [`crate::check_topic_filter`]. Options are not looked at.
    pub filters: Filters<'f, 'a>,
}

fn check_options(version: Version, filter: &[u8], options: u8) -> Result<(), Error> {
    if options > QOS && version == Version::V3 {
        return Err(Error::NotInV3);
    }
    let shared_no_local = options & NO_LOCAL != 0 && topic::shared(filter)?.is_some();
    // Retain Handling 3 and the two bits above it are reserved
    if options & QOS == 3 || options >= 3 << 4 || shared_no_local {
        return Err(Error::BadOptions);
    }
    Ok(())
}

impl Body for Subscribe<'_, '_> {
    fn body(&self, w: &mut Writer<'_>) -> Result<u8, Error> {
        w.u16(self.pid.get());
        w.properties(self.version, self.properties, Place::Subscribe)?;
        let mut i = 0;
        while let Some((filter, options)) = (self.filters)(i) {
            topic::check_topic_filter(filter)?;
            check_options(self.version, filter, options)?;
            w.binary(filter)?;
            w.u8(options);
            i += 1;
        }
        if i == 0 {
            return Err(Error::NoTopicFilter);
        }
        Ok(PacketType::Subscribe as u8)
    }
}

impl Body for Unsubscribe<'_, '_> {
    fn body(&self, w: &mut Writer<'_>) -> Result<u8, Error> {
        w.u16(self.pid.get());
        w.properties(self.version, self.properties, Place::Unsubscribe)?;
        let mut i = 0;
        while let Some((filter, _)) = (self.filters)(i) {
            topic::check_topic_filter(filter)?;
            w.binary(filter)?;
            i += 1;
        }
        if i == 0 {
            return Err(Error::NoTopicFilter);
        }
        Ok(PacketType::Unsubscribe as u8)
    }
}
