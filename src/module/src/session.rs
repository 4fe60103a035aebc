//! The class `Session`: one client's state and buffers. It moves bytes between
//! a stream and the buffers and never waits.
use crate::arguments::{WillArgument, arg, optional, qos, refused, ticks, uint};
use crate::limits::{Limits, number, property};
use crate::memory::Memory;
use crate::properties::{Encoded, decoded};
use crate::transmit::{Transmitter, WHOLE};
use core::mem::ManuallyDrop;
use micropython::{Exception, MemoryView, Native, Obj, Stream, buffer, class, errno};
use mqtt_codec::{
    AckKind, Connect, Disconnect, Encode, Filters, PINGREQ, Packet, Pid, Place, Properties,
    Publish, PublishHead, QoS, Receiver, Suback, Subscribe, Unsubscribe, Version, ack,
};
use mqtt_session::{Due, Incoming, KeepAlive, Resend, Session as State, Wait, elapsed};

/// A receive buffer grows up to this while a burst lasts, in bytes.
const BURST: usize = 2048;

/// Reads in one call of `receive`, whatever the peer sends.
const READS: usize = 8;

/// Bytes of the longest fixed header and the longest acknowledgement.
const ACK: usize = 5;

/// What `receive` answers. From [`DONE`] on: the identifier of the request that
/// is over, shifted by 8, and its reason code. Below 0: [`wire_error`] or the
/// negative number of an error of the stream.
const WAIT: isize = 0;
const MORE: isize = 1;
const CLOSED: isize = 2;
const CONNACK: isize = 3;
const DISCONNECT: isize = 4;
/// What `step` answers when a message is to be handed to the callback.
const DELIVER: isize = 5;

/// The longest that `due` answers with, in ms.
const LONG: isize = 1 << 29;

/// What `publish`, `subscribe` and `unsubscribe` answer beside the identifier.
const BUSY: isize = -1;
/// The server announced that it does not take this: less the reason code.
const REFUSED: isize = -0x100;
const BACKLOG: isize = 0x10000;

/// Errors in sequence rather than in a packet; they follow the codec's.
const UNEXPECTED: u8 = 50;
const TOO_MANY: u8 = 51;
const UNKNOWN_ALIAS: u8 = 52;
const CODES: u8 = 53;

fn wire_error(error: u8) -> isize {
    -1000 - isize::from(error)
}

/// The negative number of a stream's error. TLS has numbers of its own, below 0.
fn stream_error(e: i32) -> isize {
    let e = if (1..1000).contains(&e) {
        e
    } else {
        errno::EIO
    };
    -(e as isize)
}

/// The packet at the front of the buffer, handed on but not yet dropped.
struct Current {
    len: usize,
    /// Of a message, to acknowledge once the application has it.
    qos: QoS,
    pid: Option<Pid>,
}

/// In an order that serves Thumb-1, which reaches bytes only in the first 32 of
/// an object and words in the first 128: the tables come last.
#[repr(C)]
pub struct Session {
    version: Version,
    /// The stream holds back bytes that `poll` does not tell of (TLS).
    buffered: bool,
    /// A stream written in Python reads, or raised while it did.
    reading: bool,
    /// The last read took all there was.
    drained: bool,
    /// CONNACK came, with success.
    connected: bool,
    clean: bool,
    /// The stream took less than it was offered.
    blocked: bool,
    /// DISCONNECT is sent: nothing may follow, and nothing is taken.
    leaving: bool,
    /// The application's callback runs, or did when an exception passed.
    calling: bool,
    reason: u8,
    current: Option<Current>,
    /// The stream failed while writing: a negative number.
    failed: isize,
    stream: Option<Stream>,
    view: MemoryView,
    /// The topic of the last message, to serve the next.
    last_topic: Obj,
    /// Topics by alias, as the server gives them; a list, or `None`.
    aliases: Obj,
    transmitter: Transmitter,
    receiver: Receiver<Memory>,
    limits: Limits,
    /// Its tables have destructors, if empty ones; the heap runs none.
    state: ManuallyDrop<State>,
}

/// Encodes a request with an identifier, or tells its length.
type Packer<'a> = &'a dyn Fn(Pid, Option<&mut [u8]>) -> Result<usize, Exception>;

class! {
    Session {
        new(7..=7) = Session::new;
        methods {
            open(self, stream, buffered) = Session::open;
            close(self) = Session::close;
            reset(self) = Session::reset;
            check(self, 7..=7) = Session::check;
            connect(self, 8..=8) = Session::connect;
            receive(self, 4..=4) = Session::receive;
            publish(self, 6..=7) = Session::publish;
            subscribe(self, 4..=5) = Session::subscribe;
            unsubscribe(self, 3..=4) = Session::unsubscribe;
            ping(self, now) = Session::ping;
            disconnect(self, now) = Session::disconnect;
            flush(self, now) = Session::flush;
            unsent(self) = Session::unsent;
            due(self, now) = Session::due;
            stale(self, now) = Session::stale;
            abandon(self, pid) = Session::abandon;
            new_pid(self) = Session::new_pid;
            idle(self, now) = Session::idle;
            calling(self) = Session::calling;
            reason(self) = Session::reason;
            codes(self) = Session::codes;
            properties(self) = Session::last_properties;
        }
    }
}

impl Session {
    /// `Session(mqttv5, ibufsize, max_packet, keepalive_ms, ping_ms,
    /// response_ms, max_repubs)`
    fn new(args: &[Obj]) -> Result<Session, Exception> {
        let range = Exception::Value(c"out of range: IBUFSIZE, max_packet or max_repubs");
        let number = |i, max| uint(arg(args, i), max, range);
        let version = if arg(args, 0).is_true() {
            Version::V5
        } else {
            Version::V3
        };
        let ibufsize = number(1, 1 << 24)?.max(1) as usize;
        let max_packet = number(2, (1 << 28) + 4)?;
        let keep_alive = KeepAlive::new(
            number(3, 1 << 29)?,
            number(4, 1 << 29)?,
            number(5, 1 << 29)?,
        );
        let state = State::new(version, keep_alive, number(6, 255)? as u8);
        Ok(Session {
            version,
            stream: None,
            buffered: false,
            reading: false,
            drained: false,
            connected: false,
            clean: true,
            blocked: false,
            leaving: false,
            failed: 0,
            calling: false,
            reason: 0,
            current: None,
            receiver: Receiver::new(Memory::new(ibufsize)?, BURST.max(ibufsize), max_packet),
            transmitter: Transmitter::new()?,
            state: ManuallyDrop::new(state),
            view: MemoryView::new()?,
            last_topic: Obj::none(),
            limits: Limits::new(Properties::EMPTY),
            aliases: Obj::none(),
        })
    }

    /// A new connection over `stream`. `buffered`: the stream may hold bytes
    /// back that `poll` does not tell of.
    ///
    /// # Raises
    /// `OSError` if it is no stream.
    fn open(mut this: Native<Session>, stream: Obj, buffered: Obj) -> Result<Obj, Exception> {
        let (stream, buffered) = (Stream::new(stream), buffered.is_true());
        this.shut();
        this.transmitter.open();
        this.stream = Some(stream);
        this.buffered = buffered;
        Ok(Obj::none())
    }

    /// The connection is over; what is in flight is kept for the next one.
    fn close(mut this: Native<Session>) -> Result<Obj, Exception> {
        this.shut();
        Ok(Obj::none())
    }

    fn shut(&mut self) {
        self.stream = None;
        self.connected = false;
        self.reading = false;
        self.drained = false;
        self.blocked = false;
        self.leaving = false;
        self.failed = 0;
        self.current = None;
        self.view.clear();
        self.receiver.reset();
        self.transmitter.reset();
    }

    /// Forgets what is in flight.
    fn reset(mut this: Native<Session>) -> Result<Obj, Exception> {
        this.state.clear();
        Ok(Obj::none())
    }

    /// Would `connect` with these arguments encode?
    fn check(this: Native<Session>, args: &[Obj]) -> Result<Obj, Exception> {
        this.with_connect(args, &mut |_| Ok(()))?;
        Ok(Obj::none())
    }

    /// `connect(now, clean, client_id, keepalive, user, password, will,
    /// properties)`: sends CONNECT. Answers like `unsent`.
    fn connect(mut this: Native<Session>, args: &[Obj]) -> Result<Obj, Exception> {
        let now = ticks(arg(args, 0));
        let args = args.get(1..).unwrap_or_default();
        let mut sender = this;
        this.with_connect(args, &mut |packet| {
            sender.aliases = aliases(packet.properties)?;
            sender.send(packet)
        })?;
        this.clean = arg(args, 0).is_true();
        this.state.keep_alive.start(now);
        this.push(now);
        Self::unsent(this)
    }

    /// # Raises
    /// `TypeError`
    fn with_connect(
        &self,
        args: &[Obj],
        act: &mut dyn FnMut(&Connect<'_>) -> Result<(), Exception>,
    ) -> Result<(), Exception> {
        let keep_alive = Exception::Value(c"keepalive must be 0 to 65535 seconds");
        let keep_alive = uint(arg(args, 2), 0xffff, keep_alive)? as u16;
        let clean = arg(args, 0).is_true();
        let properties = self.properties(arg(args, 6), Place::Connect)?;
        let will = WillArgument::new(arg(args, 5))?;
        // No Python code runs from here on: it could free what these refer to.
        let will = will.as_ref().map(WillArgument::bytes).transpose()?;
        let client_id = buffer(arg(args, 1))?;
        let (user, password) = (optional(arg(args, 3))?, optional(arg(args, 4))?);
        let packet = Connect {
            version: self.version,
            clean,
            keep_alive,
            client_id: &client_id,
            user: user.as_deref(),
            password: password.as_deref(),
            will: will.as_ref().map(|will| will.packet(Properties::EMPTY)),
            properties: properties.get(Place::Connect),
        };
        packet.len().map_err(refused)?;
        act(&packet)?;
        properties.free();
        Ok(())
    }

    /// The properties of a packet to be sent; 3.1.1 has none.
    ///
    /// # Raises
    /// `TypeError`
    fn properties(&self, obj: Obj, place: Place) -> Result<Encoded, Exception> {
        match self.version {
            Version::V3 => Ok(Encoded::NONE),
            Version::V5 => Encoded::new(obj, place),
        }
    }

    /// Puts a packet behind what is still to be written.
    fn send(&mut self, packet: &impl Encode) -> Result<(), Exception> {
        let len = packet.len().map_err(refused)?;
        let room = self.transmitter.reserve(len)?;
        packet.encode(room).map_err(refused)?;
        self.transmitter.commit(len);
        Ok(())
    }

    /// `receive(now, callback, limit, copy)`: reads what is there and hands on
    /// at most `limit` messages: `callback(topic, message, retained)`, the
    /// message as `bytes` if `copy` or else as a `memoryview` of the receive
    /// buffer that is valid during the call. Answers with one of the constants
    /// above.
    ///
    /// # Raises
    /// What the callback raises; the message then counts as delivered.
    /// `MemoryError`: nothing is lost, call again. What a stream raises: the
    /// connection is over.
    fn receive(mut this: Native<Session>, args: &[Obj]) -> Result<Obj, Exception> {
        let now = ticks(arg(args, 0));
        let callback = arg(args, 1);
        let mut limit = arg(args, 2).to_int();
        let copy = arg(args, 3).is_true();
        let mut reads = READS;
        if this.reading {
            return Err(Exception::Runtime(c"receive within receive"));
        }
        let mut message = [Obj::none(); 4];
        loop {
            let answer = this.step(now, &mut limit, copy, &mut reads, &mut message)?;
            if answer == DELIVER {
                this.calling = true;
                let n = if this.version == Version::V5 { 4 } else { 3 };
                callback.call(message.get(..n).unwrap_or_default());
            } else {
                this.push(now);
                return Ok(Obj::int(answer));
            }
        }
    }

    /// Works on the receive buffer until there is something for Python: an
    /// answer, or a message for the callback.
    ///
    /// # Raises
    /// `MemoryError`, with nothing changed.
    fn step(
        &mut self,
        now: u32,
        limit: &mut isize,
        copy: bool,
        reads: &mut usize,
        message: &mut [Obj; 4],
    ) -> Result<isize, Exception> {
        self.calling = false;
        loop {
            if self.leaving {
                self.current = None;
                self.receiver.reset();
            }
            self.finish_current()?;
            let (packet, len) = match self.receiver.peek(self.version) {
                Ok(Some(found)) => found,
                Ok(None) => match self.read(now, reads)? {
                    Some(answer) => return Ok(answer),
                    None => continue,
                },
                Err(error) => return self.bad(error as u8, error.reason_code()),
            };
            if *limit <= 0 {
                return Ok(MORE);
            }
            *limit -= 1;
            let mut current = Current {
                len,
                qos: QoS::AtMostOnce,
                pid: None,
            };
            if self.connected == matches!(packet, Packet::Connack(_)) {
                return self.bad(UNEXPECTED, 0x82);
            }
            let mut answer = None;
            match packet {
                Packet::Publish(p) => {
                    current.qos = p.qos;
                    current.pid = p.pid;
                    match self.state.incoming(p.qos, p.pid) {
                        Incoming::Duplicate => {}
                        Incoming::TooMany => return self.bad(TOO_MANY, 0x93),
                        Incoming::Deliver => {
                            let topic = match self.topic(&p) {
                                Ok(topic) => topic,
                                Err(reason) => return self.bad(UNKNOWN_ALIAS, reason),
                            };
                            let retain = Obj::bool(p.retain);
                            let properties = decoded(p.properties);
                            let (from, to) = {
                                let end = self.receiver.position() + len;
                                (end - p.payload.len(), end)
                            };
                            let payload = if copy {
                                Obj::bytes(p.payload)
                            } else {
                                let block = &mut self.receiver.storage_mut().0;
                                self.view.point_to(block, from..to)?;
                                self.view.obj()
                            };
                            self.last_topic = topic;
                            self.current = Some(current);
                            *message = [topic, payload, retain, properties];
                            return Ok(DELIVER);
                        }
                    }
                }
                Packet::Ack(a) => {
                    // Its answer has to have room before anything changes.
                    self.transmitter.reserve_answer(ACK)?;
                    let reply = self.state.acknowledged(a.kind, a.pid, a.reason);
                    if reply.done {
                        answer = Some(done(a.pid, a.reason));
                    }
                    if let Some((kind, reason)) = reply.answer {
                        let pid = a.pid;
                        self.acknowledge(kind, pid, reason)?;
                    }
                }
                Packet::Suback(s) => {
                    // One code for the one filter; an UNSUBACK of 3.1.1 has none.
                    let codes = usize::from(!s.unsuback || self.version == Version::V5);
                    if s.codes.len() != codes {
                        return self.bad(CODES, 0x82);
                    }
                    let wait = if s.unsuback {
                        Wait::Unsuback
                    } else {
                        Wait::Suback
                    };
                    if self.state.flights.finish(s.pid, wait) {
                        answer = Some(done(s.pid, worst(&s)));
                    }
                }
                Packet::Pingresp => self.state.keep_alive.ponged(),
                Packet::Connack(c) => {
                    self.reason = c.reason;
                    if c.reason == 0 {
                        let present = c.session_present;
                        if present && self.clean {
                            return self.bad(UNEXPECTED, 0x82);
                        }
                        self.limits = Limits::new(c.properties);
                        let (keep_alive, receive_maximum) = (
                            number(c.properties, property::SERVER_KEEP_ALIVE),
                            number(c.properties, property::RECEIVE_MAXIMUM),
                        );
                        let flights = &mut self.state.flights;
                        flights.set_receive_maximum(receive_maximum.map(|n| n as u16));
                        self.state.connected(present, now);
                        if let Some(seconds) = keep_alive {
                            self.state.keep_alive.promise(seconds * 1000);
                        }
                        self.connected = true;
                    }
                    answer = Some(CONNACK);
                }
                Packet::Disconnect(d) => {
                    self.reason = d.reason;
                    answer = Some(DISCONNECT);
                }
                // Only who asked for a method of authentication gets it.
                Packet::Auth(_) => return self.bad(UNEXPECTED, 0x82),
            }
            self.current = Some(current);
            if let Some(answer) = answer {
                return Ok(answer);
            }
        }
    }

    /// The topic of a message, by its alias if need be (MQTT 5, 3.3.2.3.4), or
    /// the reason code to end the connection with.
    ///
    /// # Raises
    /// `MemoryError`
    fn topic(&self, p: &Publish<'_>) -> Result<Obj, u8> {
        let Some(alias) = number(p.properties, property::TOPIC_ALIAS) else {
            return Ok(same_or_new(self.last_topic, p.topic));
        };
        if self.aliases.is_none() || alias as usize > self.aliases.len() {
            return Err(0x94);
        }
        let at = Obj::int(alias as isize - 1);
        if !p.topic.is_empty() {
            let topic = same_or_new(self.last_topic, p.topic);
            self.aliases.set_item(at, topic);
            return Ok(topic);
        }
        let topic = self.aliases.item(at);
        if topic.is_none() {
            Err(0x82)
        } else {
            Ok(topic)
        }
    }

    /// The peer breaks the protocol: MQTT 5 tells it why (4.13.1).
    fn bad(&mut self, error: u8, reason: u8) -> Result<isize, Exception> {
        if self.version == Version::V5 && self.connected {
            let properties = Properties::EMPTY;
            self.send(&(self.version, Disconnect { reason, properties }))?;
        }
        Ok(wire_error(error))
    }

    /// The packet handed on last is done with: acknowledge and drop it.
    fn finish_current(&mut self) -> Result<(), Exception> {
        if let Some(current) = &self.current {
            let (len, qos, pid) = (current.len, current.qos, current.pid);
            if pid.is_some() {
                self.transmitter.reserve_answer(ACK)?;
            }
            self.current = None;
            self.view.clear();
            self.receiver.consume(len);
            if let Some((kind, pid)) = self.state.delivered(qos, pid) {
                self.acknowledge(kind, pid, 0)?;
            }
        }
        Ok(())
    }

    fn acknowledge(&mut self, kind: AckKind, pid: Pid, reason: u8) -> Result<(), Exception> {
        let room = self.transmitter.reserve(ACK)?;
        let len = ack(self.version, kind, pid, reason, room).map_err(refused)?;
        self.transmitter.commit(len);
        Ok(())
    }

    /// Reads once. `Some`: what to answer, since nothing came.
    ///
    /// # Raises
    /// What a stream written in Python raises.
    fn read(&mut self, now: u32, reads: &mut usize) -> Result<Option<isize>, Exception> {
        let Some(stream) = self.stream else {
            return Ok(Some(CLOSED));
        };
        if self.drained {
            self.drained = false;
            return Ok(Some(WAIT));
        }
        if *reads == 0 {
            return Ok(Some(MORE));
        }
        *reads -= 1;
        let window = self.receiver.window().map_err(|_| Exception::Memory)?;
        let room = window.len();
        self.reading = true;
        let result = stream.read(window);
        self.reading = false;
        match result {
            Ok(0) => Ok(Some(CLOSED)),
            Ok(n) => {
                self.receiver.commit(n);
                self.drained = n < room && !self.buffered;
                self.state.keep_alive.received(now);
                Ok(None)
            }
            Err(errno::EAGAIN) => Ok(Some(WAIT)),
            Err(e) => Ok(Some(stream_error(e))),
        }
    }

    /// Writes what there is to write, unless the stream is to be waited for.
    fn push(&mut self, now: u32) {
        if !self.blocked {
            self.write(now);
        }
    }

    /// # Raises
    /// What a stream written in Python raises.
    fn write(&mut self, now: u32) {
        let Some(stream) = self.stream else { return };
        if self.transmitter.is_empty() {
            self.blocked = false;
            return;
        }
        match self.transmitter.flush(&stream) {
            Ok(n) => {
                self.blocked = !self.transmitter.is_empty();
                if n > 0 {
                    self.state.keep_alive.sent(now, self.blocked);
                } else {
                    self.state.keep_alive.stalled(now);
                }
            }
            Err(e) => self.failed = stream_error(e),
        }
    }

    /// `flush(now)`: once the stream takes bytes again. Answers like `unsent`.
    fn flush(mut this: Native<Session>, now: Obj) -> Result<Obj, Exception> {
        this.write(ticks(now));
        Self::unsent(this)
    }

    /// 0: all is written; 1: call `flush` when the stream takes bytes; below 0:
    /// the negative number of the error that ended the connection.
    fn unsent(this: Native<Session>) -> Result<Obj, Exception> {
        Ok(Obj::int(match this.failed {
            0 => isize::from(!this.transmitter.is_empty()),
            e => e,
        }))
    }

    /// The identifier for a request: a new one for `pid` 0, else the one with
    /// which `pid` is sent again, and whether as a duplicate. `None`: not now.
    fn begin(&mut self, pid: Obj, wait: Wait, now: u32) -> Option<(Pid, bool)> {
        let flights = &mut self.state.flights;
        match Pid::new(pid.to_int() as u16) {
            None => flights.begin(wait, now).map(|pid| (pid, false)),
            Some(pid) => flights.again(pid, now),
        }
    }

    fn ready(&self) -> bool {
        self.connected && !self.leaving && self.transmitter.is_empty()
    }

    /// Writes the request and answers with its identifier, see [`BACKLOG`].
    fn requested(&mut self, pid: Option<Pid>, now: u32) -> Result<Obj, Exception> {
        self.push(now);
        let pid = pid.map_or(0, |pid| pid.get() as isize);
        let backlog = if self.transmitter.is_empty() {
            0
        } else {
            BACKLOG
        };
        Ok(Obj::int(pid | backlog))
    }

    /// `publish(now, pid, topic, message, retain, qos, properties)`: `pid` 0
    /// for a new message, or the identifier of one to be sent again. Answers
    /// with the identifier (0 at QoS 0), [`BACKLOG`] added if not all is
    /// written yet, or [`BUSY`]: wait.
    ///
    /// # Raises
    /// `TypeError`
    fn publish(mut this: Native<Session>, args: &[Obj]) -> Result<Obj, Exception> {
        let now = ticks(arg(args, 0));
        let message = arg(args, 3);
        let qos = qos(arg(args, 5))?;
        let retain = arg(args, 4).is_true();
        let encoded = this.properties(arg(args, 6), Place::PublishOut)?;
        // No Python code runs from here on: it could free what these refer to.
        let (topic, payload) = (buffer(arg(args, 2))?, buffer(message)?);
        let mut head = PublishHead {
            version: this.version,
            dup: false,
            retain,
            qos,
            pid: (qos != QoS::AtMostOnce).then_some(Pid::MIN),
            topic: &topic,
            properties: encoded.get(Place::PublishOut),
            payload_len: payload.len(),
        };
        let len = head.len().map_err(refused)?;
        if !this.ready() {
            return Ok(Obj::int(BUSY));
        }
        let total = len + payload.len();
        let properties = head.properties;
        if let Some(reason) = this
            .limits
            .refuse_publish(total, qos, head.retain, properties)
        {
            return Ok(Obj::int(REFUSED - isize::from(reason)));
        }
        // The payload goes with the head as far as a packet is copied at all.
        let part = payload.len().min(WHOLE.saturating_sub(len));
        let total = len + part;
        this.transmitter.reserve(total)?;
        let wait = match qos {
            QoS::AtMostOnce => None,
            QoS::AtLeastOnce => Some(Wait::Puback),
            QoS::ExactlyOnce => Some(Wait::Pubrec),
        };
        if let Some(wait) = wait {
            let Some((pid, dup)) = this.begin(arg(args, 1), wait, now) else {
                return Ok(Obj::int(BUSY));
            };
            head.pid = Some(pid);
            head.dup = dup;
        }
        let room = this.transmitter.reserve(total)?;
        head.encode(room).map_err(refused)?;
        if let (Some(to), Some(from)) = (room.get_mut(len..), payload.get(..part)) {
            to.copy_from_slice(from);
        }
        this.transmitter.commit(total);
        if part < payload.len() {
            this.transmitter.follow(message, part..payload.len());
        }
        let pid = head.pid;
        encoded.free();
        this.requested(pid, now)
    }

    /// `subscribe(now, pid, topic, qos, properties)`: answers like `publish`.
    fn subscribe(this: Native<Session>, args: &[Obj]) -> Result<Obj, Exception> {
        let options = qos(arg(args, 3))? as u8;
        let version = this.version;
        let encoded = this.properties(arg(args, 4), Place::Subscribe)?;
        let filter = buffer(arg(args, 2))?;
        let properties = encoded.get(Place::Subscribe);
        if this.connected
            && let Some(reason) = this.limits.refuse_subscribe(&filter, properties)
        {
            return Ok(Obj::int(REFUSED - isize::from(reason)));
        }
        Self::request(this, args, Wait::Suback, &|pid, room| {
            let filters: Filters<'_, '_> = &|i| (i == 0).then_some((&filter, options));
            encode(
                &Subscribe {
                    version,
                    pid,
                    properties,
                    filters,
                },
                room,
            )
        })
    }

    /// `unsubscribe(now, pid, topic, properties)`: answers like `publish`.
    fn unsubscribe(this: Native<Session>, args: &[Obj]) -> Result<Obj, Exception> {
        let version = this.version;
        let encoded = this.properties(arg(args, 3), Place::Unsubscribe)?;
        let filter = buffer(arg(args, 2))?;
        let properties = encoded.get(Place::Unsubscribe);
        Self::request(this, args, Wait::Unsuback, &|pid, room| {
            let filters: Filters<'_, '_> = &|i| (i == 0).then_some((&filter, 0));
            encode(
                &Unsubscribe {
                    version,
                    pid,
                    properties,
                    filters,
                },
                room,
            )
        })
    }

    fn request(
        mut this: Native<Session>,
        args: &[Obj],
        wait: Wait,
        packet: Packer<'_>,
    ) -> Result<Obj, Exception> {
        let now = ticks(arg(args, 0));
        let len = packet(Pid::MIN, None)?;
        if !this.ready() {
            return Ok(Obj::int(BUSY));
        }
        this.transmitter.reserve(len)?;
        let Some((pid, _)) = this.begin(arg(args, 1), wait, now) else {
            return Ok(Obj::int(BUSY));
        };
        let room = this.transmitter.reserve(len)?;
        packet(pid, Some(room))?;
        this.transmitter.commit(len);
        this.requested(Some(pid), now)
    }

    /// Sends a PINGREQ. Answers like `unsent`.
    fn ping(mut this: Native<Session>, now: Obj) -> Result<Obj, Exception> {
        let now = ticks(now);
        this.send_ping(now)?;
        Self::unsent(this)
    }

    fn send_ping(&mut self, now: u32) -> Result<(), Exception> {
        self.raw(&PINGREQ)?;
        self.state.keep_alive.pinged(now);
        self.push(now);
        Ok(())
    }

    fn raw(&mut self, packet: &[u8]) -> Result<(), Exception> {
        let room = self.transmitter.reserve(packet.len())?;
        room.copy_from_slice(packet);
        self.transmitter.commit(packet.len());
        Ok(())
    }

    /// Sends a DISCONNECT. Answers like `unsent`.
    fn disconnect(mut this: Native<Session>, now: Obj) -> Result<Obj, Exception> {
        this.raw(&[0xe0, 0])?;
        this.leaving = true;
        this.push(ticks(now));
        Self::unsent(this)
    }

    /// `due(now)`: what the clock asks for. Above 0: nothing for so many
    /// milliseconds; 0: the connection is dead; below 0: send the request with
    /// the negative of this identifier again. Pings go out from here.
    fn due(mut this: Native<Session>, now: Obj) -> Result<Obj, Exception> {
        let now = ticks(now);
        if this.leaving {
            return Ok(Obj::int(LONG));
        }
        Ok(Obj::int(loop {
            match this.state.due(now) {
                Due::Nothing(ms) => break ms.min(LONG as u32) as isize,
                Due::Dead => break 0,
                Due::Ping => this.send_ping(now)?,
                Due::Resend(Resend::Request(pid)) => break -(pid.get() as isize),
                Due::Resend(Resend::Pubrel(pid)) => this.release(pid, now)?,
            }
        }))
    }

    fn release(&mut self, pid: Pid, now: u32) -> Result<(), Exception> {
        self.acknowledge(AckKind::Pubrel, pid, 0)?;
        self.state.flights.again(pid, now);
        self.push(now);
        Ok(())
    }

    /// `stale(now)`: the identifier of the oldest request that is to be sent
    /// again now, after a reconnection; 0: none.
    fn stale(mut this: Native<Session>, now: Obj) -> Result<Obj, Exception> {
        let now = ticks(now);
        loop {
            match this.state.flights.stale() {
                None => return Ok(Obj::int(0)),
                Some(Resend::Request(pid)) => return Ok(Obj::uint(pid.get().into())),
                Some(Resend::Pubrel(pid)) => this.release(pid, now)?,
            }
        }
    }

    /// Nobody waits for the request any more.
    ///
    /// # Raises
    /// `TypeError`
    fn abandon(mut this: Native<Session>, pid: Obj) -> Result<Obj, Exception> {
        if let Some(pid) = Pid::new(pid.to_int() as u16) {
            this.state.flights.abandon(pid);
        }
        Ok(Obj::none())
    }

    /// A free packet identifier.
    fn new_pid(mut this: Native<Session>) -> Result<Obj, Exception> {
        Ok(Obj::uint(this.state.flights.next_pid().get().into()))
    }

    /// `idle(now)`: milliseconds since bytes last came in.
    fn idle(this: Native<Session>, now: Obj) -> Result<Obj, Exception> {
        let last_rx = this.state.keep_alive.last_rx();
        Ok(Obj::uint(elapsed(ticks(now), last_rx) as usize))
    }

    /// Was it the callback that raised the exception that left `receive`?
    fn calling(this: Native<Session>) -> Result<Obj, Exception> {
        Ok(Obj::bool(this.calling))
    }

    /// The properties of the packet handed on just now: a dict or `None`.
    ///
    /// # Raises
    /// `MemoryError`
    fn last_properties(this: Native<Session>) -> Result<Obj, Exception> {
        let packet = match this.receiver.peek(this.version) {
            Ok(Some((packet, _))) if this.current.is_some() => packet,
            _ => return Ok(Obj::none()),
        };
        Ok(decoded(match packet {
            Packet::Connack(p) => p.properties,
            Packet::Ack(p) => p.properties,
            Packet::Suback(p) => p.properties,
            Packet::Disconnect(p) => p.properties,
            _ => Properties::EMPTY,
        }))
    }

    /// The reason code of the last CONNACK or DISCONNECT.
    fn reason(this: Native<Session>) -> Result<Obj, Exception> {
        Ok(Obj::uint(this.reason.into()))
    }

    /// The reason codes of the SUBACK or UNSUBACK handed on just now.
    ///
    /// # Raises
    /// `MemoryError`
    fn codes(this: Native<Session>) -> Result<Obj, Exception> {
        Ok(match this.receiver.peek(this.version) {
            Ok(Some((Packet::Suback(s), _))) if this.current.is_some() => Obj::bytes(s.codes),
            _ => Obj::none(),
        })
    }
}

/// The length of a packet, which is written to `room` if there is one.
fn encode(packet: &impl Encode, room: Option<&mut [u8]>) -> Result<usize, Exception> {
    match room {
        None => packet.len(),
        Some(room) => packet.encode(room),
    }
    .map_err(refused)
}

/// Room for as many topic aliases as CONNECT allows the server (3.1.2.11.5).
///
/// # Raises
/// `MemoryError`
fn aliases(properties: Properties<'_>) -> Result<Obj, Exception> {
    let Some(n) = number(properties, property::TOPIC_ALIAS_MAXIMUM) else {
        return Ok(Obj::none());
    };
    let list = Obj::list_new();
    for _ in 0..n {
        list.list_append(Obj::none())?;
    }
    Ok(list)
}

/// The answer that a request is over.
fn done(pid: Pid, reason: u8) -> isize {
    (usize::from(pid.get()) << 8 | usize::from(reason)) as isize
}

/// The worst of the codes: they grow with it, and 0x80 on is a refusal.
fn worst(suback: &Suback<'_>) -> u8 {
    suback.codes.iter().copied().max().unwrap_or(0)
}

/// A `bytes` object of the topic: the one there is, if it has the same bytes.
///
/// # Raises
/// `MemoryError`
fn same_or_new(known: Obj, topic: &[u8]) -> Obj {
    match buffer(known) {
        Ok(bytes) if *bytes == *topic => known,
        _ => Obj::bytes(topic),
    }
}
