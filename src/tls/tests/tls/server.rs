//! A server of TLS 1.3 (RFC 8446) that does what a test wants of it, wrong things too. Without input and output.

use crate::certificate::{chain, key};
use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes128Gcm, Nonce};
use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use p256::ecdsa::signature::Signer;
use p256::ecdsa::{DerSignature, SigningKey};
use p256::elliptic_curve::sec1::ToEncodedPoint;
use p256::{PublicKey, SecretKey};
use sha2::{Digest, Sha256};

pub const ALERT: u8 = 21;
pub const HANDSHAKE: u8 = 22;
pub const DATA: u8 = 23;

pub fn record(kind: u8, contents: &[u8]) -> Vec<u8> {
    let mut out = vec![kind, 3, 3];
    out.extend((contents.len() as u16).to_be_bytes());
    out.extend(contents);
    out
}

pub fn message(kind: u8, contents: &[u8]) -> Vec<u8> {
    let len = (contents.len() as u32).to_be_bytes();
    [&[kind], &len[1..], contents].concat()
}

/// With its length in two bytes ahead.
fn vector(contents: &[u8]) -> Vec<u8> {
    [&(contents.len() as u16).to_be_bytes(), contents].concat()
}

pub fn extension(kind: u16, contents: &[u8]) -> Vec<u8> {
    [&kind.to_be_bytes(), vector(contents).as_slice()].concat()
}

fn expand<const N: usize>(secret: &[u8], label: &str, context: &[u8]) -> [u8; N] {
    let mut info = (N as u16).to_be_bytes().to_vec();
    info.push(6 + label.len() as u8);
    info.extend(b"tls13 ");
    info.extend(label.as_bytes());
    info.push(context.len() as u8);
    info.extend(context);
    let mut out = [0; N];
    Hkdf::<Sha256>::from_prk(secret)
        .unwrap()
        .expand(&info, &mut out)
        .unwrap();
    out
}

fn extract(salt: &[u8], secret: &[u8]) -> [u8; 32] {
    Hkdf::<Sha256>::extract(Some(salt), secret).0.into()
}

/// Keys of one direction.
pub struct Keys {
    secret: [u8; 32],
    sequence: u64,
}

impl Keys {
    fn new(secret: &[u8], label: &str, transcript: &[u8]) -> Self {
        Keys {
            secret: expand(secret, label, transcript),
            sequence: 0,
        }
    }

    fn next(&mut self) -> (Aes128Gcm, [u8; 12]) {
        let cipher = Aes128Gcm::new(&expand::<16>(&self.secret, "key", b"").into());
        let mut nonce = expand::<12>(&self.secret, "iv", b"");
        for (byte, n) in nonce[4..].iter_mut().zip(self.sequence.to_be_bytes()) {
            *byte ^= n;
        }
        self.sequence += 1;
        (cipher, nonce)
    }

    /// A record of what is to be encrypted: contents, type, padding.
    pub fn seal(&mut self, inner: &[u8]) -> Vec<u8> {
        let (cipher, nonce) = self.next();
        let mut header = vec![DATA, 3, 3];
        header.extend((inner.len() as u16 + 16).to_be_bytes());
        let sealed = cipher
            .encrypt(
                Nonce::from_slice(&nonce),
                Payload {
                    msg: inner,
                    aad: &header,
                },
            )
            .unwrap();
        [header, sealed].concat()
    }

    /// Contents and type of a record.
    pub fn open(&mut self, record: &[u8]) -> Option<(u8, Vec<u8>)> {
        let (cipher, nonce) = self.next();
        let payload = Payload {
            msg: &record[5..],
            aad: &record[..5],
        };
        let mut inner = cipher.decrypt(Nonce::from_slice(&nonce), payload).ok()?;
        while inner.last() == Some(&0) {
            inner.pop();
        }
        Some((inner.pop()?, inner))
    }
}

/// One connection, from the moment that the ClientHello is there.
pub struct Server {
    pub transcript: Sha256,
    shared: Vec<u8>,
    share: Vec<u8>,
    secret: [u8; 32],
    pub from_client: Keys,
    pub to_client: Keys,
    pub key: SigningKey,
    pub chain: Vec<Vec<u8>>,
}

impl Server {
    /// `hello`: the record with the ClientHello.
    pub fn new(hello: &[u8]) -> Server {
        let hello = &hello[5..];
        let length = |at: usize| u16::from_be_bytes([hello[at], hello[at + 1]]) as usize;
        let mut at = 38 + 1 + usize::from(hello[38]);
        at += 2 + length(at);
        at += 1 + usize::from(hello[at]) + 2;
        while length(at) != 51 {
            at += 4 + length(at + 2);
        }
        let theirs = PublicKey::from_sec1_bytes(&hello[at + 10..at + 75]).unwrap();
        let ours = SecretKey::from_slice(&[9; 32]).unwrap();
        let shared = p256::ecdh::diffie_hellman(ours.to_nonzero_scalar(), theirs.as_affine());
        let none = || Keys {
            secret: [0; 32],
            sequence: 0,
        };
        Server {
            transcript: Sha256::new().chain_update(hello),
            shared: shared.raw_secret_bytes().to_vec(),
            share: ours
                .public_key()
                .to_encoded_point(false)
                .as_bytes()
                .to_vec(),
            secret: [0; 32],
            from_client: none(),
            to_client: none(),
            key: key(3),
            chain: chain(),
        }
    }

    fn hash(&self) -> [u8; 32] {
        self.transcript.clone().finalize().into()
    }

    /// The extensions of a ServerHello that is right.
    pub fn hello_extensions(&self) -> Vec<u8> {
        [
            extension(51, &[&[0, 23], vector(&self.share).as_slice()].concat()),
            extension(43, &[3, 4]),
        ]
        .concat()
    }

    /// A ServerHello of those parts.
    pub fn hello_of(&self, random: &[u8; 32], suite: u16, extensions: &[u8]) -> Vec<u8> {
        let suite = suite.to_be_bytes();
        let parts = [
            &[3, 3],
            random.as_slice(),
            &[0],
            &suite,
            &[0],
            &vector(extensions),
        ]
        .concat();
        message(2, &parts)
    }

    pub fn hello(&self) -> Vec<u8> {
        self.hello_of(&[7; 32], 0x1301, &self.hello_extensions())
    }

    /// The ServerHello is sent: there are keys for the handshake.
    pub fn said(&mut self, hello: &[u8]) {
        self.transcript.update(hello);
        let early = extract(&[0; 32], &[0; 32]);
        let empty = Sha256::digest(b"");
        let secret = extract(&expand::<32>(&early, "derived", &empty), &self.shared);
        self.from_client = Keys::new(&secret, "c hs traffic", &self.hash());
        self.to_client = Keys::new(&secret, "s hs traffic", &self.hash());
        self.secret = extract(&expand::<32>(&secret, "derived", &empty), &[0; 32]);
    }

    /// A record with a message of the handshake.
    pub fn send(&mut self, message: &[u8]) -> Vec<u8> {
        self.to_client.seal(&[message, &[HANDSHAKE]].concat())
    }

    fn noted(&mut self, message: Vec<u8>) -> Vec<u8> {
        self.transcript.update(&message);
        message
    }

    pub fn encrypted_extensions(&mut self) -> Vec<u8> {
        self.noted(message(8, &[0, 0]))
    }

    pub fn certificate_request(&mut self) -> Vec<u8> {
        let extensions = vector(&extension(13, &vector(&[4, 3])));
        self.noted(message(13, &[&[0], extensions.as_slice()].concat()))
    }

    pub fn certificates(&mut self) -> Vec<u8> {
        let mut entries = vec![];
        for certificate in &self.chain {
            entries.extend(&(certificate.len() as u32).to_be_bytes()[1..]);
            entries.extend(certificate);
            entries.extend([0, 0]);
        }
        let len = (entries.len() as u32).to_be_bytes();
        self.noted(message(11, &[&[0], &len[1..], &entries].concat()))
    }

    pub fn signature(&mut self) -> Vec<u8> {
        let signed = [
            &[b' '; 64],
            b"TLS 1.3, server CertificateVerify\0".as_slice(),
            &self.hash(),
        ]
        .concat();
        let signature: DerSignature = self.key.sign(&signed);
        self.noted(message(
            15,
            &[&[4, 3], vector(signature.as_bytes()).as_slice()].concat(),
        ))
    }

    pub fn finished(&mut self) -> Vec<u8> {
        let key = expand::<32>(&self.to_client.secret, "finished", b"");
        let mut mac = <Hmac<Sha256> as Mac>::new_from_slice(&key).unwrap();
        mac.update(&self.hash());
        let finished = message(20, &mac.finalize().into_bytes());
        self.noted(finished)
    }

    /// All is sent: there are keys for data. Those that the client's Finished comes with are given back.
    pub fn done(&mut self) -> Keys {
        self.to_client = Keys::new(&self.secret, "s ap traffic", &self.hash());
        let keys = Keys::new(&self.secret, "c ap traffic", &self.hash());
        core::mem::replace(&mut self.from_client, keys)
    }

    /// The whole flight after the ServerHello, a message a record.
    pub fn flight(&mut self) -> Vec<u8> {
        let mut out = vec![];
        for make in [
            Self::encrypted_extensions,
            Self::certificates,
            Self::signature,
            Self::finished,
        ] {
            let message = make(self);
            out.extend(self.send(&message));
        }
        out
    }
}
