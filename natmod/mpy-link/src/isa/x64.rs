use super::{Isa, Kind, Misfit, put_fit32};
use object::elf::*;

/// x86-64, System V psABI.
pub struct X64;

impl Isa for X64 {
    fn machine(&self) -> object::Architecture {
        object::Architecture::X86_64
    }

    fn kind(&self, r_type: u32) -> Option<Kind> {
        Some(match r_type {
            R_X86_64_NONE => Kind::None,
            R_X86_64_64 => Kind::Word,
            R_X86_64_PC32 | R_X86_64_PLT32 => Kind::Near,
            R_X86_64_GOTPCREL | R_X86_64_GOTPCRELX | R_X86_64_REX_GOTPCRELX => Kind::Slot,
            _ => return None,
        })
    }

    fn encode(&self, _: u32, field: &mut [u8], value: i64, _: i64) -> Result<(), Misfit> {
        put_fit32(field, value)
    }
}
