//! Verification of RSA signatures (RFC 8017), of public values only and therefore without care for time.
//!
//! The arithmetic is Montgomery's over slices of words. A library's residues carry their modulus along by value, which is
//! some kilobytes of stack each; here a verification takes four numbers of the length of the modulus.

use crate::der;
use sha2::Digest;

/// Bits of a modulus, 8 at a time.
const BITS: core::ops::RangeInclusive<usize> = 2048..=4096;

const MAX_BYTES: usize = 4096 / 8;
const MAX_WORDS: usize = MAX_BYTES / 4;

type Number = [u32; MAX_WORDS];

/// Little-endian words of big-endian bytes; those that are left are 0.
fn load(words: &mut [u32], bytes: &[u8]) {
    words.fill(0);
    for (word, chunk) in words.iter_mut().zip(bytes.rchunks(4)) {
        *word = chunk
            .iter()
            .fold(0, |word, &byte| word << 8 | u32::from(byte));
    }
}

fn less(a: &[u32], b: &[u32]) -> bool {
    a.iter().rev().lt(b.iter().rev())
}

/// `a` - `b`; a borrow out of the highest word is lost.
fn subtract(a: &mut [u32], b: &[u32]) {
    let mut borrow = false;
    for (a, &b) in a.iter_mut().zip(b) {
        let (difference, under) = a.overflowing_sub(b);
        let (difference, under_again) = difference.overflowing_sub(borrow.into());
        *a = difference;
        borrow = under || under_again;
    }
}

/// `t` + `factor` * `b`, of which the word above `t` is returned.
fn multiply_add(t: &mut [u32], factor: u32, b: &[u32]) -> u32 {
    let mut carry = 0;
    for (t, &b) in t.iter_mut().zip(b) {
        // At most (2^32 - 1)^2 + 2 (2^32 - 1), which is 2^64 - 1.
        let sum = u64::from(factor) * u64::from(b) + u64::from(*t) + u64::from(carry);
        *t = sum as u32;
        carry = (sum >> 32) as u32;
    }
    carry
}

/// An odd modulus of `len` words.
struct Modulus<'a> {
    words: &'a [u32],
    /// -1 / modulus, modulo 2^32.
    inverse: u32,
}

impl<'a> Modulus<'a> {
    fn new(words: &'a [u32]) -> Option<Self> {
        let lowest = *words.first()?;
        // Newton's iteration: each round doubles the bits that are right, of which an odd number has three.
        let mut inverse = lowest;
        for _ in 0..4 {
            inverse = inverse.wrapping_mul(2u32.wrapping_sub(lowest.wrapping_mul(inverse)));
        }
        (lowest % 2 == 1).then_some(Modulus {
            words,
            inverse: inverse.wrapping_neg(),
        })
    }

    /// `out` = `a` * `b` / 2^(32 * len), for `a` and `b` below the modulus.
    fn multiply(&self, out: &mut [u32], a: &[u32], b: &[u32]) {
        out.fill(0);
        let mut above = 0;
        for &a in a {
            let carry = multiply_add(out, a, b);
            let lowest = out.first().copied().unwrap_or(0);
            let carry_again = multiply_add(out, lowest.wrapping_mul(self.inverse), self.words);
            // The lowest word is 0 now: all move down by one.
            let sum = u64::from(above) + u64::from(carry) + u64::from(carry_again);
            out.copy_within(1.., 0);
            if let Some(highest) = out.last_mut() {
                *highest = sum as u32;
            }
            above = (sum >> 32) as u32;
        }
        if above != 0 || !less(out, self.words) {
            subtract(out, self.words);
        }
    }

    /// `a` * 2 modulo the modulus.
    fn double(&self, a: &mut [u32]) {
        let mut carry = 0;
        for word in a.iter_mut() {
            (*word, carry) = (*word << 1 | carry, *word >> 31);
        }
        if carry != 0 || !less(a, self.words) {
            subtract(a, self.words);
        }
    }

    /// `x` to the power `exponent`, in place; `x` is below the modulus.
    fn power(&self, x: &mut [u32], exponent: u64) {
        let len = self.words.len();
        let (mut base, mut other): (Number, Number) = ([0; MAX_WORDS], [0; MAX_WORDS]);
        let (Some(base), Some(other)) = (base.get_mut(..len), other.get_mut(..len)) else {
            return;
        };
        // R = 2^(32 len) modulo the modulus, whose highest bit is set, is 0 - modulus. Doubled len times and squared five
        // times it is R * 2^(32 len), by which a multiplication brings a number into Montgomery's form.
        other.fill(0);
        subtract(other, self.words);
        for _ in 0..len {
            self.double(other);
        }
        for _ in 0..5 {
            self.multiply(base, other, other);
            other.copy_from_slice(base);
        }
        self.multiply(base, x, other);
        x.copy_from_slice(base);
        for bit in (0..exponent.ilog2()).rev() {
            self.multiply(other, x, x);
            if exponent >> bit & 1 == 1 {
                self.multiply(x, other, base);
            } else {
                x.copy_from_slice(other);
            }
        }
        base.fill(0);
        if let Some(lowest) = base.first_mut() {
            *lowest = 1;
        }
        self.multiply(other, x, base);
        x.copy_from_slice(other);
    }
}

/// RSAVP1 (RFC 8017, 5.2.2) with an RSAPublicKey in DER: the encoded message of the signature, in `message`.
fn encoded_message<'a>(
    key: &[u8],
    signature: &[u8],
    message: &'a mut [u8; MAX_BYTES],
) -> Option<&'a mut [u8]> {
    let mut input = key;
    let mut fields = der::contents(&mut input, der::SEQUENCE)?;
    let modulus = der::contents(&mut fields, der::INTEGER)?;
    let exponent = der::contents(&mut fields, der::INTEGER)?;
    // A positive number of which the highest bit is set has a zero byte ahead.
    let modulus = modulus.strip_prefix(&[0])?;
    if !input.is_empty()
        || !fields.is_empty()
        || modulus.first()? & 0x80 == 0
        || !BITS.contains(&(modulus.len() * 8))
        || modulus.len() % 4 != 0
        || signature.len() != modulus.len()
        || exponent.len() > 5
        || exponent.first()? & 0x80 != 0
    {
        return None;
    }
    let exponent = exponent.iter().fold(0, |e, &byte| e << 8 | u64::from(byte));
    if exponent < 3 || exponent % 2 == 0 {
        return None;
    }
    let len = modulus.len() / 4;
    let (mut n, mut x): (Number, Number) = ([0; MAX_WORDS], [0; MAX_WORDS]);
    let (n, x) = (n.get_mut(..len)?, x.get_mut(..len)?);
    load(n, modulus);
    load(x, signature);
    if !less(x, n) {
        return None;
    }
    Modulus::new(n)?.power(x, exponent);
    let message = message.get_mut(..modulus.len())?;
    for (bytes, word) in message.rchunks_mut(4).zip(x.iter()) {
        bytes.copy_from_slice(&word.to_be_bytes());
    }
    Some(message)
}

/// RSASSA-PKCS1-v1_5 (RFC 8017, 8.2.2), by comparison with the one right encoding. `prefix`: the DigestInfo up to the hash.
#[inline(never)]
pub fn verify_pkcs1(key: &[u8], signature: &[u8], prefix: &[u8], hash: &[u8]) -> bool {
    let mut message = [0; MAX_BYTES];
    let Some(message) = encoded_message(key, signature, &mut message) else {
        return false;
    };
    let Some(rest) = message.strip_prefix(&[0, 1]) else {
        return false;
    };
    let Some(rest) = rest
        .strip_suffix(hash)
        .and_then(|rest| rest.strip_suffix(prefix))
    else {
        return false;
    };
    let Some(padding) = rest.strip_suffix(&[0]) else {
        return false;
    };
    padding.len() >= 8 && padding.iter().all(|&byte| byte == 0xff)
}

/// RSASSA-PSS (RFC 8017, 8.1.2) with MGF1 of the same hash and a salt of its length (RFC 8446, 4.2.3).
#[inline(never)]
pub fn verify_pss<D: Digest>(key: &[u8], signature: &[u8], hash: &[u8]) -> bool {
    let mut message = [0; MAX_BYTES];
    let Some(message) = encoded_message(key, signature, &mut message) else {
        return false;
    };
    // Of the modulus the highest bit is set, so the encoded message has one bit less than its bytes.
    let Some((&mut 0xbc, rest)) = message.split_last_mut() else {
        return false;
    };
    let Some(at) = rest.len().checked_sub(hash.len()) else {
        return false;
    };
    let Some((block, expected)) = rest.split_at_mut_checked(at) else {
        return false;
    };
    match block.first_mut() {
        Some(first) if *first & 0x80 == 0 => {}
        _ => return false,
    }
    for (chunk, counter) in block.chunks_mut(hash.len()).zip(0u32..) {
        let mask = D::new()
            .chain_update(&*expected)
            .chain_update(counter.to_be_bytes())
            .finalize();
        for (byte, mask) in chunk.iter_mut().zip(mask) {
            *byte ^= mask;
        }
    }
    if let Some(first) = block.first_mut() {
        *first &= 0x7f;
    }
    let Some((zeros, salt)) = block
        .len()
        .checked_sub(hash.len())
        .and_then(|at| block.split_at_checked(at))
    else {
        return false;
    };
    let Some((&1, zeros)) = zeros.split_last() else {
        return false;
    };
    let found = D::new()
        .chain_update([0; 8])
        .chain_update(hash)
        .chain_update(salt)
        .finalize();
    zeros.iter().all(|&byte| byte == 0) && *found == *expected
}
