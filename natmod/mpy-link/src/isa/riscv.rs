use super::{Isa, Kind, Misfit, fit, half, put_fit32, put_half, put_word, word};
use object::elf::*;

/// RISC-V with registers of so many bits, ELF psABI.
pub struct Riscv<const BITS: u32>;

impl<const BITS: u32> Isa for Riscv<BITS> {
    fn machine(&self) -> object::Architecture {
        if BITS == 64 {
            object::Architecture::Riscv64
        } else {
            object::Architecture::Riscv32
        }
    }

    fn kind(&self, r_type: u32) -> Option<Kind> {
        Some(match r_type {
            R_RISCV_NONE | R_RISCV_RELAX => Kind::None,
            R_RISCV_32 if BITS == 32 => Kind::Word,
            R_RISCV_64 if BITS == 64 => Kind::Word,
            R_RISCV_BRANCH | R_RISCV_JAL | R_RISCV_CALL | R_RISCV_CALL_PLT | R_RISCV_PCREL_HI20
            | R_RISCV_RVC_BRANCH | R_RISCV_RVC_JUMP | R_RISCV_32_PCREL => Kind::Near,
            R_RISCV_GOT_HI20 => Kind::Slot,
            R_RISCV_PCREL_LO12_I | R_RISCV_PCREL_LO12_S => Kind::Low,
            R_RISCV_ADD32 => Kind::Add,
            R_RISCV_SUB32 => Kind::Sub,
            R_RISCV_ALIGN => Kind::Align,
            _ => return None,
        })
    }

    fn encode(&self, r_type: u32, field: &mut [u8], value: i64, _: i64) -> Result<(), Misfit> {
        // the low half is signed: the high half makes up for it
        let high =
            |value: i64| Ok::<u32, Misfit>((fit(value, 32, 1)?.wrapping_add(0x800)) & 0xffff_f000);
        match r_type {
            R_RISCV_BRANCH => {
                let d = fit(value, 13, 2)?;
                let op = word(field)? & 0x01ff_f07f;
                put_word(
                    field,
                    op | bits(d, 12, 1, 31)
                        | bits(d, 5, 6, 25)
                        | bits(d, 1, 4, 8)
                        | bits(d, 11, 1, 7),
                )
            }
            R_RISCV_JAL => {
                let d = fit(value, 21, 2)?;
                let op = word(field)? & 0xfff;
                put_word(
                    field,
                    op | bits(d, 20, 1, 31)
                        | bits(d, 1, 10, 21)
                        | bits(d, 11, 1, 20)
                        | bits(d, 12, 8, 12),
                )
            }
            R_RISCV_CALL | R_RISCV_CALL_PLT => {
                let auipc = word(field)? & 0xfff | high(value)?;
                put_word(field, auipc)?;
                let jalr = field.get_mut(4..).ok_or(Misfit::Truncated)?;
                let op = word(jalr)? & 0xf_ffff;
                put_word(jalr, op | (value as u32) << 20)
            }
            R_RISCV_PCREL_HI20 | R_RISCV_GOT_HI20 => {
                let op = word(field)? & 0xfff;
                put_word(field, op | high(value)?)
            }
            R_RISCV_PCREL_LO12_I => {
                let op = word(field)? & 0xf_ffff;
                put_word(field, op | (value as u32) << 20)
            }
            R_RISCV_PCREL_LO12_S => {
                let op = word(field)? & 0x01ff_f07f;
                put_word(
                    field,
                    op | bits(value as u32, 5, 7, 25) | bits(value as u32, 0, 5, 7),
                )
            }
            R_RISCV_RVC_BRANCH => {
                let d = fit(value, 9, 2)?;
                let op = half(field)? & 0xe383;
                let imm = bits(d, 8, 1, 12)
                    | bits(d, 3, 2, 10)
                    | bits(d, 6, 2, 5)
                    | bits(d, 1, 2, 3)
                    | bits(d, 5, 1, 2);
                put_half(field, op | imm as u16)
            }
            R_RISCV_RVC_JUMP => {
                let d = fit(value, 12, 2)?;
                let op = half(field)? & 0xe003;
                let imm = bits(d, 11, 1, 12)
                    | bits(d, 4, 1, 11)
                    | bits(d, 8, 2, 9)
                    | bits(d, 10, 1, 8)
                    | bits(d, 6, 1, 7)
                    | bits(d, 7, 1, 6)
                    | bits(d, 1, 3, 3)
                    | bits(d, 5, 1, 2);
                put_half(field, op | imm as u16)
            }
            R_RISCV_ADD32 => {
                let sum = word(field)?.wrapping_add(value as u32);
                put_word(field, sum)
            }
            R_RISCV_SUB32 => {
                let difference = word(field)?.wrapping_sub(value as u32);
                put_word(field, difference)
            }
            _ => put_fit32(field, value),
        }
    }
}

/// `count` bits of `value` from bit `from` on, moved to bit `to`.
fn bits(value: u32, from: u32, count: u32, to: u32) -> u32 {
    (value >> from & ((1 << count) - 1)) << to
}
