//! From the stream to the application.
use super::{ACK, Current, Session, stream_error};
use crate::arguments::{arg, ticks};
use crate::limits::{Limits, number, property};
use crate::properties::decoded;
use micropython::{Exception, Native, Obj, OrRaise, buffer, errno};
use mqtt_codec::{AckKind, Disconnect, Packet, PacketType, Pid, Properties, Version, ack};
use mqtt_session::{Incoming, Wait};

/// Reads in one call of `receive`, whatever the peer sends.
const READS: usize = 8;

/// What `receive` answers. From 0x100 on: the identifier of the request that
/// is over, shifted by 8, and its reason code. Below 0: [`wire_error`] or the
/// negative number of an error of the stream.
const WAIT: isize = 0;
const MORE: isize = 1;
const CLOSED: isize = 2;
const CONNACK: isize = 3;
const DISCONNECT: isize = 4;
const AUTH: isize = 5;
/// What `step` answers when a message is to be handed to the callback.
const DELIVER: isize = 6;
/// Added to the answer that a request is over where it is not, but a PUBREC says
/// more than that.
const NOTED: isize = 1 << 24;

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
    /// buffer that is valid during the call. Answers with one of the constants
    /// above.
    ///
    /// # Raises
    /// What the callback raises; the message then counts as delivered.
    /// `MemoryError`: nothing is lost, call again. What a stream raises: the
    /// connection is over.
    pub(super) fn receive(mut this: Native<Session>, args: &[Obj]) -> Obj {
        let now = ticks(arg(args, 0));
        let callback = arg(args, 1);
        let mut limit = arg(args, 2).to_int();
        let copy = arg(args, 3).is_true();
        let mut reads = READS;
        if this.reading {
            Exception::Runtime(c"receive within receive").raise()
        }
        let mut message = [Obj::none(); 4];
        loop {
            let answer = this.step(now, &mut limit, copy, &mut reads, &mut message);
            if answer == DELIVER {
                this.calling = true;
                let n = if this.version == Version::V5 { 4 } else { 3 };
                callback.call(message.get(..n).unwrap_or_default());
            } else {
                // The next call does: an answer must not be lost where a stream raises.
                if answer < done(Pid::MIN, 0) {
                    this.push(now);
                }
                return Obj::int(answer);
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
    ) -> isize {
        self.calling = false;
        loop {
            if self.leaving {
                self.current = None;
                self.receiver.reset();
            }
            self.finish_current();
            let (p, len) = match self.receiver.peek(self.version) {
                Ok(Some(found)) => found,
                Ok(None) => match self.read(now, reads) {
                    Some(answer) => return answer,
                    None => continue,
                },
                Err(error) => return self.bad(error as u8, error.reason_code()),
            };
            if *limit <= 0 {
                return MORE;
            }
            *limit -= 1;
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
                    let topic = match self.topic(&p) {
                        Ok(topic) => topic,
                        Err(reason) => return self.bad(UNKNOWN_ALIAS, reason),
                    };
                    let incoming = self.state.incoming(p.qos(), p.pid);
                    match incoming.map_err(|_| Exception::Memory).or_raise() {
                        Incoming::Duplicate => {}
                        Incoming::TooMany => return self.bad(TOO_MANY, 0x93),
                        Incoming::Deliver => {
                            let retain = Obj::bool(p.retain());
                            let properties = decoded(p.properties);
                            let (from, to) = {
                                let end = self.receiver.position() + len;
                                (end - p.payload.len(), end)
                            };
                            let payload = if copy {
                                Obj::bytes(p.payload)
                            } else {
                                let block = &mut self.receiver.storage_mut().0;
                                self.view.point_to(block, from..to);
                                self.view.obj()
                            };
                            self.last_topic = topic;
                            self.current = Some(current);
                            *message = [topic, payload, retain, properties];
                            return DELIVER;
                        }
                    }
                }
                PacketType::Connack => {
                    let present = p.session_present;
                    self.reason = u16::from(p.reason) | u16::from(present) << 8;
                    if p.reason == 0 {
                        if present && self.clean {
                            return self.bad(UNEXPECTED, 0x82);
                        }
                        self.limits = Limits::new(p.properties);
                        let receive_maximum = self.limits.receive_maximum;
                        self.state.flights.set_receive_maximum(receive_maximum);
                        self.state.connected(present, now);
                        if let Some(seconds) = self.limits.keep_alive {
                            self.state.keep_alive.promise(u32::from(seconds) * 1000);
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
                PacketType::Pingresp => self.state.keep_alive.ponged(),
                // 3.1.2.11.7: no more than the reason code was asked for.
                _ if self.terse && !p.properties.is_empty() => {
                    return self.bad(UNEXPECTED, 0x82);
                }
                PacketType::Suback | PacketType::Unsuback => {
                    let codes = p.payload.len().min(255) as u8;
                    let wait = if p.packet_type == PacketType::Unsuback {
                        Wait::Unsuback(codes)
                    } else {
                        Wait::Suback(codes)
                    };
                    let flights = &mut self.state.flights;
                    if flights.finish(pid, wait) {
                        answer = Some(done(pid, worst(p.payload)));
                    } else if flights.waits(pid, wait) {
                        return self.bad(CODES, 0x82);
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
                    self.transmitter.reserve_answer(ACK);
                    let reason = p.reason;
                    let reply = self.state.acknowledged(kind, pid, reason, now);
                    if reply.done {
                        // PUBCOMP 0x92: a repeated PUBREL, the message is through.
                        let failed = kind != AckKind::Pubcomp;
                        answer = Some(done(pid, if failed { reason } else { 0 }));
                    }
                    if kind == AckKind::Pubrec
                        && reply.answer == Some((AckKind::Pubrel, 0))
                        && (reason != 0 || !p.properties.is_empty())
                    {
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

    /// The topic of a message, by its alias if need be (MQTT 5, 3.3.2.3.4), or
    /// the reason code to end the connection with.
    ///
    /// # Raises
    /// `MemoryError`
    fn topic(&self, p: &Packet<'_>) -> Result<Obj, u8> {
        let Some(alias) = number(p.properties, property::TOPIC_ALIAS) else {
            return Ok(same_or_new(self.last_topic, p.topic));
        };
        if alias as usize > self.aliases.len() {
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
    fn bad(&mut self, error: u8, reason: u8) -> isize {
        if self.version == Version::V5 && self.connected && !self.limits.exceeds(3) {
            let properties = Properties::EMPTY;
            self.say(Disconnect { reason, properties });
        }
        wire_error(error)
    }

    /// The packet handed on last is done with: acknowledge and drop it.
    #[inline(never)]
    fn finish_current(&mut self) {
        if let Some(current) = &self.current {
            let (len, qos, pid) = (current.len, current.qos, current.pid);
            if pid.is_some() {
                self.transmitter.reserve_answer(ACK);
            }
            self.current = None;
            self.view.clear();
            self.receiver.consume(len);
            if let Some((kind, pid)) = self.state.delivered(qos, pid) {
                self.acknowledge(kind, pid, 0);
            }
        }
    }

    pub(super) fn acknowledge(&mut self, kind: AckKind, pid: Pid, reason: u8) {
        let reason = if self.limits.exceeds(ACK) { 0 } else { reason };
        self.raw(ack(self.version, kind, pid, reason, &mut [0; ACK]))
    }

    /// Reads once. `Some`: what to answer, since nothing came.
    ///
    /// # Raises
    /// What a stream written in Python raises.
    fn read(&mut self, now: u32, reads: &mut usize) -> Option<isize> {
        let Some(stream) = self.stream else {
            return Some(CLOSED);
        };
        if self.drained {
            self.drained = false;
            return Some(WAIT);
        }
        if *reads == 0 {
            return Some(MORE);
        }
        *reads -= 1;
        let window = self
            .receiver
            .window()
            .map_err(|_| Exception::Memory)
            .or_raise();
        let room = window.len();
        self.reading = true;
        let result = stream.read(window);
        self.reading = false;
        match result {
            Ok(0) => Some(CLOSED),
            Ok(n) => {
                self.receiver.commit(n);
                self.drained = n < room && !self.buffered;
                self.state.keep_alive.received(now);
                None
            }
            Err(errno::EAGAIN) => Some(WAIT),
            Err(e) => Some(stream_error(e)),
        }
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
    match buffer(known) {
        Ok(bytes) if *bytes == *topic => known,
        _ => Obj::bytes(topic),
    }
}
