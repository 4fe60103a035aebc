//! Bytes on their way to the stream: whole packets, in order, of which the
//! stream may have taken a part.
use crate::memory::Memory;
use core::ops::Range;
use micropython::{GcBytes, Loan, Obj, OrRaise, Vm, buffer};
use mqtt_codec::{OutOfMemory, Storage};

/// A packet up to this length is written at once; of a longer one the rest of the
/// payload comes from where the application has it, so many bytes at a time. Each
/// write then fills a TCP segment.
pub const WHOLE: usize = 1440;

/// Acknowledgements that a peer leaves unread may pile up to here.
const LIMIT: usize = 8192;

const NOWHERE: usize = usize::MAX;

/// Capacity that has been needed is kept up to here, in bytes.
const REST: usize = 256;

pub struct Transmitter {
    memory: Memory,
    /// Capacity that it has at least, once there is something to write, and keeps, in bytes.
    least: usize,
    start: usize,
    end: usize,
    /// The object of the application's, a part of which is yet to be copied.
    owner: Obj,
    part: Range<usize>,
    /// That part comes before this byte of the buffer; [`NOWHERE`]: there is none.
    at: usize,
    /// Up to here the stream was offered bytes of which it took none. TLS has
    /// them already and has to be offered the same again.
    offered: usize,
    /// The stream took a part of a packet.
    pub partly: bool,
}

impl Transmitter {
    pub fn new(least: usize) -> Self {
        Transmitter {
            memory: Memory(GcBytes::EMPTY),
            least,
            start: 0,
            end: 0,
            owner: Obj::none(),
            part: 0..0,
            at: NOWHERE,
            offered: 0,
            partly: false,
        }
    }

    /// Forgets what was not written.
    pub fn reset(&mut self) {
        self.start = 0;
        self.end = 0;
        self.offered = 0;
        self.owner = Obj::none();
        self.part = 0..0;
        self.at = NOWHERE;
        self.partly = false;
        let rest = self.least.max(REST);
        if self.memory.bytes().len() > rest {
            // A failure leaves the larger memory in place, which serves too.
            let _ = self.memory.resize(rest, 0..0);
        }
    }

    #[inline(never)]
    pub fn is_empty(&self) -> bool {
        self.start == self.end && self.at == NOWHERE
    }

    /// Room for `len` more bytes, to be written and then kept by [`commit`].
    ///
    /// # Raises
    /// `MemoryError`
    ///
    /// [`commit`]: Transmitter::commit
    #[inline(never)]
    pub fn reserve(&mut self, len: usize) -> &mut [u8] {
        let capacity = self.memory.bytes().len();
        if self.end + len > capacity {
            let moved = self.start;
            let capacity = capacity.max(self.least).max(self.end - moved + len);
            self.memory.0.resize(capacity, moved..self.end).or_raise();
            self.start = 0;
            self.end -= moved;
            self.offered = self.offered.saturating_sub(moved);
            if self.at != NOWHERE {
                self.at -= moved;
            }
        }
        let room = self.memory.bytes_mut().get_mut(self.end..self.end + len);
        room.unwrap_or_default()
    }

    /// The peer leaves too many answers unread: there is to be no further one.
    pub fn is_full(&self) -> bool {
        self.end - self.start > LIMIT
    }

    /// `len` bytes were written to the room reserved.
    pub fn commit(&mut self, len: usize) {
        self.end += len;
    }

    /// What follows the last bytes is that part of the payload `owner`.
    pub fn follow(&mut self, owner: Obj, part: Range<usize>) {
        self.owner = owner;
        self.part = part;
        self.at = self.end;
    }

    /// The memory is in use by a stream that never came back: leaves it to the collector.
    pub fn renounce(&mut self) {
        self.memory = Memory(GcBytes::EMPTY);
    }

    /// Bytes of what is to be written, unless the stream took a part of a packet.
    pub fn begins(&self) -> Option<usize> {
        (!self.partly).then(|| self.end - self.start + self.part.len())
    }

    /// Copies what there is room for of the payload that is next, if it is.
    /// [`OutOfMemory`] also if the application has made it shorter in between: the
    /// packet cannot be completed then.
    pub fn refill(&mut self, vm: &Vm) -> Result<(), OutOfMemory> {
        if self.start != self.at {
            return Ok(());
        }
        let payload = buffer(vm, self.owner).unwrap_or_default();
        let live = self.end - self.start;
        // Where the packet's beginning was; what is queued behind it may have come there.
        if self.start == 0 {
            self.memory.resize(live + WHOLE, self.start..self.end)?;
            let all = self.memory.bytes_mut();
            all.copy_within(..live, WHOLE);
            self.start = WHOLE;
            self.end = WHOLE + live;
        }
        let n = self.part.len().min(self.start);
        let from = self.part.start;
        let to = self.start - n..self.start;
        let to = self.memory.bytes_mut().get_mut(to);
        match (payload.get(from..from + n), to) {
            (Some(from), Some(to)) => to.copy_from_slice(from),
            _ => return Err(OutOfMemory),
        }
        self.at = self.start;
        self.start -= n;
        self.part.start += n;
        if self.part.is_empty() {
            self.owner = Obj::none();
            self.at = NOWHERE;
        }
        Ok(())
    }

    /// What to offer to the stream next.
    pub fn offer(&mut self) -> Offer {
        let mut end = self.end.min(self.at);
        if self.offered > self.start {
            end = end.min(self.offered);
        }
        Offer {
            memory: self.memory.0.lend(),
            range: self.start..end,
        }
    }

    /// The stream took `n` bytes of what it was offered: whether that was all.
    pub fn taken(&mut self, offer: Offer, n: usize) -> bool {
        self.memory.0.settle(offer.memory);
        self.start += n;
        let all = self.start == offer.range.end;
        self.offered = if n == 0 { offer.range.end } else { 0 };
        self.partly = if all {
            self.at != NOWHERE
        } else {
            n > 0 || self.partly
        };
        all
    }
}

/// What a stream is offered at one time. It borrows nothing: a stream written in
/// Python may come back to the session.
pub struct Offer {
    pub memory: Loan,
    pub range: Range<usize>,
}
