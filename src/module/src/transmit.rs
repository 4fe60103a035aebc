//! Bytes on their way to the stream: whole packets, in order, of which the
//! stream may have taken a part.
use crate::memory::Memory;
use core::ops::Range;
use micropython::{Exception, GcBytes, Loan, Obj, OrRaise, Stream, buffer, errno};
use mqtt_codec::Storage;

/// Capacity that is kept when all is written, in bytes.
const REST: usize = 256;

/// A packet up to this length is written at once, from here; of a longer one
/// the rest of the payload is written from where the application has it. The
/// first write then fills a TCP segment.
pub const WHOLE: usize = 1440;

/// Acknowledgements that a peer leaves unread may pile up to here.
const LIMIT: usize = 8192;

const NOWHERE: usize = usize::MAX;

pub struct Transmitter {
    memory: Memory,
    start: usize,
    end: usize,
    /// The object of the application's, a part of which is written from where
    /// it is.
    owner: Obj,
    part: Range<usize>,
    /// That part comes before this byte of the buffer; [`NOWHERE`]: there is none.
    at: usize,
    /// Up to here the stream was offered bytes of which it took none. TLS has
    /// them already and has to be offered the same again.
    offered: usize,
    /// The stream took a part of what it was offered last.
    pub partly: bool,
}

impl Transmitter {
    /// # Raises
    /// `MemoryError`
    pub fn new() -> Self {
        Transmitter {
            memory: Memory::new(0),
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
        self.at = NOWHERE;
        self.partly = false;
        if self.memory.bytes().len() > REST {
            // A failure leaves the larger memory in place, which serves too.
            let _ = self.memory.resize(REST, 0..0);
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
            let capacity = capacity.max(self.end - moved + len);
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

    /// Like [`reserve`], for an answer to the peer.
    ///
    /// # Raises
    /// `MemoryError` also if it leaves too many of them unread.
    ///
    /// [`reserve`]: Transmitter::reserve
    pub fn reserve_answer(&mut self, len: usize) {
        if self.end - self.start > LIMIT {
            Exception::Memory.raise()
        }
        self.reserve(len);
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
        let follows = if self.at == NOWHERE {
            0
        } else {
            self.part.len()
        };
        (!self.partly && self.at != self.start).then_some(self.end - self.start + follows)
    }

    /// What to offer to the stream next. There is something.
    pub fn offer(&mut self) -> Offer {
        let follows = self.at == self.start;
        let range = if follows {
            self.part.clone()
        } else {
            let mut end = self.end.min(self.at);
            if self.offered > self.start {
                end = end.min(self.offered);
            }
            self.start..end
        };
        Offer {
            memory: self.memory.0.lend(),
            owner: follows.then_some(self.owner),
            range,
        }
    }

    /// The stream took `n` bytes of what it was offered: whether that was all.
    pub fn taken(&mut self, offer: Offer, n: usize) -> bool {
        self.memory.0.settle(offer.memory);
        let range = offer.range;
        let left = range.len() - n;
        if offer.owner.is_some() {
            self.part.start += n;
            if left == 0 {
                self.owner = Obj::none();
                self.at = NOWHERE;
            }
        } else {
            self.start += n;
            self.offered = if n == 0 { range.end } else { 0 };
        }
        self.partly = left > 0 && (n > 0 || self.partly);
        left == 0
    }
}

/// What a stream is offered at one time. It borrows nothing: a stream written in
/// Python may come back to the session.
pub struct Offer {
    memory: Loan,
    /// The range is of this object, else of the memory.
    owner: Option<Obj>,
    range: Range<usize>,
}

impl Offer {
    /// Writes once.
    ///
    /// # Raises
    /// What a stream written in Python raises.
    pub fn write(&self, stream: &Stream) -> Result<usize, i32> {
        let payload;
        let bytes: &[u8] = match self.owner {
            None => &self.memory,
            // The application may have made it shorter in between: the packet
            // cannot be completed then.
            Some(owner) => {
                payload = buffer(owner).map_err(|_| errno::EIO)?;
                &payload
            }
        };
        stream.write(bytes.get(self.range.clone()).ok_or(errno::EIO)?)
    }
}
