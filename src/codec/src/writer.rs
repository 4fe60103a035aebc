use crate::{Error, Place, Properties, Version, string, topic};

/// Puts fields in wire order into a slice. What no longer fits is counted, not written: with an empty slice it
/// only measures.
pub struct Writer<'b> {
    out: &'b mut [u8],
    len: usize,
    follows: usize,
}

impl<'b> Writer<'b> {
    pub(crate) fn new(out: &'b mut [u8]) -> Self {
        Writer {
            out,
            len: 0,
            follows: 0,
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

    /// The bytes put, if all did fit.
    pub(crate) fn finish(self) -> Result<&'b [u8], Error> {
        self.out.get(..self.len).ok_or(Error::BufferTooSmall)
    }

    /// Announces bytes of the same packet that someone else will write.
    pub(crate) fn follow(&mut self, len: usize) {
        self.follows = len;
    }

    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        let room = self.out.get_mut(self.len..);
        if let Some(room) = room.and_then(|room| room.get_mut(..bytes.len())) {
            room.copy_from_slice(bytes);
        }
        self.len = self.len.saturating_add(bytes.len());
    }

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
    pub(crate) fn binary(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.u16(string::check_len(bytes)?);
        self.raw(bytes);
        Ok(())
    }

    /// A UTF-8 encoded string (1.5.4).
    pub(crate) fn string(&mut self, bytes: &[u8]) -> Result<(), Error> {
        string::check(bytes)?;
        self.binary(bytes)
    }

    /// A topic name (4.7.1).
    pub(crate) fn topic(&mut self, name: &[u8]) -> Result<(), Error> {
        topic::check_topic_name(name)?;
        self.binary(name)
    }

    /// Property length and properties (2.2.2), nothing in 3.1.1.
    pub(crate) fn properties(
        &mut self,
        version: Version,
        properties: Properties<'_>,
        place: Place,
    ) -> Result<(), Error> {
        if version == Version::V3 {
            return if properties.is_empty() {
                Ok(())
            } else {
                Err(Error::NotInV3)
            };
        }
        properties.check(place)?;
        let block = properties.as_bytes();
        // a longer block fails with the packet as a whole
        self.varint(block.len() as u32);
        self.raw(block);
        Ok(())
    }

    /// A reason code with its properties, at the end of a packet: both left out, or the properties alone, where
    /// they say nothing (3.4.2.1, 3.14.2.1). In 3.1.1 there is no reason code.
    pub(crate) fn reason(
        &mut self,
        version: Version,
        reason: u8,
        properties: Properties<'_>,
        place: Place,
    ) -> Result<(), Error> {
        if version == Version::V5 && (reason != 0 || !properties.is_empty()) {
            self.u8(reason);
        }
        if properties.is_empty() {
            return Ok(());
        }
        self.properties(version, properties, place)
    }
}
