//! The filter in front of embedded-tls: only the records that may come now, and a ServerHello that was checked, get there.
//!
//! embedded-tls 0.19.0 relies on its peer for this: it takes plaintext records for its own ones at any time and does not
//! look at what a ServerHello chose.

use crate::Error;
use heapless::Vec;

/// Record types (RFC 8446, 5.1).
const CHANGE_CIPHER_SPEC: u8 = 20;
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const APPLICATION_DATA: u8 = 23;

/// Bytes of a record's header.
const HEADER: usize = 5;

/// The longest protected record (RFC 8446, 5.2), and the shortest: a type and a tag.
const PROTECTED: core::ops::RangeInclusive<usize> = 17..=(1 << 14) + 256;

/// The longest plaintext record, which is a ServerHello: with a key share of secp256r1 it has 123 bytes.
const PLAIN: usize = 512;

/// So many records in a row may bring no data: a handshake has less than ten, servers send up to four tickets at once.
const FRUITLESS: u8 = 32;

/// The first bytes of the random of a HelloRetryRequest (RFC 8446, 4.1.3), which no other has but by a chance of 2^-64.
const RETRY: [u8; 8] = [0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11];

const TLS_AES_128_GCM_SHA256: [u8; 2] = [0x13, 0x01];

/// The extension supported_versions, of two bytes, TLS 1.3 (RFC 8446, 4.2.1).
const VERSION_1_3: [u8; 6] = [0, 43, 0, 2, 3, 4];

/// Watches the bytes that come from the server.
pub struct Filter {
    header: Vec<u8, HEADER>,
    /// Bytes of the record that are still to come.
    left: usize,
    /// What a record in plaintext holds.
    plain: Vec<u8, PLAIN>,
    /// ServerHello came: there are keys.
    protected: bool,
    /// The handshake is over.
    open: bool,
    /// The longest record that there is room for.
    largest: usize,
    fruitless: u8,
}

impl Filter {
    /// `largest`: bytes of the longest record, without its header, that there is room for.
    pub fn new(largest: usize) -> Self {
        Filter {
            header: Vec::new(),
            left: 0,
            plain: Vec::new(),
            protected: false,
            open: false,
            largest,
            fruitless: 0,
        }
    }

    /// So many bytes, at most, are to be given to [`accept`](Self::accept) next; not 0.
    pub fn wanted(&self) -> usize {
        match self.left {
            0 if self.header.is_full() => HEADER,
            0 => HEADER - self.header.len(),
            left => left,
        }
    }

    /// ServerHello came and was accepted.
    pub fn protected(&self) -> bool {
        self.protected
    }

    /// Bytes of the record that is complete, without the header, if it is a protected one.
    pub fn whole(&self) -> Option<usize> {
        match *self.header.as_slice() {
            [APPLICATION_DATA, _, _, h, l] if self.left == 0 => {
                Some(u16::from_be_bytes([h, l]).into())
            }
            _ => None,
        }
    }

    /// The handshake is over.
    pub fn open(&mut self) {
        self.open = true;
        self.fruitless = 0;
    }

    /// Data came out of the records.
    pub fn fruitful(&mut self) {
        self.fruitless = 0;
    }

    /// The next bytes, at most as many as are wanted.
    pub fn accept(&mut self, bytes: &[u8]) -> Result<(), Error> {
        if self.left > 0 {
            return self.body(bytes);
        }
        if self.header.is_full() {
            self.header.clear();
        }
        self.header
            .extend_from_slice(bytes)
            .map_err(|_| Error::Internal)?;
        match *self.header.as_slice() {
            [kind, _, _, h, l] => self.begin(kind, u16::from_be_bytes([h, l]).into()),
            _ => Ok(()),
        }
    }

    /// A record of that type and length begins. Its version says nothing (RFC 8446, 5.1).
    fn begin(&mut self, kind: u8, len: usize) -> Result<(), Error> {
        let allowed = match (kind, self.protected) {
            (HANDSHAKE, false) => (4..=PLAIN).contains(&len),
            (ALERT, false) => len == 2,
            (CHANGE_CIPHER_SPEC, true) => len == 1 && !self.open,
            (APPLICATION_DATA, true) => PROTECTED.contains(&len),
            _ => false,
        };
        if !allowed {
            return Err(Error::Record);
        }
        if len > self.largest {
            return Err(Error::RecordTooLarge);
        }
        self.fruitless += 1;
        if self.fruitless > FRUITLESS {
            return Err(Error::Flood);
        }
        self.left = len;
        self.plain.clear();
        Ok(())
    }

    fn body(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.left = self.left.checked_sub(bytes.len()).ok_or(Error::Internal)?;
        let kind = self.header.first().copied().unwrap_or(0);
        if kind == APPLICATION_DATA {
            return Ok(());
        }
        self.plain
            .extend_from_slice(bytes)
            .map_err(|_| Error::Internal)?;
        if self.left > 0 {
            return Ok(());
        }
        match (kind, self.plain.as_slice()) {
            (HANDSHAKE, hello) => {
                check_server_hello(hello)?;
                self.protected = true;
                Ok(())
            }
            (ALERT, &[_, alert]) => Err(Error::Alert(alert)),
            (CHANGE_CIPHER_SPEC, [1]) => Ok(()),
            _ => Err(Error::Record),
        }
    }
}

/// Whether a ServerHello chose what was offered, and nothing follows it in its record, since the keys change with it
/// (RFC 8446, 4.1.3 and 5.1). The key share is left to embedded-tls.
fn check_server_hello(message: &[u8]) -> Result<(), Error> {
    let mut hello = Fields(message);
    let [kind, high, middle, low] = hello.array()?;
    if kind != 2 || usize::from(u16::from_be_bytes([middle, low])) != hello.0.len() || high != 0 {
        return Err(Error::Message);
    }
    let version = hello.array::<2>()?;
    let random = hello.array::<32>()?;
    let session = hello.u8()?;
    if version != [3, 3] || session != 0 {
        return Err(Error::Version);
    }
    let suite = hello.array::<2>()?;
    let compression = hello.u8()?;
    if hello.0.is_empty() {
        return Err(Error::Version);
    }
    let extensions = hello.u16()?;
    if usize::from(extensions) != hello.0.len() {
        return Err(Error::Message);
    }
    let mut is_1_3 = false;
    let mut acceptable = true;
    let mut seen = 0u64;
    while !hello.0.is_empty() {
        let extension = hello.0;
        let kind = hello.u16()?;
        let len = hello.u16()?;
        hello.skip(len.into())?;
        is_1_3 |= extension.starts_with(&VERSION_1_3);
        // Only these two and that of a HelloRetryRequest may come here, each once.
        acceptable &= matches!(kind, 43 | 44 | 51) && seen & 1 << kind == 0;
        seen |= 1u64.checked_shl(kind.into()).unwrap_or(0);
    }
    if !is_1_3 {
        return Err(Error::Version);
    }
    if !acceptable {
        return Err(Error::Message);
    }
    if random.starts_with(&RETRY) {
        return Err(Error::Group);
    }
    if suite != TLS_AES_128_GCM_SHA256 || compression != 0 {
        return Err(Error::Suite);
    }
    Ok(())
}

/// Reads fields off the front.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let (first, rest) = self.0.split_first_chunk::<N>().ok_or(Error::Message)?;
        self.0 = rest;
        Ok(*first)
    }

    fn u8(&mut self) -> Result<u8, Error> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn u16(&mut self) -> Result<u16, Error> {
        self.array().map(u16::from_be_bytes)
    }

    fn skip(&mut self, n: usize) -> Result<(), Error> {
        self.0 = self.0.get(n..).ok_or(Error::Message)?;
        Ok(())
    }
}
