//! Certificates of every kind (RFC 5280), made on the spot with keys of P-256.

use p256::ecdsa::signature::Signer;
use p256::ecdsa::{DerSignature, SigningKey};
use std::sync::OnceLock;

/// 2020, 2049 and two days that are over or to come, as UTCTime.
pub const START: &str = "200101000000Z";
pub const END: &str = "491231000000Z";
pub const PAST: &str = "210101000000Z";
pub const FUTURE: &str = "480101000000Z";

/// 2027-01-15, in seconds since 1970.
pub const NOW: u64 = 1_800_000_000;

pub fn tlv(tag: u8, contents: &[u8]) -> Vec<u8> {
    let len = contents.len();
    let mut out = vec![tag];
    match len {
        0..=0x7f => out.push(len as u8),
        0x80..=0xff => out.extend([0x81, len as u8]),
        _ => out.extend([0x82, (len >> 8) as u8, len as u8]),
    }
    out.extend(contents);
    out
}

pub fn seq(parts: &[&[u8]]) -> Vec<u8> {
    tlv(0x30, &parts.concat())
}

fn name(common: &str) -> Vec<u8> {
    let attribute = seq(&[b"\x06\x03\x55\x04\x03", &tlv(0x0c, common.as_bytes())]);
    seq(&[&tlv(0x31, &attribute)])
}

pub fn key(n: u8) -> SigningKey {
    SigningKey::from_slice(&[n; 32]).unwrap()
}

pub fn public_key_info(key: &SigningKey) -> Vec<u8> {
    let algorithm = seq(&[
        b"\x06\x07\x2a\x86\x48\xce\x3d\x02\x01",
        b"\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07",
    ]);
    let point = key.verifying_key().to_encoded_point(false);
    seq(&[&algorithm, &tlv(3, &[&[0], point.as_bytes()].concat())])
}

/// An extension by the last number of its identifier below 2.5.29.
fn extension(id: u8, critical: bool, value: &[u8]) -> Vec<u8> {
    let critical: &[u8] = if critical { b"\x01\x01\xff" } else { b"" };
    seq(&[&[6, 3, 0x55, 0x1d, id], critical, &tlv(4, value)])
}

/// What goes into a certificate.
#[derive(Clone)]
pub struct Request<'a> {
    pub subject: &'a str,
    pub key: u8,
    pub issuer: &'a str,
    pub issuer_key: u8,
    pub validity: (&'a str, &'a str),
    /// An authority, below which there may be so many.
    pub authority: Option<Option<u8>>,
    /// GeneralName by tag and contents: 2 is a DNS name, 7 an address.
    pub names: Vec<(u8, Vec<u8>)>,
    /// Of extendedKeyUsage, the last number: 1 for servers, 2 for clients.
    pub usage: Option<u8>,
    /// The only domain that it may certify.
    pub permitted: Option<&'a str>,
    pub tampered: bool,
}

impl<'a> Request<'a> {
    pub fn server(issuer: &'a str, issuer_key: u8) -> Self {
        Request {
            subject: "server",
            key: 3,
            issuer,
            issuer_key,
            validity: (START, END),
            authority: None,
            names: vec![
                (2, b"broker.test".to_vec()),
                (2, b"*.wild.test".to_vec()),
                (7, vec![127, 0, 0, 1]),
            ],
            usage: Some(1),
            permitted: None,
            tampered: false,
        }
    }

    pub fn authority(subject: &'a str, key: u8, issuer: &'a str, issuer_key: u8) -> Self {
        Request {
            subject,
            key,
            issuer,
            issuer_key,
            authority: Some(None),
            names: vec![],
            usage: None,
            ..Request::server(issuer, issuer_key)
        }
    }

    pub fn sign(&self) -> Vec<u8> {
        let algorithm = seq(&[b"\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02"]);
        let time = |text: &str| tlv(0x17, text.as_bytes());
        let mut extensions = vec![];
        if let Some(length) = self.authority {
            let length = length.map_or(vec![], |n| tlv(2, &[n]));
            extensions.push(extension(19, true, &seq(&[b"\x01\x01\xff", &length])));
        }
        if !self.names.is_empty() {
            let names: Vec<_> = self
                .names
                .iter()
                .map(|(tag, name)| tlv(0x80 | tag, name))
                .collect();
            extensions.push(extension(17, false, &tlv(0x30, &names.concat())));
        }
        if let Some(usage) = self.usage {
            let id = [6, 8, 0x2b, 6, 1, 5, 5, 7, 3, usage];
            extensions.push(extension(37, false, &seq(&[&id])));
        }
        if let Some(domain) = self.permitted {
            let permitted = tlv(0xa0, &seq(&[&tlv(0x82, domain.as_bytes())]));
            extensions.push(extension(30, true, &seq(&[&permitted])));
        }
        let extensions = tlv(0xa3, &tlv(0x30, &extensions.concat()));
        let body = seq(&[
            b"\xa0\x03\x02\x01\x02\x02\x01\x07",
            &algorithm,
            &name(self.issuer),
            &seq(&[&time(self.validity.0), &time(self.validity.1)]),
            &name(self.subject),
            &public_key_info(&key(self.key)),
            &extensions,
        ]);
        let signed = if self.tampered {
            b"something else"
        } else {
            body.as_slice()
        };
        let signature: DerSignature = key(self.issuer_key).sign(signed);
        seq(&[
            &body,
            &algorithm,
            &tlv(3, &[&[0], signature.as_bytes()].concat()),
        ])
    }
}

/// The authority that clients of the tests trust, with key 1.
pub fn root() -> Vec<u8> {
    static ROOT: OnceLock<Vec<u8>> = OnceLock::new();
    let make = || Request::authority("root", 1, "root", 1).sign();
    ROOT.get_or_init(make).clone()
}

/// An authority below it, with key 2.
pub fn intermediate() -> Request<'static> {
    Request::authority("intermediate", 2, "root", 1)
}

/// What a server that is right sends; its key is 3.
pub fn chain() -> Vec<Vec<u8>> {
    static CHAIN: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    let make = || {
        vec![
            Request::server("intermediate", 2).sign(),
            intermediate().sign(),
        ]
    };
    CHAIN.get_or_init(make).clone()
}
