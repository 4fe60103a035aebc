//! The signatures that are verified: what X.509 and TLS call them, and the code that does it.

#[cfg(feature = "rsa")]
use crate::rsa;
use pki_types::{AlgorithmIdentifier, alg_id};
#[cfg(any(feature = "p384", feature = "rsa"))]
use sha2::Sha384;
#[cfg(feature = "rsa")]
use sha2::Sha512;
use sha2::{Digest, Sha256};

/// A kind of key with a hash.
pub struct Algorithm {
    /// Of the key and of the signature, in X.509 (RFC 5480, RFC 4055).
    pub key: AlgorithmIdentifier,
    pub signature: AlgorithmIdentifier,
    /// Its SignatureScheme in a CertificateVerify of TLS 1.3, 0 where it may not come there (RFC 8446, 4.2.3).
    scheme: u16,
    /// Whether the signature, of a message, is one of this public key.
    verify: fn(key: &[u8], message: &[u8], signature: &[u8]) -> bool,
}

impl Algorithm {
    /// The algorithm of that place in the table.
    pub fn get(place: usize) -> Option<&'static Algorithm> {
        ALL.get(place)
    }

    /// Of a SignatureScheme of TLS.
    pub fn of_scheme(scheme: u16) -> Option<&'static Algorithm> {
        ALL.iter()
            .find(|algorithm| algorithm.scheme == scheme && scheme != 0)
    }

    pub fn verify(&self, key: &[u8], message: &[u8], signature: &[u8]) -> bool {
        (self.verify)(key, message, signature)
    }
}

pub const COUNT: usize = ALL.len();

macro_rules! algorithm {
    ($key:ident $signature:ident $scheme:literal $verify:expr) => {
        Algorithm {
            key: alg_id::$key,
            signature: alg_id::$signature,
            scheme: $scheme,
            verify: $verify,
        }
    };
}

static ALL: [Algorithm;
    1 + cfg!(feature = "p384") as usize * 3 + cfg!(feature = "rsa") as usize * 6] = [
    algorithm!(ECDSA_P256 ECDSA_SHA256 0x0403 |k, m, s| p256_verifies(k, &Sha256::digest(m), s)),
    #[cfg(feature = "p384")]
    algorithm!(ECDSA_P256 ECDSA_SHA384 0 |k, m, s| p256_verifies(k, &Sha384::digest(m), s)),
    #[cfg(feature = "p384")]
    algorithm!(ECDSA_P384 ECDSA_SHA384 0x0503 |k, m, s| p384_verifies(k, &Sha384::digest(m), s)),
    #[cfg(feature = "p384")]
    algorithm!(ECDSA_P384 ECDSA_SHA256 0 |k, m, s| p384_verifies(k, &Sha256::digest(m), s)),
    #[cfg(feature = "rsa")]
    algorithm!(RSA_ENCRYPTION RSA_PKCS1_SHA256 0 |k, m, s| rsa::verify_pkcs1(k, s, INFO_256, &Sha256::digest(m))),
    #[cfg(feature = "rsa")]
    algorithm!(RSA_ENCRYPTION RSA_PKCS1_SHA384 0 |k, m, s| rsa::verify_pkcs1(k, s, INFO_384, &Sha384::digest(m))),
    #[cfg(feature = "rsa")]
    algorithm!(RSA_ENCRYPTION RSA_PKCS1_SHA512 0 |k, m, s| rsa::verify_pkcs1(k, s, INFO_512, &Sha512::digest(m))),
    #[cfg(feature = "rsa")]
    algorithm!(RSA_ENCRYPTION RSA_PSS_SHA256 0x0804 |k, m, s| rsa::verify_pss::<Sha256>(k, s, &Sha256::digest(m))),
    #[cfg(feature = "rsa")]
    algorithm!(RSA_ENCRYPTION RSA_PSS_SHA384 0x0805 |k, m, s| rsa::verify_pss::<Sha384>(k, s, &Sha384::digest(m))),
    #[cfg(feature = "rsa")]
    algorithm!(RSA_ENCRYPTION RSA_PSS_SHA512 0x0806 |k, m, s| rsa::verify_pss::<Sha512>(k, s, &Sha512::digest(m))),
];

/// The DigestInfo of PKCS #1 up to the hash (RFC 8017, 9.2, note 1).
#[cfg(feature = "rsa")]
const INFO_256: &[u8] =
    b"\x30\x31\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\x04\x20";
#[cfg(feature = "rsa")]
const INFO_384: &[u8] =
    b"\x30\x41\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x02\x05\x00\x04\x30";
#[cfg(feature = "rsa")]
const INFO_512: &[u8] =
    b"\x30\x51\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x03\x05\x00\x04\x40";

/// Only uncompressed points (RFC 5480, 2.2), as TLS has them.
fn uncompressed(key: &[u8]) -> bool {
    key.first() == Some(&4)
}

#[inline(never)]
fn p256_verifies(key: &[u8], hash: &[u8], signature: &[u8]) -> bool {
    use p256::ecdsa::signature::hazmat::PrehashVerifier;
    use p256::ecdsa::{Signature, VerifyingKey};
    uncompressed(key)
        && VerifyingKey::from_sec1_bytes(key).is_ok_and(|key| {
            Signature::from_der(signature)
                .is_ok_and(|signature| key.verify_prehash(hash, &signature).is_ok())
        })
}

#[cfg(feature = "p384")]
#[inline(never)]
fn p384_verifies(key: &[u8], hash: &[u8], signature: &[u8]) -> bool {
    use p384::ecdsa::signature::hazmat::PrehashVerifier;
    use p384::ecdsa::{Signature, VerifyingKey};
    uncompressed(key)
        && VerifyingKey::from_sec1_bytes(key).is_ok_and(|key| {
            Signature::from_der(signature)
                .is_ok_and(|signature| key.verify_prehash(hash, &signature).is_ok())
        })
}
