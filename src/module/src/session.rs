//! The class `Session`: one client's state and buffers. It moves bytes between
//! a stream and the buffers and never waits.
mod receive;
mod send;

use crate::arguments::{arg, ticks, uint};
use crate::limits::Limits;
use crate::memory::{List, Memory};
use crate::properties::{Known, decoded};
use crate::transmit::Transmitter;
use micropython::{
    Exception, GcBox, GcBytes, GcVec, MemoryView, Native, Obj, OrRaise, Stream, Vm, class, errno,
};
use mqtt_codec::{Packet, Pid, QoS, Receiver, Version};
use mqtt_session::{Due, Flight, KeepAlive, Resend, Session as State, Window, elapsed};

/// A receive buffer grows up to this while a burst lasts, in bytes.
const BURST: usize = 2048;

/// Silence after which a receive buffer that has grown is given back, in ms.
const SILENCE: u32 = 1000;

/// Bytes of the longest fixed header and the longest acknowledgement.
const ACK: usize = 5;

/// The longest that `due` answers with, in ms.
const LONG: isize = 1 << 29;

/// The negative number of a stream's error. TLS has numbers of its own, below 0.
fn stream_error(e: i32) -> isize {
    let e = if (1..1000).contains(&e) {
        e
    } else {
        errno::EIO
    };
    -(e as isize)
}

/// What a stream is like, as `open` is told.
mod traits {
    /// The stream holds back bytes that `poll` does not tell of (TLS).
    pub const BUFFERED: u8 = 1;
    /// `poll` does not tell that the queue for sending is full (lwIP).
    pub const BOUNDED: u8 = 2;
    /// A short read does not mean that nothing is left (lwIP).
    pub const PIECEMEAL: u8 = 4;
    /// It blocks, as far as it is set to, and others read from it too: no byte beyond
    /// the packet in hand is read, see `receive`.
    pub const EXACT: u8 = 8;
    /// CONNECT and CONNACK were exchanged over it before. If it is the stream that
    /// is open already: a read raised, go on.
    pub const CONNECTED: u8 = 16;
    pub const ALL: u8 = 31;
}

/// What `unsent` answers: all is written; wait until the stream takes bytes; wait
/// for the peer or a moment.
mod backlog {
    pub const NONE: u8 = 0;
    pub const BLOCKED: u8 = 1;
    pub const HELD: u8 = 2;
}

/// `Session::failed` while the stream is in a call, and if it raised from there.
const IN_CALL: isize = isize::MIN;

/// The packet at the front of the buffer, handed on but not yet dropped.
struct Current {
    /// 0: of a message in pieces the next has yet to come.
    len: usize,
    /// Of a message, to acknowledge once the application has it.
    qos: QoS,
    pid: Option<Pid>,
}

/// A message that comes in pieces.
struct Divided {
    topic: Obj,
    retain: Obj,
    properties: Obj,
    /// Length of the payload.
    size: usize,
}

/// In an order that serves Thumb-1, which reaches bytes only in the first 32 of
/// an object and words in the first 128: what is used most comes first.
#[repr(C)]
pub struct Session {
    version: Version,
    /// See [`traits`].
    traits: u8,
    /// See [`backlog`].
    backlog: u8,
    /// Of a packet that nobody waits for the application was told.
    told: bool,
    /// The first byte of the packet handed on last.
    first: u8,
    /// The last read took all there was.
    drained: bool,
    /// CONNACK came, with success.
    connected: bool,
    clean: bool,
    /// DISCONNECT is sent: nothing may follow, and nothing is taken.
    leaving: bool,
    /// The application's callback runs, or did when an exception passed.
    calling: bool,
    /// CONNECT named a method of authentication: AUTH may come.
    authenticates: bool,
    /// CONNECT declined to be told more than reason codes (MQTT 5, 3.1.2.11.7).
    terse: bool,
    /// See `Known::decoded`.
    hash: u8,
    /// See `reason`.
    reason: u16,
    /// What `receive` answered a bad packet with, or 0.
    refused: i16,
    /// The aliases to give at most.
    max_outbound: u16,
    /// Counts what `open` and `close` change, for who calls the stream.
    opened: u16,
    current: Option<Current>,
    /// The message that comes in pieces, or `None` if the application has it already.
    divided: Option<GcBox<Divided>>,
    /// The callback for pieces, or `None`.
    pieces: Obj,
    /// 0, or the stream is not to be touched: what `receive` answers, or [`IN_CALL`].
    failed: isize,
    stream: Option<Stream>,
    view: MemoryView,
    /// The topic of the last message, to serve the next.
    last_topic: Obj,
    /// Topics by alias, as the server gives them.
    aliases: GcVec<Obj>,
    /// Topics by alias, as given to the server.
    outbound: GcVec<Obj>,
    state: State<List<Flight>, List<Pid>>,
    properties: Known,
    transmitter: Transmitter,
    receiver: Receiver<Memory>,
    limits: Limits,
}

#[cfg(not(feature = "umqtt"))]
class! {
    Session {
        new(10..=11) = Session::new;
        methods {
            open(self, stream, traits) = Session::open;
            close(self) = Session::close;
            connect(self, 8..=8) = Session::connect;
            receive(self, 4..=4) = Session::receive;
            publish(self, 6..=7) = Session::publish;
            subscribe(self, 5..=5) = Session::subscribe;
            ping(self, now) = Session::ping;
            control(self, 4..=4) = Session::control;
            flush(self, now) = Session::flush;
            unsent(self) = Session::unsent;
            due(self, now) = Session::due;
            abandon(self, pid) = Session::abandon;
            new_pid(self) = Session::new_pid;
            idle(self, now) = Session::idle;
            calling(self) = Session::calling;
            reason(self) = Session::reason;
            properties(self) = Session::last_properties;
            codes(self) = Session::codes;
        }
    }
}

// What umqtt.simple calls in 3.1.1.
#[cfg(feature = "umqtt")]
class! {
    Session {
        new(10..=11) = Session::new;
        methods {
            open(self, stream, traits) = Session::open;
            close(self) = Session::close;
            connect(self, 8..=8) = Session::connect;
            receive(self, 4..=4) = Session::receive;
            publish(self, 6..=7) = Session::publish;
            subscribe(self, 5..=5) = Session::subscribe;
            ping(self, now) = Session::ping;
            control(self, 4..=4) = Session::control;
            flush(self, now) = Session::flush;
            unsent(self) = Session::unsent;
            due(self, now) = Session::due;
            abandon(self, pid) = Session::abandon;
            reason(self) = Session::reason;
        }
    }
}

impl Session {
    /// `Session(mqttv5, ibufsize, max_packet, keepalive_ms, ping_ms,
    /// response_ms, max_repubs, topic_aliases, receive_maximum, pieces, obufsize=0)`
    fn new(vm: &mut Vm, args: &[Obj]) -> Session {
        let range = Exception::Value(
            c"out of range: IBUFSIZE, OBUFSIZE, max_packet, max_repubs, topic_aliases or 0x21",
        );
        let number = |vm: &mut Vm, i, max| uint(vm, arg(args, i), max, range);
        let version = match arg(args, 0).is_true(vm) {
            false => Version::V3,
            true if cfg!(feature = "v5") => Version::V5,
            true if cfg!(feature = "umqtt") => {
                Exception::Value(c"_umqtt.mpy knows MQTT 3.1.1: version=5 takes _mqtt_as.mpy")
                    .raise()
            }
            true => Exception::Value(c"_mqtt_as.mpy is that of MQTT 3.1.1: mqttv5 must be False")
                .raise(),
        };
        let ibufsize = number(vm, 1, 1 << 24).max(1) as usize;
        let max_packet = number(vm, 2, (1 << 28) + 4);
        let keep_alive = KeepAlive::new(
            number(vm, 3, 1 << 29),
            number(vm, 4, 1 << 29),
            number(vm, 5, 1 << 29),
        );
        let repubs = number(vm, 6, 255) as u8;
        let mut state = State::new(
            version,
            keep_alive,
            repubs,
            List(GcVec::EMPTY),
            List(GcVec::EMPTY),
        );
        state.receive_maximum = number(vm, 8, 0xffff) as usize;
        let pieces = arg(args, 9);
        let obufsize = match args.len() {
            10 => 0,
            _ => number(vm, 10, 1 << 24) as usize,
        };
        let mut receiver = Receiver::new(Memory::new(ibufsize), BURST.max(ibufsize), max_packet);
        receiver.in_pieces = !pieces.is_none();
        Session {
            version,
            stream: None,
            traits: 0,
            backlog: backlog::NONE,
            opened: 0,
            told: false,
            first: 0,
            drained: false,
            connected: false,
            clean: true,
            leaving: false,
            failed: 0,
            calling: false,
            authenticates: false,
            terse: false,
            hash: 0,
            reason: 0,
            refused: 0,
            current: None,
            divided: None,
            pieces,
            receiver,
            transmitter: Transmitter::new(obufsize),
            state,
            view: MemoryView::new(),
            last_topic: Obj::none(),
            properties: Known::new(),
            limits: Limits::NONE,
            aliases: GcVec::EMPTY,
            outbound: GcVec::EMPTY,
            max_outbound: number(vm, 7, 0xffff) as u16,
        }
    }

    /// A new connection over `stream`. `traits`: the sum of what it is like, see
    /// [`traits`].
    ///
    /// # Raises
    /// `OSError` if it is no stream, `TypeError`, `ValueError`, `MemoryError`.
    fn open(vm: &mut Vm, mut this: Native<'_, Session>, stream: Obj, traits: Obj) -> Obj {
        const UNKNOWN: Exception = Exception::Value(c"traits out of range");
        let stream = Stream::new(stream);
        let traits = uint(vm, traits, traits::ALL.into(), UNKNOWN) as u8;
        let this = this.get_mut(vm);
        let connected = traits & traits::CONNECTED != 0;
        let same = |open: Stream| open.object() == stream.object();
        if connected && this.stream.is_some_and(same) {
            this.resume();
            return Obj::none();
        }
        this.shut();
        this.stream = Some(stream);
        this.traits = traits;
        this.connected = connected;
        // What was under way over the last connection does not hold back CONNECT.
        this.state.flights.window = Window::default();
        this.state.flights.window.bounded = traits & traits::BOUNDED != 0;
        Obj::none()
    }

    /// The stream raised, from a read: what came before is kept. Of a packet a part of
    /// which is written nobody knows how much: that is an error.
    ///
    /// # Raises
    /// `MemoryError`, with nothing changed.
    fn resume(&mut self) {
        if self.failed == IN_CALL {
            self.receiver
                .renew()
                .map_err(|_| Exception::Memory)
                .or_raise();
            self.opened = self.opened.wrapping_add(1);
            self.failed = match self.transmitter.is_empty() {
                true => 0,
                false => stream_error(errno::EIO),
            };
        }
    }

    /// The connection is over; what is in flight is kept for the next one.
    fn close(vm: &mut Vm, mut this: Native<'_, Session>) -> Obj {
        this.get_mut(vm).shut();
        Obj::none()
    }

    fn shut(&mut self) {
        self.forget_current();
        if self.failed == IN_CALL {
            self.receiver.storage_mut().0 = GcBytes::EMPTY;
            self.transmitter.renounce();
        }
        self.stream = None;
        self.opened = self.opened.wrapping_add(1);
        self.connected = false;
        self.told = false;
        self.drained = false;
        self.backlog = backlog::NONE;
        self.leaving = false;
        self.refused = 0;
        self.failed = 0;
        self.divided = None;
        self.view.clear();
        self.properties = Known::new();
        self.receiver.reset();
        self.transmitter.reset();
    }

    /// `due(now)`: what the clock, or a new connection, asks for. Above 0:
    /// nothing for so many milliseconds; 0: the connection is dead; below 0:
    /// send the request with the negative of this identifier again. Pings go
    /// out from here.
    fn due(vm: &mut Vm, mut this: Native<'_, Session>, now: Obj) -> Obj {
        let now = ticks(vm, now);
        let session = this.get_mut(vm);
        if session.failed != 0 {
            return Obj::int(0);
        }
        if session.leaving {
            return Obj::int(LONG);
        }
        if session.connected && elapsed(now, session.state.keep_alive.last_rx()) >= SILENCE {
            session.receiver.shrink();
        }
        Obj::int(loop {
            match this.get_mut(vm).state.due(now) {
                Due::Nothing(ms) => break ms.min(LONG as u32) as isize,
                Due::Dead => break 0,
                Due::Ping => Self::send_ping(vm, this.lend(), now),
                Due::Resend(Resend::Request(pid)) => break -(pid.get() as isize),
                Due::Resend(Resend::Pubrel(pid)) => Self::release(vm, this.lend(), pid, now),
            }
        })
    }

    /// Nobody waits for the request any more.
    ///
    /// # Raises
    /// `TypeError`
    fn abandon(vm: &mut Vm, mut this: Native<'_, Session>, pid: Obj) -> Obj {
        if let Some(pid) = Pid::new(pid.to_int(vm) as u16) {
            this.get_mut(vm).state.flights.abandon(pid);
        }
        Obj::none()
    }

    /// A free packet identifier.
    fn new_pid(vm: &mut Vm, mut this: Native<'_, Session>) -> Obj {
        Obj::uint(this.get_mut(vm).state.flights.next_pid().get().into())
    }

    /// `idle(now)`: milliseconds since bytes last came in.
    fn idle(vm: &mut Vm, this: Native<'_, Session>, now: Obj) -> Obj {
        let now = ticks(vm, now);
        let last_rx = this.get(vm).state.keep_alive.last_rx();
        Obj::uint(elapsed(now, last_rx) as usize)
    }

    /// Was it the callback that raised the exception that left `receive`?
    fn calling(vm: &mut Vm, this: Native<'_, Session>) -> Obj {
        Obj::bool(this.get(vm).calling)
    }

    /// The packet handed on just now.
    fn handed_on(&self) -> Option<Packet<'_>> {
        self.current.as_ref()?;
        let found = self.receiver.peek(self.version).ok()?;
        found.map(|(packet, _)| packet)
    }

    /// The properties of the packet handed on just now: a dict or `None`.
    ///
    /// # Raises
    /// `MemoryError`
    fn last_properties(vm: &mut Vm, this: Native<'_, Session>) -> Obj {
        match this.get(vm).handed_on() {
            Some(packet) => decoded(packet.properties),
            None => Obj::none(),
        }
    }

    /// The reason codes of the SUBACK or UNSUBACK handed on just now: `bytes`,
    /// one for each topic; none of an UNSUBACK of 3.1.1.
    ///
    /// # Raises
    /// `MemoryError`
    fn codes(vm: &mut Vm, this: Native<'_, Session>) -> Obj {
        Obj::bytes(match this.get(vm).handed_on() {
            Some(packet) => packet.payload,
            None => &[],
        })
    }

    /// The reason code of the last CONNACK, DISCONNECT or AUTH; 0x100 is added
    /// if the server has kept the session.
    fn reason(vm: &mut Vm, this: Native<'_, Session>) -> Obj {
        Obj::uint(this.get(vm).reason.into())
    }
}
