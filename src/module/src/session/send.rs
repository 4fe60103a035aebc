//! From the application to the stream.
use super::receive::CLOSED;
use super::{IN_CALL, Session, backlog, stream_error, traits};
use crate::arguments::{WillArgument, arg, optional, qos, refuse, sound, ticks, uint};
use crate::limits::{Limits, number, property};
use crate::properties::Encoded;
use crate::transmit::WHOLE;
use core::num::NonZeroU16;
use micropython::{Exception, GcVec, Native, Obj, OrRaise, Vm, bytes_of, errno};
use mqtt_codec::{
    AckKind, Auth, Body, Connect, Disconnect, Error, PINGREQ, Pid, Place, PublishHead, QoS,
    Subscribe, Version, measure,
};
use mqtt_session::Wait;

/// What `publish` and `subscribe` answer beside the identifier.
const BUSY: isize = -1;
/// The server announced that it does not take this: less the reason code.
const REFUSED: isize = -0x100;
const BACKLOG: isize = 0x10000;

/// What `unsent` and the calls that answer like it give, besides errors below 0.
const WRITTEN: isize = 0;
/// Not all is written: the stream takes more once it is writable.
const NOT_WRITABLE: isize = 1;
/// The stream's queue may be full though it says that it is writable: wait for the peer.
const HELD_BACK: isize = 2;

/// The reason code of a packet that is too large for the server.
const TOO_LARGE: u8 = 0x95;

/// Bytes by which an alias makes a packet longer, at most.
const ALIAS: usize = 4;

/// Topics in one SUBSCRIBE.
const MAX_TOPICS: usize = 255;

impl Session {
    /// `connect(now, clean, client_id, keepalive, user, password, will,
    /// properties)`: sends CONNECT, or would if there were a stream. Answers
    /// like `unsent`.
    ///
    /// # Raises
    /// `TypeError`
    pub(super) fn connect(vm: &mut Vm, mut this: Native<'_, Session>, args: &[Obj]) -> Obj {
        let now = ticks(vm, arg(args, 0));
        let clean = arg(args, 1).is_true(vm);
        let keep_alive = Exception::Value(c"keepalive must be 0 to 65535 seconds");
        let keep_alive = uint(vm, arg(args, 3), 0xffff, keep_alive) as u16;
        let will = WillArgument::new(vm, arg(args, 6));
        let of_will = will.as_ref().map_or(Obj::none(), |will| will.properties);
        let version = this.get(vm).version;
        let of_will = properties(vm, version, of_will, Place::Will);
        let encoded = properties(vm, version, arg(args, 7), Place::Connect);
        let session = this.get_mut(vm);
        let properties = encoded.get();
        let packet = Connect {
            version,
            clean,
            keep_alive,
            client_id: bytes_of(vm, arg(args, 2)),
            user: optional(vm, arg(args, 4)),
            password: optional(vm, arg(args, 5)),
            will: will.as_ref().map(|will| will.packet(vm, of_will.get())),
            properties,
        };
        // No MemoryError once CONNECT is to be written.
        let inbound = aliases(number(properties, property::TOPIC_ALIAS_MAXIMUM).unwrap_or(0));
        let outbound = aliases(session.max_outbound.into());
        session.limits = Limits::NONE;
        session.send(&packet);
        session.aliases = inbound;
        session.outbound = outbound;
        session.authenticates = properties.get(property::AUTHENTICATION_METHOD).is_some();
        session.terse = number(properties, property::REQUEST_PROBLEM_INFORMATION) == Some(0);
        session.clean = clean;
        of_will.free();
        encoded.free();
        if session.exact() {
            let keep_alive = u32::from(keep_alive) * 1000;
            session.state.keep_alive.configure(keep_alive);
        }
        session.state.keep_alive.start(now);
        Self::push(vm, this.lend(), now);
        Self::unsent(vm, this)
    }

    /// Puts a packet behind what is still to be written, unless nothing will be.
    ///
    /// # Raises
    /// `MemoryError`, and `ValueError` for a packet that cannot be encoded.
    pub(super) fn send(&mut self, packet: &dyn Body) {
        let size = sound(measure(packet));
        if self.limits.exceeds(size.len) {
            refuse(Error::PacketTooLarge)
        }
        if self.failed != 0 || self.leaving {
            return;
        }
        let room = self.transmitter.reserve(size.len);
        sound(size.encode(packet, room));
        self.transmitter.commit(size.len);
    }

    /// Writes what there is to write, unless the stream is to be waited for.
    ///
    /// # Raises
    /// What a stream written in Python raises.
    pub(super) fn push(vm: &mut Vm, this: Native<'_, Session>, now: u32) {
        if this.get(vm).backlog != backlog::BLOCKED {
            Self::write(vm, this, now, false);
        }
    }

    /// Offers what there is to the stream, in as few writes as it takes. `urgent`:
    /// more than may be under way, too; so is what is left before a DISCONNECT,
    /// since no answer is read any more.
    ///
    /// # Raises
    /// What a stream written in Python raises.
    fn write(vm: &mut Vm, mut this: Native<'_, Session>, now: u32, mut urgent: bool) {
        let mut moved = false;
        let mut backlog = backlog::NONE;
        loop {
            let session = this.get_mut(vm);
            let Some(stream) = session.stream else { return };
            if session.failed != 0 {
                return;
            }
            if session.transmitter.is_empty() {
                session.transmitter.reset();
                session.state.flights.written();
                if cfg!(feature = "umqtt")
                    || !session.ready()
                    || !session.state.flights.window.wants_ping()
                {
                    break;
                }
                // It finds room: the memory held CONNECT.
                session.raw(&PINGREQ);
                session.state.pinged(now);
                urgent = true;
            }
            // A packet that fills the queue for answers goes, or none would be read any more.
            urgent |= session.transmitter.is_full();
            if !(cfg!(feature = "umqtt") || urgent || session.leaving)
                && let Some(len) = session.transmitter.begins()
                && !session.state.flights.window.room(len)
            {
                backlog = backlog::HELD;
                break;
            }
            if session.transmitter.refill(vm).is_err() {
                session.failed = stream_error(errno::EIO);
                return;
            }
            let offer = session.transmitter.offer();
            let opened = session.opened;
            session.failed = IN_CALL;
            let result = stream.write(vm, &offer.memory, offer.range.clone());
            let session = this.get_mut(vm);
            if session.opened != opened {
                return;
            }
            session.failed = 0;
            backlog = backlog::BLOCKED;
            let n = match result {
                Ok(n) => n,
                Err(errno::EAGAIN) => 0,
                Err(e) => {
                    if !session.waits(e) {
                        session.failed = stream_error(e);
                        return;
                    }
                    backlog = backlog::HELD;
                    0
                }
            };
            if n > 0 {
                moved = true;
                session.state.flights.window.wrote(n);
            }
            if !session.transmitter.taken(offer, n) {
                break;
            }
            backlog = backlog::NONE;
        }
        let session = this.get_mut(vm);
        session.backlog = backlog;
        let blocked = backlog == backlog::BLOCKED;
        if moved {
            session.state.sent(now, blocked);
        } else if blocked {
            session.state.keep_alive.stalled(now);
        }
        if backlog == backlog::HELD {
            session.state.keep_alive.held(now);
        }
    }

    /// Does this error of a write mean that it took nothing, and will do so later?
    ///
    /// lwIP's ENOMEM may as well come after the bytes were queued (`extmod/modlwip.c`:
    /// it is what `tcp_write` answers, which queued nothing, and what `tcp_output`
    /// behind it answers, where PPP has no memory to send them). Written again they
    /// would stand twice in the stream, left out perhaps not at all: the connection
    /// is over.
    fn waits(&self, e: i32) -> bool {
        e == errno::ENOBUFS || e == errno::ENOMEM && self.traits & traits::BOUNDED == 0
    }

    /// `flush(now)`: once the stream takes bytes again. Answers like `unsent`.
    pub(super) fn flush(vm: &mut Vm, mut this: Native<'_, Session>, now: Obj) -> Obj {
        let now = ticks(vm, now);
        Self::write(vm, this.lend(), now, false);
        Self::unsent(vm, this)
    }

    /// 0: all is written; 1: call `flush` when the stream takes bytes; 2: call it
    /// after an answer of the peer or a moment, the stream would seem to take bytes;
    /// below 0: the negative number of the error that ended the connection.
    pub(super) fn unsent(vm: &mut Vm, this: Native<'_, Session>) -> Obj {
        let session = this.get(vm);
        Obj::int(match session.failed {
            0 if session.transmitter.is_empty() => WRITTEN,
            0 if session.backlog == backlog::HELD => HELD_BACK,
            0 => NOT_WRITABLE,
            IN_CALL => stream_error(errno::EIO),
            CLOSED => stream_error(errno::ECONNRESET),
            e => e,
        })
    }

    /// The identifier for a request: a new one for `pid` 0, else the one with
    /// which `pid` is sent again, and whether as a duplicate. `None`: not now.
    ///
    /// # Raises
    /// `MemoryError`, with nothing changed.
    fn begin(&mut self, pid: Option<Pid>, wait: Wait, now: u32) -> Option<(Pid, bool)> {
        let flights = &mut self.state.flights;
        match pid {
            None => {
                let pid = flights.begin(wait, now);
                let pid = pid.map_err(|_| Exception::Memory).or_raise()?;
                Some((pid, false))
            }
            Some(pid) => flights.again(pid, now),
        }
    }

    fn ready(&self) -> bool {
        self.connected && !self.leaving && self.failed == 0 && self.transmitter.is_empty()
    }

    /// Writes the request and answers with its identifier, see [`BACKLOG`].
    ///
    /// # Raises
    /// What a stream written in Python raises.
    fn requested(vm: &mut Vm, mut this: Native<'_, Session>, pid: Option<Pid>, now: u32) -> Obj {
        Self::push(vm, this.lend(), now);
        let session = this.get(vm);
        let pid = pid.map_or(0, |pid| pid.get() as isize);
        let backlog = if session.transmitter.is_empty() {
            0
        } else {
            BACKLOG
        };
        Obj::int(pid | backlog)
    }

    /// `publish(now, pid, topic, message, retain, qos, properties)`: `pid` 0
    /// for a new message, or the identifier of one to be sent again. Answers
    /// with the identifier (0 at QoS 0), [`BACKLOG`] added if not all is
    /// written yet, or [`BUSY`]: wait.
    ///
    /// # Raises
    /// `TypeError`
    pub(super) fn publish(vm: &mut Vm, mut this: Native<'_, Session>, args: &[Obj]) -> Obj {
        let now = ticks(vm, arg(args, 0));
        let pid = Pid::new(arg(args, 1).to_int(vm) as u16);
        let message = arg(args, 3);
        let qos = qos(vm, arg(args, 5));
        let retain = arg(args, 4).is_true(vm);
        let version = this.get(vm).version;
        let encoded = properties(vm, version, arg(args, 6), Place::PublishOut);
        let session = this.get_mut(vm);
        let (topic, payload) = (bytes_of(vm, arg(args, 2)), bytes_of(vm, message));
        let properties = encoded.get();
        let mut head = PublishHead {
            version,
            dup: false,
            retain,
            qos,
            pid: (qos != QoS::AtMostOnce).then_some(Pid::MIN),
            topic,
            alias: None,
            properties,
            payload_len: payload.len(),
        };
        let mut size = sound(measure(&head));
        if !session.ready() {
            return Obj::int(BUSY);
        }
        // The alias that the server learns by this.
        let own = number(properties, property::TOPIC_ALIAS).unwrap_or(0);
        let mut new = own;
        if own == 0
            && let Some((alias, known)) = session.alias(topic)
            && (known || !session.limits.exceeds(size.len + payload.len() + ALIAS))
        {
            head.alias = Some(alias);
            if known {
                head.topic = &[];
            } else {
                new = alias.get().into();
            }
            size = sound(measure(&head));
        }
        let learned = if 0 < new && new <= session.max_outbound.into() && !head.topic.is_empty() {
            Obj::bytes(topic)
        } else {
            Obj::none()
        };
        // An alias of the application's means nothing over another connection.
        if topic.is_empty() && pid.is_some() {
            return Obj::int(REFUSED - 0x94);
        }
        let len = size.len;
        let total = len + payload.len();
        if let Some(reason) = session.limits.refuse_publish(total, qos, retain, own) {
            return Obj::int(REFUSED - isize::from(reason));
        }
        // The payload goes with the head as far as a packet is copied at once.
        let part = payload.len().min(WHOLE.saturating_sub(len));
        let total = len + part;
        session.transmitter.reserve(total);
        let wait = match qos {
            QoS::AtMostOnce => None,
            QoS::AtLeastOnce => Some(Wait::Puback),
            QoS::ExactlyOnce => Some(Wait::Pubrec),
        };
        // Nothing can fail from where it counts as in flight.
        if let Some(wait) = wait {
            let Some((pid, dup)) = session.begin(pid, wait, now) else {
                return Obj::int(BUSY);
            };
            head.pid = Some(pid);
            head.dup = dup;
        }
        if !learned.is_none()
            && let Some(known) = session.outbound.get_mut(new as usize - 1)
        {
            *known = learned;
        }
        let room = session.transmitter.reserve(total);
        sound(size.encode(&head, room));
        if let (Some(to), Some(from)) = (room.get_mut(len..), payload.get(..part)) {
            to.copy_from_slice(from);
        }
        session.transmitter.commit(total);
        if part < payload.len() {
            session.transmitter.follow(message, part..payload.len());
        }
        let pid = head.pid;
        encoded.free();
        Self::requested(vm, this, pid, now)
    }

    /// The alias to give a topic (MQTT 5, 3.3.2.3.4), and whether the server
    /// knows it. The first topics get them, as many as there are.
    fn alias(&self, topic: &[u8]) -> Option<(NonZeroU16, bool)> {
        if !cfg!(feature = "v5") {
            return None;
        }
        let most = self.max_outbound.min(self.limits.alias);
        for (i, known) in (1..=most).zip(self.outbound.iter()) {
            let free = known.is_none();
            if free || known.has_bytes(topic) {
                return NonZeroU16::new(i).map(|alias| (alias, !free));
            }
        }
        None
    }

    /// `subscribe(now, pid, topics, options, properties)`: SUBSCRIBE for a list
    /// of topics, `options` the bytes of their subscription options (MQTT 5,
    /// 3.8.3.1); or UNSUBSCRIBE if that is `None`. Answers like `publish`.
    ///
    /// # Raises
    /// `TypeError`, `ValueError`, `MemoryError`
    pub(super) fn subscribe(vm: &mut Vm, mut this: Native<'_, Session>, args: &[Obj]) -> Obj {
        let now = ticks(vm, arg(args, 0));
        let pid = Pid::new(arg(args, 1).to_int(vm) as u16);
        let topics = arg(args, 2);
        let unsubscribe = arg(args, 3).is_none();
        let place = if unsubscribe {
            Place::Unsubscribe
        } else {
            Place::Subscribe
        };
        let version = this.get(vm).version;
        let encoded = properties(vm, version, arg(args, 4), place);
        let session = this.get_mut(vm);
        let properties = encoded.get();
        let options = optional(vm, arg(args, 3)).unwrap_or_default();
        let count = topics.list_len();
        if count > MAX_TOPICS || !unsubscribe && options.len() != count {
            Exception::Value(c"topics must be a list of 1 to 255, each with its options").raise()
        }
        let filter = |i| topics.list_item(i).map(|filter| bytes_of(vm, filter));
        let mut packet = Subscribe {
            unsubscribe,
            version,
            pid: Pid::MIN,
            properties,
            filters: |i: usize| Some((filter(i)?, options.get(i).copied().unwrap_or(0))),
        };
        let len = sound(measure(&packet)).len;
        if !session.ready() {
            return Obj::int(BUSY);
        }
        let mut refusal = session.limits.exceeds(len).then_some(TOO_LARGE);
        let has_id = properties.get(property::SUBSCRIPTION_ID).is_some();
        for i in 0..options.len() {
            let filter = filter(i).unwrap_or_default();
            refusal = refusal.or(session.limits.refuse_subscribe(filter, has_id));
        }
        if let Some(reason) = refusal {
            return Obj::int(REFUSED - isize::from(reason));
        }
        session.transmitter.reserve(len);
        let codes = count as u8;
        let wait = if !unsubscribe {
            Wait::Suback(codes)
        } else if version.is_v5() {
            Wait::Unsuback(codes)
        } else {
            Wait::Unsuback(0)
        };
        let Some((pid, _)) = session.begin(pid, wait, now) else {
            return Obj::int(BUSY);
        };
        packet.pid = pid;
        session.send(&packet);
        encoded.free();
        Self::requested(vm, this, Some(pid), now)
    }

    /// Sends a PINGREQ. Answers like `unsent`.
    pub(super) fn ping(vm: &mut Vm, mut this: Native<'_, Session>, now: Obj) -> Obj {
        let now = ticks(vm, now);
        let session = this.get(vm);
        if session.failed == 0 && !session.leaving {
            Self::send_ping(vm, this.lend(), now);
        }
        Self::unsent(vm, this)
    }

    /// # Raises
    /// `MemoryError`, and what a stream written in Python raises.
    pub(super) fn send_ping(vm: &mut Vm, mut this: Native<'_, Session>, now: u32) {
        let session = this.get_mut(vm);
        session.raw(&PINGREQ);
        session.state.pinged(now);
        if session.backlog != backlog::BLOCKED {
            Self::write(vm, this, now, true);
        }
    }

    pub(super) fn raw(&mut self, packet: &[u8]) {
        let room = self.transmitter.reserve(packet.len());
        room.copy_from_slice(packet);
        self.transmitter.commit(packet.len());
    }

    /// `control(now, auth, reason, properties)`: sends an AUTH if `auth`, else a
    /// DISCONNECT, after which nothing is sent or taken. Answers like `unsent`.
    ///
    /// # Raises
    /// `TypeError`
    pub(super) fn control(vm: &mut Vm, mut this: Native<'_, Session>, args: &[Obj]) -> Obj {
        const REASON: Exception = Exception::Value(c"reason must be 0 to 255");
        let now = ticks(vm, arg(args, 0));
        let reason = uint(vm, arg(args, 2), 0xff, REASON) as u8;
        let auth = arg(args, 1).is_true(vm);
        let place = if auth {
            Place::Auth
        } else {
            Place::DisconnectOut
        };
        let version = this.get(vm).version;
        let encoded = properties(vm, version, arg(args, 3), place);
        let session = this.get_mut(vm);
        let properties = encoded.get();
        if auth && version.is_v5() {
            session.send(&Auth { reason, properties });
        } else {
            session.say(Disconnect { reason, properties });
            session.leaving = true;
        }
        encoded.free();
        // Also beyond what may be under way: nobody waits long with a DISCONNECT.
        if session.backlog != backlog::BLOCKED {
            Self::write(vm, this.lend(), now, true);
        }
        Self::unsent(vm, this)
    }

    pub(super) fn say(&mut self, packet: Disconnect<'_>) {
        self.send(&(self.version, packet))
    }

    /// # Raises
    /// `MemoryError`, and what a stream written in Python raises.
    pub(super) fn release(vm: &mut Vm, mut this: Native<'_, Session>, pid: Pid, now: u32) {
        let session = this.get_mut(vm);
        session.acknowledge(AckKind::Pubrel, pid, 0);
        session.state.flights.again(pid, now);
        Self::push(vm, this, now);
    }
}

/// The properties of a packet to be sent; 3.1.1 has none.
///
/// # Raises
/// `TypeError`, `ValueError`, `MemoryError`
fn properties(vm: &mut Vm, version: Version, obj: Obj, place: Place) -> Encoded {
    if version.is_v5() {
        Encoded::new(vm, obj, place)
    } else {
        Encoded::NONE
    }
}

/// Room for topics by their alias.
///
/// # Raises
/// `MemoryError`
fn aliases(n: u32) -> GcVec<Obj> {
    if !cfg!(feature = "v5") {
        return GcVec::EMPTY;
    }
    GcVec::filled(n as usize, Obj::none()).or_raise()
}
