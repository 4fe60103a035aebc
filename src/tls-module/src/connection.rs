//! The class `Connection`: moves bytes between a stream and a TLS client, and never waits unless the stream does.

use core::mem::ManuallyDrop;
use core::ops::Range;
use micropython::{
    Exception, GcBytes, Native, Obj, OrRaise, Stream, buffer, buffer_mut, bytes_of, class, errno,
    qstr,
};
use mqtt_tls::{Client, Config, Expected, Memory, State, Trust};

/// Bytes that are read from the stream, or written to it, at once.
const CHUNK: usize = 512;

/// Bytes of the client's write buffer, and how many it has beyond its certificate.
const WRITE: usize = 1024;
const WRITE_AROUND_CERTIFICATE: usize = 256;

/// Events of `select.poll`.
const READABLE: usize = 1;
const WRITABLE: usize = 4;
const INVALID: usize = 32;

/// What methods answer where a number of bytes, which is not negative, does not.
const FAILED: isize = -1;

pub struct Connection {
    stream: Stream,
    /// In the memory below, which is why it is never dropped but closed.
    client: ManuallyDrop<Client<'static>>,
    /// Whether the client, and the memory, are still there.
    live: bool,
    /// A stream written in Python is being read or written, or raised while it was.
    moving: bool,
    /// The stream's error number.
    errno: i32,
    /// The part of the outgoing chunk that is still to be written.
    unsent: Range<usize>,
    incoming: GcBytes,
    outgoing: GcBytes,
    state: GcBytes,
    read: GcBytes,
    write: GcBytes,
    chain: GcBytes,
    /// Copies of what the arguments held, which Python code could change.
    given: GcBytes,
}

class! {
    Connection {
        new(13..=13) = Connection::new;
        methods {
            handshake(self) = Connection::handshake;
            readinto(self, data) = Connection::readinto;
            write(self, data) = Connection::write;
            poll(self, events) = Connection::poll;
            close(self) = Connection::close;
            error(self) = Connection::error;
        }
    }
}

/// # Raises
/// `IndexError`, if there are fewer, which the table of the class rules out.
fn arg(args: &[Obj], i: usize) -> Obj {
    args.get(i)
        .copied()
        .unwrap_or_else(|| Exception::Index.raise())
}

/// The bytes as something that lives as long as the connection.
///
/// # Safety
/// They are in a block that the connection holds, and that neither moves nor changes while its client lives.
unsafe fn held(bytes: &[u8]) -> &'static [u8] {
    // SAFETY: as the caller says.
    unsafe { core::slice::from_raw_parts(bytes.as_ptr(), bytes.len()) }
}

/// As [`held`], of a block that nobody else uses.
///
/// # Safety
/// As above, and nothing else refers to the bytes while the client lives.
unsafe fn owned(bytes: &mut GcBytes) -> &'static mut [u8] {
    // SAFETY: as the caller says.
    unsafe { core::slice::from_raw_parts_mut(bytes.as_mut_ptr(), bytes.len()) }
}

/// What the arguments hold that the client keeps for as long as it lives, in this order.
const GIVEN: [usize; 7] = [1, 4, 5, 7, 8, 9, 10];

impl Connection {
    /// `Connection(stream, name, check_name, trust, authorities, pin, now, seed, certificate, key, alpn, read, chain)`: as
    /// `Context.wrap_socket` in `tls13.py` calls it. What is not given is empty; `read` and `chain` are sizes in bytes.
    ///
    /// # Raises
    /// `OSError` if it is no stream, `TypeError`, `MemoryError`, and `ValueError` for what the client does not take.
    fn new(args: &[Obj]) -> Connection {
        let stream = Stream::new(arg(args, 0));
        let trust = match arg(args, 3).to_int() {
            0 => Trust::Anybody,
            1 => Trust::PinnedKey,
            _ => Trust::Authorities,
        };
        // On a 32-bit port the bits of a number beyond a word are lost, of which the seconds need none before 2106.
        let now = arg(args, 6).to_int() as usize as u64;
        let size = |i| {
            arg(args, i).int_in(
                0,
                1 << 20,
                Exception::Value(c"size of a buffer out of range"),
            ) as usize
        };
        let lens = GIVEN.map(|i| bytes_of(arg(args, i)).len());
        let mut given = GcBytes::new(lens.iter().sum());
        let mut state = GcBytes::new(Client::size());
        let mut read = GcBytes::new(size(11));
        let mut chain = GcBytes::new(size(12));
        let mut write =
            GcBytes::new(WRITE.max(bytes_of(arg(args, 8)).len() + WRITE_AROUND_CERTIFICATE));
        let (incoming, outgoing) = (GcBytes::new(CHUNK), GcBytes::new(CHUNK));
        let mut end = 0;
        let ranges = GIVEN.map(|i| {
            let bytes = bytes_of(arg(args, i));
            let start = end;
            if let Some(to) = given.get_mut(start..start + bytes.len()) {
                to.copy_from_slice(&bytes);
                end += bytes.len();
            }
            start..end
        });
        // SAFETY: the connection holds all of these blocks until `shut`, which ends the client first, and lends them to
        // nobody else; the copies are not changed.
        let (memory, [name, authorities, pin, seed, certificate, key, alpn]) = unsafe {
            let parts = ranges.map(|range| held(given.get(range).unwrap_or_default()));
            let [state, read, write, chain] =
                [&mut state, &mut read, &mut write, &mut chain].map(|bytes| owned(bytes));
            (
                Memory {
                    state,
                    read,
                    write,
                    chain,
                },
                parts,
            )
        };
        let some = |bytes: &'static [u8]| Some(bytes).filter(|bytes| !bytes.is_empty());
        let expected = Expected {
            trust,
            // What is no text is no name, and refused as such.
            name: some(name).map(|name| core::str::from_utf8(name).unwrap_or("?")),
            check_name: arg(args, 2).is_true(),
            authorities,
            pin: some(pin).map(array),
            now,
        };
        let config = Config {
            expected,
            seed: array(seed),
            identity: some(certificate).map(|certificate| (certificate, array(key))),
            alpn: some(alpn),
        };
        let client = Client::new(memory, config).map_err(|error| {
            Exception::Object(Obj::global(qstr!(ValueError)).call(&[Obj::str(error.text())]))
        });
        Connection {
            stream,
            client: ManuallyDrop::new(client.or_raise()),
            live: true,
            moving: false,
            errno: 0,
            unsent: 0..0,
            incoming,
            outgoing,
            state,
            read,
            write,
            chain,
            given,
        }
    }

    /// Goes on with the handshake as far as it can: 0 when it is over, 1 if it waits for the stream, 2 if it waits for
    /// nothing and is to be called again, after others had their turn; or `FAILED`.
    ///
    /// # Raises
    /// What a stream written in Python raises.
    fn handshake(mut this: Native<Connection>) -> Obj {
        Obj::int(this.shake_hands())
    }

    fn shake_hands(&mut self) -> isize {
        if self.client.state() == State::Verify {
            // Which takes its time, and so ends the call.
            self.client.verify();
            if self.client.is_verified() {
                self.client.release_chain();
                core::mem::replace(&mut self.chain, GcBytes::EMPTY).free();
            }
        }
        loop {
            let flushed = self.flush();
            match self.client.state() {
                State::Handshake => {}
                State::Verify => return 2,
                State::Open | State::Eof => return 0,
                State::Closed | State::Failed => return FAILED,
            }
            if self.errno != 0 {
                return FAILED;
            }
            if !flushed || !self.fill() {
                return if self.ended() { FAILED } else { 1 };
            }
        }
    }

    /// Whether there is nothing to be had from the connection any more.
    fn ended(&self) -> bool {
        self.errno != 0 || matches!(self.client.state(), State::Failed | State::Closed)
    }

    /// Writes what there is for the network: whether all of it could be.
    ///
    /// # Raises
    /// What a stream written in Python raises.
    fn flush(&mut self) -> bool {
        if self.moving {
            Exception::Runtime(c"connection used by its own stream").raise()
        }
        loop {
            if self.unsent.is_empty() {
                self.unsent = 0..self.client.take(&mut self.outgoing);
            }
            let Some(chunk) = self
                .outgoing
                .get(self.unsent.clone())
                .filter(|chunk| !chunk.is_empty())
            else {
                return true;
            };
            if self.errno != 0 {
                return false;
            }
            self.moving = true;
            let written = self.stream.write(chunk);
            self.moving = false;
            match written {
                Ok(0) | Err(errno::EAGAIN) => return false,
                Ok(n) => self.unsent.start += n,
                Err(e) => {
                    self.errno = e;
                    return false;
                }
            }
        }
    }

    /// Reads once from the network, if the client wants bytes: whether any came, or the end.
    ///
    /// # Raises
    /// What a stream written in Python raises.
    fn fill(&mut self) -> bool {
        let wanted = self.client.wanted();
        let Some(chunk) = self
            .incoming
            .get_mut(..wanted.min(CHUNK))
            .filter(|chunk| !chunk.is_empty())
        else {
            return false;
        };
        if self.moving || self.errno != 0 {
            return false;
        }
        self.moving = true;
        let read = self.stream.read(chunk);
        self.moving = false;
        match read {
            Ok(0) => self.client.feed_eof(),
            Ok(n) => {
                self.client.feed(chunk.get(..n).unwrap_or_default());
            }
            Err(errno::EAGAIN) => return false,
            Err(e) => {
                self.errno = e;
                return false;
            }
        }
        true
    }

    /// `readinto(data)`: bytes that came, 0 at the end, `None` if there are none now, or `FAILED`.
    ///
    /// # Raises
    /// `TypeError`, and what a stream written in Python raises.
    fn readinto(mut this: Native<Connection>, data: Obj) -> Result<Obj, Exception> {
        if buffer_mut(data)?.is_empty() {
            return Ok(Obj::int(0));
        }
        loop {
            if !this.is_open() {
                match this.shake_hands() {
                    0 => {}
                    FAILED => return Ok(Obj::int(FAILED)),
                    _ => return Ok(Obj::none()),
                }
            }
            // Asked for again, since a stream written in Python could have changed it.
            let n = this.client.read(&mut buffer_mut(data)?);
            if n > 0 {
                return Ok(Obj::uint(n));
            }
            this.flush();
            match this.client.state() {
                State::Eof => return Ok(Obj::int(0)),
                _ if this.ended() => return Ok(Obj::int(FAILED)),
                _ if this.fill() => {}
                _ => {
                    return Ok(if this.ended() {
                        Obj::int(FAILED)
                    } else {
                        Obj::none()
                    });
                }
            }
        }
    }

    fn is_open(&self) -> bool {
        matches!(self.client.state(), State::Open | State::Eof)
    }

    /// `write(data)`: bytes that were taken, `None` if none can be now, or `FAILED`.
    ///
    /// # Raises
    /// `TypeError`, and what a stream written in Python raises.
    fn write(mut this: Native<Connection>, data: Obj) -> Result<Obj, Exception> {
        if !this.is_open() {
            match this.shake_hands() {
                0 => {}
                FAILED => return Ok(Obj::int(FAILED)),
                _ => return Ok(Obj::none()),
            }
        }
        let mut done = 0;
        while this.flush() {
            let rest = buffer(data)?;
            let n = match rest.get(done..) {
                Some(rest) if !rest.is_empty() => this.client.write(rest),
                _ => break,
            };
            if n == 0 {
                break;
            }
            done += n;
        }
        Ok(match done {
            0 if this.ended() || this.client.state() == State::Eof => Obj::int(FAILED),
            0 if !bytes_of(data).is_empty() => Obj::none(),
            _ => Obj::uint(done),
        })
    }

    /// `poll(events)`: of the events of `select.poll` asked for, those that a `readinto` or `write` would not wait for.
    ///
    /// # Raises
    /// What a stream written in Python raises.
    fn poll(mut this: Native<Connection>, events: Obj) -> Obj {
        let events = events.to_int() as usize;
        Obj::uint(this.events(events))
    }

    fn events(&mut self, events: usize) -> usize {
        if !self.live || self.ended() {
            return INVALID;
        }
        let flushed = self.flush();
        let mut ready = 0;
        let asked = match self.client.state() {
            // Whatever is waited for, a call goes on with the handshake.
            State::Verify => return events,
            State::Handshake if flushed => READABLE,
            State::Handshake => WRITABLE,
            state => {
                if self.client.has_data() || state == State::Eof {
                    ready = events & READABLE;
                }
                // What was written before goes first.
                events & !ready & if flushed { !0 } else { !WRITABLE }
            }
        };
        match self.stream.poll(asked) {
            Ok(found) if found & asked != 0 && !self.is_open() => events,
            Ok(found) => ready | found,
            Err(_) => INVALID,
        }
    }

    /// Says the peer that no more comes, if that can be written at once, and gives up keys and memory. The stream stays open.
    ///
    /// # Raises
    /// What a stream written in Python raises.
    fn close(mut this: Native<Connection>) -> Obj {
        if this.live && !this.moving {
            this.client.close();
            this.flush();
        }
        this.shut();
        Obj::none()
    }

    fn shut(&mut self) {
        if !core::mem::replace(&mut self.live, false) {
            return;
        }
        // Of what is left to be sent in plaintext nothing is kept either.
        self.client.end();
        self.unsent = 0..0;
        for block in [
            &mut self.state,
            &mut self.read,
            &mut self.write,
            &mut self.chain,
            &mut self.given,
        ] {
            block.fill(0);
            core::mem::replace(block, GcBytes::EMPTY).free();
        }
    }

    /// What went wrong: the stream's error number, or text and the number of a certificate or `None` in a tuple; `None`.
    ///
    /// # Raises
    /// `MemoryError`
    fn error(this: Native<Connection>) -> Obj {
        match this.client.error() {
            _ if this.errno != 0 => Obj::int(this.errno as isize),
            None => Obj::none(),
            Some(error) => {
                let certificate = error
                    .certificate()
                    .map_or(Obj::none(), |n| Obj::uint(n.into()));
                Obj::tuple(&[Obj::str(error.text()), certificate])
            }
        }
    }
}

/// # Raises
/// `ValueError`
fn array(bytes: &[u8]) -> [u8; 32] {
    bytes
        .try_into()
        .unwrap_or_else(|_| Exception::Value(c"pin, seed and key have 32 bytes").raise())
}
