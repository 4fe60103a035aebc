//! The Python module `_mqtt_as`: arguments in, codec and session called,
//! objects out. The asyncio client over it is `python/mqtt_as`.
#![no_std]
#![forbid(clippy::undocumented_unsafe_blocks)]
#![cfg_attr(
    not(test),
    deny(
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::unwrap_used
    )
)]
// The smallest module has no use for some of what the others call.
#![cfg_attr(feature = "umqtt", allow(dead_code))]

mod arguments;
mod limits;
mod memory;
mod properties;
mod session;
mod transmit;

use session::Session;

// For its symbols.
#[cfg(feature = "tls")]
extern crate mqtt_as_tls;

#[cfg(not(feature = "v5"))]
micropython::module! {
    classes { Session }
}

#[cfg(feature = "v5")]
micropython::module! {
    functions {
        encode_properties(properties) = properties::encode_properties;
        decode_properties(data, length) = properties::decode_properties;
    }
    classes { Session }
}
