use crate::reason::{self, Carrier};
use crate::{Error, Pid, Place, Properties, Version, topic, varint};

/// Takes fields off the front of a packet's body, in wire order. The first error sticks, and from there on
/// everything is zero and empty: [`Reader::finish`] tells.
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
    result: Result<(), Error>,
}

impl<'a> Reader<'a> {
    pub fn new(rest: &'a [u8]) -> Self {
        Reader {
            rest,
            result: Ok(()),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub fn fail(&mut self, error: Error) {
        self.check(Err(error));
    }

    /// Fails with the error, if it is one.
    #[inline(never)]
    pub fn check(&mut self, result: Result<(), Error>) {
        if result.is_err() && self.result.is_ok() {
            self.result = result;
            self.rest = &[];
        }
    }

    /// The error, if there was one.
    pub fn result(&self) -> Result<(), Error> {
        self.result
    }

    /// The error, if there was one or if anything is left.
    pub fn finish(&mut self) -> Result<(), Error> {
        if !self.is_empty() {
            self.fail(Error::Trailing);
        }
        self.result
    }

    /// All that is left.
    pub fn rest(&mut self) -> &'a [u8] {
        core::mem::take(&mut self.rest)
    }

    pub fn take(&mut self, len: usize, beyond: Error) -> &'a [u8] {
        match self.rest.split_at_checked(len) {
            Some((taken, rest)) => {
                self.rest = rest;
                taken
            }
            None => {
                self.fail(beyond);
                &[]
            }
        }
    }

    /// A big-endian number of up to four bytes.
    pub fn number(&mut self, len: usize) -> u32 {
        self.take(len, Error::Truncated)
            .iter()
            .fold(0, |value, &byte| value << 8 | u32::from(byte))
    }

    #[inline(never)]
    pub fn u8(&mut self) -> u8 {
        self.number(1) as u8
    }

    pub fn u16(&mut self) -> u16 {
        self.number(2) as u16
    }

    #[inline(never)]
    pub fn pid(&mut self) -> Pid {
        Pid::new(self.u16()).unwrap_or_else(|| {
            self.fail(Error::ZeroPid);
            Pid::MIN
        })
    }

    pub fn varint(&mut self) -> u32 {
        match varint::decode(self.rest) {
            Ok((value, len)) => {
                self.take(len, Error::Truncated);
                value
            }
            Err(error) => {
                self.fail(error);
                0
            }
        }
    }

    /// Binary data (1.5.6), or a UTF-8 encoded string (1.5.4) not yet checked.
    pub fn binary(&mut self) -> &'a [u8] {
        let len = self.u16();
        self.take(len.into(), Error::StringBeyondPacket)
    }

    /// A topic name (4.7.1), or an empty string.
    pub fn topic(&mut self) -> &'a [u8] {
        let name = self.binary();
        self.check(topic::check_wildcard_free(name));
        name
    }

    /// A reason code and properties at the end of a packet of MQTT 5: both may be left out, or the properties
    /// alone (3.4.2.1, 3.14.2.1).
    #[inline(never)]
    pub fn reason(&mut self, carrier: Carrier, place: Place) -> (u8, Properties<'a>) {
        if self.is_empty() {
            return (0, Properties::EMPTY);
        }
        let code = self.u8();
        self.check(reason::check(code, carrier));
        if self.is_empty() {
            return (code, Properties::EMPTY);
        }
        (code, self.properties(Version::V5, place))
    }
}
