//! Where everything goes.

use crate::{
    Architecture, Error,
    input::{Object, Section, SectionKind},
    live::{Live, Slot},
    symbols::{SectionId, Target},
};
use std::collections::{BTreeMap, BTreeSet};

/// The three blocks of memory of a native module.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Region {
    /// Machine code, and all else where code memory can be read by the byte.
    Text,
    /// Constants and initialised statics.
    Rodata,
    /// Statics that start as zero.
    Bss,
}

/// Addresses, in bytes from the start of their region.
pub struct Layout<'a> {
    pub sections: BTreeMap<SectionId, (Region, usize)>,
    pub slots: BTreeMap<Slot<'a>, usize>,
    /// The first slot, or where it would be.
    pub first_slot: usize,
    pub text: usize,
    pub rodata: usize,
    pub bss: usize,
}

/// Bytes kept for the jump to mpy_init where slots come first.
pub const JUMP: usize = 4;

/// The garbage collector's block, which constants and statics share, starts at a multiple of this.
const BLOCK: u64 = 16;

impl<'a> Layout<'a> {
    pub fn new(
        arch: &Architecture,
        objects: &[Object<'a>],
        live: &Live<'a>,
    ) -> Result<Self, Error> {
        let isa = arch.isa();
        let mut order = Vec::new();
        for id in live.fixups.keys() {
            order.push((*id, section(objects, *id)?));
        }
        // the entry first; then little padding: wide before narrow
        order.sort_by_key(|(id, s)| (*id != live.entry, s.kind, std::cmp::Reverse(s.align), *id));

        let mut layout = Layout {
            sections: BTreeMap::new(),
            slots: BTreeMap::new(),
            first_slot: 0,
            text: 0,
            rodata: 0,
            bss: 0,
        };
        let slots = slots(arch, live, &order);
        let mut rodata_align = 1;
        if isa.slots_first() {
            layout.text = JUMP;
            layout.place_slots(&slots, arch.word);
        }
        for (id, section) in &order {
            let region = region(arch, section.kind);
            let (end, limit) = match region {
                Region::Text => (&mut layout.text, arch.align),
                Region::Rodata => (&mut layout.rodata, BLOCK),
                Region::Bss => (&mut layout.bss, BLOCK),
            };
            if section.align > limit {
                return Err(Error::Alignment {
                    object: objects
                        .get(id.object)
                        .map_or_else(String::new, |o| o.name.clone()),
                    section: section.name.into(),
                    align: section.align,
                    limit,
                });
            }
            if region == Region::Rodata {
                rodata_align = rodata_align.max(section.align as usize);
            }
            let address = end.next_multiple_of(section.align as usize);
            *end = address + section.data.len();
            layout.sections.insert(*id, (region, address));
        }
        if !isa.slots_first() {
            layout.place_slots(&slots, arch.word);
        }
        // rodata follows bss in one block
        layout.bss = layout.bss.next_multiple_of(rodata_align.max(arch.word));
        Ok(layout)
    }

    fn place_slots(&mut self, slots: &BTreeSet<Slot<'a>>, word: usize) {
        if slots.is_empty() {
            self.first_slot = self.text;
            return;
        }
        self.text = self.text.next_multiple_of(word);
        self.first_slot = self.text;
        for slot in slots {
            self.slots.insert(*slot, self.text);
            self.text += word;
        }
    }
}

fn section<'o, 'a>(objects: &'o [Object<'a>], id: SectionId) -> Result<&'o Section<'a>, Error> {
    objects
        .get(id.object)
        .and_then(|o| o.sections.get(&id.section))
        .ok_or_else(|| Error::UnknownSection {
            object: objects
                .get(id.object)
                .map_or_else(String::new, |o| o.name.clone()),
            section: format!("#{}", id.section),
            why: "not loaded into memory",
        })
}

fn region(arch: &Architecture, kind: SectionKind) -> Region {
    match kind {
        _ if !arch.split => Region::Text,
        SectionKind::Zeroed => Region::Bss,
        SectionKind::Constants | SectionKind::Data => Region::Rodata,
        SectionKind::Code | SectionKind::Unsupported(_) => Region::Text,
    }
}

/// All slots that the fixups want.
fn slots<'a>(
    arch: &Architecture,
    live: &Live<'a>,
    order: &[(SectionId, &Section)],
) -> BTreeSet<Slot<'a>> {
    let mut slots: BTreeSet<_> = live
        .fixups
        .values()
        .flatten()
        .filter_map(|f| f.slot())
        .collect();
    // The garbage collector frees the block of statics and constants once no word holds the address of its head:
    // have one in the text.
    let first = |wanted| {
        order
            .iter()
            .find(|(_, s)| region(arch, s.kind) == wanted && !s.data.is_empty())
            .map(|(id, _)| *id)
    };
    if let Some(head) = first(Region::Bss).or_else(|| first(Region::Rodata)) {
        slots.insert(Slot::Address(Target::Section(head, 0), 0));
    }
    slots
}
