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
    let shared_no_local = options & NO_LOCAL != 0 && filter.starts_with(topic::SHARE);
    // Retain Handling 3 and the two bits above it are reserved
    if options & QOS == 3 || options >= 3 << 4 || shared_no_local {
        return Err(Error::BadOptions);
    }
    Ok(())
}

/// What the two packets have in common.
fn body(
    w: &mut Writer<'_>,
    (version, pid): (Version, Pid),
    (properties, place): (Properties<'_>, Place),
    filters: Filters<'_, '_>,
) {
    w.u16(pid.get());
    w.properties(version, properties, place);
    let mut i = 0;
    while let Some((filter, options)) = filters(i) {
        w.check(topic::check_topic_filter(filter));
        w.binary(filter);
        if place == Place::Subscribe {
            w.check(check_options(version, filter, options));
            w.u8(options);
        }
        i += 1;
    }
    if i == 0 {
        w.fail(Error::NoTopicFilter);
    }
}

impl Body for Subscribe<'_, '_> {
    fn body(&self, w: &mut Writer<'_>) -> u8 {
        let properties = (self.properties, Place::Subscribe);
        body(w, (self.version, self.pid), properties, self.filters);
        PacketType::Subscribe as u8
    }
}

impl Body for Unsubscribe<'_, '_> {
    fn body(&self, w: &mut Writer<'_>) -> u8 {
        let properties = (self.properties, Place::Unsubscribe);
        body(w, (self.version, self.pid), properties, self.filters);
        PacketType::Unsubscribe as u8
    }
}
