use crate::{Error, Properties, Version, string, topic};

/// Puts fields in wire order into a slice. What no longer fits is counted, not written: with an empty slice it
/// only measures. The first error sticks: [`Writer::result`] tells.
pub struct Writer<'b> {
    out: &'b mut [u8],
    len: usize,
    follows: usize,
    result: Result<(), Error>,
}

impl<'b> Writer<'b> {
    pub(crate) fn new(out: &'b mut [u8]) -> Self {
        Writer {
            out,
            len: 0,
            follows: 0,
            result: Ok(()),
        }
    }

    /// Bytes put so far.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Bytes of the packet that come after those put here, see [`Writer::follow`].
    pub(crate) fn follows(&self) -> usize {
        self.follows
    }

    /// The error, if there was one.
    pub(crate) fn result(&self) -> Result<(), Error> {
        self.result
    }

    /// The bytes put, if all did fit.
    pub(crate) fn finish(self) -> Result<&'b [u8], Error> {
        self.result?;
        self.out.get(..self.len).ok_or(Error::BufferTooSmall)
    }

    pub(crate) fn fail(&mut self, error: Error) {
        self.check(Err(error));
    }

    /// Fails with the error, if it is one.
    #[inline(never)]
    pub(crate) fn check(&mut self, result: Result<(), Error>) {
        if self.result.is_ok() {
            self.result = result;
        }
    }

    /// Announces bytes of the same packet that someone else will write.
    pub(crate) fn follow(&mut self, len: usize) {
        self.follows = len;
    }

    #[inline(never)]
    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        let room = self.out.get_mut(self.len..);
        if let Some(room) = room.and_then(|room| room.get_mut(..bytes.len())) {
            room.copy_from_slice(bytes);
        }
        self.len = self.len.saturating_add(bytes.len());
    }

    #[inline(never)]
    pub(crate) fn u8(&mut self, value: u8) {
        self.raw(&[value]);
    }

    pub(crate) fn u16(&mut self, value: u16) {
        self.raw(&value.to_be_bytes());
    }

    pub(crate) fn u32(&mut self, value: u32) {
        self.raw(&value.to_be_bytes());
    }

    /// A variable byte integer (1.5.5); `value` is at most [`crate::varint::MAX`].
    pub(crate) fn varint(&mut self, mut value: u32) {
        while value > 0x7F {
            self.u8(value as u8 | 0x80);
            value >>= 7;
        }
        self.u8(value as u8);
    }

    /// Binary data (1.5.6).
    pub(crate) fn binary(&mut self, bytes: &[u8]) {
        match string::check_len(bytes) {
            Ok(len) => {
                self.u16(len);
                self.raw(bytes);
            }
            Err(error) => self.fail(error),
        }
    }

    /// A UTF-8 encoded string (1.5.4).
    pub(crate) fn string(&mut self, bytes: &[u8]) {
        self.check(string::check(bytes));
        self.binary(bytes);
    }

    /// A topic name (4.7.1).
    pub(crate) fn topic(&mut self, name: &[u8]) {
        self.check(topic::check_topic_name(name));
        self.binary(name);
    }

    /// Property length and properties (2.2.2), nothing in 3.1.1. They are taken as checked.
    pub(crate) fn properties(&mut self, version: Version, properties: Properties<'_>) {
        self.properties_and(version, properties, 0);
    }

    /// As [`Writer::properties`], and `more` bytes of properties that will follow.
    pub(crate) fn properties_and(
        &mut self,
        version: Version,
        properties: Properties<'_>,
        more: usize,
    ) {
        let block = properties.as_bytes();
        if version.is_v5() {
            // a longer block fails with the packet as a whole
            self.varint((block.len() + more) as u32);
            self.raw(block);
        } else if block.len() + more > 0 {
            self.fail(Error::NotInV3);
        }
    }
}
