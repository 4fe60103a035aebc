//! What can go wrong, in words.

use core::ffi::CStr;

/// Why a connection was refused or has ended.
///
/// A certificate is named by its place in what the server sent: 0 is the server's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// The stream ended without close_notify (RFC 8446, 6.1): what came last may be missing.
    Truncated,
    /// A record of a type or a length that is not allowed now (RFC 8446, 5.1).
    Record,
    /// A record that does not fit into the read buffer.
    RecordTooLarge,
    /// Records over records, and no data in them.
    Flood,
    /// The server chose no TLS 1.3, or what was not offered (RFC 8446, 4.1.3).
    Version,
    /// The server chose a cipher suite that was not offered.
    Suite,
    /// The server wants a group for the key exchange other than secp256r1 (HelloRetryRequest).
    Group,
    /// A handshake message that cannot be read, is out of order, or is spread over several records.
    Message,
    /// A record whose authentication tag is wrong (RFC 8446, 5.2).
    Decrypt,
    /// The Finished of the server is wrong (RFC 8446, 4.4.4).
    Finished,
    /// The server asked for new keys (RFC 8446, 4.6.3), which this client has not: connect again.
    KeyUpdate,
    /// The peer's alert (RFC 8446, 6).
    Alert(u8),
    /// The server did not send Certificate and CertificateVerify.
    NotAuthenticated,
    /// The certificates are more, or longer, than there is room for.
    ChainTooLarge,
    /// The time is before this code was written.
    Clock,
    /// The server's certificate is for other names.
    Name,
    /// The name to verify is neither a DNS name nor an IP address.
    InvalidName,
    /// What was given as authorities is no certificate in DER.
    InvalidAuthority,
    /// No authority that is trusted has issued the certificates.
    UnknownAuthority,
    /// The certificate has expired.
    Expired(u8),
    /// The certificate is not yet valid.
    NotYetValid(u8),
    /// The signature of the certificate is wrong.
    CertificateSignature(u8),
    /// The certificate is signed in a way that is not verified here.
    Algorithm(u8),
    /// The certificate cannot be read.
    Certificate(u8),
    /// A certificate issued another, and is not one of an authority.
    NotAnAuthority,
    /// The server's certificate is one of an authority.
    AuthorityAsServer,
    /// The path has more authorities than one of them allows.
    PathLength,
    /// A name in the path is outside of what an authority of it may certify.
    NameConstraint,
    /// The server's certificate is not for servers.
    Usage,
    /// Anything else against the path of certificates (RFC 5280, 6).
    Path,
    /// The public key of the server is not the one that was pinned.
    Pin,
    /// The signature of the server over the handshake is wrong (RFC 8446, 4.4.3).
    HandshakeSignature,
    /// The client's key is none of P-256.
    InvalidKey,
    /// The client's certificate does not fit into the write buffer.
    CertificateTooLarge,
    /// A buffer is smaller than this client can do with.
    Buffer,
    /// The connection is over.
    Closed,
    /// A defect of this client.
    Internal,
}

impl Error {
    /// What is wrong, in ASCII, and where that helps what to do; see [`certificate`](Self::certificate) for which.
    pub fn text(self) -> &'static CStr {
        match self {
            Error::Truncated => c"the server closed the connection without saying so in TLS",
            Error::Record => c"this is no TLS 1.3: a record of a wrong type or length",
            Error::RecordTooLarge => c"record larger than the buffer: give Context a larger buffer",
            Error::Flood => c"the server sends records without data",
            Error::Version => c"the server does not speak TLS 1.3",
            Error::Suite => c"the server chose another cipher suite than TLS_AES_128_GCM_SHA256",
            Error::Group => c"the server does not accept the group secp256r1",
            Error::Message => c"handshake message that is malformed, out of order or fragmented",
            Error::Decrypt => c"a record was changed on the way",
            Error::Finished => c"the server's Finished is wrong",
            Error::KeyUpdate => c"the server wants new keys: connect again",
            Error::Alert(alert) => alert_text(alert),
            Error::NotAuthenticated => c"the server sent no certificate or did not sign",
            Error::ChainTooLarge => c"too many or too large certificates: see chain of Context",
            Error::Clock => c"set the clock: certificates cannot be verified without the time",
            Error::Name => c"the certificate is for another name",
            Error::InvalidName => c"server_hostname is neither a DNS name nor an IP address",
            Error::InvalidAuthority => c"cadata holds what is no certificate",
            Error::UnknownAuthority => c"the certificate is of an authority that is not trusted",
            Error::Expired(_) => c"the certificate has expired",
            Error::NotYetValid(_) => c"the certificate is not yet valid: is the clock right?",
            Error::CertificateSignature(_) => c"the certificate's signature is wrong",
            Error::Algorithm(_) => c"the certificate's kind of signature is not supported",
            Error::Certificate(_) => c"the certificate cannot be read",
            Error::NotAnAuthority => c"a certificate was issued by one that is no authority",
            Error::AuthorityAsServer => c"the server's certificate is an authority's: pin its key",
            Error::PathLength => c"more authorities than the certificates allow",
            Error::NameConstraint => c"the authority may not certify this name",
            Error::Usage => c"the certificate is not for servers",
            Error::Path => c"the certificates are not acceptable",
            Error::Pin => c"the server's public key is not the pinned one",
            Error::HandshakeSignature => c"the server does not have the key of its certificate",
            Error::InvalidKey => c"the client's key is not one of P-256",
            Error::CertificateTooLarge => c"the client's certificate does not fit into the buffer",
            Error::Buffer => c"the buffers are too small",
            Error::Closed => c"the connection is closed",
            Error::Internal => c"internal error: please report it",
        }
    }

    /// Which certificate it is about: 0 is the server's own, 1 the next that it sent.
    pub fn certificate(self) -> Option<u8> {
        match self {
            Error::Expired(n)
            | Error::NotYetValid(n)
            | Error::CertificateSignature(n)
            | Error::Algorithm(n)
            | Error::Certificate(n) => Some(n),
            _ => None,
        }
    }

    /// The alert that tells the server (RFC 8446, 6.2).
    pub(crate) fn alert(self) -> u8 {
        match self {
            Error::Record | Error::NotAuthenticated => 10,
            Error::RecordTooLarge | Error::Flood => 22,
            Error::Version => 70,
            Error::Suite | Error::Group => 47,
            Error::Message => 50,
            Error::Decrypt | Error::Finished | Error::HandshakeSignature => 51,
            Error::Expired(_) | Error::NotYetValid(_) => 45,
            Error::UnknownAuthority => 48,
            Error::Algorithm(_) => 43,
            Error::Clock | Error::Internal | Error::ChainTooLarge => 80,
            _ => 42,
        }
    }
}

/// RFC 8446, 6: the server's alert in words.
fn alert_text(alert: u8) -> &'static CStr {
    match alert {
        0 => c"the server closed the connection",
        10 => c"the server says: unexpected message",
        20 => c"the server says: bad record MAC",
        22 => c"the server says: record overflow",
        40 => c"the server says: handshake failure, nothing in common",
        42 => c"the server says: bad certificate",
        43 => c"the server says: unsupported certificate",
        44 => c"the server says: certificate revoked",
        45 => c"the server says: certificate expired",
        46 => c"the server says: certificate unknown",
        47 => c"the server says: illegal parameter",
        48 => c"the server says: unknown certificate authority",
        49 => c"the server says: access denied",
        50 => c"the server says: decode error",
        51 => c"the server says: decrypt error",
        70 => c"the server says: protocol version, it has no TLS 1.3",
        71 => c"the server says: insufficient security",
        80 => c"the server says: internal error",
        86 => c"the server says: inappropriate fallback",
        90 => c"the server says: user canceled",
        109 => c"the server says: missing extension",
        110 => c"the server says: unsupported extension",
        112 => c"the server says: unrecognized name",
        113 => c"the server says: bad certificate status response",
        115 => c"the server says: unknown PSK identity",
        116 => c"the server says: certificate required",
        120 => c"the server says: no application protocol in common",
        _ => c"the server says: an alert of unknown number",
    }
}
