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

/// The end of a payload that is written from the application's object.
struct Tail {
    owner: Obj,
    /// The bytes of it that are still to be written.
    part: Range<usize>,
    /// It comes before this byte of the buffer.
    at: usize,
}

pub struct Transmitter {
    memory: Memory,
    start: usize,
    end: usize,
    tail: Option<Tail>,
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
            tail: None,
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
        self.tail = None;
        if !self.writing && self.memory.bytes().len() > REST {
            // A failure leaves the larger memory in place, which serves too.
            let _ = self.memory.resize(REST, 0..0);
        }
    }

    pub fn is_empty(&self) -> bool {
        self.start == self.end && self.tail.is_none()
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
            let live = self.start..self.end;
            let capacity = capacity.max(live.len() + len);
            self.memory.0.resize(capacity, live).or_raise();
            let moved = self.start;
            self.start = 0;
            self.end -= moved;
            self.offered = self.offered.saturating_sub(moved);
            if let Some(tail) = &mut self.tail {
                tail.at -= moved;
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
        let at = self.end;
        self.tail = Some(Tail { owner, part, at });
    }

    /// Offers what there is to the stream, in as few writes as it takes: how
    /// many bytes it took, or an error number.
    ///
    /// # Raises
    /// What a stream written in Python raises.
    pub fn flush(&mut self, stream: &Stream) -> Result<usize, i32> {
        let mut moved = 0;
        if self.writing {
            return Ok(0);
        }
        self.writing = true;
        let result = self.offer(stream, &mut moved);
        self.writing = false;
        if self.is_empty() {
            self.reset();
        }
        result.map(|()| moved)
    }

    fn offer(&mut self, stream: &Stream, moved: &mut usize) -> Result<(), i32> {
        while !self.is_empty() {
            let (n, all) = match &mut self.tail {
                Some(tail) if tail.at == self.start => {
                    // The application may have made it shorter in between: the
                    // packet cannot be completed then.
                    let payload = buffer(tail.owner).map_err(|_| errno::EIO)?;
                    let chunk = payload.get(tail.part.clone()).ok_or(errno::EIO)?;
                    let n = write(stream, chunk)?;
                    tail.part.start += n;
                    let all = n == chunk.len();
                    if all {
                        self.tail = None;
                    }
                    (n, all)
                }
                tail => {
                    let mut end = tail.as_ref().map_or(self.end, |tail| tail.at);
                    if self.offered > self.start {
                        end = end.min(self.offered);
                    }
                    let chunk = self.memory.bytes().get(self.start..end);
                    let chunk = chunk.unwrap_or_default();
                    let n = write(stream, chunk)?;
                    let all = n == chunk.len();
                    self.offered = if n == 0 { end } else { 0 };
                    self.start = (self.start + n).min(self.end);
                    (n, all)
                }
            };
            *moved += n;
            if !all {
                break;
            }
        }
        Ok(())
    }
}

fn write(stream: &Stream, chunk: &[u8]) -> Result<usize, i32> {
    if chunk.is_empty() {
        return Ok(0);
    }
    match stream.write(chunk) {
        Err(errno::EAGAIN) => Ok(0),
        n => n,
    }
}
