use super::{Isa, Kind, Misfit, put_fit32};
use object::elf::*;

/// x86, System V psABI.
pub struct X86;

impl Isa for X86 {
    fn machine(&self) -> object::Architecture {
        object::Architecture::I386
    }

    fn kind(&self, r_type: u32) -> Option<Kind> {
        Some(match r_type {
            R_386_NONE => Kind::None,
            R_386_32 => Kind::Word,
            R_386_PC32 | R_386_PLT32 => Kind::Near,
            R_386_GOTPC => Kind::Got,
            R_386_GOTOFF => Kind::NearGot,
            R_386_GOT32 | R_386_GOT32X => Kind::SlotGot,
            _ => return None,
        })
    }

    fn encode(&self, _: u32, field: &mut [u8], value: i64, _: i64) -> Result<(), Misfit> {
        put_fit32(field, value)
    }
}
