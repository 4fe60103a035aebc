//! From the stream to the application.
use super::{ACK, Current, Divided, IN_CALL, Session, stream_error, traits};
use crate::arguments::{arg, ticks};
use crate::limits::{Limits, number, property};
use micropython::{Exception, GcBox, Native, Obj, OrRaise, Vm, errno};
use mqtt_codec::{AckKind, Disconnect, Packet, PacketType, Pid, Properties, ack};
use mqtt_session::{Incoming, Wait};

/// Reads in one call of `receive`, whatever the peer sends.
const READS: usize = 8;

/// What `receive` answers. From 0x100 on: the identifier of the request that
/// is over, shifted by 8, and its reason code. Below 0: [`wire_error`] or the
/// negative number of an error of the stream.
const WAIT: isize = 0;
const MORE: isize = 1;
pub(super) const CLOSED: isize = 2;
const CONNACK: isize = 3;
const DISCONNECT: isize = 4;
const AUTH: isize = 5;
const READY: isize = 6;
const PART: isize = 7;
/// What `step` answers when a message, or a piece of one, is to be handed to its
/// callback.
const DELIVER: isize = 8;
const PIECE: isize = 9;
/// What `step` answers when bytes are to be read.
const READ: isize = 10;
/// What `step` answers when so many answers to the peer are to be written that there
/// is to be no further one. Nothing has changed.
const FULL: isize = 11;
/// Added to the answer that a request is over where it is not, but a PUBREC says
/// more than that.
const NOTED: isize = 1 << 24;
/// Added to the first byte of a packet and, shifted by 8, its second one: no
/// request waits for it. These two are read, the rest is still in the stream.
const STRAY: isize = 1 << 25;

/// Errors in sequence rather than in a packet; they follow the codec's.
const UNEXPECTED: u8 = 50;
const TOO_MANY: u8 = 51;
const UNKNOWN_ALIAS: u8 = 52;
const CODES: u8 = 53;

fn wire_error(error: u8) -> isize {
    -1000 - isize::from(error)
}

impl Session {
    /// `receive(now, callback, limit, copy)`: reads what is there and hands on
    /// at most `limit` messages: `callback(topic, message, retained)`, the
    /// message as `bytes` if `copy` or else as a `memoryview` of the receive
    /// buffer that is valid during the call. A message that exceeds the buffer goes
    /// to the callback for pieces, if there is one: `pieces(topic, piece, retained,
    /// properties, offset, length)`, the piece always as a `memoryview`. Answers with
    /// one of the constants above.
    ///
    /// From a stream that is `EXACT` it takes one packet, and answers with its first
    /// byte where no constant says more, with `MORE` if only a part came before the stream's
    /// timeout, with `PART` if that has come in so many pieces that it is time to look
    /// at the clock; with a `limit`
    /// below 0 it takes none and answers with `READY` if one is there. The callback
    /// is called with `(topic, message)` in 3.1.1, and may use the session; the message
    /// is acknowledged when it has returned, and not if it raises.
    ///
    /// # Raises
    /// What the callback raises; the message then counts as delivered.
    /// `MemoryError`: nothing is lost, call again. What a stream raises: the
    /// connection is over.
    pub(super) fn receive(vm: &mut Vm, mut this: Native<'_, Session>, args: &[Obj]) -> Obj {
        let now = ticks(vm, arg(args, 0));
        let callback = arg(args, 1);
        let mut limit = arg(args, 2).to_int(vm);
        let copy = arg(args, 3).is_true(vm);
        let mut reads = READS;
        let mut message = [Obj::none(); 6];
        loop {
            let session = this.get_mut(vm);
            if session.failed == IN_CALL {
                return Obj::int(stream_error(errno::EIO));
            }
            let mut answer = session.step(now, &mut limit, copy, &mut message);
            if answer == FULL {
                Self::push(vm, this.lend(), now);
                if this.get(vm).transmitter.is_full() {
                    Exception::Memory.raise()
                }
                continue;
            }
            if answer == READ {
                answer = match Self::read(vm, this.lend(), now, &mut reads) {
                    None => continue,
                    Some(answer) => answer,
                };
            }
            if answer == DELIVER || answer == PIECE {
                let session = this.get_mut(vm);
                session.calling = true;
                if session.exact() {
                    let n = if session.version.is_v5() { 4 } else { 2 };
                    let message = message.get(..n).unwrap_or_default();
                    return Self::hand_on(vm, this, now, callback, message);
                }
                let (callback, n) = if answer == PIECE {
                    (session.pieces, 6)
                } else if session.version.is_v5() {
                    (callback, 4)
                } else {
                    (callback, 3)
                };
                callback.call(vm, message.get(..n).unwrap_or_default());
            } else {
                // The next call does: an answer must not be lost where a stream raises.
                if answer < done(Pid::MIN, 0) {
                    Self::push(vm, this, now);
                }
                return Obj::int(answer);
            }
        }
    }

    /// Of a stream that is `EXACT`: hands the message to the callback, then
    /// acknowledges it. Answers with the packet's first byte.
    ///
    /// # Raises
    /// `MemoryError`, with nothing changed; what the callback raises.
    fn hand_on(
        vm: &mut Vm,
        mut this: Native<'_, Session>,
        now: u32,
        callback: Obj,
        message: &[Obj],
    ) -> Obj {
        let session = this.get_mut(vm);
        let Some(current) = session.current.take() else {
            return Obj::int(WAIT);
        };
        if current.pid.is_some() {
            session.transmitter.reserve(ACK);
        }
        session.receiver.consume(current.len);
        let first = session.first;
        callback.call(vm, message);
        let session = this.get_mut(vm);
        session.calling = false;
        if let Some((kind, pid)) = session.state.delivered(current.qos, current.pid) {
            session.acknowledge(kind, pid, 0);
            Self::push(vm, this, now);
        }
        Obj::int(first.into())
    }

    pub(super) fn exact(&self) -> bool {
        cfg!(feature = "umqtt") || self.traits & traits::EXACT != 0
    }

    /// Before bytes are read: what to answer if none are to be, of a stream that is
    /// `EXACT`.
    #[inline(never)]
    fn enough(&mut self, limit: isize) -> Option<isize> {
        if !self.exact() {
            return None;
        }
        if limit == 0 {
            return Some(self.first.into());
        }
        let (first, second) = self.receiver.begun()?;
        let kind = PacketType::received(self.version, first).ok()?;
        let answers = matches!(
            kind,
            PacketType::Puback
                | PacketType::Pubrec
                | PacketType::Pubcomp
                | PacketType::Suback
                | PacketType::Unsuback
        );
        if !answers || self.told || self.state.flights.awaits(kind) {
            return None;
        }
        self.told = true;
        Some(STRAY | isize::from(second) << 8 | isize::from(first))
    }

    /// Works on the receive buffer until there is something for Python: an
    /// answer, or a message for the callback.
    ///
    /// # Raises
    /// `MemoryError`, with nothing changed.
    fn step(&mut self, now: u32, limit: &mut isize, copy: bool, message: &mut [Obj; 6]) -> isize {
        self.calling = false;
        if self.refused != 0 {
            return self.refused.into();
        }
        loop {
            if self.leaving {
                self.forget_current();
                self.receiver.reset();
            }
            if self.transmitter.is_full() {
                return FULL;
            }
            self.finish_current();
            let piece = match cfg!(feature = "umqtt") {
                true => None,
                false => self.next_piece(limit, message),
            };
            let found = match piece {
                None => self
                    .receiver
                    .peek_after(self.version, self.properties.get()),
                Some(WAIT) => Ok(None),
                Some(answer) => return answer,
            };
            let (p, len) = match found {
                Ok(Some(found)) => found,
                Ok(None) => return self.enough(*limit).unwrap_or(READ),
                Err(error) => return self.bad(error as u8, error.reason_code()),
            };
            // One that the application was told of does not count.
            if !self.told {
                if *limit <= 0 {
                    return if self.exact() { READY } else { MORE };
                }
                *limit -= 1;
            }
            self.told = false;
            self.first = self.receiver.begun().map_or(0, |(first, _)| first);
            // Before CONNACK nothing else comes, and only once (3.2), but that
            // those who named a method of authentication get AUTH (4.12).
            let fits = match p.packet_type {
                PacketType::Connack => !self.connected,
                PacketType::Auth => self.authenticates && (self.connected || p.reason != 0),
                _ => self.connected,
            };
            if !fits {
                return self.bad(UNEXPECTED, 0x82);
            }
            let mut current = Current {
                len,
                qos: p.qos(),
                pid: None,
            };
            let mut answer = None;
            let pid = p.pid.unwrap_or(Pid::MIN);
            match p.packet_type {
                PacketType::Publish => {
                    current.pid = p.pid;
                    let topic = match topic(&mut self.aliases, self.last_topic, &p) {
                        Ok(topic) => topic,
                        Err(reason) => return self.bad(UNKNOWN_ALIAS, reason),
                    };
                    let incoming = self.state.incoming(p.qos(), p.pid);
                    let incoming = incoming.map_err(|_| Exception::Memory).or_raise();
                    if incoming == Incoming::TooMany {
                        return self.bad(TOO_MANY, 0x93);
                    }
                    let head = self.receiver.head(len, p.payload.len());
                    let divides =
                        !cfg!(feature = "umqtt") && self.receiver.divides(len) && head < len;
                    let mut divided = None;
                    if incoming == Incoming::Deliver {
                        let retain = Obj::bool(p.retain());
                        let properties =
                            self.properties
                                .decoded(&mut self.hash, p.properties, p.known);
                        if divides {
                            divided = Some(GcBox::new(Divided {
                                topic,
                                retain,
                                properties,
                                size: len - head,
                            }));
                        } else {
                            let payload = if copy || cfg!(feature = "umqtt") {
                                Obj::bytes(p.payload)
                            } else {
                                self.view_of(head, len)
                            };
                            self.last_topic = topic;
                            self.current = Some(current);
                            let none = Obj::none();
                            *message = [topic, payload, retain, properties, none, none];
                            return DELIVER;
                        }
                    }
                    if divides {
                        self.divided = divided;
                        self.receiver.divide(head, len - head);
                        current.len = 0;
                    }
                }
                PacketType::Connack => {
                    let present = p.session_present;
                    self.reason = u16::from(p.reason) | u16::from(present) << 8;
                    if p.reason == 0 {
                        if present && self.clean {
                            return self.bad(UNEXPECTED, 0x82);
                        }
                        if self.version.is_v5() {
                            self.limits = Limits::new(p.properties);
                        }
                        let maximum = number(p.properties, property::RECEIVE_MAXIMUM);
                        self.state.flights.set_receive_maximum(maximum);
                        self.state.connected(present, now);
                        if let Some(seconds) = number(p.properties, property::SERVER_KEEP_ALIVE) {
                            self.state.keep_alive.promise(seconds * 1000);
                        }
                        self.connected = true;
                    }
                    answer = Some(CONNACK);
                }
                PacketType::Disconnect => {
                    self.reason = p.reason.into();
                    answer = Some(DISCONNECT);
                }
                PacketType::Auth => {
                    self.reason = p.reason.into();
                    answer = Some(AUTH);
                }
                PacketType::Pingresp => self.state.ponged(),
                // 3.1.2.11.7: no more than the reason code was asked for.
                _ if self.terse && !p.properties.is_empty() => {
                    return self.bad(UNEXPECTED, 0x82);
                }
                PacketType::Suback | PacketType::Unsuback => {
                    let Ok(codes) = u8::try_from(p.payload.len()) else {
                        return self.bad(CODES, 0x82);
                    };
                    let wait = if p.packet_type == PacketType::Unsuback {
                        Wait::Unsuback(codes)
                    } else {
                        Wait::Suback(codes)
                    };
                    match self.state.flights.finish(pid, wait) {
                        Some(true) => answer = Some(done(pid, worst(p.payload))),
                        Some(false) => return self.bad(CODES, 0x82),
                        None => {}
                    }
                }
                ack => {
                    let kind = match ack {
                        PacketType::Puback => AckKind::Puback,
                        PacketType::Pubrec => AckKind::Pubrec,
                        PacketType::Pubrel => AckKind::Pubrel,
                        _ => AckKind::Pubcomp,
                    };
                    // Its answer has to have room before anything changes.
                    self.transmitter.reserve(ACK);
                    let reason = p.reason;
                    let reply = self.state.acknowledged(kind, pid, reason, now);
                    if reply.done {
                        // PUBCOMP 0x92: a repeated PUBREL, the message is through.
                        let failed = kind != AckKind::Pubcomp;
                        answer = Some(done(pid, if failed { reason } else { 0 }));
                    }
                    if reply.received && (reason != 0 || !p.properties.is_empty()) {
                        answer = Some(NOTED + done(pid, reason));
                    }
                    if let Some((kind, reason)) = reply.answer {
                        self.acknowledge(kind, pid, reason);
                    }
                }
            }
            self.current = Some(current);
            if let Some(answer) = answer {
                return answer;
            }
        }
    }

    /// The next piece of a message that comes in pieces: what to answer, or [`WAIT`]
    /// if no byte of it is here. `None`: no message is under way.
    #[inline(never)]
    fn next_piece(&mut self, limit: &mut isize, message: &mut [Obj; 6]) -> Option<isize> {
        self.current.as_ref()?;
        // A buffer that has grown is no reason for longer pieces.
        let len = self.receiver.piece().min(self.receiver.burst);
        if len == 0 {
            return Some(WAIT);
        }
        if *limit <= 0 {
            return Some(MORE);
        }
        *limit -= 1;
        let piece = self.view_of(0, len);
        let rest = self.receiver.rest();
        let divided = self.divided.as_ref()?;
        let (offset, size) = (Obj::uint(divided.size - rest), Obj::uint(divided.size));
        *message = [
            divided.topic,
            piece,
            divided.retain,
            divided.properties,
            offset,
            size,
        ];
        if let Some(current) = &mut self.current {
            current.len = len;
        }
        Some(PIECE)
    }

    /// Bytes of the receive buffer, from the first that is not consumed on.
    fn view_of(&mut self, from: usize, to: usize) -> Obj {
        let position = self.receiver.position();
        let block = &mut self.receiver.storage_mut().0;
        self.view.point_to(block, position + from..position + to);
        self.view.obj()
    }

    /// The peer breaks the protocol: MQTT 5 tells it why (4.13.1).
    fn bad(&mut self, error: u8, reason: u8) -> isize {
        if self.version.is_v5() && self.connected && !self.limits.exceeds(3) {
            let properties = Properties::EMPTY;
            self.say(Disconnect { reason, properties });
        }
        // Nothing follows, and no more is taken.
        self.leaving = true;
        self.refused = wire_error(error) as i16;
        self.refused.into()
    }

    /// The packet handed on last is done with: acknowledge and drop it.
    #[inline(never)]
    fn finish_current(&mut self) {
        if let Some(current) = &mut self.current {
            let (len, qos, pid) = (current.len, current.qos, current.pid);
            let len = match len {
                // In pieces, and the application has it already.
                0 if self.divided.is_none() => self.receiver.piece(),
                len => len,
            };
            if len == 0 {
                return;
            }
            if pid.is_some() {
                self.transmitter.reserve(ACK);
            }
            current.len = 0;
            self.view.clear();
            self.receiver.consume(len);
            if self.receiver.rest() > 0 {
                return;
            }
            self.current = None;
            self.divided = None;
            if let Some((kind, pid)) = self.state.delivered(qos, pid) {
                self.acknowledge(kind, pid, 0);
            }
        }
    }

    pub(super) fn acknowledge(&mut self, kind: AckKind, pid: Pid, reason: u8) {
        let reason = if self.limits.exceeds(ACK) { 0 } else { reason };
        self.raw(ack(self.version, kind, pid, reason, &mut [0; ACK]))
    }

    /// The packet handed on last is dropped with its connection. The application
    /// has it, so of QoS 2 it must not come again.
    pub(super) fn forget_current(&mut self) {
        let rest = self.receiver.rest();
        if let Some(current) = self.current.take()
            && current.len > 0
            && (rest == 0 || rest == current.len)
        {
            self.state.delivered(current.qos, current.pid);
        }
    }

    /// Reads once. `Some`: what to answer, since nothing came.
    ///
    /// # Raises
    /// `MemoryError`, and what a stream written in Python raises.
    fn read(
        vm: &mut Vm,
        mut this: Native<'_, Session>,
        now: u32,
        reads: &mut usize,
    ) -> Option<isize> {
        let session = this.get_mut(vm);
        let Some(stream) = session.stream else {
            return Some(CLOSED);
        };
        if session.failed != 0 {
            return Some(session.failed);
        }
        if session.drained {
            session.drained = false;
            return Some(WAIT);
        }
        if *reads == 0 {
            return Some(if session.exact() { PART } else { MORE });
        }
        *reads -= 1;
        let window = session.receiver.window().map_err(|_| Exception::Memory);
        let mut room = window.or_raise().len();
        let block = &mut session.receiver.storage_mut().0;
        let (from, memory) = (block.len() - room, block.lend());
        let exact = session.exact();
        if exact {
            room = room.min(session.receiver.missing());
        }
        let opened = session.opened;
        session.failed = IN_CALL;
        let result = stream.read(vm, &memory, from..from + room);
        let session = this.get_mut(vm);
        session.receiver.storage_mut().0.settle(memory);
        if session.opened != opened {
            return Some(stream_error(errno::EIO));
        }
        session.failed = match result {
            Ok(0) => CLOSED,
            Ok(n) => {
                session.receiver.commit(n);
                // Else the next read tells.
                const MORE: u8 = traits::BUFFERED | traits::PIECEMEAL | traits::EXACT;
                session.drained = n < room && session.traits & MORE == 0;
                session.state.keep_alive.received(now);
                session.failed = 0;
                return None;
            }
            Err(errno::EAGAIN) => WAIT,
            Err(errno::ETIMEDOUT | errno::ETIMEDOUT_NEWLIB) if exact => WAIT,
            Err(e) => stream_error(e),
        };
        Some(match session.failed {
            WAIT if exact && !session.receiver.is_empty() => MORE,
            answer => answer,
        })
    }
}

/// The topic of a message, by its alias if need be (MQTT 5, 3.3.2.3.4), or
/// the reason code to end the connection with.
///
/// # Raises
/// `MemoryError`
fn topic(aliases: &mut [Obj], last: Obj, p: &Packet<'_>) -> Result<Obj, u8> {
    let Some(alias) = number(p.properties, property::TOPIC_ALIAS) else {
        return Ok(same_or_new(last, p.topic));
    };
    let Some(known) = aliases.get_mut(alias as usize - 1) else {
        return Err(0x94);
    };
    if !p.topic.is_empty() {
        *known = same_or_new(last, p.topic);
    }
    if known.is_none() {
        Err(0x82)
    } else {
        Ok(*known)
    }
}

/// The answer that a request is over.
fn done(pid: Pid, reason: u8) -> isize {
    (usize::from(pid.get()) << 8 | usize::from(reason)) as isize
}

/// The worst of the codes: they grow with it, and 0x80 on is a refusal.
fn worst(codes: &[u8]) -> u8 {
    codes.iter().copied().max().unwrap_or(0)
}

/// A `bytes` object of the topic: the one there is, if it has the same bytes.
///
/// # Raises
/// `MemoryError`
fn same_or_new(known: Obj, topic: &[u8]) -> Obj {
    if known.has_bytes(topic) {
        known
    } else {
        Obj::bytes(topic)
    }
}
