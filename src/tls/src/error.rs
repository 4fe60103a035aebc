//! What can go wrong, in words.

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
    /// What is wrong, and where that helps what to do; see [`certificate`](Self::certificate) for which.
    pub fn text(self) -> &'static str {
        match self {
            Error::Truncated => "the server closed the connection without saying so in TLS",
            Error::Record => "this is no TLS 1.3: a record of a wrong type or length",
            Error::RecordTooLarge => "record larger than the buffer: give Context a larger buffer",
            Error::Flood => "the server sends records without data",
            Error::Version => "the server does not speak TLS 1.3",
            Error::Suite => "the server chose another cipher suite than TLS_AES_128_GCM_SHA256",
            Error::Group => "the server does not accept the group secp256r1",
            Error::Message => "handshake message that is malformed, out of order or fragmented",
            Error::Decrypt => "a record was changed on the way",
            Error::Finished => "the server's Finished is wrong",
            Error::KeyUpdate => "the server wants new keys: connect again",
            Error::Alert(alert) => alert_text(alert),
            Error::NotAuthenticated => "the server sent no certificate or did not sign",
            Error::ChainTooLarge => "too many or too large certificates: see chain of Context",
            Error::Clock => "set the clock: certificates cannot be verified without the time",
            Error::Name => "the certificate is for another name",
            Error::InvalidName => "server_hostname is neither a DNS name nor an IP address",
            Error::InvalidAuthority => "cadata holds what is no certificate",
            Error::UnknownAuthority => "the certificate is of an authority that is not trusted",
            Error::Expired(_) => "the certificate has expired",
            Error::NotYetValid(_) => "the certificate is not yet valid: is the clock right?",
            Error::CertificateSignature(_) => "the certificate's signature is wrong",
            Error::Algorithm(_) => "the certificate's kind of signature is not supported",
            Error::Certificate(_) => "the certificate cannot be read",
            Error::NotAnAuthority => "a certificate was issued by one that is no authority",
            Error::AuthorityAsServer => "the server's certificate is an authority's: pin its key",
            Error::PathLength => "more authorities than the certificates allow",
            Error::NameConstraint => "the authority may not certify this name",
            Error::Usage => "the certificate is not for servers",
            Error::Path => "the certificates are not acceptable",
            Error::Pin => "the server's public key is not the pinned one",
            Error::HandshakeSignature => "the server does not have the key of its certificate",
            Error::InvalidKey => "the client's key is not one of P-256",
            Error::CertificateTooLarge => "the client's certificate does not fit into the buffer",
            Error::Buffer => "the buffers are too small",
            Error::Closed => "the connection is closed",
            Error::Internal => "internal error: please report it",
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
fn alert_text(alert: u8) -> &'static str {
    match alert {
        0 => "the server closed the connection",
        10 => "the server says: unexpected message",
        20 => "the server says: bad record MAC",
        22 => "the server says: record overflow",
        40 => "the server says: handshake failure, nothing in common",
        42 => "the server says: bad certificate",
        43 => "the server says: unsupported certificate",
        44 => "the server says: certificate revoked",
        45 => "the server says: certificate expired",
        46 => "the server says: certificate unknown",
        47 => "the server says: illegal parameter",
        48 => "the server says: unknown certificate authority",
        49 => "the server says: access denied",
        50 => "the server says: decode error",
        51 => "the server says: decrypt error",
        70 => "the server says: protocol version, it has no TLS 1.3",
        71 => "the server says: insufficient security",
        80 => "the server says: internal error",
        86 => "the server says: inappropriate fallback",
        90 => "the server says: user canceled",
        109 => "the server says: missing extension",
        110 => "the server says: unsupported extension",
        112 => "the server says: unrecognized name",
        113 => "the server says: bad certificate status response",
        115 => "the server says: unknown PSK identity",
        116 => "the server says: certificate required",
        120 => "the server says: no application protocol in common",
        _ => "the server says: an alert of unknown number",
    }
}
