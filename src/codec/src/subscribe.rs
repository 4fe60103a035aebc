use core::ops::Deref;

use crate::encode::Body;
use crate::header::PacketType;
use crate::writer::Writer;
use crate::{Error, Pid, Properties, Version, topic};

const QOS: u8 = 0b11;
const NO_LOCAL: u8 = 1 << 2;

/// SUBSCRIBE (3.8) or UNSUBSCRIBE (3.10).
#[derive(Clone, Copy)]
pub struct Subscribe<'a, F> {
    /// True: UNSUBSCRIBE.
    pub unsubscribe: bool,
    /// Protocol version.
    pub version: Version,
    /// Packet identifier.
    pub pid: Pid,
    /// Of [`crate::Place::Subscribe`] or [`crate::Place::Unsubscribe`]; empty in 3.1.1.
    pub properties: Properties<'a>,
    /// Topic filters ([`crate::check_topic_filter`]) with their subscription options, by index from 0 on; None ends
    /// the list, which is not empty. It is walked twice, to measure and to write, and must give the same both times.
    ///
    /// Options (3.8.3.1): bits 0 and 1 the QoS, and in MQTT 5 bit 2 No Local, bit 3 Retain As Published, bits 4 and 5
    /// Retain Handling 0 to 2. For UNSUBSCRIBE they are not looked at.
    pub filters: F,
}

fn check_options(version: Version, filter: &[u8], options: u8) -> Result<(), Error> {
    if options > QOS && !version.is_v5() {
        return Err(Error::NotInV3);
    }
    let shared_no_local = options & NO_LOCAL != 0 && filter.starts_with(topic::SHARE);
    // Retain Handling 3 and the two bits above it are reserved
    if options & QOS == 3 || options >= 3 << 4 || shared_no_local {
        return Err(Error::BadOptions);
    }
    Ok(())
}

impl<T, F> Body for Subscribe<'_, F>
where
    T: Deref<Target = [u8]>,
    F: Fn(usize) -> Option<(T, u8)>,
{
    fn body(&self, w: &mut Writer<'_>) -> u8 {
        w.u16(self.pid.get());
        w.properties(self.version, self.properties);
        let mut i = 0;
        while let Some((filter, options)) = (self.filters)(i) {
            w.check(topic::check_topic_filter(&filter));
            w.binary(&filter);
            if !self.unsubscribe {
                w.check(check_options(self.version, &filter, options));
                w.u8(options);
            }
            i += 1;
        }
        if i == 0 {
            w.fail(Error::NoTopicFilter);
        }
        if self.unsubscribe {
            PacketType::Unsubscribe as u8
        } else {
            PacketType::Subscribe as u8
        }
    }
}
