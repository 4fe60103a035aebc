//! The receive buffer: bytes in, packets out.
use core::ops::Range;

use crate::header::{Header, PacketType};
use crate::{Error, Packet, Properties, Version};

/// The memory asked for is not there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OutOfMemory;

/// The memory of a [`Receiver`].
pub trait Storage {
    /// All of it; the length is the capacity.
    fn bytes(&self) -> &[u8];
    /// All of it, to write.
    fn bytes_mut(&mut self) -> &mut [u8];
    /// Changes the capacity, keeps the bytes `live` and moves them to the front; `capacity` is never less than
    /// there are. On an error nothing has changed.
    fn resize(&mut self, capacity: usize, live: Range<usize>) -> Result<(), OutOfMemory>;
}

/// Reads in a row that a smaller buffer would have served as well, after which a grown one is given back.
const SHORT_READS: u8 = 8;

/// A buffer of more than so many times `burst` is not kept for the next long packet. With 2 KB that makes 8 KB, which even a
/// heap of 38 KB can spare for a while: it just held them, and a copy for the application.
const KEPT: usize = 4;

/// The shortest packet.
const SHORTEST: usize = 2;

/// The longest fixed header (2.1.1).
const MAX_HEADER: usize = 5;

/// Finds packets in a stream of bytes: read into [`Receiver::window`], [`Receiver::commit`] what was read, then
/// [`Receiver::peek`] and [`Receiver::consume`] until there is no whole packet left.
///
/// The buffer grows to the length of a packet that exceeds it, bounded by the maximum packet size, and doubles,
/// bounded by `burst`, when a read has filled it, so that a burst takes few reads. It shrinks to its first size
/// when it has been drained and is no longer needed: at once if it exceeds `burst` more than four times, otherwise after
/// eight reads that did not need it, and when [`Receiver::shrink`] says so. One that exceeds `burst` is needed for packets
/// that do, so that a run of them costs one growth; a smaller one for all that exceeds the first size.
///
/// A PUBLISH beyond `burst` may be taken in pieces instead, see [`Receiver::in_pieces`].
pub struct Receiver<S> {
    storage: S,
    base: usize,
    /// What a burst may make it grow to, in bytes.
    pub burst: usize,
    max_packet: u32,
    /// A PUBLISH longer than `burst` is not waited for: [`Receiver::peek`] gives it as soon as its payload begins, with
    /// as much of that as there is.
    pub in_pieces: bool,
    /// The bytes received and not consumed are `start..end`.
    start: usize,
    end: usize,
    /// Of the payload that is taken in pieces: bytes not consumed.
    rest: usize,
    /// The last read filled the window: a burst.
    filled: bool,
    short_reads: u8,
}

impl<S: Storage> Receiver<S> {
    /// The length of `storage` is the base capacity, 1 or more. `burst` bounds the growth due to bursts, in
    /// bytes. `max_packet` bounds the length of a packet, fixed header included, in bytes (3.1.2.11.4).
    pub fn new(storage: S, burst: usize, max_packet: u32) -> Self {
        Receiver {
            base: storage.bytes().len(),
            storage,
            burst,
            max_packet,
            in_pieces: false,
            start: 0,
            end: 0,
            rest: 0,
            filled: false,
            short_reads: 0,
        }
    }

    /// Forgets all bytes: a new connection.
    pub fn reset(&mut self) {
        self.start = 0;
        self.end = 0;
        self.rest = 0;
        self.filled = false;
    }

    /// The storage, its capacity as it is now.
    pub fn storage(&self) -> &S {
        &self.storage
    }

    /// The storage, for those who hand out parts of it. Its capacity is to be left alone.
    pub fn storage_mut(&mut self) -> &mut S {
        &mut self.storage
    }

    /// Where in the storage the first packet begins.
    pub fn position(&self) -> usize {
        self.start
    }

    /// True if all bytes received are consumed.
    pub fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Length of a PUBLISH before its payload, from what [`Receiver::peek`] gave: its length, and that of as much of
    /// its payload as is here.
    pub fn head(&self, len: usize, payload: usize) -> usize {
        len.min(self.end - self.start) - payload
    }

    /// Drops the head of the first packet: its payload of `rest` bytes is taken in pieces, before anything else.
    pub fn divide(&mut self, head: usize, rest: usize) {
        self.consume(head);
        self.rest = rest;
    }

    /// Of a PUBLISH taken in pieces: bytes of its payload that are not consumed, here or yet to come.
    pub fn rest(&self) -> usize {
        self.rest
    }

    /// Those of [`Receiver::rest`] that are here, at [`Receiver::position`].
    pub fn piece(&self) -> usize {
        self.rest.min(self.end - self.start)
    }

    /// Is a PUBLISH of this length given before all of it has come?
    pub fn divides(&self, len: usize) -> bool {
        self.in_pieces && len > self.burst
    }

    fn live(&self) -> &[u8] {
        self.storage
            .bytes()
            .get(self.start..self.end)
            .unwrap_or_default()
    }

    /// Room to read into, one byte at least. It holds bytes of no meaning.
    ///
    /// [`OutOfMemory`]: the buffer must grow for the packet that is coming in and cannot, or it is full and its
    /// first packet is whole or bad, so that it must be taken first. Nothing has changed.
    #[inline(never)]
    pub fn window(&mut self) -> Result<&mut [u8], OutOfMemory> {
        if self.capacity().div_ceil(KEPT) > self.burst || self.short_reads >= SHORT_READS {
            self.shrink();
        }
        let live = self.start..self.end;
        let capacity = self.capacity();
        let needed = self.needed();
        if needed > capacity {
            self.storage.resize(needed, live)?;
            self.moved();
        } else {
            let wanted = if self.filled && capacity < self.burst {
                capacity.saturating_mul(2).min(self.burst)
            } else {
                capacity.max(self.base)
            };
            // a wish only: without it there is still room, or the error below
            if wanted == capacity || self.storage.resize(wanted, live).is_err() {
                self.compact();
            }
            self.moved();
        }
        self.filled = false;
        match self.storage.bytes_mut().get_mut(self.end..) {
            Some(room) if !room.is_empty() => Ok(room),
            _ => Err(OutOfMemory),
        }
    }

    /// Takes other memory, with the same bytes, since that of now may still be written to.
    pub fn renew(&mut self) -> Result<(), OutOfMemory> {
        self.storage.resize(self.capacity(), self.start..self.end)?;
        self.moved();
        Ok(())
    }

    /// Gives back what it has grown by, if all bytes are consumed.
    pub fn shrink(&mut self) {
        if self.is_empty() && self.capacity() > self.base {
            // A wish only.
            let _ = self.storage.resize(self.base, 0..0);
            self.start = 0;
            self.end = 0;
        }
    }

    fn capacity(&self) -> usize {
        self.storage.bytes().len()
    }

    /// What it would do with, were it not for longer reads and packets.
    #[inline(never)]
    fn enough(&self) -> usize {
        if self.capacity() > self.burst {
            self.burst
        } else {
            self.base
        }
    }

    /// Moves the bytes to the front.
    fn compact(&mut self) {
        match self.storage.bytes_mut().get_mut(..self.end) {
            Some(bytes) if self.start < bytes.len() => bytes.copy_within(self.start.., 0),
            _ => {}
        }
    }

    /// The bytes have been moved to the front.
    fn moved(&mut self) {
        self.end -= self.start;
        self.start = 0;
    }

    /// Capacity that the first packet needs: its length, as far as it is known and allowed.
    fn needed(&self) -> usize {
        if self.rest > 0 {
            return 0;
        }
        let live = self.live();
        let capacity = self.capacity();
        let full = live.len() == capacity;
        match Header::parse(live) {
            Ok(header) if self.exceeds(&header) || self.parts(&header) && !full => 0,
            // wherever its payload begins
            Ok(header) if self.parts(&header) => header.total().min(capacity.saturating_mul(2)),
            Ok(header) => header.total(),
            Err(Error::Truncated) if full => MAX_HEADER,
            _ => 0,
        }
    }

    fn parts(&self, header: &Header) -> bool {
        header.first >> 4 == PacketType::Publish as u8 >> 4 && self.divides(header.total())
    }

    #[inline(never)]
    fn exceeds(&self, header: &Header) -> bool {
        header.total() > self.max_packet as usize
    }

    /// Bytes that may be read without one of the next packet among them: what the first packet is sure to have yet. 0: it
    /// is all here.
    pub fn missing(&self) -> usize {
        let live = self.live();
        if self.rest > 0 {
            return self.rest - self.piece();
        }
        match Header::parse(live) {
            Ok(header) => header.total().saturating_sub(live.len()),
            Err(_) => SHORTEST.saturating_sub(live.len()).max(1),
        }
    }

    /// The first two bytes of the first packet: its type with flags, and its remaining length or the first byte of it.
    pub fn begun(&self) -> Option<(u8, u8)> {
        match *self.live() {
            [first, length, ..] => Some((first, length)),
            _ => None,
        }
    }

    /// Tells that `n` bytes have been read to the front of the window.
    pub fn commit(&mut self, n: usize) {
        let capacity = self.capacity();
        self.end = self.end.saturating_add(n).min(capacity);
        // the rest of a packet that just fits fills the window too and is no burst
        self.filled = self.end == capacity && (n == capacity || self.needed() != capacity);
        self.short_reads = if n < self.enough() {
            self.short_reads.saturating_add(1)
        } else {
            0
        };
    }

    /// The first packet and its length, for [`Receiver::consume`]; None if it is not all there yet. Not for use while
    /// there is a [`Receiver::rest`].
    ///
    /// Costs little while it is not. A packet of a wrong type or with wrong flags, a bad fixed header and a packet
    /// beyond the maximum packet size are errors before the rest of it has come. After an error the stream is
    /// of no more use: [`Receiver::reset`].
    pub fn peek(&self, version: Version) -> Result<Option<(Packet<'_>, usize)>, Error> {
        self.peek_after(version, Properties::EMPTY)
    }

    /// As [`Receiver::peek`], see [`Packet::parse_after`].
    pub fn peek_after(
        &self,
        version: Version,
        known: Properties<'_>,
    ) -> Result<Option<(Packet<'_>, usize)>, Error> {
        let live = self.live();
        if let Some(&first) = live.first() {
            PacketType::received(version, first)?;
        }
        let header = match Header::parse(live) {
            Err(Error::Truncated) => return Ok(None),
            header => header?,
        };
        if self.exceeds(&header) {
            return Err(Error::PacketTooLarge);
        }
        let total = header.total();
        let body = match live.get(header.len..total) {
            None if self.parts(&header) => live.get(header.len..).unwrap_or_default(),
            None => return Ok(None),
            Some(body) => body,
        };
        match Packet::parse_after(version, header.first, body, known) {
            Err(Error::Truncated | Error::StringBeyondPacket) if live.len() < total => Ok(None),
            packet => Ok(Some((packet?, total))),
        }
    }

    /// Drops the first `len` bytes: the packet or the piece is done with.
    pub fn consume(&mut self, len: usize) {
        self.start = self.start.saturating_add(len).min(self.end);
        self.rest = self.rest.saturating_sub(len);
        if len > self.enough() {
            self.short_reads = 0;
        }
    }
}
