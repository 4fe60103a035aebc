//! Reason codes (2.4).

/// A set of packets that share their reason codes.
#[derive(Clone, Copy)]
#[repr(u8)]
pub(crate) enum Carrier {
    Connack = 1,
    /// PUBACK and PUBREC
    Puback = 2,
    /// PUBREL and PUBCOMP
    Pubrel = 4,
    Suback = 8,
    Unsuback = 16,
    /// DISCONNECT from the server
    DisconnectIn = 32,
    /// DISCONNECT from the client
    DisconnectOut = 64,
    /// AUTH from the server
    AuthIn = 128,
}

const CONNACK: u8 = Carrier::Connack as u8;
const PUBACK: u8 = Carrier::Puback as u8;
const PUBREL: u8 = Carrier::Pubrel as u8;
const SUBACK: u8 = Carrier::Suback as u8;
const UNSUBACK: u8 = Carrier::Unsuback as u8;
const DISC_IN: u8 = Carrier::DisconnectIn as u8;
const AUTH_IN: u8 = Carrier::AuthIn as u8;
const DISC: u8 = DISC_IN | Carrier::DisconnectOut as u8;

/// Each reason code and the packets that may carry it.
#[rustfmt::skip]
static TABLE: [(u8, u8); 42] = [
    (0x00, CONNACK | PUBACK | PUBREL | SUBACK | UNSUBACK | DISC | AUTH_IN), // success
    (0x01, SUBACK),                                    // granted QoS 1
    (0x02, SUBACK),                                    // granted QoS 2
    (0x04, Carrier::DisconnectOut as u8),              // disconnect with will message
    (0x10, PUBACK),                                    // no matching subscribers
    (0x11, UNSUBACK),                                  // no subscription existed
    (0x18, AUTH_IN),                                   // continue authentication
    (0x80, CONNACK | PUBACK | SUBACK | UNSUBACK | DISC), // unspecified error
    (0x81, CONNACK | DISC),                            // malformed packet
    (0x82, CONNACK | DISC),                            // protocol error
    (0x83, CONNACK | PUBACK | SUBACK | UNSUBACK | DISC), // implementation specific error
    (0x84, CONNACK),                                   // unsupported protocol version
    (0x85, CONNACK),                                   // client identifier not valid
    (0x86, CONNACK),                                   // bad user name or password
    (0x87, CONNACK | PUBACK | SUBACK | UNSUBACK | DISC_IN), // not authorized
    (0x88, CONNACK),                                   // server unavailable
    (0x89, CONNACK | DISC_IN),                         // server busy
    (0x8A, CONNACK),                                   // banned
    (0x8B, DISC_IN),                                   // server shutting down
    (0x8C, CONNACK | DISC_IN),                         // bad authentication method
    (0x8D, DISC_IN),                                   // keep alive timeout
    (0x8E, DISC_IN),                                   // session taken over
    (0x8F, SUBACK | UNSUBACK | DISC_IN),               // topic filter invalid
    (0x90, CONNACK | PUBACK | DISC),                   // topic name invalid
    (0x91, PUBACK | SUBACK | UNSUBACK),                // packet identifier in use
    (0x92, PUBREL),                                    // packet identifier not found
    (0x93, DISC),                                      // receive maximum exceeded
    (0x94, DISC),                                      // topic alias invalid
    (0x95, CONNACK | DISC),                            // packet too large
    (0x96, DISC),                                      // message rate too high
    (0x97, CONNACK | PUBACK | SUBACK | DISC),          // quota exceeded
    (0x98, DISC),                                      // administrative action
    (0x99, CONNACK | PUBACK | DISC),                   // payload format invalid
    (0x9A, CONNACK | DISC_IN),                         // retain not supported
    (0x9B, CONNACK | DISC_IN),                         // QoS not supported
    (0x9C, CONNACK | DISC_IN),                         // use another server
    (0x9D, CONNACK | DISC_IN),                         // server moved
    (0x9E, SUBACK | DISC_IN),                          // shared subscriptions not supported
    (0x9F, CONNACK | DISC_IN),                         // connection rate exceeded
    (0xA0, DISC_IN),                                   // maximum connect time
    (0xA1, SUBACK | DISC_IN),                          // subscription identifiers not supported
    (0xA2, SUBACK | DISC_IN),                          // wildcard subscriptions not supported
];

/// Checks that a packet of MQTT 5 may carry the code.
pub(crate) fn check(code: u8, carrier: Carrier) -> Result<(), crate::Error> {
    if TABLE
        .iter()
        .any(|&(known, carriers)| known == code && carriers & carrier as u8 != 0)
    {
        Ok(())
    } else {
        Err(crate::Error::BadReason)
    }
}
