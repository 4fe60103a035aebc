mod shrink;

use super::{Isa, Kind, Misfit, fit, put, put_fit32};
use crate::{
    Error,
    input::{Definition, Literal, Object, Relocation, Section, SectionKind},
};
use object::elf::*;
use std::collections::{BTreeMap, BTreeSet};

/// Xtensa, little endian, both ABIs.
///
/// Code loads addresses and large constants from literals before it (l32r). LLVM parks the literals of a function
/// behind whatever section it wrote before; the linker lifts them out and lays them out anew as slots.
pub struct Xtensa;

const L32R: u8 = 1;

impl Isa for Xtensa {
    fn machine(&self) -> object::Architecture {
        object::Architecture::Xtensa
    }

    fn kind(&self, r_type: u32) -> Option<Kind> {
        Some(match r_type {
            R_XTENSA_NONE => Kind::None,
            R_XTENSA_32 => Kind::Word,
            R_XTENSA_SLOT0_OP => Kind::Near,
            _ => return None,
        })
    }

    fn encode(&self, r_type: u32, field: &mut [u8], value: i64, place: i64) -> Result<(), Misfit> {
        if r_type != R_XTENSA_SLOT0_OP {
            return put_fit32(field, value);
        }
        let [a, b, c] = *field.first_chunk().ok_or(Misfit::Truncated)?;
        let op = u32::from_le_bytes([a, b, c, 0]);
        let to = place.wrapping_add(value);
        let coded = match (op & 15, op >> 4 & 3) {
            (1, _) => {
                let distance = to - ((place + 3) & !3);
                // one-extended: reaches backwards only, 256 KiB
                if distance >= 0 {
                    return Err(Misfit::OutOfRange {
                        value: distance,
                        bits: 18,
                    });
                }
                op & 0xff | fit(distance, 19, 4)? >> 2 << 8
            }
            (5, _) => op & 0x3f | fit(to - (place & !3) - 4, 20, 4)? >> 2 << 6,
            (6, 0) => op & 0x3f | fit(value - 4, 18, 1)? << 6,
            (6, 1) => op & 0xfff | fit(value - 4, 12, 1)? << 12,
            // entry and the loops share this format but take no distance
            (6, 3) if op >> 6 & 3 < 2 => return Err(Misfit::Opcode(op)),
            (6, _) | (7, _) => op & 0xffff | fit(value - 4, 8, 1)? << 16,
            _ => return Err(Misfit::Opcode(op)),
        };
        let [a, b, c, _] = coded.to_le_bytes();
        put(field, [a, b, c])
    }

    fn slots_first(&self) -> bool {
        true
    }

    fn jump(&self, field: &mut [u8], to: i64) -> Result<(), Misfit> {
        put(field, [6, 0, 0])?;
        self.encode(R_XTENSA_SLOT0_OP, field, to, 0)
    }

    fn normalise(&self, object: &mut Object) -> Result<(), Error> {
        let mut literals: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
        let mut lifted = Vec::new();
        for (index, section) in &object.sections {
            for (nth, r) in section.relocations.iter().enumerate() {
                if r.r_type != R_XTENSA_SLOT0_OP
                    || section.data.get(r.offset).is_none_or(|op| op & 15 != L32R)
                {
                    continue;
                }
                let (at, offset) = parked(object, section, r)?;
                let literal = read_literal(object, section, r, at, offset)?;
                literals.entry(at).or_default().insert(offset);
                lifted.push((*index, nth, literal));
            }
        }
        for (index, nth, literal) in lifted {
            let r = object
                .sections
                .get_mut(&index)
                .and_then(|s| s.relocations.get_mut(nth));
            if let Some(r) = r {
                r.literal = Some(literal);
                r.addend = Some(0);
            }
        }
        for (index, section) in &object.sections {
            if section.kind == SectionKind::Code {
                literals.entry(*index).or_default();
            }
        }
        for (index, offsets) in literals {
            let start = parking(object, index, &offsets);
            if let Some(section) = object.sections.get_mut(&index) {
                section
                    .relocations
                    .retain(|r| r.offset < start && !offsets.contains(&r.offset));
                if start < section.data.len() {
                    section.data.to_mut().truncate(start);
                }
            }
        }
        shrink::shrink(object);
        Ok(())
    }
}

/// Where the literals begin that are parked at the end of a section, which may be more than are in use: behind the
/// functions and objects of known size, else at the first literal in use.
fn parking(object: &Object, index: usize, used: &BTreeSet<usize>) -> usize {
    let Some(section) = object.sections.get(&index) else {
        return 0;
    };
    let (mut end, mut label) = (0, 0);
    for symbol in object.symbols.values() {
        match symbol.definition {
            Definition::Section { index: i, offset } if i == index => {
                end = end.max((offset as usize).saturating_add(symbol.size as usize));
                if symbol.name != section.name {
                    label = label.max(offset as usize + 1);
                }
            }
            _ => {}
        }
    }
    let whole = section.data.len();
    let first = used.first().copied().unwrap_or(whole);
    match if end > 0 { end.min(first) } else { first } {
        // something else stands among or behind the literals
        start if start < label || first < end => whole,
        start => start,
    }
}

/// Section and offset of the literal an l32r refers to.
fn parked(object: &Object, section: &Section, r: &Relocation) -> Result<(usize, usize), Error> {
    let symbol = object.symbol(r, section)?;
    match symbol.definition {
        Definition::Section { index, offset } => {
            Ok((index, offset.wrapping_add(r.addend.unwrap_or(0)) as usize))
        }
        _ => Err(Error::Undefined {
            symbol: symbol.name.into(),
            site: object.site(section, r),
        }),
    }
}

fn read_literal(
    object: &Object,
    section: &Section,
    r: &Relocation,
    at: usize,
    offset: usize,
) -> Result<Literal, Error> {
    let outside = || Error::OutsideSection {
        r_type: r.r_type,
        symbol: object
            .sections
            .get(&at)
            .map_or_else(String::new, |s| s.name.into()),
        site: object.site(section, r),
    };
    let home = object.sections.get(&at).ok_or_else(outside)?;
    let word = home
        .data
        .get(offset..)
        .and_then(|d| d.first_chunk())
        .ok_or_else(outside)?;
    let word = u32::from_le_bytes(*word);
    Ok(
        match home
            .relocations
            .iter()
            .find(|r| r.offset == offset && r.r_type == R_XTENSA_32)
        {
            Some(of) => Literal::Address {
                symbol: of.symbol,
                addend: of.addend.unwrap_or(0).wrapping_add(i64::from(word as i32)),
            },
            None => Literal::Constant(word),
        },
    )
}
