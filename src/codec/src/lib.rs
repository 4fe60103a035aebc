//! MQTT 3.1.1 and 5 on the wire, as a client sees it: packets to bytes, bytes to packets, and the buffer that
//! finds packets in a stream of bytes.
//!
//! * In: [`Receiver`] takes bytes as they come and yields each whole [`Packet`], borrowed from its buffer.
//! * Out: [`Connect`], [`PublishHead`], [`Subscribe`], [`ack`], [`Disconnect`], [`Auth`] and [`PINGREQ`] write one
//!   packet into a slice; the trait [`Encode`] tells the length before.
//! * [`Properties`] stay encoded and are walked when asked for; [`PropertyWriter`] makes them.
//!
//! Everything received is checked before it is handed on, everything sent before its first byte is written ([`ack`] has
//! nothing to check but its reason, and does not).
//! No I/O, no clock, no heap. Sections named "3.1" are those of the MQTT 5.0 specification, and of 3.1.1 where
//! that has the same; the two differ in number only where it is said.
#![no_std]
#![forbid(unsafe_code)]
#![deny(missing_docs)]
#![cfg_attr(
    not(test),
    deny(
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::unreachable,
        clippy::unwrap_used
    )
)]

#[cfg(test)]
extern crate std;

mod ack;
mod auth;
mod connect;
mod disconnect;
mod encode;
mod error;
mod header;
mod packet;
mod property;
mod publish;
mod reader;
mod reason;
mod receiver;
mod string;
mod subscribe;
mod topic;
mod varint;
mod writer;

pub use ack::{AckKind, ack};
pub use auth::Auth;
pub use connect::{Connect, Will};
pub use disconnect::Disconnect;
pub use encode::{Body, Encode, Size, measure};
pub use error::Error;
pub use header::{PINGREQ, PacketType};
pub use packet::Packet;
pub use property::{Iter, Kind, Place, Properties, PropertyWriter, Value, kind};
pub use publish::PublishHead;
pub use receiver::{OutOfMemory, Receiver, Storage};
pub use subscribe::Subscribe;
pub use topic::{check_topic_filter, check_topic_name};
pub use varint::MAX as MAX_REMAINING_LENGTH;

/// The protocol level, as CONNECT tells it (3.1.2.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Version {
    /// MQTT 3.1.1
    V3 = 4,
    /// MQTT 5.0
    V5 = 5,
}

impl Version {
    /// Is it MQTT 5? Never without the feature `v5`, and then the code for that goes.
    #[inline(always)]
    pub const fn is_v5(self) -> bool {
        cfg!(feature = "v5") && matches!(self, Version::V5)
    }
}

/// Quality of service (4.3).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(u8)]
pub enum QoS {
    /// Sent once, not acknowledged.
    AtMostOnce = 0,
    /// Acknowledged by PUBACK, may arrive more than once.
    AtLeastOnce = 1,
    /// Acknowledged in two steps, arrives once.
    ExactlyOnce = 2,
}

impl QoS {
    /// The level 0, 1 or 2; None for all else.
    pub const fn from_bits(bits: u8) -> Option<QoS> {
        match bits {
            0 => Some(QoS::AtMostOnce),
            1 => Some(QoS::AtLeastOnce),
            2 => Some(QoS::ExactlyOnce),
            _ => None,
        }
    }
}

/// A packet identifier (2.2.1): 1 to 65535.
pub type Pid = core::num::NonZeroU16;
