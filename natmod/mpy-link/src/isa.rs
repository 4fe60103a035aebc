//! What differs between instruction sets: the meaning of a relocation type and how its value is encoded.

mod arm;
mod riscv;
mod x64;
mod x86;
mod xtensa;

pub use self::{arm::Arm, riscv::Riscv, x64::X64, x86::X86, xtensa::Xtensa};

use crate::{error::Misfit, input::Object};

/// How the value of a relocation is computed. S: symbol, A: addend, P: place, G: slot that holds S, GOT: first slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Nothing to do.
    None,
    /// A whole word, S + A; the loader adds the base.
    Word,
    /// S + A - P, within the text.
    Near,
    /// G + A - P.
    Slot,
    /// GOT + A - P.
    Got,
    /// S + A - GOT, within the text.
    NearGot,
    /// G + A - GOT.
    SlotGot,
    /// The low half of the value whose high half the symbol points at.
    Low,
    /// Added to and subtracted from the same word: a difference of two places in the text.
    Add,
    Sub,
    /// Padding that a relaxing linker may shrink: what follows must be aligned without that.
    Align,
}

pub trait Isa: Sync {
    fn machine(&self) -> object::Architecture;

    /// `None` for an unknown type.
    fn kind(&self, r_type: u32) -> Option<Kind>;

    /// The addend that the field holds, where relocations carry none. `field` starts at the relocation.
    fn addend(&self, r_type: u32, field: &[u8]) -> Result<i64, Misfit> {
        let _ = r_type;
        Ok(i64::from(word(field)? as i32))
    }

    /// Puts `value` into the field; `place` is the field's address.
    fn encode(&self, r_type: u32, field: &mut [u8], value: i64, place: i64) -> Result<(), Misfit>;

    /// Slots come before the code instead of after it, so that the module starts with a jump to mpy_init.
    fn slots_first(&self) -> bool {
        false
    }

    /// That jump, from offset 0 to `to`.
    fn jump(&self, field: &mut [u8], to: i64) -> Result<(), Misfit> {
        let _ = (field, to);
        Ok(())
    }

    /// Brings an object into the form the linker expects.
    fn normalise(&self, object: &mut Object) -> Result<(), crate::Error> {
        let _ = object;
        Ok(())
    }
}

fn word(field: &[u8]) -> Result<u32, Misfit> {
    field
        .first_chunk()
        .map(|b| u32::from_le_bytes(*b))
        .ok_or(Misfit::Truncated)
}

fn half(field: &[u8]) -> Result<u16, Misfit> {
    field
        .first_chunk()
        .map(|b| u16::from_le_bytes(*b))
        .ok_or(Misfit::Truncated)
}

fn put<const N: usize>(field: &mut [u8], bytes: [u8; N]) -> Result<(), Misfit> {
    *field.first_chunk_mut().ok_or(Misfit::Truncated)? = bytes;
    Ok(())
}

fn put_word(field: &mut [u8], value: u32) -> Result<(), Misfit> {
    put(field, value.to_le_bytes())
}

fn put_half(field: &mut [u8], value: u16) -> Result<(), Misfit> {
    put(field, value.to_le_bytes())
}

/// `value` if it is a multiple of `to` and fits into `bits` signed bits.
fn fit(value: i64, bits: u32, to: i64) -> Result<u32, Misfit> {
    if value % to != 0 {
        return Err(Misfit::Misaligned { value, to });
    }
    let limit = 1 << (bits - 1);
    if (-limit..limit).contains(&value) {
        Ok(value as u32)
    } else {
        Err(Misfit::OutOfRange { value, bits })
    }
}

/// A full 32-bit field.
fn put_fit32(field: &mut [u8], value: i64) -> Result<(), Misfit> {
    put_word(field, fit(value, 32, 1)?)
}

fn sign_extend(value: u32, bits: u32) -> i64 {
    i64::from((value << (32 - bits)) as i32 >> (32 - bits))
}
