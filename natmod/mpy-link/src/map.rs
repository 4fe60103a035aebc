//! Where the bytes of a module went.

use crate::{
    input::{Definition, Object},
    layout::{Layout, Region},
};
use std::fmt;

/// A symbol, or bytes that the linker made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Bytes.
    pub size: usize,
    pub region: Region,
    /// Bytes from the start of the region.
    pub address: usize,
    /// Readable name: of the symbol, else of the section.
    pub name: String,
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let region = match self.region {
            Region::Text => "text",
            Region::Rodata => "rodata",
            Region::Bss => "bss",
        };
        write!(
            f,
            "{:6} {region:6} {:#07x} {}",
            self.size, self.address, self.name
        )
    }
}

/// All bytes of a layout, the largest first.
pub fn map(objects: &[Object], layout: &Layout, word: usize) -> Vec<Entry> {
    let mut entries = Vec::new();
    for (id, (region, address)) in &layout.sections {
        let Some(object) = objects.get(id.object) else {
            continue;
        };
        let Some(section) = object.sections.get(&id.section) else {
            continue;
        };
        let mut rest = section.data.len();
        let mut add = |name: &str, offset: usize, size: usize| {
            let name = format!("{:#}", rustc_demangle::demangle(name));
            entries.push(Entry {
                size,
                region: *region,
                address: address + offset,
                name,
            });
        };
        let mut taken = Vec::new();
        for symbol in object.symbols.values() {
            let Definition::Section { index, offset } = symbol.definition else {
                continue;
            };
            let (offset, size) = ((offset & !1) as usize, symbol.size as usize);
            if index == id.section && size > 0 && size <= rest && !taken.contains(&offset) {
                taken.push(offset);
                rest -= size;
                add(symbol.name, offset, size);
            }
        }
        if rest > 0 {
            add(section.name, 0, rest);
        }
    }
    if !layout.slots.is_empty() {
        let size = layout.slots.len() * word;
        entries.push(Entry {
            size,
            region: Region::Text,
            address: layout.first_slot,
            name: "(slots)".into(),
        });
    }
    for (region, size) in [
        (Region::Text, layout.text),
        (Region::Rodata, layout.rodata),
        (Region::Bss, layout.bss),
    ] {
        let used: usize = entries
            .iter()
            .filter(|e| e.region == region)
            .map(|e| e.size)
            .sum();
        if size > used {
            entries.push(Entry {
                size: size - used,
                region,
                address: 0,
                name: "(padding)".into(),
            });
        }
    }
    entries.sort_by(|a, b| (b.size, a.region, a.address).cmp(&(a.size, b.region, b.address)));
    entries
}
