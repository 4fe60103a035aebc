//! Bytes on their way to the stream: whole packets, in order, of which the
//! stream may have taken a part.
use crate::memory::Memory;
use core::ops::Range;
use micropython::{Exception, Obj, OrRaise, Stream, buffer, errno};
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
    /// A stream written in Python writes, or raised while it did: the memory
    /// has to stay where it is.
    writing: bool,
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
            writing: false,
        }
    }

    /// A new stream.
    pub fn open(&mut self) {
        self.writing = false;
        self.reset();
    }

    /// Forgets what was not written.
    pub fn reset(&mut self) {
        self.start = 0;
        self.end = 0;
        self.offered = 0;
        self.owner = Obj::none();
        self.at = NOWHERE;
        if !self.writing && self.memory.bytes().len() > REST {
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
    /// `MemoryError`, and `RuntimeError` in a stream written in Python.
    ///
    /// [`commit`]: Transmitter::commit
    #[inline(never)]
    pub fn reserve(&mut self, len: usize) -> &mut [u8] {
        if self.writing {
            Exception::Runtime(c"session used by its own stream").raise()
        }
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

    /// Offers what there is to the stream, in as few writes as it takes: whether
    /// it took anything, or an error number.
    ///
    /// # Raises
    /// What a stream written in Python raises.
    pub fn flush(&mut self, stream: &Stream) -> Result<bool, i32> {
        let mut moved = false;
        while !self.writing && !self.is_empty() {
            self.writing = true;
            let taken = self.write(stream);
            self.writing = false;
            match taken? {
                Taken::All => moved = true,
                Taken::Part => {
                    moved = true;
                    break;
                }
                Taken::Nothing => break,
            }
        }
        if self.is_empty() {
            self.reset();
        }
        Ok(moved)
    }

    /// Writes once.
    #[inline(never)]
    fn write(&mut self, stream: &Stream) -> Result<Taken, i32> {
        let payload;
        let mut end = self.end.min(self.at);
        let follows = self.at == self.start;
        let chunk = if follows {
            // The application may have made it shorter in between: the packet
            // cannot be completed then.
            payload = buffer(self.owner).map_err(|_| errno::EIO)?;
            payload.get(self.part.clone()).ok_or(errno::EIO)?
        } else {
            if self.offered > self.start {
                end = end.min(self.offered);
            }
            let chunk = self.memory.bytes().get(self.start..end);
            chunk.unwrap_or_default()
        };
        let n = match stream.write(chunk) {
            Err(errno::EAGAIN) => 0,
            n => n?,
        };
        let all = n == chunk.len();
        if follows {
            self.part.start += n;
            if all {
                self.owner = Obj::none();
                self.at = NOWHERE;
            }
        } else {
            self.start += n;
            self.offered = if n == 0 { end } else { 0 };
        }
        Ok(match n {
            0 => Taken::Nothing,
            _ if all => Taken::All,
            _ => Taken::Part,
        })
    }
}

/// What a stream took of what it was offered.
enum Taken {
    Nothing,
    Part,
    All,
}
