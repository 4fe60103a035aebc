//! From the application to the stream.
use super::receive::CLOSED;
use super::{IN_CALL, Session, backlog, stream_error, traits};
use crate::arguments::{WillArgument, arg, optional, qos, refuse, sound, ticks, uint};
use crate::limits::{Limits, number, property};
use crate::properties::Encoded;
use crate::transmit::WHOLE;
use core::num::NonZeroU16;
use micropython::{Exception, Native, Obj, OrRaise, buffer, bytes_of, errno};
use mqtt_codec::{
    AckKind, Auth, Body, Connect, Disconnect, Error, PINGREQ, Pid, Place, PublishHead, QoS,
    Subscribe, measure,
};
use mqtt_session::Wait;

/// What `publish` and `subscribe` answer beside the identifier.
const BUSY: isize = -1;
/// The server announced that it does not take this: less the reason code.
const REFUSED: isize = -0x100;
const BACKLOG: isize = 0x10000;

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
    pub(super) fn connect(mut this: Native<Session>, args: &[Obj]) -> Obj {
        let now = ticks(arg(args, 0));
        let clean = arg(args, 1).is_true();
        let keep_alive = Exception::Value(c"keepalive must be 0 to 65535 seconds");
        let keep_alive = uint(arg(args, 3), 0xffff, keep_alive) as u16;
        let will = WillArgument::new(arg(args, 6));
        let of_will = will.as_ref().map_or(Obj::none(), |will| will.properties);
        let of_will = this.properties(of_will, Place::Will);
        let encoded = this.properties(arg(args, 7), Place::Connect);
        // No Python code runs from here on: it could free what these refer to.
        let bytes = will.as_ref().map(WillArgument::bytes);
        let client_id = bytes_of(arg(args, 2));
        let (user, password) = (optional(arg(args, 4)), optional(arg(args, 5)));
        let properties = encoded.get();
        let packet = Connect {
            version: this.version,
            clean,
            keep_alive,
            client_id: &client_id,
            user: user.as_deref(),
            password: password.as_deref(),
            will: will
                .as_ref()
                .zip(bytes.as_ref())
                .map(|(will, bytes)| will.packet(bytes, of_will.get())),
            properties,
        };
        // No MemoryError once CONNECT is to be written.
        let inbound = aliases(number(properties, property::TOPIC_ALIAS_MAXIMUM).unwrap_or(0));
        let outbound = aliases(this.max_outbound.into());
        this.limits = Limits::NONE;
        this.send(&packet);
        this.aliases = inbound;
        this.outbound = outbound;
        this.authenticates = properties.get(property::AUTHENTICATION_METHOD).is_some();
        this.terse = number(properties, property::REQUEST_PROBLEM_INFORMATION) == Some(0);
        this.clean = clean;
        of_will.free();
        encoded.free();
        if this.exact() {
            let keep_alive = u32::from(keep_alive) * 1000;
            this.state.keep_alive.configure(keep_alive);
        }
        this.state.keep_alive.start(now);
        Self::push(this, now);
        Self::unsent(this)
    }

    /// The properties of a packet to be sent; 3.1.1 has none.
    ///
    /// # Raises
    /// `TypeError`
    fn properties(&self, obj: Obj, place: Place) -> Encoded {
        if self.version.is_v5() {
            Encoded::new(obj, place)
        } else {
            Encoded::NONE
        }
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
        if self.failed != 0 {
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
    pub(super) fn push(this: Native<Session>, now: u32) {
        if this.backlog != backlog::BLOCKED {
            Self::write(this, now, false);
        }
    }

    /// Offers what there is to the stream, in as few writes as it takes. `urgent`:
    /// more than may be under way, too.
    ///
    /// # Raises
    /// What a stream written in Python raises.
    fn write(mut this: Native<Session>, now: u32, mut urgent: bool) {
        let mut moved = false;
        let mut backlog = backlog::NONE;
        while let Some(stream) = this.stream
            && this.failed == 0
        {
            if this.transmitter.is_empty() {
                this.transmitter.reset();
                if !this.ready() || !this.state.flights.window.wants_ping() {
                    break;
                }
                // It finds room: the memory held CONNECT.
                this.raw(&PINGREQ);
                this.state.pinged(now);
                urgent = true;
            }
            if !urgent
                && let Some(len) = this.transmitter.begins()
                && !this.state.flights.window.room(len)
            {
                backlog = backlog::HELD;
                break;
            }
            let offer = this.transmitter.offer();
            let opened = this.opened;
            this.failed = IN_CALL;
            let result = offer.write(&stream);
            if this.opened != opened {
                return;
            }
            this.failed = 0;
            backlog = backlog::BLOCKED;
            let n = match result {
                Ok(n) => n,
                Err(errno::EAGAIN) => 0,
                Err(e) => {
                    if !this.waits(e) {
                        this.failed = stream_error(e);
                        return;
                    }
                    backlog = backlog::HELD;
                    0
                }
            };
            if n > 0 {
                moved = true;
                this.state.flights.window.wrote(n);
            }
            if !this.transmitter.taken(offer, n) {
                break;
            }
            backlog = backlog::NONE;
        }
        this.backlog = backlog;
        let blocked = backlog == backlog::BLOCKED;
        if moved {
            this.state.sent(now, blocked);
        } else if blocked {
            this.state.keep_alive.stalled(now);
        }
        if backlog == backlog::HELD {
            this.state.keep_alive.held(now);
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
    pub(super) fn flush(this: Native<Session>, now: Obj) -> Obj {
        Self::write(this, ticks(now), false);
        Self::unsent(this)
    }

    /// 0: all is written; 1: call `flush` when the stream takes bytes; 2: call it
    /// after an answer of the peer or a moment, the stream would seem to take bytes;
    /// below 0: the negative number of the error that ended the connection.
    pub(super) fn unsent(this: Native<Session>) -> Obj {
        Obj::int(match this.failed {
            0 if this.transmitter.is_empty() => 0,
            0 if this.backlog == backlog::HELD => 2,
            0 => 1,
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
    fn begin(&mut self, pid: Obj, wait: Wait, now: u32) -> Option<(Pid, bool)> {
        let flights = &mut self.state.flights;
        match Pid::new(pid.to_int() as u16) {
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
    fn requested(mut this: Native<Session>, pid: Option<Pid>, now: u32) -> Obj {
        Self::push(this, now);
        if let Some(pid) = pid {
            this.state.flights.asked(pid);
        }
        let pid = pid.map_or(0, |pid| pid.get() as isize);
        let backlog = if this.transmitter.is_empty() {
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
    pub(super) fn publish(mut this: Native<Session>, args: &[Obj]) -> Obj {
        let now = ticks(arg(args, 0));
        let message = arg(args, 3);
        let qos = qos(arg(args, 5));
        let retain = arg(args, 4).is_true();
        let encoded = this.properties(arg(args, 6), Place::PublishOut);
        // No Python code runs from here on: it could free what these refer to.
        let (topic, payload) = (bytes_of(arg(args, 2)), bytes_of(message));
        let properties = encoded.get();
        let mut head = PublishHead {
            version: this.version,
            dup: false,
            retain,
            qos,
            pid: (qos != QoS::AtMostOnce).then_some(Pid::MIN),
            topic: &topic,
            alias: None,
            properties,
            payload_len: payload.len(),
        };
        let mut size = sound(measure(&head));
        if !this.ready() {
            return Obj::int(BUSY);
        }
        // The alias that the server learns by this.
        let own = number(properties, property::TOPIC_ALIAS).unwrap_or(0);
        let mut new = own;
        if own == 0
            && let Some((alias, known)) = this.alias(&topic)
            && (known || !this.limits.exceeds(size.len + payload.len() + ALIAS))
        {
            head.alias = Some(alias);
            if known {
                head.topic = &[];
            } else {
                new = alias.get().into();
            }
            size = sound(measure(&head));
        }
        let learned = if 0 < new && new <= this.max_outbound.into() && !head.topic.is_empty() {
            Obj::bytes(&topic)
        } else {
            Obj::none()
        };
        // An alias of the application's means nothing over another connection.
        if topic.is_empty() && arg(args, 1).to_int() != 0 {
            return Obj::int(REFUSED - 0x94);
        }
        let len = size.len;
        let total = len + payload.len();
        if let Some(reason) = this.limits.refuse_publish(total, qos, retain, own) {
            return Obj::int(REFUSED - isize::from(reason));
        }
        // The payload goes with the head as far as a packet is copied at all.
        let part = payload.len().min(WHOLE.saturating_sub(len));
        let total = len + part;
        this.transmitter.reserve(total);
        let wait = match qos {
            QoS::AtMostOnce => None,
            QoS::AtLeastOnce => Some(Wait::Puback),
            QoS::ExactlyOnce => Some(Wait::Pubrec),
        };
        // Nothing can fail from where it counts as in flight.
        if let Some(wait) = wait {
            let Some((pid, dup)) = this.begin(arg(args, 1), wait, now) else {
                return Obj::int(BUSY);
            };
            head.pid = Some(pid);
            head.dup = dup;
        }
        if !learned.is_none() {
            this.outbound.set_item(Obj::int(new as isize - 1), learned);
        }
        let room = this.transmitter.reserve(total);
        sound(size.encode(&head, room));
        if let (Some(to), Some(from)) = (room.get_mut(len..), payload.get(..part)) {
            to.copy_from_slice(from);
        }
        this.transmitter.commit(total);
        if part < payload.len() {
            this.transmitter.follow(message, part..payload.len());
        }
        let pid = head.pid;
        encoded.free();
        Self::requested(this, pid, now)
    }

    /// The alias to give a topic (MQTT 5, 3.3.2.3.4), and whether the server
    /// knows it. The first topics get them, as many as there are.
    fn alias(&self, topic: &[u8]) -> Option<(NonZeroU16, bool)> {
        for i in 1..=self.max_outbound.min(self.limits.alias) {
            let known = self.outbound.item(Obj::int(i as isize - 1));
            let free = known.is_none();
            if free || buffer(known).is_ok_and(|known| *known == *topic) {
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
    pub(super) fn subscribe(mut this: Native<Session>, args: &[Obj]) -> Obj {
        let now = ticks(arg(args, 0));
        let (topics, options) = (arg(args, 2), optional(arg(args, 3)));
        let unsubscribe = options.is_none();
        let place = if unsubscribe {
            Place::Unsubscribe
        } else {
            Place::Subscribe
        };
        let encoded = this.properties(arg(args, 4), place);
        // No Python code runs from here on: it could free what these refer to.
        let properties = encoded.get();
        let options = options.as_deref().unwrap_or_default();
        let count = if topics.is_list() { topics.len() } else { 0 };
        if count > MAX_TOPICS || !unsubscribe && options.len() != count {
            Exception::Value(c"topics must be a list of 1 to 255, each with its options").raise()
        }
        let mut packet = Subscribe {
            unsubscribe,
            version: this.version,
            pid: Pid::MIN,
            properties,
            filters: |i: usize| {
                let filter = (i < count).then(|| bytes_of(topics.item(Obj::uint(i))))?;
                Some((filter, options.get(i).copied().unwrap_or(0)))
            },
        };
        let len = sound(measure(&packet)).len;
        if !this.ready() {
            return Obj::int(BUSY);
        }
        let mut refusal = this.limits.exceeds(len).then_some(TOO_LARGE);
        let has_id = properties.get(property::SUBSCRIPTION_ID).is_some();
        for i in 0..options.len() {
            let filter = bytes_of(topics.item(Obj::uint(i)));
            refusal = refusal.or(this.limits.refuse_subscribe(&filter, has_id));
        }
        if let Some(reason) = refusal {
            return Obj::int(REFUSED - isize::from(reason));
        }
        this.transmitter.reserve(len);
        let codes = count as u8;
        let wait = if !unsubscribe {
            Wait::Suback(codes)
        } else if this.version.is_v5() {
            Wait::Unsuback(codes)
        } else {
            Wait::Unsuback(0)
        };
        let Some((pid, _)) = this.begin(arg(args, 1), wait, now) else {
            return Obj::int(BUSY);
        };
        packet.pid = pid;
        this.send(&packet);
        encoded.free();
        Self::requested(this, Some(pid), now)
    }

    /// Sends a PINGREQ. Answers like `unsent`.
    pub(super) fn ping(this: Native<Session>, now: Obj) -> Obj {
        let now = ticks(now);
        if this.failed == 0 {
            Self::send_ping(this, now);
        }
        Self::unsent(this)
    }

    /// # Raises
    /// `MemoryError`, and what a stream written in Python raises.
    pub(super) fn send_ping(mut this: Native<Session>, now: u32) {
        this.raw(&PINGREQ);
        this.state.pinged(now);
        if this.backlog != backlog::BLOCKED {
            Self::write(this, now, true);
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
    pub(super) fn control(mut this: Native<Session>, args: &[Obj]) -> Obj {
        const REASON: Exception = Exception::Value(c"reason must be 0 to 255");
        let now = ticks(arg(args, 0));
        let reason = uint(arg(args, 2), 0xff, REASON) as u8;
        let auth = arg(args, 1).is_true();
        let place = if auth {
            Place::Auth
        } else {
            Place::DisconnectOut
        };
        let encoded = this.properties(arg(args, 3), place);
        let properties = encoded.get();
        if auth && this.version.is_v5() {
            this.send(&Auth { reason, properties });
        } else {
            this.say(Disconnect { reason, properties });
            this.leaving = true;
        }
        encoded.free();
        Self::push(this, now);
        Self::unsent(this)
    }

    pub(super) fn say(&mut self, packet: Disconnect<'_>) {
        self.send(&(self.version, packet))
    }

    /// # Raises
    /// `MemoryError`, and what a stream written in Python raises.
    pub(super) fn release(mut this: Native<Session>, pid: Pid, now: u32) {
        this.acknowledge(AckKind::Pubrel, pid, 0);
        this.state.flights.again(pid, now);
        Self::push(this, now);
        this.state.flights.asked(pid);
    }
}

/// Room for topics by their alias.
///
/// # Raises
/// `MemoryError`
fn aliases(n: u32) -> Obj {
    let list = Obj::list_new();
    for _ in 0..n {
        list.list_append(Obj::none());
    }
    list
}
