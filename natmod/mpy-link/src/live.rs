//! The sections that mpy_init reaches, and what has to be patched in them.

use crate::{
    Error,
    error::Misfit,
    input::{Literal, Object, Relocation, Section, SectionKind},
    isa::{Isa, Kind},
    symbols::{SectionId, Symbols, Target},
};
use std::collections::BTreeMap;

/// The section to start with, mpy_init at its beginning, and the fixups of each live section.
pub struct Live<'a> {
    pub entry: SectionId,
    pub fixups: BTreeMap<SectionId, Vec<Fixup<'a>>>,
}

/// A relocation, resolved.
#[derive(Debug, Clone)]
pub struct Fixup<'a> {
    pub offset: usize,
    pub r_type: u32,
    pub formula: Formula,
    pub to: To<'a>,
    pub addend: i64,
    /// Name of the symbol, for messages.
    pub symbol: &'a str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Formula {
    /// A word that holds the address; the loader adds the base.
    Word,
    /// The distance from this offset of the section.
    From(usize),
    /// The distance from the first slot.
    FromSlots,
    /// Added to, subtracted from the field.
    Add,
    Sub,
    /// No value, but the bytes that the addend counts must end on the alignment they pad to.
    Align,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum To<'a> {
    Target(Target<'a>),
    Slot(Slot<'a>),
}

/// A word of the text that code loads from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Slot<'a> {
    Constant(u32),
    Address(Target<'a>, i64),
}

impl<'a> Fixup<'a> {
    pub fn slot(&self) -> Option<Slot<'a>> {
        match self.to {
            To::Slot(slot) => Some(slot),
            To::Target(_) => None,
        }
    }
}

impl<'a> To<'a> {
    /// The section that has to be there for it.
    fn section(&self) -> Option<SectionId> {
        match *self {
            To::Target(Target::Section(id, _))
            | To::Slot(Slot::Address(Target::Section(id, _), _)) => Some(id),
            _ => None,
        }
    }
}

impl<'a> Live<'a> {
    pub fn find(
        objects: &[Object<'a>],
        symbols: &Symbols<'a, '_>,
        isa: &dyn Isa,
    ) -> Result<Self, Error> {
        let no_entry = || Error::NoEntry(objects.iter().map(|o| o.name.as_str()).take(1).collect());
        let (entry, offset) = symbols.global("mpy_init")?.ok_or_else(no_entry)?;
        // the lowest bit may mark Thumb code
        if offset & !1 != 0 {
            let object = &objects[entry.object];
            return Err(Error::EntryNotFirst(crate::Site {
                object: object.name.clone(),
                section: object
                    .sections
                    .get(&entry.section)
                    .map_or("", |s| s.name)
                    .into(),
                offset: offset as u64,
            }));
        }
        let mut fixups = BTreeMap::new();
        let mut reached = vec![entry];
        while let Some(id) = reached.pop() {
            if fixups.contains_key(&id) {
                continue;
            }
            let object = &objects[id.object];
            let Some(section) = object.sections.get(&id.section) else {
                return Err(Error::UnknownSection {
                    object: object.name.clone(),
                    section: format!("#{}", id.section),
                    why: "not loaded into memory",
                });
            };
            if let SectionKind::Unsupported(why) = section.kind {
                return Err(unsupported(object, section, why));
            }
            let found = resolve(objects, symbols, isa, id, section)?;
            reached.extend(found.iter().filter_map(|f| f.to.section()));
            fixups.insert(id, found);
        }
        // nothing refers to constructors, yet a linker would run those of every object it takes
        for id in fixups.keys() {
            let object = &objects[id.object];
            for section in object.sections.values() {
                if let SectionKind::Unsupported(why @ crate::input::CONSTRUCTORS) = section.kind {
                    return Err(unsupported(object, section, why));
                }
            }
        }
        Ok(Self { entry, fixups })
    }
}

fn unsupported(object: &Object, section: &Section, why: &'static str) -> Error {
    Error::UnknownSection {
        object: object.name.clone(),
        section: section.name.into(),
        why,
    }
}

fn resolve<'a>(
    objects: &[Object<'a>],
    symbols: &Symbols<'a, '_>,
    isa: &dyn Isa,
    id: SectionId,
    section: &Section,
) -> Result<Vec<Fixup<'a>>, Error> {
    let object = &objects[id.object];
    let kind = |r: &Relocation| {
        isa.kind(r.r_type).ok_or_else(|| Error::UnknownRelocation {
            r_type: r.r_type,
            symbol: object.symbols.get(&r.symbol).map_or("", |s| s.name).into(),
            site: object.site(section, r),
        })
    };
    let mut fixups = Vec::new();
    for r in &section.relocations {
        let mut kind_of = kind(r)?;
        if kind_of == Kind::None {
            continue;
        }
        if kind_of == Kind::Align {
            fixups.push(Fixup {
                offset: r.offset,
                r_type: r.r_type,
                formula: Formula::Align,
                to: To::Target(Target::Slots),
                addend: r.addend.unwrap_or(0),
                symbol: "",
            });
            continue;
        }
        let (mut target, mut symbol) = symbols.resolve(id.object, r.symbol, section, r)?;
        let (mut from, mut of) = (r.offset, r);
        let unpaired = || Error::Unpaired {
            r_type: r.r_type,
            symbol: symbol.into(),
            site: object.site(section, r),
        };
        match kind_of {
            Kind::Low => {
                let Target::Section(home, offset) = target else {
                    return Err(unpaired());
                };
                let high = |x: &&Relocation| {
                    x.offset as i64 == offset
                        && matches!(isa.kind(x.r_type), Some(Kind::Near | Kind::Slot))
                };
                let high = section
                    .relocations
                    .iter()
                    .find(high)
                    .filter(|_| home == id)
                    .ok_or_else(unpaired)?;
                (from, of, kind_of) = (high.offset, high, kind(high)?);
                (target, symbol) = symbols.resolve(id.object, high.symbol, section, high)?;
            }
            Kind::Add | Kind::Sub => {
                let count = |wanted| {
                    let same = |x: &&Relocation| {
                        x.offset == r.offset && isa.kind(x.r_type) == Some(wanted)
                    };
                    section.relocations.iter().filter(same).count()
                };
                if count(Kind::Add) != count(Kind::Sub) {
                    return Err(unpaired());
                }
            }
            _ => {}
        }
        let misfit = |why: Misfit| Error::Misfit {
            r_type: r.r_type,
            symbol: symbol.into(),
            site: object.site(section, r),
            why,
        };
        let addend = match of.addend {
            Some(addend) => addend,
            None => {
                let field = section.data.get(of.offset..).unwrap_or_default();
                isa.addend(of.r_type, field).map_err(misfit)?
            }
        };
        let (formula, to) = match (kind_of, r.literal) {
            (_, Some(Literal::Constant(word))) => {
                (Formula::From(from), To::Slot(Slot::Constant(word)))
            }
            (_, Some(Literal::Address { symbol: of, addend })) => {
                let (held, name) = symbols.resolve(id.object, of, section, r)?;
                symbol = name;
                (Formula::From(from), To::Slot(Slot::Address(held, addend)))
            }
            (Kind::Word, _) => (Formula::Word, To::Target(target)),
            (Kind::Slot, _) => (Formula::From(from), To::Slot(Slot::Address(target, 0))),
            (Kind::Got, _) => (Formula::From(from), To::Target(Target::Slots)),
            (Kind::NearGot, _) => (Formula::FromSlots, To::Target(target)),
            (Kind::SlotGot, _) => (Formula::FromSlots, To::Slot(Slot::Address(target, 0))),
            (Kind::Add, _) => (Formula::Add, To::Target(target)),
            (Kind::Sub, _) => (Formula::Sub, To::Target(target)),
            (Kind::Near | Kind::Low | Kind::None | Kind::Align, _) => {
                (Formula::From(from), To::Target(target))
            }
        };
        fixups.push(Fixup {
            offset: r.offset,
            r_type: r.r_type,
            formula,
            to,
            addend,
            symbol,
        });
    }
    Ok(fixups)
}
