//! What MQTT says about sequences of packets: packet identifiers, what is in
//! flight in both directions, QoS 1 and 2, resuming a session, when to ping and
//! when to give up.
//!
//! Pure state: no socket, no clock, no payload. Time is an argument, in
//! milliseconds of any clock that wraps at a power of two of at least 2³⁰
//! ([`elapsed`]). The tables, of requests and of QoS 2 messages from the server,
//! grow as they are needed ([`List`]); 3.1.1 cannot bound the latter.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

mod flights;
mod keepalive;
mod window;

pub use flights::{Flight, Flights, IN_FLIGHT, Reply, Resend, Wait};
pub use keepalive::{Due, KeepAlive};
pub use window::Window;

use core::ops::DerefMut;
use mqtt_codec::{AckKind, OutOfMemory, Pid, QoS, Version};

/// Milliseconds from `then` to `now`, both readings of a clock that wraps at a
/// power of two of at least 2³⁰ (MicroPython's `ticks_ms`, on any port).
pub fn elapsed(now: u32, then: u32) -> u32 {
    now.wrapping_sub(then) & ((1 << 30) - 1)
}

/// Values in memory that grows as they are added.
pub trait List<T>: DerefMut<Target = [T]> {
    /// Sees to it that one more finds room. [`OutOfMemory`]: nothing has changed.
    fn reserve(&mut self) -> Result<(), OutOfMemory>;
    /// Adds one, after [`reserve`](List::reserve).
    fn push(&mut self, value: T);
    /// Takes out that at `i`; those behind it move up.
    fn remove(&mut self, i: usize);
    /// Takes out all and gives the memory back.
    fn clear(&mut self);
}

/// What to do with a PUBLISH that came in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Incoming {
    /// Hand it to the application, then call [`Session::delivered`].
    Deliver,
    /// The application has it already: only acknowledge it again.
    Duplicate,
    /// The server has more messages in flight than it was told to (MQTT 5:
    /// reason code 0x93).
    TooMany,
}

/// The state of one client's session with a server (MQTT 5, 4.1).
///
/// The tables come last: the nearer a field, the shorter the code.
#[repr(C)]
pub struct Session<F, P> {
    /// When to ping and when to give the connection up.
    pub keep_alive: KeepAlive,
    /// What we sent and the server has not answered.
    pub flights: Flights<F>,
    /// The QoS 1 and 2 messages that the server was told it may have in flight
    /// (MQTT 5, 3.1.2.11.3).
    pub receive_maximum: usize,
    // PUBACKs that no write has taken yet.
    unsent: usize,
    // QoS 2 messages delivered, PUBREL not yet seen: 4.3.3. Those that came over
    // an earlier connection are the first.
    earlier: usize,
    received: P,
}

impl<F: List<Flight>, P: List<Pid>> Session<F, P> {
    /// The lists are empty at first.
    pub fn new(
        version: Version,
        keep_alive: KeepAlive,
        max_repubs: u8,
        requests: F,
        received: P,
    ) -> Self {
        Session {
            flights: Flights::new(version, max_repubs, requests),
            keep_alive,
            receive_maximum: usize::MAX,
            unsent: 0,
            earlier: 0,
            received,
        }
    }

    /// The server accepted a connection. Without a session on its side
    /// (`session_present` false) nothing of ours is known there: what came in
    /// is forgotten and what went out goes out anew (3.2.2.2).
    pub fn connected(&mut self, session_present: bool, now: u32) {
        if !session_present {
            self.received.clear();
        }
        self.unsent = 0;
        self.earlier = self.received.len();
        self.flights.connected(session_present);
        self.keep_alive.start(now);
    }

    /// The peer took bytes; `blocked`: it did not take all there were.
    pub fn sent(&mut self, now: u32, blocked: bool) {
        // Which of them is not known of a part; the server has the benefit.
        self.unsent = 0;
        self.keep_alive.sent(now, blocked);
        if !self.flights.window.pinging() {
            self.keep_alive.answered();
        }
    }

    /// A PINGREQ was written, or as much as the stream took of what comes before it.
    pub fn pinged(&mut self, now: u32) {
        self.keep_alive.pinged(now);
        self.flights.window.pinged();
    }

    /// A PINGRESP came in.
    pub fn ponged(&mut self) {
        self.keep_alive.answered();
        self.flights.window.ponged();
    }

    /// What to do with a PUBLISH (4.3). [`OutOfMemory`]: nothing has changed.
    pub fn incoming(&mut self, qos: QoS, pid: Option<Pid>) -> Result<Incoming, OutOfMemory> {
        let Some(pid) = pid else {
            return Ok(Incoming::Deliver);
        };
        if qos == QoS::ExactlyOnce {
            if self.position(pid).is_some() {
                return Ok(Incoming::Duplicate);
            }
            self.received.reserve()?;
        }
        // 4.9: what it had in flight before does not count.
        let in_flight = self.received.len() - self.earlier + self.unsent;
        Ok(if in_flight >= self.receive_maximum {
            Incoming::TooMany
        } else {
            Incoming::Deliver
        })
    }

    /// The application has the message: the acknowledgement to send.
    pub fn delivered(&mut self, qos: QoS, pid: Option<Pid>) -> Option<(AckKind, Pid)> {
        let pid = pid?;
        match qos {
            QoS::AtMostOnce => None,
            QoS::AtLeastOnce => {
                self.unsent += 1;
                Some((AckKind::Puback, pid))
            }
            QoS::ExactlyOnce => {
                if self.position(pid).is_none() {
                    // `incoming` saw to it that there is room.
                    self.received.push(pid);
                }
                Some((AckKind::Pubrec, pid))
            }
        }
    }

    /// An acknowledgement came in: what to answer, and whether a request of
    /// ours is thereby over. Late, repeated and unknown ones are harmless.
    pub fn acknowledged(&mut self, kind: AckKind, pid: Pid, reason: u8, now: u32) -> Reply {
        if kind != AckKind::Pubrel {
            return self.flights.acknowledged(kind, pid, reason, now);
        }
        let known = self.position(pid);
        if let Some(i) = known {
            self.received.remove(i);
            self.earlier -= usize::from(i < self.earlier);
        }
        Reply {
            done: false,
            received: false,
            answer: Some((AckKind::Pubcomp, flights::found(known.is_some()))),
        }
    }

    fn position(&self, pid: Pid) -> Option<usize> {
        self.received.iter().position(|known| *known == pid)
    }

    /// What the clock asks for.
    pub fn due(&mut self, now: u32) -> Due {
        let due = self.keep_alive.due(now);
        let Due::Nothing(ms) = due else { return due };
        match self.flights.stale() {
            Some(resend) => Due::Resend(resend),
            None => self.flights.due(now, self.keep_alive.response_time, ms),
        }
    }
}

#[cfg(test)]
mod tests;
