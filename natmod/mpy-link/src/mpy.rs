//! The file format, .mpy version 6.3 (py/persistentcode.c).

use crate::{
    Architecture, Error,
    image::{Base, Image},
    layout::Region,
};
use std::iter;

const VERSION: u8 = 6;
const SUB_VERSION: u8 = 3;
const SMALL_INT_BITS: u8 = 31;
const VIPER: usize = 2;
const HAS_RELOCATIONS: usize = 0x10;
const HAS_RODATA: usize = 0x20;
const HAS_BSS: usize = 0x40;
const END: u8 = 0xff;

/// Names that every firmware has, by their numbers in .mpy files (py/makeqstrdata.py): the exceptions, from
/// [`FIRST_STATIC`] on.
const STATIC: [&str; 27] = [
    "ArithmeticError",
    "AssertionError",
    "AttributeError",
    "BaseException",
    "EOFError",
    "Ellipsis",
    "Exception",
    "GeneratorExit",
    "ImportError",
    "IndentationError",
    "IndexError",
    "KeyError",
    "KeyboardInterrupt",
    "LookupError",
    "MemoryError",
    "NameError",
    "NoneType",
    "NotImplementedError",
    "OSError",
    "OverflowError",
    "RuntimeError",
    "StopIteration",
    "SyntaxError",
    "SystemExit",
    "TypeError",
    "ValueError",
    "ZeroDivisionError",
];
const FIRST_STATIC: usize = 30;

/// The file that holds `image`; `name` is what the module calls itself, 1 to 255 bytes.
pub fn write(arch: &Architecture, name: &str, image: &Image) -> Vec<u8> {
    let mut o = vec![b'M', VERSION, arch.code << 2 | SUB_VERSION, SMALL_INT_BITS];
    put_uint(&mut o, 1 + image.qstrs.len());
    put_uint(&mut o, 0);
    for qstr in iter::once(name).chain(image.qstrs.iter().map(String::as_str)) {
        if let Some(n) = STATIC.iter().position(|s| *s == qstr) {
            put_uint(&mut o, ((FIRST_STATIC + n) << 1) | 1);
            continue;
        }
        put_uint(&mut o, qstr.len() << 1);
        o.extend(qstr.bytes());
        o.push(0);
    }
    put_uint(&mut o, image.text.len() << 3 | VIPER);
    o.extend(&image.text);
    let flag = |on: bool, flag| if on { flag } else { 0 };
    let (rodata, bss) = (image.rodata.len(), image.bss);
    put_uint(
        &mut o,
        HAS_RELOCATIONS | flag(rodata > 0, HAS_RODATA) | flag(bss > 0, HAS_BSS),
    );
    for size in [rodata, bss].into_iter().filter(|s| *s > 0) {
        put_uint(&mut o, size);
    }
    o.extend(&image.rodata);
    put_relocations(&mut o, arch.word, image);
    o
}

/// Seven bits a byte, the highest first.
fn put_uint(o: &mut Vec<u8>, value: usize) {
    let septets = (usize::BITS - value.leading_zeros()).div_ceil(7).max(1);
    for i in (0..septets).rev() {
        let more = if i > 0 { 0x80 } else { 0 };
        o.push(more | (value >> (7 * i)) as u8 & 0x7f);
    }
}

/// Each relocation is an operation: its lowest bit says that an address follows, else it is the next word.
fn put_relocations(o: &mut Vec<u8>, word: usize, image: &Image) {
    let mut all = image
        .relocations
        .iter()
        .map(|((region, at), base)| (*region, at / word, *base))
        .peekable();
    let mut next = None;
    while let Some((region, at, base)) = all.next() {
        let mut run = 1;
        // the loader counts runs of the three regions only
        if let Base::Region(_) = base {
            while all.next_if_eq(&(region, at + run, base)).is_some() {
                run += 1;
            }
        }
        let counted = usize::from(run > 1);
        let kind = match base {
            Base::Region(Region::Text) => counted,
            Base::Region(Region::Rodata) => 2 | counted,
            Base::Region(Region::Bss) => 4 | counted,
            Base::Qstrs => 6,
            Base::FunTable => 8,
            Base::FunTableSlot(slot) => 9 + usize::from(slot),
        };
        let addressed = next != Some((region, at));
        o.push((kind << 1) as u8 | u8::from(addressed));
        if addressed {
            put_uint(o, at << 1 | usize::from(region == Region::Rodata));
        }
        if run > 1 {
            put_uint(o, run);
        }
        next = Some((region, at + run));
    }
    o.push(END);
}

/// Sizes in bytes of a native module, and its architecture's number in the header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    pub code: u8,
    pub qstrs: usize,
    pub text: usize,
    pub rodata: usize,
    pub bss: usize,
    pub file: usize,
}

impl Sizes {
    /// Reads the file `what`.
    ///
    /// # Errors
    /// [`Error::Mpy`] if `data` is not a native module of this version, as [`crate::link`] writes it.
    pub fn read(what: &str, data: &[u8]) -> Result<Self, Error> {
        let bad = |why| Error::Mpy {
            what: what.into(),
            why,
        };
        let [b'M', VERSION, feature, SMALL_INT_BITS, rest @ ..] = data else {
            return Err(bad(
                "its header does not start with M, 6, the architecture and 31",
            ));
        };
        if feature & 3 != SUB_VERSION || feature >> 2 == 0 {
            return Err(bad("no native code of sub-version 3"));
        }
        let mut r = Reader(rest);
        let sizes = r
            .sizes()
            .ok_or_else(|| bad("it is cut short or holds more than native code"))?;
        Ok(Self {
            code: feature >> 2,
            file: data.len(),
            ..sizes
        })
    }
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn sizes(&mut self) -> Option<Sizes> {
        let qstrs = self.uint()?;
        if self.uint()? != 0 {
            return None;
        }
        for _ in 0..qstrs {
            let length = self.uint()?;
            // an odd number stands for a name every firmware has
            if length & 1 == 0 {
                self.skip((length >> 1) + 1)?;
            }
        }
        let text = self.uint()?;
        if text & 7 != VIPER {
            return None;
        }
        self.skip(text >> 3)?;
        let flags = self.uint()?;
        let rodata = if flags & HAS_RODATA != 0 {
            self.uint()?
        } else {
            0
        };
        let bss = if flags & HAS_BSS != 0 {
            self.uint()?
        } else {
            0
        };
        self.skip(rodata)?;
        (*self.0.last()? == END).then_some(Sizes {
            code: 0,
            qstrs,
            text: text >> 3,
            rodata,
            bss,
            file: 0,
        })
    }

    fn uint(&mut self) -> Option<usize> {
        let mut value = 0_usize;
        loop {
            let (byte, rest) = self.0.split_first()?;
            self.0 = rest;
            value = value.checked_mul(128)? | usize::from(byte & 0x7f);
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
    }

    fn skip(&mut self, bytes: usize) -> Option<()> {
        self.0 = self.0.get(bytes..)?;
        Some(())
    }
}
