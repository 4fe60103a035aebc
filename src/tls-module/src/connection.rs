//! The class `Connection`: moves bytes between a stream and a TLS client, and never waits unless the stream does.

use core::mem::ManuallyDrop;
use core::ops::Range;
use micropython::{
    Exception, GcBytes, Native, Obj, OrRaise, Stream, Vm, buffer, buffer_mut, bytes_of, class,
    errno,
};
use mqtt_tls::{Client, Config, Expected, Memory, State, Trust};

/// Bytes that are read from the stream, or written to it, at once.
const CHUNK: usize = 512;

/// Bytes of the client's write buffer, and how many it has beyond its certificate.
const WRITE: usize = 1024;
const WRITE_AROUND_CERTIFICATE: usize = 256;

/// Bytes of the C stack below the call from Python, measured on a Cortex-M0+ by painting it, and some more: a signature by
/// P-384 takes 9.8 KB, the one over the handshake by a client's key of P-256 6.9, the rest less.
const STACK: usize = if cfg!(feature = "full") {
    10_500
} else {
    7_500
} * size_of::<usize>()
    / 4;

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
            stack(self) = Connection::stack;
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
    fn new(vm: &mut Vm, args: &[Obj]) -> Connection {
        let stream = Stream::new(arg(args, 0));
        let trust = match arg(args, 3).to_int(vm) {
            0 => Trust::Anybody,
            1 => Trust::PinnedKey,
            _ => Trust::Authorities,
        };
        let check_name = arg(args, 2).is_true(vm);
        // On a 32-bit port the bits of a number beyond a word are lost, of which the seconds need none before 2106.
        let now = arg(args, 6).to_int(vm) as usize as u64;
        let out_of_range = Exception::Value(c"size of a buffer out of range");
        let [read, chain] =
            [11, 12].map(|i| arg(args, i).int_in(vm, 0, 1 << 20, out_of_range) as usize);
        // No Python code runs from here on.
        let vm = &*vm;
        let lens = GIVEN.map(|i| bytes_of(vm, arg(args, i)).len());
        let mut given = GcBytes::new(lens.iter().sum());
        let mut state = GcBytes::new(Client::size());
        let (mut read, mut chain) = (GcBytes::new(read), GcBytes::new(chain));
        let certificate_len = bytes_of(vm, arg(args, 8)).len();
        let mut write = GcBytes::new(WRITE.max(certificate_len + WRITE_AROUND_CERTIFICATE));
        let (incoming, outgoing) = (GcBytes::new(CHUNK), GcBytes::new(CHUNK));
        let mut end = 0;
        let ranges = GIVEN.map(|i| {
            let bytes = bytes_of(vm, arg(args, i));
            let start = end;
            if let Some(to) = given.get_mut(start..start + bytes.len()) {
                to.copy_from_slice(bytes);
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
            check_name,
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
        let client = Client::new(memory, config).map_err(|error| Exception::Value(error.text()));
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
    fn handshake(vm: &mut Vm, this: Native<'_, Connection>) -> Obj {
        Obj::int(Self::shake_hands(vm, this))
    }

    fn shake_hands(vm: &mut Vm, mut this: Native<'_, Connection>) -> isize {
        // Which takes its time, and so ends the call.
        this.get_mut(vm).verify();
        loop {
            let flushed = Self::flush(vm, this.lend());
            match this.get(vm).client.state() {
                State::Handshake if this.get(vm).ended() => return FAILED,
                State::Handshake => {}
                State::Verify => return 2,
                State::Open | State::Eof => return 0,
                State::Closed | State::Failed => return FAILED,
            }
            if !flushed || !Self::fill(vm, this.lend()) {
                return if this.get(vm).ended() { FAILED } else { 1 };
            }
        }
    }

    /// Verifies the server by one signature, if that is to be done.
    fn verify(&mut self) {
        if self.client.state() != State::Verify {
            return;
        }
        self.client.verify();
        if self.client.is_verified() {
            self.client.release_chain();
            core::mem::replace(&mut self.chain, GcBytes::EMPTY).free();
        }
    }

    /// Whether there is nothing to be had from the connection any more.
    fn ended(&self) -> bool {
        self.errno != 0 || matches!(self.client.state(), State::Failed | State::Closed)
    }

    fn is_open(&self) -> bool {
        matches!(self.client.state(), State::Open | State::Eof)
    }

    /// A stream written in Python could come back to the connection that moves its bytes.
    ///
    /// # Raises
    /// `RuntimeError`, if it does.
    fn begin(&mut self) {
        if core::mem::replace(&mut self.moving, true) {
            Exception::Runtime(c"connection used by its own stream").raise()
        }
    }

    /// Writes what there is for the network: whether all of it could be.
    ///
    /// # Raises
    /// What a stream written in Python raises.
    fn flush(vm: &mut Vm, mut this: Native<'_, Connection>) -> bool {
        loop {
            let connection = this.get_mut(vm);
            if connection.unsent.is_empty() {
                connection.unsent = 0..connection.client.take(&mut connection.outgoing);
            }
            let unsent = connection.unsent.clone();
            if unsent.is_empty() {
                return true;
            }
            if connection.errno != 0 {
                return false;
            }
            connection.begin();
            let stream = connection.stream;
            let chunk = connection.outgoing.lend();
            let written = stream.write(vm, &chunk, unsent);
            let connection = this.get_mut(vm);
            connection.outgoing.settle(chunk);
            connection.moving = false;
            match written {
                Ok(0) | Err(errno::EAGAIN) => return false,
                Ok(n) => connection.unsent.start += n,
                Err(e) => {
                    connection.errno = e;
                    return false;
                }
            }
        }
    }

    /// Reads once from the network, if the client wants bytes: whether any came, or the end.
    ///
    /// # Raises
    /// What a stream written in Python raises.
    fn fill(vm: &mut Vm, mut this: Native<'_, Connection>) -> bool {
        let connection = this.get_mut(vm);
        let wanted = connection.client.wanted().min(CHUNK);
        if wanted == 0 || connection.errno != 0 {
            return false;
        }
        connection.begin();
        let stream = connection.stream;
        let chunk = connection.incoming.lend();
        let read = stream.read(vm, &chunk, 0..wanted);
        let connection = this.get_mut(vm);
        connection.incoming.settle(chunk);
        connection.moving = false;
        match read {
            Ok(0) => connection.client.feed_eof(),
            Ok(n) => {
                let bytes = connection.incoming.get(..n).unwrap_or_default();
                connection.client.feed(bytes);
            }
            Err(errno::EAGAIN) => {}
            Err(e) => connection.errno = e,
        }
        read.is_ok()
    }

    /// `readinto(data)`: bytes that came, 0 at the end, `None` if there are none now, or `FAILED`.
    ///
    /// # Raises
    /// `TypeError`, and what a stream written in Python raises.
    fn readinto(
        vm: &mut Vm,
        mut this: Native<'_, Connection>,
        data: Obj,
    ) -> Result<Obj, Exception> {
        if !this.get(vm).is_open() {
            match Self::shake_hands(vm, this.lend()) {
                0 => {}
                FAILED => return Ok(Obj::int(FAILED)),
                _ => return Ok(Obj::none()),
            }
        }
        loop {
            let room = buffer_mut(vm, data)?;
            let (start, len) = (room.as_mut_ptr(), room.len());
            if len == 0 {
                return Ok(Obj::int(0));
            }
            let connection = this.get_mut(vm);
            // SAFETY: these are the bytes of `data`, since no Python code ran that could have changed or freed them. They
            // are not of the connection's blocks, of which Python code knows nothing.
            let n = connection
                .client
                .read(unsafe { core::slice::from_raw_parts_mut(start, len) });
            if n > 0 {
                return Ok(Obj::uint(n));
            }
            let state = connection.client.state();
            Self::flush(vm, this.lend());
            let filled = state == State::Open && Self::fill(vm, this.lend());
            if !filled {
                let over = this.get(vm).ended();
                return Ok(match state {
                    State::Eof => Obj::int(0),
                    _ if over => Obj::int(FAILED),
                    _ => Obj::none(),
                });
            }
        }
    }

    /// `write(data)`: bytes that were taken, `None` if none can be now, or `FAILED`.
    ///
    /// # Raises
    /// `TypeError`, and what a stream written in Python raises.
    fn write(vm: &mut Vm, mut this: Native<'_, Connection>, data: Obj) -> Result<Obj, Exception> {
        if !this.get(vm).is_open() {
            match Self::shake_hands(vm, this.lend()) {
                0 => {}
                FAILED => return Ok(Obj::int(FAILED)),
                _ => return Ok(Obj::none()),
            }
        }
        let mut done = 0;
        while Self::flush(vm, this.lend()) {
            let rest = buffer(vm, data)?.get(done..).unwrap_or_default();
            if rest.is_empty() {
                return Ok(Obj::uint(done));
            }
            let n = this.get_mut(vm).client.write(rest);
            if n == 0 {
                break;
            }
            done += n;
        }
        let over = this.get(vm).ended() || this.get(vm).client.state() == State::Eof;
        Ok(match done {
            0 if over => Obj::int(FAILED),
            0 => Obj::none(),
            _ => Obj::uint(done),
        })
    }

    /// `poll(events)`: of the events of `select.poll` asked for, those that a `readinto` or `write` would not wait for.
    ///
    /// # Raises
    /// What a stream written in Python raises.
    fn poll(vm: &mut Vm, mut this: Native<'_, Connection>, events: Obj) -> Obj {
        let events = events.to_int(vm) as usize;
        Obj::uint(if this.get(vm).ended() {
            INVALID
        } else {
            Self::events(vm, this.lend(), events)
        })
    }

    fn events(vm: &mut Vm, mut this: Native<'_, Connection>, events: usize) -> usize {
        let flushed = Self::flush(vm, this.lend());
        let connection = this.get(vm);
        let mut ready = 0;
        let mut in_handshake = true;
        let asked = match connection.client.state() {
            // Whatever is waited for, a call goes on with the handshake.
            State::Verify => return events,
            State::Handshake if flushed => READABLE,
            State::Handshake => WRITABLE,
            state => {
                in_handshake = false;
                if connection.client.has_data() || state == State::Eof {
                    ready = events & READABLE;
                }
                // What was written before goes first.
                events & !ready & if flushed { !0 } else { !WRITABLE }
            }
        };
        let stream = connection.stream;
        match stream.poll(vm, asked) {
            Ok(found) if in_handshake && found & asked != 0 => events,
            Ok(found) => ready | found,
            Err(_) => INVALID,
        }
    }

    /// Says the peer that no more comes, if that can be written at once, and gives up keys and memory. The stream stays open.
    ///
    /// # Raises
    /// What a stream written in Python raises.
    fn close(vm: &mut Vm, mut this: Native<'_, Connection>) -> Obj {
        let connection = this.get_mut(vm);
        if connection.live && !connection.moving {
            connection.client.close();
            Self::flush(vm, this.lend());
        }
        this.get_mut(vm).shut();
        Obj::none()
    }

    fn shut(&mut self) {
        if !core::mem::replace(&mut self.live, false) {
            return;
        }
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

    /// Bytes of the C stack that have to be left for a call: there is no check further down.
    fn stack(_: &mut Vm, _: Native<'_, Connection>) -> Obj {
        Obj::uint(STACK)
    }

    /// What went wrong: the stream's error number, or text and the number of a certificate or `None` in a tuple; `None`.
    ///
    /// # Raises
    /// `MemoryError`
    fn error(vm: &mut Vm, this: Native<'_, Connection>) -> Obj {
        let connection = this.get(vm);
        match connection.client.error() {
            _ if connection.errno != 0 => Obj::int(connection.errno as isize),
            None => Obj::none(),
            Some(error) => {
                let certificate = error
                    .certificate()
                    .map_or(Obj::none(), |n| Obj::uint(n.into()));
                // SAFETY: the text is ASCII.
                let text = unsafe { Obj::text(error.text().to_bytes()) };
                Obj::tuple(&[text, certificate])
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
