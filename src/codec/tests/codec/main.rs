//! Tests of the codec as its users see it.
#![allow(clippy::indexing_slicing, clippy::unwrap_used)]

mod differential;
mod fields;
mod incoming;
mod outgoing;
mod properties;
mod receiver;
mod support;
mod tables;
mod topics;
