//! Keep alive (MQTT 3.1.1 and 5, 3.1.2.10): when to ping, when to give up.
use crate::{Resend, elapsed};
use core::num::NonZeroU32;

/// What the clock asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Due {
    /// Nothing before this many milliseconds have passed.
    Nothing(u32),
    /// Send a PINGREQ.
    Ping,
    /// The server did not answer in time: send this again.
    Resend(Resend),
    /// The connection is dead.
    Dead,
}

/// The answer to a PINGREQ is waited for so many response times at most, while other bytes come in.
const WHOLE: u32 = 8;

/// All times in milliseconds; 0 for an interval switches its rule off.
pub struct KeepAlive {
    /// As configured: what the server is promised, and after how much silence
    /// of the server a ping goes out.
    configured: (u32, u32),
    /// As it holds for this connection.
    keep_alive: u32,
    ping_interval: u32,
    pub(crate) response_time: u32,
    last_rx: u32,
    last_tx: u32,
    // Since when an answer is awaited: to a PINGREQ, or before more may be written.
    awaited: Option<NonZeroU32>,
    // Since when bytes wait for the peer to take them.
    blocked: Option<NonZeroU32>,
}

impl KeepAlive {
    /// `keep_alive`: the server hears from us at least this often.
    /// `ping_interval`: a ping goes out when the server was silent for so long.
    /// `response_time`: the server answers, and takes what we write, within
    /// this time.
    pub fn new(keep_alive: u32, ping_interval: u32, response_time: u32) -> Self {
        KeepAlive {
            configured: (keep_alive, ping_interval),
            keep_alive,
            ping_interval,
            response_time,
            last_rx: 0,
            last_tx: 0,
            awaited: None,
            blocked: None,
        }
    }

    /// Another keep alive, in ms, from the next connection on.
    pub fn configure(&mut self, keep_alive: u32) {
        self.configured.0 = keep_alive;
    }

    /// The server told the keep alive to use over this connection, in ms
    /// (MQTT 5, 3.2.2.3.14).
    pub fn promise(&mut self, keep_alive: u32) {
        self.keep_alive = keep_alive;
        if keep_alive > 0 {
            self.ping_interval = self.ping_interval.min(keep_alive / 4);
        }
    }

    /// A connection begins.
    pub fn start(&mut self, now: u32) {
        (self.keep_alive, self.ping_interval) = self.configured;
        self.last_rx = now;
        self.last_tx = now;
        self.awaited = None;
        self.blocked = None;
    }

    /// Bytes came in.
    pub fn received(&mut self, now: u32) {
        self.last_rx = now;
    }

    /// When bytes last came in.
    pub fn last_rx(&self) -> u32 {
        self.last_rx
    }

    /// The peer took bytes; `blocked`: it did not take all there were.
    pub(crate) fn sent(&mut self, now: u32, blocked: bool) {
        self.last_tx = now;
        self.blocked = if blocked { since(now) } else { None };
    }

    /// The peer took none of the bytes that wait.
    pub fn stalled(&mut self, now: u32) {
        self.blocked = self.blocked.or(since(now));
    }

    /// Nothing more may be written before an answer comes.
    pub fn held(&mut self, now: u32) {
        self.awaited = self.awaited.or(since(now));
    }

    /// A PINGREQ went out, or was tried: the next one is not due at once.
    pub(crate) fn pinged(&mut self, now: u32) {
        self.last_tx = now;
        self.held(now);
    }

    /// The answer that was awaited came in.
    pub(crate) fn answered(&mut self) {
        self.awaited = None;
    }

    pub(crate) fn due(&self, now: u32) -> Due {
        let left_of = |patience, since: Option<NonZeroU32>| match since {
            Some(since) => left(patience, now, since.get()),
            None => u32::MAX,
        };
        // The answer may wait behind a long message, but not for ever.
        let whole = self.response_time.saturating_mul(WHOLE);
        let mut next = left_of(self.response_time, self.awaited)
            .max(left(self.response_time, now, self.last_rx))
            .min(left_of(whole, self.awaited))
            .min(left_of(self.response_time, self.blocked));
        if next == 0 {
            return Due::Dead;
        }
        if self.blocked.is_none() {
            // 3.1.2.10: the interval between packets must not exceed the keep
            // alive, so the ping leaves a little before; also while an answer is
            // awaited, that a long message may hold up.
            let silence = self.keep_alive - self.keep_alive / 8;
            let listen = match self.awaited {
                None => self.ping_interval,
                Some(_) => 0,
            };
            let rule = |interval, since| match interval {
                0 => u32::MAX,
                interval => left(interval, now, since),
            };
            next = next
                .min(rule(listen, self.last_rx))
                .min(rule(silence, self.last_tx));
            if next == 0 {
                return Due::Ping;
            }
        }
        Due::Nothing(next)
    }
}

/// A reading of the clock to keep, in a word: the upper bits do not count.
fn since(now: u32) -> Option<NonZeroU32> {
    NonZeroU32::new(now | 1 << 31)
}

/// What is left of `interval` that began at `since`; 0: it is over.
pub(crate) fn left(interval: u32, now: u32, since: u32) -> u32 {
    interval.saturating_sub(elapsed(now, since))
}
