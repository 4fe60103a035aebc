use crate::{Pid, Version};

/// The four acknowledgements of a PUBLISH; the numbers are those of the packet types (2.1.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum AckKind {
    /// Answer to a PUBLISH of QoS 1 (3.4)
    Puback = 4,
    /// First answer to a PUBLISH of QoS 2 (3.5)
    Pubrec = 5,
    /// Answer to PUBREC (3.6)
    Pubrel = 6,
    /// Answer to PUBREL (3.7)
    Pubcomp = 7,
}

/// A PUBACK, PUBREC, PUBREL or PUBCOMP without properties, at the front of `out`: 4 bytes in 3.1.1, where `reason` is
/// left out, and for reason 0, else 5. That the packet may carry the reason is for the caller to see to.
pub fn ack(version: Version, kind: AckKind, pid: Pid, reason: u8, out: &mut [u8; 5]) -> &[u8] {
    let [high, low] = pid.get().to_be_bytes();
    // the only one with a flag
    let first = (kind as u8) << 4 | u8::from(kind == AckKind::Pubrel) << 1;
    let short = !version.is_v5() || reason == 0;
    *out = [first, if short { 2 } else { 3 }, high, low, reason];
    match &*out {
        [packet @ .., _] if short => packet,
        packet => packet,
    }
}
