//! Requests that wait for the server's answer, in the order they were sent
//! (MQTT 3.1.1 and 5, 4.3 to 4.6).
use crate::keepalive::left;
use crate::window::Window;
use crate::{Due, List};
use core::mem::discriminant;
use mqtt_codec::{AckKind, OutOfMemory, PacketType, Pid, Version};

/// Publications that may be in flight at one time.
pub const IN_FLIGHT: usize = 32;

/// Requests of other kinds that find room beside them: they must not wait for
/// publications (MQTT 5, 4.9).
const OTHERS: usize = 4;

/// Reason codes that the state machine itself gives and reads.
const SUCCESS: u8 = 0;
const FAILURE: u8 = 0x80;
const PID_NOT_FOUND: u8 = 0x92;

pub(crate) fn found(known: bool) -> u8 {
    if known { SUCCESS } else { PID_NOT_FOUND }
}

/// The packet a request waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wait {
    Puback,
    Pubrec,
    Pubcomp,
    /// With so many reason codes.
    Suback(u8),
    /// With so many reason codes: none in 3.1.1.
    Unsuback(u8),
}

/// What an acknowledgement leads to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reply {
    /// The request with that identifier is over.
    pub done: bool,
    /// The server has the message of QoS 2 now, which it had not before.
    pub received: bool,
    /// The packet to answer with, and its reason code.
    pub answer: Option<(AckKind, u8)>,
}

/// What is to be sent again; [`Flights::again`] says with which identifier.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Resend {
    /// A PUBREL: the server has the message already.
    Pubrel(Pid),
    /// The request itself.
    Request(Pid),
}

/// A request in flight.
#[derive(Clone, Copy)]
pub struct Flight {
    pid: Pid,
    wait: Wait,
    flags: u8,
    // Over this connection.
    sends: u8,
    // Of the window, when it was first written over this connection.
    mark: u16,
    sent_at: u32,
}

/// Of a flight: the connection it was sent over is gone.
const STALE: u8 = 1;
/// The server lost the session too: it goes out as a new request.
const ANEW: u8 = 2;
/// Nobody waits any more: it only keeps its identifier from being used.
const ABANDONED: u8 = 4;

impl Flight {
    /// Whether it stays in the table. An abandoned request that is to be sent
    /// again will not be, but of QoS 2: the server may know the identifier, and
    /// would take the next message with it for this one, so it is released.
    #[inline(never)]
    fn stays(&mut self) -> bool {
        if !self.is(STALE) || !self.is(ABANDONED) {
            return true;
        }
        let known = !self.is(ANEW) && matches!(self.wait, Wait::Pubrec | Wait::Pubcomp);
        if known {
            self.wait = Wait::Pubcomp;
        }
        known
    }

    fn is(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    fn resend(&self) -> Resend {
        match self.wait {
            Wait::Pubcomp => Resend::Pubrel(self.pid),
            _ => Resend::Request(self.pid),
        }
    }
}

/// The table of requests in flight, in the order they were sent; one whose PUBREC
/// comes behind that of a later one goes to the end.
#[repr(C)]
pub struct Flights<L> {
    version: Version,
    max_repubs: u8,
    pub(crate) last: u16,
    // Publications that the server takes at one time: MQTT 5, 3.2.2.3.3.
    receive_maximum: u16,
    /// What was written and is not known to have arrived.
    pub window: Window,
    pub(crate) table: L,
}

impl<L: List<Flight>> Flights<L> {
    pub(crate) fn new(version: Version, max_repubs: u8, table: L) -> Self {
        let mut flights = Flights {
            version,
            max_repubs,
            last: 0,
            receive_maximum: 0,
            window: Window::default(),
            table,
        };
        flights.set_receive_maximum(None);
        flights
    }

    /// What the server announced it takes of QoS 1 and 2 publications at one
    /// time (1 to 65535), if it did.
    pub fn set_receive_maximum(&mut self, n: Option<u32>) {
        self.receive_maximum = match (n, self.version) {
            (Some(n), _) => n as u16,
            // 3.1.1 can neither announce it nor refuse. This is what widespread
            // servers take; beyond it they drop QoS 2 messages or connections.
            (None, Version::V3) => 16,
            (None, Version::V5) => u16::MAX,
        };
    }

    /// Room for one more request? Not for a publication while older ones are to
    /// be sent again: the order is kept (4.6).
    pub fn room(&self, wait: Wait) -> bool {
        if !publication(wait) {
            return self.table.len() < IN_FLIGHT + OTHERS;
        }
        let in_order = !self
            .table
            .iter()
            .any(|f| f.is(STALE) && publication(f.wait));
        in_order && self.table.len() < IN_FLIGHT && self.quota()
    }

    /// A new request: its identifier, or `None` where there is no [`room`].
    /// [`OutOfMemory`]: nothing has changed.
    ///
    /// [`room`]: Flights::room
    pub fn begin(&mut self, wait: Wait, now: u32) -> Result<Option<Pid>, OutOfMemory> {
        if !self.room(wait) {
            return Ok(None);
        }
        self.table.reserve()?;
        let pid = self.next_pid();
        let flight = Flight {
            pid,
            wait,
            flags: 0,
            sends: 1,
            mark: 0,
            sent_at: now,
        };
        self.table.push(flight);
        self.window.asking = Some(pid);
        Ok(Some(pid))
    }

    /// Nobody waits for this request any more. The identifier stays in use
    /// until the server answers or the connection ends; a QoS 2 exchange is
    /// still brought to its end, over a further connection if need be.
    pub fn abandon(&mut self, pid: Pid) {
        if let Some(f) = self.get(pid) {
            f.flags |= ABANDONED;
            if !f.stays() {
                self.remove(pid);
            }
        }
    }

    /// The next identifier that is free (2.2.1).
    pub fn next_pid(&mut self) -> Pid {
        loop {
            self.last = self.last.wrapping_add(1);
            match Pid::new(self.last) {
                // The table is smaller than the space of identifiers.
                Some(pid) if self.get(pid).is_none() => return pid,
                _ => {}
            }
        }
    }

    /// Does a request wait for packets of this type?
    pub fn awaits(&self, answer: PacketType) -> bool {
        self.table.iter().any(|f| match f.wait {
            Wait::Puback => answer == PacketType::Puback,
            Wait::Pubrec | Wait::Pubcomp => {
                matches!(answer, PacketType::Pubrec | PacketType::Pubcomp)
            }
            Wait::Suback(_) => answer == PacketType::Suback,
            Wait::Unsuback(_) => answer == PacketType::Unsuback,
        })
    }

    /// The answer to a request came in: whether it has as many reason codes as the
    /// request waits for, which then is over. `None`: no request waits for that.
    pub fn finish(&mut self, pid: Pid, wait: Wait) -> Option<bool> {
        let f = self.get(pid)?;
        if discriminant(&f.wait) != discriminant(&wait) {
            return None;
        }
        let done = f.wait == wait;
        if done {
            let mark = f.mark;
            self.window.arrived(mark);
            self.remove(pid);
        }
        Some(done)
    }

    pub(crate) fn acknowledged(&mut self, kind: AckKind, pid: Pid, reason: u8, now: u32) -> Reply {
        let wait = match kind {
            AckKind::Puback => Wait::Puback,
            AckKind::Pubcomp => Wait::Pubcomp,
            // 4.3.3: a PUBREC that refuses ends the exchange, no PUBREL.
            _ if reason >= FAILURE => Wait::Pubrec,
            _ => return self.received(pid, now),
        };
        Reply {
            done: self.finish(pid, wait) == Some(true),
            received: false,
            answer: None,
        }
    }

    /// A PUBREC: the server has the message.
    fn received(&mut self, pid: Pid, now: u32) -> Reply {
        let mut known = false;
        let mut received = false;
        if let Some(f) = self.table.iter_mut().find(|f| f.pid == pid)
            && matches!(f.wait, Wait::Pubrec | Wait::Pubcomp)
        {
            known = true;
            let first = f.wait == Wait::Pubrec;
            f.wait = Wait::Pubcomp;
            f.flags &= ABANDONED;
            f.sent_at = now;
            let mark = f.mark;
            received = first;
            if first {
                self.window.arrived(mark);
                f.mark = self.window.ask();
            }
            let f = *f;
            // 4.6: PUBRELs go out in the order of the PUBRECs.
            let last = self.table.iter().rfind(|f| f.wait == Wait::Pubcomp);
            if first && last.is_some_and(|last| last.pid != pid) {
                self.remove(pid);
                self.table.push(f);
            }
        }
        Reply {
            done: false,
            received,
            answer: Some((AckKind::Pubrel, found(known))),
        }
    }

    pub(crate) fn connected(&mut self, session_present: bool) {
        self.window.open();
        let mut i = 0;
        while let Some(f) = self.table.get_mut(i) {
            if !session_present && f.wait == Wait::Pubcomp {
                f.wait = Wait::Pubrec;
            }
            f.flags = f.flags & ABANDONED | STALE;
            // Subscribing is no part of the session state (4.1): always anew.
            if !session_present || !publication(f.wait) {
                f.flags |= ANEW;
            }
            f.sends = 0;
            f.mark = 0;
            if f.stays() {
                i += 1;
            } else {
                self.table.remove(i);
            }
        }
    }

    /// The oldest request to be sent again over a new connection, if the server takes it now.
    pub(crate) fn stale(&self) -> Option<Resend> {
        let quota = self.quota();
        // 4.9: nothing but a PUBLISH waits for the quota.
        let free = |f: &Flight| quota || !matches!(f.wait, Wait::Puback | Wait::Pubrec);
        self.table
            .iter()
            .find(|f| f.is(STALE) && free(f))
            .map(Flight::resend)
    }

    /// This request goes out again: the identifier to use and whether as a
    /// duplicate (the DUP flag, 3.3.1.1). `None`: there is no such request.
    pub fn again(&mut self, pid: Pid, now: u32) -> Option<(Pid, bool)> {
        let anew = self.get(pid)?.is(ANEW);
        let new = if anew { self.next_pid() } else { pid };
        let f = self.get(pid)?;
        f.pid = new;
        f.flags &= ABANDONED;
        f.sends = f.sends.saturating_add(1);
        f.sent_at = now;
        self.window.asking = Some(new);
        Some((new, !anew))
    }

    pub(crate) fn due(&self, now: u32, response_time: u32, mut next: u32) -> Due {
        // MQTT 5, 4.4: nothing is sent again over a connection that lives.
        let resend = self.version == Version::V3;
        // Summed up: a product could overflow, and to tell takes 64 bits.
        let in_all =
            (0..self.max_repubs).fold(response_time, |sum, _| sum.saturating_add(response_time));
        for f in self.table.iter().filter(|f| !f.is(STALE)) {
            let resend = resend && !f.is(ABANDONED);
            let patience = if resend || !publication(f.wait) {
                response_time
            } else {
                in_all
            };
            match left(patience, now, f.sent_at) {
                0 if resend && publication(f.wait) && f.sends <= self.max_repubs => {
                    return Due::Resend(f.resend());
                }
                0 => return Due::Dead,
                ms => next = next.min(ms),
            }
        }
        Due::Nothing(next)
    }

    /// All is written that was queued.
    pub fn written(&mut self) {
        let window = &mut self.window;
        // The answer to one sent again could be to the first.
        if let Some(pid) = window.asking.take()
            && let Some(f) = self.table.iter_mut().find(|f| f.pid == pid && f.sends == 1)
        {
            f.mark = window.ask();
        }
    }

    #[inline(never)]
    fn get(&mut self, pid: Pid) -> Option<&mut Flight> {
        self.table.iter_mut().find(|f| f.pid == pid)
    }

    #[inline(never)]
    fn remove(&mut self, pid: Pid) {
        if let Some(i) = self.table.iter().position(|f| f.pid == pid) {
            self.table.remove(i);
        }
    }

    fn quota(&self) -> bool {
        let used = self
            .table
            .iter()
            .filter(|f| !f.is(STALE) && publication(f.wait))
            .count();
        used < usize::from(self.receive_maximum)
    }
}

fn publication(wait: Wait) -> bool {
    matches!(wait, Wait::Puback | Wait::Pubrec | Wait::Pubcomp)
}
