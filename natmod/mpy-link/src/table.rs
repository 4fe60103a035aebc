//! The table of architectures, `natmod/architectures.json`.

use crate::{
    Error,
    isa::{self, Isa},
};
use serde::Deserialize;
use std::collections::BTreeMap;

/// One architecture of MicroPython's native modules: what a linker has to know of it.
#[derive(Debug, Clone, Deserialize)]
pub struct Architecture {
    /// Name, as in MicroPython's `ARCH=`.
    #[serde(skip)]
    pub name: String,
    /// Number in the .mpy header.
    pub code: u8,
    isa: IsaName,
    /// Bytes of an address.
    pub word: usize,
    /// Constants and statics live in data memory of their own, because code memory cannot be read by the byte.
    pub split: bool,
    /// Alignment in bytes the loader grants to the text.
    pub align: u64,
    /// Most bytes a module may have.
    pub budget: Option<Budget>,
    /// Of the module for MQTT 3.1.1 only.
    pub budget_3_1_1: Option<Budget>,
    /// Of the module for umqtt alone.
    pub budget_umqtt: Option<Budget>,
    /// Of the module `_mqtt_tls`, and of that for keys of P-256 only; none where it is not built.
    pub budget_tls: Option<Budget>,
    pub budget_tls_p256: Option<Budget>,
}

/// Upper limits in bytes of a module.
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct Budget {
    pub text: usize,
    pub rodata: usize,
    pub bss: usize,
    pub file: usize,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum IsaName {
    X86,
    X64,
    Arm,
    Riscv,
    Xtensa,
}

impl Architecture {
    /// All of the table, sorted by name.
    ///
    /// # Errors
    /// [`Error::Table`] if the table compiled in is malformed.
    pub fn all() -> Result<Vec<Self>, Error> {
        let table: BTreeMap<String, Self> =
            serde_json::from_str(include_str!("../../architectures.json"))?;
        Ok(table
            .into_iter()
            .map(|(name, arch)| Self { name, ..arch })
            .collect())
    }

    /// # Errors
    /// [`Error::UnknownArchitecture`] if the table has no such name.
    pub fn named(name: &str) -> Result<Self, Error> {
        let all = Self::all()?;
        let known = all
            .iter()
            .map(|a| a.name.as_str())
            .collect::<Vec<_>>()
            .join(" ");
        all.into_iter()
            .find(|a| a.name == name)
            .ok_or_else(|| Error::UnknownArchitecture {
                name: name.into(),
                known,
            })
    }

    /// The architecture of a .mpy header's number, if the table has it.
    ///
    /// # Errors
    /// [`Error::Table`] if the table compiled in is malformed.
    pub fn numbered(code: u8) -> Result<Option<Self>, Error> {
        Ok(Self::all()?.into_iter().find(|a| a.code == code))
    }

    pub(crate) fn isa(&self) -> &'static dyn Isa {
        match self.isa {
            IsaName::X86 => &isa::X86,
            IsaName::X64 => &isa::X64,
            IsaName::Arm => &isa::Arm,
            IsaName::Riscv if self.word == 8 => &isa::Riscv::<64>,
            IsaName::Riscv => &isa::Riscv::<32>,
            IsaName::Xtensa => &isa::Xtensa,
        }
    }
}
