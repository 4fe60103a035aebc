//! Whether the server is who it is to be: the certificates (RFC 5280), the name (RFC 6125), and the signature over the
//! handshake (RFC 8446, 4.4.3).
//!
//! A signature takes a small CPU a second or more, so one call checks one of them. webpki, which builds the path, asks for
//! signatures while it does. What it asks for is looked up here among those that were checked before; the first that was
//! not makes the path fail for now, is checked when webpki has returned (which is what keeps the stack small), and then the
//! path is built again. So a path is accepted only if each signature it asked for was found right.

use crate::algorithms::{self, Algorithm};
use crate::{Error, der};
use core::ops::Range;
use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use core::time::Duration;
use heapless::Vec;
use pki_types::{AlgorithmIdentifier, CertificateDer, InvalidSignature, ServerName};
use pki_types::{SignatureVerificationAlgorithm, SubjectPublicKeyInfoDer, UnixTime};
use sha2::{Digest, Sha256};
use webpki::{EndEntityCert, RawPublicKeyEntity};

/// 2026-01-01, in seconds since 1970: no clock that is right shows less.
const EARLIEST: u64 = 1_767_225_600;

/// Certificates that a server may send.
const CERTIFICATES: usize = 6;

/// Signatures that one verification may have to check; what a path needs is less than the certificates it has.
const SIGNATURES: usize = 12;

/// What makes a server trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// An authority issued its certificate, in a path that is valid now.
    Authorities,
    /// Its public key is the pinned one: neither name nor time nor authorities matter.
    PinnedKey,
    /// Nothing: **anybody can be the server**, and read and change all that is sent.
    Anybody,
}

/// Whom the server has to be.
#[derive(Clone, Copy)]
pub struct Expected<'m> {
    /// What is verified.
    pub trust: Trust,
    /// DNS name or IP address, as text. Sent to the server, too, if it is a name (RFC 6066, 3).
    pub name: Option<&'m str>,
    /// Whether the certificate has to be for `name`; matters to [`Trust::Authorities`] only.
    pub check_name: bool,
    /// The certificates of authorities that are trusted, in DER, one after the other.
    pub authorities: &'m [u8],
    /// SHA-256 of the server's public key (SubjectPublicKeyInfo in DER); if given, it is checked whatever else is.
    pub pin: Option<[u8; 32]>,
    /// Seconds since 1970.
    pub now: u64,
}

impl Expected<'_> {
    /// Whether all that is needed is there and can be read.
    pub fn check(&self) -> Result<(), Error> {
        let nothing_pinned = self.trust == Trust::PinnedKey && self.pin.is_none();
        let nameless = self.trust == Trust::Authorities && self.check_name && self.name.is_none();
        if let Some(name) = self.name {
            server_name(name)?;
        }
        if nameless {
            return Err(Error::InvalidName);
        }
        if self.trust != Trust::Authorities {
            return if nothing_pinned {
                Err(Error::Pin)
            } else {
                Ok(())
            };
        }
        if self.now < EARLIEST {
            return Err(Error::Clock);
        }
        if self.authorities.is_empty() {
            return Err(Error::InvalidAuthority);
        }
        for certificate in der::sequences(self.authorities) {
            let certificate = CertificateDer::from(certificate.ok_or(Error::InvalidAuthority)?);
            webpki::anchor_from_trusted_cert(&certificate).map_err(|_| Error::InvalidAuthority)?;
        }
        Ok(())
    }
}

fn server_name(name: &str) -> Result<ServerName<'_>, Error> {
    ServerName::try_from(name).map_err(|_| Error::InvalidName)
}

/// Whether the name is one to be sent to the server: addresses are not (RFC 6066, 3).
pub fn is_dns_name(name: &str) -> bool {
    matches!(ServerName::try_from(name), Ok(ServerName::DnsName(_)))
}

/// What the server sent to authenticate itself.
pub struct Shown<'m> {
    /// Certificates, then the signature.
    memory: &'m mut [u8],
    used: usize,
    certificates: Vec<Range<usize>, CERTIFICATES>,
    /// The handshake up to the certificates, and how and with what the server signed it.
    signed: Option<([u8; 32], u16, Range<usize>)>,
    transcript: Option<[u8; 32]>,
}

impl<'m> Shown<'m> {
    pub fn new(memory: &'m mut [u8]) -> Self {
        Shown {
            memory,
            used: 0,
            certificates: Vec::new(),
            signed: None,
            transcript: None,
        }
    }

    fn keep(&mut self, bytes: &[u8]) -> Result<Range<usize>, Error> {
        let range = self.used..self.used + bytes.len();
        self.memory
            .get_mut(range.clone())
            .ok_or(Error::ChainTooLarge)?
            .copy_from_slice(bytes);
        self.used = range.end;
        Ok(range)
    }

    /// The certificates came, once; `transcript` is the hash of the handshake up to them.
    pub fn certificates<'a>(
        &mut self,
        mut certificates: impl Iterator<Item = &'a [u8]>,
        transcript: [u8; 32],
    ) -> Result<(), Error> {
        if self.transcript.is_some() {
            return Err(Error::Message);
        }
        self.transcript = Some(transcript);
        certificates.try_for_each(|certificate| {
            let range = self.keep(certificate)?;
            self.certificates
                .push(range)
                .map_err(|_| Error::ChainTooLarge)
        })
    }

    /// The signature came, once and after the certificates.
    pub fn signature(&mut self, scheme: u16, signature: &[u8]) -> Result<(), Error> {
        let (Some(transcript), None) = (self.transcript, &self.signed) else {
            return Err(Error::Message);
        };
        let range = self.keep(signature)?;
        self.signed = Some((transcript, scheme, range));
        Ok(())
    }

    /// The memory, for which there is no more use.
    pub fn release(&mut self) -> &'m mut [u8] {
        self.certificates.clear();
        self.signed = None;
        core::mem::take(&mut self.memory)
    }

    fn certificate(&self, n: usize) -> Option<&[u8]> {
        self.memory.get(self.certificates.get(n)?.clone())
    }
}

/// A signature that webpki asked for, by where its parts are.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Asked {
    algorithm: usize,
    /// In the memory that `key_of_authority` says.
    key: (usize, usize),
    key_of_authority: bool,
    /// In what the server sent.
    message: (usize, usize),
    signature: (usize, usize),
}

/// How far a verification has come.
pub struct Verification {
    /// Signatures that were checked, and whether they were right.
    checked: Vec<(Asked, bool), SIGNATURES>,
    path: bool,
}

/// Whether there is more to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Call again.
    More,
    /// The server is who it is to be.
    Verified,
}

impl Verification {
    pub fn new() -> Self {
        Verification {
            checked: Vec::new(),
            path: false,
        }
    }

    /// Goes on by one signature at most.
    pub fn step(&mut self, shown: &Shown<'_>, expected: &Expected<'_>) -> Result<Progress, Error> {
        let Some((transcript, scheme, signature)) = &shown.signed else {
            return Err(Error::NotAuthenticated);
        };
        let leaf = shown.certificate(0).ok_or(Error::NotAuthenticated)?;
        let key = der::public_key_info(leaf).ok_or(Error::Certificate(0))?;
        if !self.path {
            self.path(shown, expected, leaf, key)?;
            return Ok(Progress::More);
        }
        let signature = shown.memory.get(signature.clone()).ok_or(Error::Internal)?;
        let algorithm = Algorithm::of_scheme(*scheme).ok_or(Error::Algorithm(0))?;
        if handshake_signed(key, transcript, algorithm, signature) {
            Ok(Progress::Verified)
        } else {
            Err(Error::HandshakeSignature)
        }
    }

    /// Everything but the signature over the handshake.
    fn path(
        &mut self,
        shown: &Shown<'_>,
        expected: &Expected<'_>,
        leaf: &[u8],
        key: &[u8],
    ) -> Result<(), Error> {
        if expected.pin.is_some_and(|pin| *Sha256::digest(key) != pin) {
            return Err(Error::Pin);
        }
        if expected.trust != Trust::Authorities {
            self.path = true;
            return Ok(());
        }
        expected.check()?;
        if let (true, Some(name)) = (expected.check_name, expected.name) {
            check_name(leaf, name)?;
        }
        let desk = Desk::new(shown.memory, expected.authorities, &self.checked);
        let found = build_path(shown, expected, &desk);
        match (desk.asked(), found) {
            (_, Ok(())) => self.path = true,
            (Some(asked), _) => {
                let right = desk.verifies(&asked).ok_or(Error::Internal)?;
                self.checked
                    .push((asked, right))
                    .map_err(|_| Error::ChainTooLarge)?;
            }
            (None, Err(webpki::Error::InvalidSignatureForPublicKey)) => {
                return Err(self.wrong(shown));
            }
            (None, Err(error)) => return Err(translate(error, shown, expected.now)),
        }
        Ok(())
    }

    /// Which certificate's signature is wrong.
    fn wrong(&self, shown: &Shown<'_>) -> Error {
        let wrong = self.checked.iter().find(|(_, right)| !right);
        let place = wrong.and_then(|(asked, _)| {
            shown
                .certificates
                .iter()
                .position(|c| c.contains(&asked.message.0))
        });
        Error::CertificateSignature(place.unwrap_or(0) as u8)
    }
}

#[inline(never)]
fn check_name(leaf: &[u8], name: &str) -> Result<(), Error> {
    let leaf = CertificateDer::from(leaf);
    let leaf = EndEntityCert::try_from(&leaf).map_err(|_| Error::Certificate(0))?;
    leaf.verify_is_valid_for_subject_name(&server_name(name)?)
        .map_err(|_| Error::Name)
}

/// Tries one authority after the other.
#[inline(never)]
fn build_path(
    shown: &Shown<'_>,
    expected: &Expected<'_>,
    desk: &Desk<'_>,
) -> Result<(), webpki::Error> {
    let certificates: Vec<CertificateDer<'_>, CERTIFICATES> = (0..)
        .map_while(|n| shown.certificate(n))
        .map(CertificateDer::from)
        .collect();
    let Some((leaf, intermediates)) = certificates.split_first() else {
        return Err(webpki::Error::BadDer);
    };
    let leaf = EndEntityCert::try_from(leaf)?;
    let now = UnixTime::since_unix_epoch(Duration::from_secs(expected.now));
    let askers =
        core::array::from_fn::<_, { algorithms::COUNT }, _>(|algorithm| Asker { algorithm, desk });
    let algorithms = askers
        .each_ref()
        .map(|asker| asker as &dyn SignatureVerificationAlgorithm);
    let mut failure = webpki::Error::UnknownIssuer;
    for authority in der::sequences(expected.authorities).flatten() {
        let authority = CertificateDer::from(authority);
        let anchors = [webpki::anchor_from_trusted_cert(&authority)?];
        let usage = webpki::KeyUsage::server_auth();
        match leaf.verify_for_usage(&algorithms, &anchors, intermediates, now, usage, None, None) {
            Ok(_) => return Ok(()),
            // Of another authority, it says less than what went wrong with the right one.
            Err(webpki::Error::UnknownIssuer) => {}
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

fn translate(error: webpki::Error, shown: &Shown<'_>, now: u64) -> Error {
    use webpki::Error as E;
    // webpki does not say which certificate it was.
    let which = |same: fn(&E) -> bool| {
        let fails = |n: &usize| {
            shown
                .certificate(*n)
                .and_then(|c| alone(c, now))
                .is_some_and(|e| same(&e))
        };
        (0..shown.certificates.len()).find(fails).unwrap_or(0) as u8
    };
    match error {
        E::CertExpired { .. } => Error::Expired(which(|e| matches!(e, E::CertExpired { .. }))),
        E::CertNotValidYet { .. } => {
            Error::NotYetValid(which(|e| matches!(e, E::CertNotValidYet { .. })))
        }
        E::UnknownIssuer => Error::UnknownAuthority,
        E::EndEntityUsedAsCa => Error::NotAnAuthority,
        E::CaUsedAsEndEntity => Error::AuthorityAsServer,
        E::PathLenConstraintViolated => Error::PathLength,
        E::NameConstraintViolation | E::MalformedNameConstraint => Error::NameConstraint,
        E::RequiredEkuNotFoundContext(_) | E::EmptyEkuExtension => Error::Usage,
        E::UnsupportedSignatureAlgorithmContext(_)
        | E::UnsupportedSignatureAlgorithmForPublicKeyContext(_) => Error::Algorithm(0),
        E::BadDer | E::BadDerTime | E::TrailingData(_) | E::ExtensionValueInvalid => {
            Error::Certificate(which(|e| {
                !matches!(e, E::UnknownIssuer | E::CaUsedAsEndEntity)
            }))
        }
        _ => Error::Path,
    }
}

/// What is wrong with a certificate by itself.
fn alone(certificate: &[u8], now: u64) -> Option<webpki::Error> {
    let certificate = CertificateDer::from(certificate);
    let now = UnixTime::since_unix_epoch(Duration::from_secs(now));
    match EndEntityCert::try_from(&certificate) {
        Ok(c) => c
            .verify_for_usage(
                &[],
                &[],
                &[],
                now,
                webpki::KeyUsage::server_auth(),
                None,
                None,
            )
            .err(),
        Err(error) => Some(error),
    }
}

/// RFC 8446, 4.4.3.
#[inline(never)]
fn handshake_signed(
    key: &[u8],
    transcript: &[u8; 32],
    algorithm: &'static Algorithm,
    signature: &[u8],
) -> bool {
    const CONTEXT: &[u8; 34] = b"TLS 1.3, server CertificateVerify\0";
    let mut content: Vec<u8, { 64 + CONTEXT.len() + 32 }> = Vec::new();
    let whole = content.resize(64, b' ').is_ok()
        && content.extend_from_slice(CONTEXT).is_ok()
        && content.extend_from_slice(transcript).is_ok();
    // It is webpki that sees to it that the key is one of the algorithm.
    let key = SubjectPublicKeyInfoDer::from(key);
    let once = Once { algorithm };
    whole
        && RawPublicKeyEntity::try_from(&key)
            .is_ok_and(|key| key.verify_signature(&once, &content, signature).is_ok())
}

/// Where signatures are asked for during one attempt to build a path.
struct Desk<'a> {
    shown: &'a [u8],
    authorities: &'a [u8],
    checked: &'a [(Asked, bool)],
    /// The first that was not checked yet, as numbers that can be shared, as webpki demands; see `Asked`.
    asked: [AtomicUsize; 8],
}

/// In the place of the algorithm: nothing was asked.
const NOTHING: usize = usize::MAX;

impl<'a> Desk<'a> {
    fn new(shown: &'a [u8], authorities: &'a [u8], checked: &'a [(Asked, bool)]) -> Self {
        Desk {
            shown,
            authorities,
            checked,
            asked: core::array::from_fn(|_| AtomicUsize::new(NOTHING)),
        }
    }

    fn asked(&self) -> Option<Asked> {
        let [
            algorithm,
            key,
            key_len,
            of_authority,
            message,
            message_len,
            signature,
            signature_len,
        ] = self.asked.each_ref().map(|number| number.load(Relaxed));
        (algorithm != NOTHING).then_some(Asked {
            algorithm,
            key: (key, key_len),
            key_of_authority: of_authority != 0,
            message: (message, message_len),
            signature: (signature, signature_len),
        })
    }

    /// Whether the signature is known to be right; if it is not known at all, it is noted.
    fn ask(&self, algorithm: usize, key: &[u8], message: &[u8], signature: &[u8]) -> bool {
        let of_authority = place(self.shown, key).is_none();
        let key = if of_authority {
            place(self.authorities, key)
        } else {
            place(self.shown, key)
        };
        let (Some(key), Some(message), Some(signature)) = (
            key,
            place(self.shown, message),
            place(self.shown, signature),
        ) else {
            return false;
        };
        let asked = Asked {
            algorithm,
            key,
            key_of_authority: of_authority,
            message,
            signature,
        };
        if let Some((_, right)) = self.checked.iter().find(|(checked, _)| *checked == asked) {
            return *right;
        }
        if self.asked().is_none() {
            let numbers = [
                algorithm,
                key.0,
                key.1,
                of_authority.into(),
                message.0,
                message.1,
                signature.0,
                signature.1,
            ];
            for (kept, number) in self.asked.iter().zip(numbers) {
                kept.store(number, Relaxed);
            }
        }
        false
    }

    /// Checks the signature.
    #[inline(never)]
    fn verifies(&self, asked: &Asked) -> Option<bool> {
        let part = |of: &'a [u8], (start, len): (usize, usize)| of.get(start..)?.get(..len);
        let key = part(
            if asked.key_of_authority {
                self.authorities
            } else {
                self.shown
            },
            asked.key,
        )?;
        let message = part(self.shown, asked.message)?;
        let signature = part(self.shown, asked.signature)?;
        Some(Algorithm::get(asked.algorithm)?.verify(key, message, signature))
    }
}

/// Where a part of some memory is in it, and its length.
fn place(whole: &[u8], part: &[u8]) -> Option<(usize, usize)> {
    let start = part.as_ptr().addr().checked_sub(whole.as_ptr().addr())?;
    (whole.get(start..)?.len() >= part.len()).then_some((start, part.len()))
}

/// An algorithm as webpki sees it: asks the desk.
struct Asker<'a> {
    algorithm: usize,
    desk: &'a Desk<'a>,
}

/// An algorithm as webpki sees it: verifies.
struct Once {
    algorithm: &'static Algorithm,
}

/// Without a word, since formatting code is large.
macro_rules! silent {
    ($($type:ty),*) => {
        $(impl core::fmt::Debug for $type {
            fn fmt(&self, _: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                Ok(())
            }
        })*
    };
}
silent!(Asker<'_>, Once);

const NO_ALGORITHM: AlgorithmIdentifier = AlgorithmIdentifier::from_slice(&[]);

impl SignatureVerificationAlgorithm for Asker<'_> {
    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        Algorithm::get(self.algorithm).map_or(NO_ALGORITHM, |a| a.key)
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        Algorithm::get(self.algorithm).map_or(NO_ALGORITHM, |a| a.signature)
    }

    fn verify_signature(
        &self,
        key: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), InvalidSignature> {
        if self.desk.ask(self.algorithm, key, message, signature) {
            Ok(())
        } else {
            Err(InvalidSignature)
        }
    }
}

impl SignatureVerificationAlgorithm for Once {
    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        self.algorithm.key
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        self.algorithm.signature
    }

    fn verify_signature(
        &self,
        key: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), InvalidSignature> {
        if self.algorithm.verify(key, message, signature) {
            Ok(())
        } else {
            Err(InvalidSignature)
        }
    }
}
