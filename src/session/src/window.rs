//! What was written and is not known to have arrived, for transports that do not tell when their queue is full.

use mqtt_codec::Pid;

/// What may be under way, in units of [`UNIT`] bytes: 24 short writes or 3840 bytes. lwIP holds 32 segments and some
/// 6 KB of a connection; beyond them it stops the program.
const BOUND: u16 = 120;

/// A short write takes a segment all the same.
const LEAST: u16 = BOUND / 24;

const UNIT: usize = 32;

/// Counts what is written. The peer works on packets in order: the answer to one tells that it has all that was
/// written before it.
///
/// Counts are in units and wrap.
#[derive(Default)]
pub struct Window {
    /// Without it nothing is ever held back.
    pub bounded: bool,
    written: u16,
    arrived: u16,
    /// What had been written when the last packet was that the peer answers.
    asked: u16,
    /// A request that is queued, to be asked once it is written.
    pub(crate) asking: Option<Pid>,
    /// PINGREQs without their answers yet.
    pings: u8,
    /// Of the first of them, if there was none before it.
    pinged: Option<u16>,
}

impl Window {
    /// The server accepted a connection, and so has all that was written.
    pub(crate) fn open(&mut self) {
        *self = Window {
            bounded: self.bounded,
            ..Window::default()
        };
    }

    /// A write of that many bytes was taken.
    pub fn wrote(&mut self, len: usize) {
        // A packet beyond the bound must not wrap it.
        let most = (i16::MAX as u16).saturating_sub(self.used());
        self.written = self.written.wrapping_add(cost(len).min(most));
    }

    fn used(&self) -> u16 {
        self.written.wrapping_sub(self.arrived)
    }

    /// May so many bytes be written? Yes too where no answer is to come that would make room.
    pub fn room(&self, len: usize) -> bool {
        !self.bounded
            || self.used().saturating_add(cost(len)) <= BOUND
            || self.asked == self.arrived && self.pings == 0
    }

    /// Half of the bound was written since the last packet that is answered: a PINGREQ is to follow.
    pub fn wants_ping(&self) -> bool {
        self.bounded && self.pings == 0 && self.written.wrapping_sub(self.asked) >= BOUND / 2
    }

    /// A packet was written that the peer will answer: what to remember for [`arrived`](Window::arrived).
    pub(crate) fn ask(&mut self) -> u16 {
        self.asked = self.written;
        self.written
    }

    /// A PINGREQ was written.
    pub(crate) fn pinged(&mut self) {
        if self.pings == 0 {
            self.pinged = Some(self.ask());
        }
        self.pings = self.pings.saturating_add(1);
    }

    /// Is a PINGRESP to come?
    pub(crate) fn pinging(&self) -> bool {
        self.pings > 0
    }

    /// A PINGRESP came in.
    pub(crate) fn ponged(&mut self) {
        self.pings = self.pings.saturating_sub(1);
        if let Some(mark) = self.pinged.take() {
            self.arrived(mark);
        }
    }

    /// The answer to the packet that was asked with this mark is here.
    pub(crate) fn arrived(&mut self, mark: u16) {
        if mark.wrapping_sub(self.arrived) <= self.used() {
            self.arrived = mark;
        }
    }
}

fn cost(len: usize) -> u16 {
    len.div_ceil(UNIT).clamp(LEAST.into(), i16::MAX as usize) as u16
}
