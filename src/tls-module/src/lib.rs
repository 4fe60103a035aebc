//! The Python module `_mqtt_tls`: a TLS connection over a stream of MicroPython's. What Python code sees of it is
//! `python/mqtt_as/tls13.py`.
#![no_std]
#![forbid(clippy::undocumented_unsafe_blocks)]
#![deny(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used
)]

mod connection;

use connection::Connection;

micropython::module! {
    classes { Connection }
}
