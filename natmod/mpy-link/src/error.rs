//! What can be wrong with the input.

use std::{fmt, path::PathBuf};
use thiserror::Error;

/// A place in the input: object member, section, offset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Site {
    pub object: String,
    pub section: String,
    pub offset: u64,
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}:({}+{:#x})",
            self.object,
            rustc_demangle::demangle(&self.section),
            self.offset
        )
    }
}

/// Why a relocation's value does not go into its field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Misfit {
    #[error("{value:#x} bytes away, further than {bits} signed bits reach")]
    OutOfRange { value: i64, bits: u32 },
    #[error("{value:#x} is not a multiple of {to}")]
    Misaligned { value: i64, to: i64 },
    #[error("the instruction {0:#x} takes no such relocation")]
    Opcode(u32),
    #[error("the field reaches beyond the end of its section")]
    Truncated,
}

/// Each message names the symbol, the object member, the section and the offset where there is one.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    #[error("the table of architectures is malformed: {0}")]
    Table(#[from] serde_json::Error),
    #[error("unknown architecture `{name}`: use one of {known}")]
    UnknownArchitecture { name: String, known: String },
    #[error("cannot read {}: {source}", path.display())]
    Read {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("cannot write {}: {source}", path.display())]
    Write {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("{object}: not a well-formed object file: {source}")]
    Object {
        object: String,
        source: object::Error,
    },
    #[error("{object}: not an ELF object: build with lto=\"fat\" and without -Clinker-plugin-lto")]
    NotElf { object: String },
    #[error("{object}: made for {found}, but {arch} needs {wanted}: check the rustc target")]
    WrongMachine {
        object: String,
        arch: String,
        found: String,
        wanted: String,
    },
    #[error("no symbol mpy_init in {0}: the module must export `extern \"C\" fn mpy_init`")]
    NoEntry(String),
    #[error("mpy_init is not at the start of its section ({0}): build with function sections")]
    EntryNotFirst(Site),
    #[error("`{symbol}` is defined both in {first} and in {second}")]
    Duplicate {
        symbol: String,
        first: String,
        second: String,
    },
    #[error("undefined symbol `{symbol}`, wanted at {site}{}", hint(symbol))]
    Undefined { symbol: String, site: Site },
    #[error("`{symbol}` at {site} is {what}, which a native module cannot hold")]
    UnsupportedSymbol {
        symbol: String,
        what: &'static str,
        site: Site,
    },
    #[error("unknown relocation type {r_type} to `{symbol}` at {site}: {}", MODEL)]
    UnknownRelocation {
        r_type: u32,
        symbol: String,
        site: Site,
    },
    #[error("relocation type {r_type} to `{symbol}` at {site} lies outside of its section")]
    OutsideSection {
        r_type: u32,
        symbol: String,
        site: Site,
    },
    #[error(
        "section {section} of {object} ({why}) is in use: no loader of native modules supports it"
    )]
    UnknownSection {
        object: String,
        section: String,
        why: &'static str,
    },
    #[error("section {section} of {object} is aligned to {align} bytes, the loader grants {limit}")]
    Alignment {
        object: String,
        section: String,
        align: u64,
        limit: u64,
    },
    #[error(
        "the address of `{symbol}` at {site} is not word aligned: the loader patches whole words only"
    )]
    UnalignedWord { symbol: String, site: Site },
    #[error(
        "relocation type {r_type} at {site} reaches `{symbol}` relative to the program counter, but both must be in the text: {}",
        MODEL
    )]
    NotText {
        r_type: u32,
        symbol: String,
        site: Site,
    },
    #[error("relocation type {r_type} to `{symbol}` at {site}: {why}")]
    Misfit {
        r_type: u32,
        symbol: String,
        site: Site,
        why: Misfit,
    },
    #[error("relocation type {r_type} to `{symbol}` at {site} lacks its other half")]
    Unpaired {
        r_type: u32,
        symbol: String,
        site: Site,
    },
    #[error("the module's name `{0}` is empty or longer than 255 bytes")]
    Name(String),
    #[error("{what} is not a native module of .mpy version 6.3: {why}")]
    Mpy { what: String, why: &'static str },
}

const MODEL: &str = "check the relocation model (pic, on ARM and Xtensa static)";

fn hint(symbol: &str) -> &'static str {
    match symbol {
        _ if symbol.starts_with("mp_") => ": not in mp_fun_table, use what py/nativeglue.h lists",
        "abort" => ": LLVM calls it for a trap, define it in the module",
        "memcpy" | "memmove" | "memset" | "memcmp" | "bcmp" => ": define it in the module",
        _ => "",
    }
}
