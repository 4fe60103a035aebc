use super::{Isa, Kind, Misfit, fit, half, put_fit32, put_half, sign_extend, word};
use object::elf::*;

/// Thumb, ELF for the Arm architecture (AAELF32). Every address of code carries the Thumb bit.
pub struct Arm;

impl Isa for Arm {
    fn machine(&self) -> object::Architecture {
        object::Architecture::Arm
    }

    fn kind(&self, r_type: u32) -> Option<Kind> {
        Some(match r_type {
            R_ARM_NONE => Kind::None,
            R_ARM_ABS32 => Kind::Word,
            R_ARM_REL32 | R_ARM_THM_PC22 | R_ARM_THM_JUMP24 | R_ARM_THM_JUMP19 | R_ARM_THM_PC11
            | R_ARM_THM_PC9 => Kind::Near,
            R_ARM_GOT_PREL => Kind::Slot,
            _ => return None,
        })
    }

    fn addend(&self, r_type: u32, field: &[u8]) -> Result<i64, Misfit> {
        let low = || half(field.get(2..).unwrap_or_default()).map(u32::from);
        Ok(match r_type {
            R_ARM_THM_PC22 | R_ARM_THM_JUMP24 => {
                let (high, low) = (u32::from(half(field)?), low()?);
                let sign = high >> 10 & 1;
                let (i1, i2) = (!(low >> 13 ^ sign) & 1, !(low >> 11 ^ sign) & 1);
                let imm =
                    sign << 24 | i1 << 23 | i2 << 22 | (high & 0x3ff) << 12 | (low & 0x7ff) << 1;
                sign_extend(imm, 25)
            }
            R_ARM_THM_JUMP19 => {
                let (high, low) = (u32::from(half(field)?), low()?);
                let (sign, j1, j2) = (high >> 10 & 1, low >> 13 & 1, low >> 11 & 1);
                let imm =
                    sign << 20 | j2 << 19 | j1 << 18 | (high & 0x3f) << 12 | (low & 0x7ff) << 1;
                sign_extend(imm, 21)
            }
            R_ARM_THM_PC11 => sign_extend(u32::from(half(field)? & 0x7ff) << 1, 12),
            R_ARM_THM_PC9 => sign_extend(u32::from(half(field)? & 0xff) << 1, 9),
            _ => i64::from(word(field)? as i32),
        })
    }

    fn encode(&self, r_type: u32, field: &mut [u8], value: i64, _: i64) -> Result<(), Misfit> {
        // a branch does not switch the state: the Thumb bit is no part of its distance
        let distance = value & !1;
        let tail = |field: &[u8]| half(field.get(2..).unwrap_or_default()).map(u32::from);
        match r_type {
            R_ARM_THM_PC22 | R_ARM_THM_JUMP24 => {
                let d = fit(distance, 25, 2)?;
                let sign = d >> 24 & 1;
                let (j1, j2) = (!(d >> 23 ^ sign) & 1, !(d >> 22 ^ sign) & 1);
                let high = u32::from(half(field)?) & 0xf800 | sign << 10 | d >> 12 & 0x3ff;
                let low = tail(field)? & 0xd000 | j1 << 13 | j2 << 11 | d >> 1 & 0x7ff;
                put_halves(field, high, low)
            }
            R_ARM_THM_JUMP19 => {
                let d = fit(distance, 21, 2)?;
                let high = u32::from(half(field)?) & 0xfbc0 | (d >> 20 & 1) << 10 | d >> 12 & 0x3f;
                let low = tail(field)? & 0xd000
                    | (d >> 18 & 1) << 13
                    | (d >> 19 & 1) << 11
                    | d >> 1 & 0x7ff;
                put_halves(field, high, low)
            }
            R_ARM_THM_PC11 => {
                let d = fit(distance, 12, 2)?;
                let op = half(field)? & 0xf800;
                put_half(field, op | (d >> 1) as u16 & 0x7ff)
            }
            R_ARM_THM_PC9 => {
                let d = fit(distance, 9, 2)?;
                let op = half(field)? & 0xff00;
                put_half(field, op | (d >> 1) as u16 & 0xff)
            }
            _ => put_fit32(field, value),
        }
    }
}

fn put_halves(field: &mut [u8], high: u32, low: u32) -> Result<(), Misfit> {
    super::put_word(field, high & 0xffff | low << 16)
}
