//! From the application to the stream.
use super::{Session, stream_error};
use crate::arguments::{WillArgument, arg, optional, qos, refused, ticks, uint};
use crate::limits::{number, property};
use crate::properties::Encoded;
use crate::transmit::WHOLE;
use micropython::{Exception, Native, Obj, buffer};
use mqtt_codec::{
    AckKind, Connect, Encode, Filters, PINGREQ, Pid, Place, Properties, PublishHead, QoS,
    Subscribe, Unsubscribe, Version,
};
use mqtt_session::Wait;

/// What `publish`, `subscribe` and `unsubscribe` answer beside the identifier.
const BUSY: isize = -1;
/// The server announced that it does not take this: less the reason code.
const REFUSED: isize = -0x100;
const BACKLOG: isize = 0x10000;

/// The reason code of a packet that is too large for the server.
const TOO_LARGE: isize = 0x95;

/// Encodes a request with an identifier, or tells its length.
type Packer<'a> = &'a dyn Fn(Pid, Option<&mut [u8]>) -> Result<usize, Exception>;

impl Session {
    /// Would `connect` with these arguments encode?
    pub(super) fn check(this: Native<Session>, args: &[Obj]) -> Result<Obj, Exception> {
        this.with_connect(args, &mut |_| Ok(()))?;
        Ok(Obj::none())
    }

    /// `connect(now, clean, client_id, keepalive, user, password, will,
    /// properties)`: sends CONNECT. Answers like `unsent`.
    pub(super) fn connect(mut this: Native<Session>, args: &[Obj]) -> Result<Obj, Exception> {
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
    pub(super) fn send(&mut self, packet: &impl Encode) -> Result<(), Exception> {
        let len = packet.len().map_err(refused)?;
        let room = self.transmitter.reserve(len)?;
        packet.encode(room).map_err(refused)?;
        self.transmitter.commit(len);
        Ok(())
    }

    /// Writes what there is to write, unless the stream is to be waited for.
    pub(super) fn push(&mut self, now: u32) {
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
    pub(super) fn flush(mut this: Native<Session>, now: Obj) -> Result<Obj, Exception> {
        this.write(ticks(now));
        Self::unsent(this)
    }

    /// 0: all is written; 1: call `flush` when the stream takes bytes; below 0:
    /// the negative number of the error that ended the connection.
    pub(super) fn unsent(this: Native<Session>) -> Result<Obj, Exception> {
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
    pub(super) fn publish(mut this: Native<Session>, args: &[Obj]) -> Result<Obj, Exception> {
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
    pub(super) fn subscribe(this: Native<Session>, args: &[Obj]) -> Result<Obj, Exception> {
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
    pub(super) fn unsubscribe(this: Native<Session>, args: &[Obj]) -> Result<Obj, Exception> {
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
        if this.limits.exceeds(len) {
            return Ok(Obj::int(REFUSED - TOO_LARGE));
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
    pub(super) fn ping(mut this: Native<Session>, now: Obj) -> Result<Obj, Exception> {
        let now = ticks(now);
        this.send_ping(now)?;
        Self::unsent(this)
    }

    pub(super) fn send_ping(&mut self, now: u32) -> Result<(), Exception> {
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
    pub(super) fn disconnect(mut this: Native<Session>, now: Obj) -> Result<Obj, Exception> {
        this.raw(&[0xe0, 0])?;
        this.leaving = true;
        this.push(ticks(now));
        Self::unsent(this)
    }

    pub(super) fn release(&mut self, pid: Pid, now: u32) -> Result<(), Exception> {
        self.acknowledge(AckKind::Pubrel, pid, 0)?;
        self.state.flights.again(pid, now);
        self.push(now);
        Ok(())
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
