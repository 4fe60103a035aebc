//! Object files and archives, reduced to what the linker uses.

use crate::{Architecture, Error, Site};
use object::{
    BinaryFormat, Object as _, ObjectSection as _, ObjectSymbol as _, RelocationFlags,
    RelocationTarget, SectionFlags, SymbolKind, SymbolSection, elf,
    read::{File, archive::ArchiveFile},
};
use std::{borrow::Cow, collections::BTreeMap};

/// Why sections of constructors or destructors cannot be linked.
pub const CONSTRUCTORS: &str = "constructors or destructors";

/// Bytes of a section: no module comes near it, but a damaged object may name any size.
const LARGEST: u64 = 64 << 20;

/// One file to link: its name, for messages, and its content, an ELF object or an archive of them.
pub struct Input<'a> {
    pub name: &'a str,
    pub data: &'a [u8],
}

/// One relocatable object.
pub struct Object<'a> {
    /// `archive(member)` or the file's name.
    pub name: String,
    /// By index.
    pub sections: BTreeMap<usize, Section<'a>>,
    pub symbols: BTreeMap<usize, Symbol<'a>>,
}

pub struct Section<'a> {
    pub name: &'a str,
    pub kind: SectionKind,
    pub data: Cow<'a, [u8]>,
    pub align: u64,
    pub relocations: Vec<Relocation>,
}

/// In the order of layout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SectionKind {
    Code,
    Constants,
    Data,
    Zeroed,
    /// Cannot be linked, and why.
    Unsupported(&'static str),
}

pub struct Symbol<'a> {
    pub name: &'a str,
    pub definition: Definition,
    pub binding: Binding,
    pub size: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Definition {
    Undefined,
    /// Offset in bytes; on Arm the lowest bit marks Thumb code.
    Section {
        index: usize,
        offset: i64,
    },
    Absolute,
    Common,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Binding {
    Local,
    Weak,
    Strong,
}

pub struct Relocation {
    /// In bytes from the start of the section.
    pub offset: usize,
    pub r_type: u32,
    /// Index of the symbol.
    pub symbol: usize,
    /// `None` where the field holds it.
    pub addend: Option<i64>,
    /// What the instruction loads, lifted out of the section it was in.
    pub literal: Option<Literal>,
}

#[derive(Debug, Clone, Copy)]
pub enum Literal {
    Constant(u32),
    Address { symbol: usize, addend: i64 },
}

impl<'a> Object<'a> {
    /// All objects of the inputs, archives unpacked.
    pub fn read_all(inputs: &[Input<'a>], arch: &Architecture) -> Result<Vec<Self>, Error> {
        let mut objects = Vec::new();
        for input in inputs {
            if !input.data.starts_with(&object::archive::MAGIC) {
                objects.push(Self::read(input.name.into(), input.data, arch)?);
                continue;
            }
            let malformed = |source| Error::Object {
                object: input.name.into(),
                source,
            };
            for member in ArchiveFile::parse(input.data).map_err(malformed)?.members() {
                let member = member.map_err(malformed)?;
                let name = String::from_utf8_lossy(member.name());
                // rustc's metadata, no object
                if !name.ends_with(".rmeta") {
                    let data = member.data(input.data).map_err(malformed)?;
                    objects.push(Self::read(format!("{}({name})", input.name), data, arch)?);
                }
            }
        }
        Ok(objects)
    }

    fn read(name: String, data: &'a [u8], arch: &Architecture) -> Result<Self, Error> {
        if !data.starts_with(&elf::ELFMAG) {
            return Err(Error::NotElf { object: name });
        }
        let malformed = |source| Error::Object {
            object: name.clone(),
            source,
        };
        let file = File::parse(data).map_err(malformed)?;
        debug_assert_eq!(file.format(), BinaryFormat::Elf);
        let wanted = arch.isa().machine();
        if file.architecture() != wanted
            || !file.is_little_endian()
            || file.is_64() != (arch.word == 8)
        {
            return Err(Error::WrongMachine {
                arch: arch.name.clone(),
                found: format!("{:?}", file.architecture()),
                wanted: format!("{wanted:?}"),
                object: name,
            });
        }
        let mut sections = BTreeMap::new();
        for section in file.sections() {
            sections.insert(
                section.index().0,
                Section::read(&section).map_err(malformed)?,
            );
        }
        let mut symbols = BTreeMap::new();
        for symbol in file.symbols() {
            symbols.insert(
                symbol.index().0,
                Symbol::read(&file, &symbol).map_err(malformed)?,
            );
        }
        let mut object = Self {
            name,
            sections,
            symbols,
        };
        arch.isa().normalise(&mut object)?;
        Ok(object)
    }

    pub fn site(&self, section: &Section, relocation: &Relocation) -> Site {
        Site {
            object: self.name.clone(),
            section: section.name.into(),
            offset: relocation.offset as u64,
        }
    }

    pub fn symbol(&self, r: &Relocation, section: &Section) -> Result<&Symbol<'a>, Error> {
        self.symbols
            .get(&r.symbol)
            .ok_or_else(|| Error::UnsupportedSymbol {
                symbol: format!("#{}", r.symbol),
                what: "not in the symbol table",
                site: self.site(section, r),
            })
    }
}

impl<'a> Section<'a> {
    fn read(section: &object::read::Section<'a, '_>) -> object::Result<Self> {
        let flags = match section.flags() {
            SectionFlags::Elf { sh_flags } => sh_flags,
            _ => 0,
        };
        let flag = |bit: u32| flags & u64::from(bit) != 0;
        let kind = match section.kind() {
            _ if !flag(elf::SHF_ALLOC) => SectionKind::Unsupported("not loaded into memory"),
            _ if flag(elf::SHF_TLS) => SectionKind::Unsupported("thread-local data"),
            object::SectionKind::Elf(
                elf::SHT_INIT_ARRAY | elf::SHT_FINI_ARRAY | elf::SHT_PREINIT_ARRAY,
            ) => SectionKind::Unsupported(CONSTRUCTORS),
            _ if section.size() > LARGEST => SectionKind::Unsupported("larger than 64 MiB"),
            object::SectionKind::UninitializedData => SectionKind::Zeroed,
            _ if flag(elf::SHF_EXECINSTR) => SectionKind::Code,
            object::SectionKind::Data => SectionKind::Data,
            object::SectionKind::ReadOnlyData
            | object::SectionKind::ReadOnlyDataWithRel
            | object::SectionKind::ReadOnlyString => SectionKind::Constants,
            _ => SectionKind::Unsupported("of unknown type"),
        };
        let data = match kind {
            SectionKind::Zeroed => Cow::Owned(vec![0; section.size() as usize]),
            _ => Cow::Borrowed(section.data()?),
        };
        let mut relocations = Vec::new();
        for (offset, r) in section.relocations() {
            let (RelocationFlags::Elf { r_type }, symbol) = (r.flags(), r.target()) else {
                continue;
            };
            relocations.push(Relocation {
                offset: offset as usize,
                r_type,
                symbol: match symbol {
                    RelocationTarget::Symbol(index) => index.0,
                    _ => 0,
                },
                addend: (!r.has_implicit_addend()).then_some(r.addend()),
                literal: None,
            });
        }
        Ok(Self {
            name: section.name()?,
            kind,
            data,
            align: section.align().max(1),
            relocations,
        })
    }
}

impl<'a> Symbol<'a> {
    fn read(file: &File<'a>, symbol: &object::read::Symbol<'a, '_>) -> object::Result<Self> {
        let definition = match symbol.section() {
            SymbolSection::Section(index) => Definition::Section {
                index: index.0,
                offset: symbol.address() as i64,
            },
            SymbolSection::Absolute => Definition::Absolute,
            SymbolSection::Common => Definition::Common,
            _ => Definition::Undefined,
        };
        let name = match (symbol.kind(), definition) {
            (SymbolKind::Section, Definition::Section { index, .. }) => {
                file.section_by_index(object::SectionIndex(index))?.name()?
            }
            _ => symbol.name()?,
        };
        let binding = match () {
            () if symbol.is_weak() => Binding::Weak,
            () if symbol.is_global() => Binding::Strong,
            () => Binding::Local,
        };
        Ok(Self {
            name,
            definition,
            binding,
            size: symbol.size(),
        })
    }
}
