//! The bytes of a module and what the loader has to add to them.

use crate::{
    Architecture, Error, Site,
    error::Misfit,
    input::Object,
    layout::{JUMP, Layout, Region},
    live::{Fixup, Formula, Live, Slot, To},
    symbols::{SectionId, Target},
};
use std::collections::{BTreeMap, BTreeSet};

/// What the loader adds to a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Base {
    Region(Region),
    /// The module's table of qstrs, two bytes each.
    Qstrs,
    FunTable,
    FunTableSlot(u8),
}

pub struct Image {
    pub text: Vec<u8>,
    pub rodata: Vec<u8>,
    pub bss: usize,
    /// By region and byte offset.
    pub relocations: BTreeMap<(Region, usize), Base>,
    /// Names of the qstrs, without the module's own, which is the first of the table.
    pub qstrs: Vec<String>,
}

struct Builder<'a, 'o> {
    arch: &'o Architecture,
    objects: &'o [Object<'a>],
    layout: &'o Layout<'a>,
    qstrs: Vec<&'a str>,
    image: Image,
}

impl Image {
    pub fn new<'a>(
        arch: &Architecture,
        objects: &[Object<'a>],
        live: &Live<'a>,
        layout: &Layout<'a>,
    ) -> Result<Self, Error> {
        let mut b = Builder {
            arch,
            objects,
            layout,
            qstrs: qstrs(live),
            image: Self {
                text: vec![0; layout.text],
                rodata: vec![0; layout.rodata],
                bss: layout.bss,
                relocations: BTreeMap::new(),
                qstrs: Vec::new(),
            },
        };
        b.copy_sections();
        b.fill_slots()?;
        for (id, fixups) in &live.fixups {
            for fixup in fixups {
                b.apply(*id, fixup)?;
            }
        }
        if arch.isa().slots_first() {
            b.jump_to(live.entry)?;
        }
        b.image.qstrs = b.qstrs.iter().map(|q| (*q).into()).collect();
        Ok(b.image)
    }
}

/// The qstrs in use, sorted, so that their numbers do not depend on the order of the objects.
fn qstrs<'a>(live: &Live<'a>) -> Vec<&'a str> {
    let mut names = BTreeSet::new();
    for fixup in live.fixups.values().flatten() {
        if let To::Target(Target::Qstr(name)) | To::Slot(Slot::Address(Target::Qstr(name), _)) =
            fixup.to
        {
            names.insert(name);
        }
    }
    names.into_iter().collect()
}

impl Builder<'_, '_> {
    fn copy_sections(&mut self) {
        for (id, (region, address)) in &self.layout.sections {
            let section = self
                .objects
                .get(id.object)
                .and_then(|o| o.sections.get(&id.section));
            let (Some(section), Some(bytes)) = (section, self.image.bytes(*region)) else {
                continue;
            };
            if let Some(to) = bytes.get_mut(*address..*address + section.data.len()) {
                to.copy_from_slice(&section.data);
            }
        }
    }

    fn fill_slots(&mut self) -> Result<(), Error> {
        let layout = self.layout;
        let nowhere = |why| Error::Misfit {
            r_type: 0,
            symbol: "a slot".into(),
            site: whole("slots"),
            why,
        };
        for (slot, at) in &layout.slots {
            let (base, value) = match *slot {
                Slot::Constant(word) => (None, i64::from(word)),
                Slot::Address(target, addend) => {
                    let (base, value) = self
                        .place(target)
                        .ok_or_else(|| nowhere(Misfit::Truncated))?;
                    (Some(base), value.wrapping_add(addend))
                }
            };
            self.put_word(Region::Text, *at, value).map_err(nowhere)?;
            if let Some(base) = base {
                self.image.relocations.insert((Region::Text, *at), base);
            }
        }
        Ok(())
    }

    fn jump_to(&mut self, entry: SectionId) -> Result<(), Error> {
        let to = self
            .layout
            .sections
            .get(&entry)
            .map_or(0, |(_, address)| *address as i64);
        let field = self.image.text.get_mut(..JUMP).unwrap_or_default();
        self.arch
            .isa()
            .jump(field, to)
            .map_err(|why| Error::Misfit {
                r_type: 0,
                symbol: "mpy_init".into(),
                site: whole("jump"),
                why,
            })
    }

    fn put_word(&mut self, region: Region, at: usize, value: i64) -> Result<(), Misfit> {
        let width = self.arch.word;
        let field = self
            .image
            .bytes(region)
            .and_then(|b| b.get_mut(at..at + width))
            .ok_or(Misfit::Truncated)?;
        for (to, from) in field.iter_mut().zip(value.to_le_bytes()) {
            *to = from;
        }
        Ok(())
    }

    /// Base and offset of a target.
    fn place(&self, target: Target) -> Option<(Base, i64)> {
        Some(match target {
            Target::Section(id, offset) => {
                let (region, address) = *self.layout.sections.get(&id)?;
                (Base::Region(region), (address as i64).wrapping_add(offset))
            }
            // the first entry is the module's own name
            Target::Qstr(name) => (
                Base::Qstrs,
                2 * (self.qstrs.binary_search(&name).ok()? as i64 + 1),
            ),
            Target::FunTable => (Base::FunTable, 0),
            Target::FunTableSlot(i) => (Base::FunTableSlot(i), 0),
            Target::Slots => (Base::Region(Region::Text), self.layout.first_slot as i64),
        })
    }

    fn apply(&mut self, id: SectionId, fixup: &Fixup) -> Result<(), Error> {
        let Some((region, start)) = self.layout.sections.get(&id).copied() else {
            return Ok(());
        };
        let symbol = || fixup.symbol.to_string();
        let r_type = fixup.r_type;
        let objects = self.objects;
        let site = || {
            objects.get(id.object).map_or_else(
                || whole(""),
                |o| Site {
                    object: o.name.clone(),
                    section: o.sections.get(&id.section).map_or("", |s| s.name).into(),
                    offset: fixup.offset as u64,
                },
            )
        };
        let outside = || Error::OutsideSection {
            r_type,
            symbol: symbol(),
            site: site(),
        };
        let misfit = |why| Error::Misfit {
            r_type,
            symbol: symbol(),
            site: site(),
            why,
        };
        let (base, value) = match fixup.to {
            To::Target(target) => self.place(target).ok_or_else(outside)?,
            To::Slot(slot) => {
                let address = *self.layout.slots.get(&slot).ok_or_else(outside)?;
                (Base::Region(Region::Text), address as i64)
            }
        };
        let value = value.wrapping_add(fixup.addend);
        let size = objects
            .get(id.object)
            .and_then(|o| o.sections.get(&id.section))
            .map_or(0, |s| s.data.len());
        if fixup.offset >= size {
            return Err(outside());
        }
        let at = start + fixup.offset;
        let isa = self.arch.isa();
        let value = match fixup.formula {
            Formula::Word => {
                if !at.is_multiple_of(self.arch.word) {
                    return Err(Error::UnalignedWord {
                        symbol: symbol(),
                        site: site(),
                    });
                }
                if fixup.offset + self.arch.word > size {
                    return Err(misfit(Misfit::Truncated));
                }
                self.image.relocations.insert((region, at), base);
                return self.put_word(region, at, value).map_err(misfit);
            }
            Formula::Align => {
                let padding = fixup.addend.clamp(1, 0x1000);
                let align = (padding + 1)
                    .cast_unsigned()
                    .next_power_of_two()
                    .cast_signed();
                let end = at as i64 + padding;
                return match end % align {
                    0 => Ok(()),
                    _ => Err(misfit(Misfit::Misaligned {
                        value: end,
                        to: align,
                    })),
                };
            }
            Formula::From(from) => value.wrapping_sub((start + from) as i64),
            Formula::FromSlots => value.wrapping_sub(self.layout.first_slot as i64),
            Formula::Add | Formula::Sub => value,
        };
        // distances are fixed within the text only
        let text = Base::Region(Region::Text);
        let near = match fixup.formula {
            Formula::Add | Formula::Sub => base == text,
            _ => base == text && region == Region::Text,
        };
        if !near {
            return Err(Error::NotText {
                r_type,
                symbol: symbol(),
                site: site(),
            });
        }
        let field = self
            .image
            .bytes(region)
            .and_then(|b| b.get_mut(at..start + size))
            .ok_or_else(outside)?;
        isa.encode(r_type, field, value, at as i64).map_err(misfit)
    }
}

impl Image {
    fn bytes(&mut self, region: Region) -> Option<&mut [u8]> {
        match region {
            Region::Text => Some(&mut self.text),
            Region::Rodata => Some(&mut self.rodata),
            Region::Bss => None,
        }
    }
}

/// A place the linker itself makes.
fn whole(section: &str) -> Site {
    Site {
        object: "the module".into(),
        section: section.into(),
        offset: 0,
    }
}
