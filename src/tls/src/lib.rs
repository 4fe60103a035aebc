//! A TLS 1.3 client (RFC 8446) that verifies its server, without input and output, `no_std` and without an allocator.
//!
//! The protocol is embedded-tls's, certificates are webpki's, the primitives are of RustCrypto. This crate is what makes one
//! client of them: [`Client`] puts a guard around embedded-tls, so that **nothing leaves after ServerHello before the
//! certificates, the name, the validity and the signature over the handshake were verified**. `docs/TLS13.md` tells what is
//! guaranteed and what is not.
//!
//! One cipher suite (TLS_AES_128_GCM_SHA256), one group (secp256r1), client certificates of P-256 without a chain. No
//! resumption, no early data, no update of keys, no revocation.
//!
//! ```
//! use mqtt_tls::{Client, Config, Expected, Memory, State, Trust};
//!
//! let [mut state, mut read, mut write, mut chain] = [Client::size(), 16_640, 1024, 4096].map(|n| vec![0; n]);
//! let memory = Memory { state: &mut state, read: &mut read, write: &mut write, chain: &mut chain };
//! let expected = Expected {
//!     trust: Trust::PinnedKey,
//!     pin: Some([7; 32]),
//!     name: Some("broker.example"),
//!     check_name: false,
//!     authorities: &[],
//!     now: 0,
//! };
//! let config = Config { expected, seed: [1; 32], identity: None, alpn: None };
//! let mut client = Client::new(memory, config).unwrap();
//! let mut network = [0; 512];
//! assert!(client.take(&mut network) > 100); // its ClientHello
//! assert_eq!(client.state(), State::Handshake);
//! ```
#![no_std]
#![deny(unsafe_code)]
#![warn(missing_docs)]
#![forbid(clippy::undocumented_unsafe_blocks)]
#![deny(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used
)]

mod algorithms;
#[allow(unsafe_code)]
mod client;
mod der;
mod error;
mod records;
#[cfg(feature = "rsa")]
mod rsa;
mod verify;

pub use client::{ALERT, Client, Config, Memory, State};
pub use error::Error;
pub use verify::{Expected, Trust};

/// What is inside, for fuzzing and for tests of vectors. No part of the API.
#[doc(hidden)]
pub mod internal {
    pub use crate::records::Filter;

    /// Whether the signature is right, by the names of X.509 for key and signature; `None`: no such algorithm here.
    pub fn verifies(place: usize, key: &[u8], message: &[u8], signature: &[u8]) -> Option<bool> {
        Some(crate::algorithms::Algorithm::get(place)?.verify(key, message, signature))
    }
}
