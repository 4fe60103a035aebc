//! As much of DER (X.690, 10) as is needed beside webpki.

#[cfg(feature = "rsa")]
pub const INTEGER: u8 = 0x02;
pub const SEQUENCE: u8 = 0x30;
/// The version of a certificate (RFC 5280, 4.1).
const VERSION: u8 = 0xa0;

/// An element off the front: its tag, its contents, and all of it. Lengths of more than two bytes are of no use here.
fn element<'a>(input: &mut &'a [u8]) -> Option<(u8, &'a [u8], &'a [u8])> {
    let &[tag, len, ref rest @ ..] = *input else {
        return None;
    };
    let (len, rest) = match (len, rest) {
        (0..=0x7f, _) => (usize::from(len), rest),
        (0x81, &[len, ref rest @ ..]) if len >= 0x80 => (usize::from(len), rest),
        (0x82, &[high, low, ref rest @ ..]) if high != 0 => {
            (usize::from(u16::from_be_bytes([high, low])), rest)
        }
        _ => return None,
    };
    let (contents, rest) = rest.split_at_checked(len)?;
    let all = input.get(..input.len() - rest.len())?;
    *input = rest;
    Some((tag, contents, all))
}

/// The contents of an element with that tag, off the front.
pub fn contents<'a>(input: &mut &'a [u8], tag: u8) -> Option<&'a [u8]> {
    element(input)
        .filter(|&(found, ..)| found == tag)
        .map(|(_, contents, _)| contents)
}

/// The SubjectPublicKeyInfo of a certificate, which is the seventh of its fields or, without a version, the sixth
/// (RFC 5280, 4.1).
pub fn public_key_info(certificate: &[u8]) -> Option<&[u8]> {
    let mut input = certificate;
    let mut input = contents(&mut input, SEQUENCE)?;
    let mut fields = contents(&mut input, SEQUENCE)?;
    let before = if fields.first() == Some(&VERSION) {
        6
    } else {
        5
    };
    for _ in 0..before {
        element(&mut fields)?;
    }
    let (tag, _, all) = element(&mut fields)?;
    (tag == SEQUENCE).then_some(all)
}

/// The elements of a concatenation; `None` is what is no sequence, and the last.
pub fn sequences(mut input: &[u8]) -> impl Iterator<Item = Option<&[u8]>> {
    core::iter::from_fn(move || {
        if input.is_empty() {
            return None;
        }
        let found = element(&mut input).filter(|&(tag, ..)| tag == SEQUENCE);
        if found.is_none() {
            input = &[];
        }
        Some(found.map(|(_, _, all)| all))
    })
}
