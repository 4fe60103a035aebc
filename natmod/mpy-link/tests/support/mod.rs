//! Objects made on the spot, and a loader of .mpy files written after py/persistentcode.c, apart from the linker.
#![allow(dead_code)]

use mpy_link::{Architecture, Error, Input, Module};
use object::{
    BinaryFormat, Endianness, RelocationFlags, SectionFlags, SectionKind, SymbolFlags, SymbolKind,
    SymbolScope, elf,
    write::{Object, Relocation, SectionId, StandardSegment, Symbol, SymbolId, SymbolSection},
};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicUsize, Ordering},
};

pub const ARCHITECTURES: [&str; 10] = [
    "x64",
    "x86",
    "armv6m",
    "armv7m",
    "armv7emsp",
    "armv7emdp",
    "rv32imc",
    "rv64imc",
    "xtensa",
    "xtensawin",
];

pub fn arch(name: &str) -> Architecture {
    Architecture::named(name).expect("a name of the table")
}

pub fn table() -> serde_json::Value {
    serde_json::from_str(include_str!("../../../architectures.json")).expect("JSON")
}

fn natmod() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// An object file of Rust source that needs no core.
pub fn rustc(arch: &str, source: &str, options: &[&str]) -> Vec<u8> {
    static FILES: AtomicUsize = AtomicUsize::new(0);
    let nth = FILES.fetch_add(1, Ordering::Relaxed);
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{}-{nth}", std::process::id()));
    fs::create_dir_all(&dir).expect("a directory for the object");
    let (input, output) = (dir.join("input.rs"), dir.join("output.o"));
    let source = format!(
        "#![feature(no_core, rustc_attrs, lang_items)]\n#![allow(internal_features)]\n#![no_core]\n{source}"
    );
    fs::write(&input, source).expect("source written");
    let target = table()[arch]["target"]
        .as_str()
        .expect("a target")
        .to_string();
    let target = if target.ends_with(".json") {
        natmod().join(target).display().to_string()
    } else {
        target
    };
    let out = Command::new(std::env::var_os("RUSTC").unwrap_or("rustc".into()))
        .env("RUSTC_BOOTSTRAP", "1")
        .args([
            "--crate-type",
            "lib",
            "--crate-name",
            "input",
            "--emit",
            "obj",
            "--edition",
            "2024",
        ])
        .args([
            "-Zunstable-options",
            "-Copt-level=1",
            "-Cpanic=abort",
            "--target",
            &target,
        ])
        .args(options)
        .arg(&input)
        .arg("-o")
        .arg(&output)
        .output()
        .expect("rustc runs");
    assert!(
        out.status.success(),
        "{arch}: {}",
        String::from_utf8_lossy(&out.stderr)
    );
    let object = fs::read(&output).expect("an object");
    fs::remove_dir_all(&dir).expect("the directory removed");
    object
}

/// An object file of assembly, made by rustc's own assembler. It has none for Xtensa.
pub fn assemble(arch: &str, assembly: &str) -> Vec<u8> {
    let att = if arch.starts_with('x') {
        ", options(att_syntax)"
    } else {
        ""
    };
    let source = format!(
        "#[rustc_builtin_macro] macro_rules! global_asm {{ () => {{}} }}\nglobal_asm!(r#\"\n{assembly}\n\"#{att});"
    );
    rustc(arch, &source, &[])
}

pub fn link(arch_name: &str, objects: &[&[u8]]) -> Result<Module, Error> {
    let names: Vec<_> = (0..objects.len()).map(|i| format!("{i}.o")).collect();
    let inputs: Vec<_> = names
        .iter()
        .zip(objects)
        .map(|(name, data)| Input { name, data })
        .collect();
    mpy_link::link(&arch(arch_name), "m.mpy", &inputs)
}

pub fn link_and_load(arch_name: &str, objects: &[&[u8]]) -> Loaded {
    let module = link(arch_name, objects).unwrap_or_else(|e| panic!("{arch_name}: {e}"));
    Loaded::new(&module.mpy, arch(arch_name).word)
}

/// An archive in the common format.
pub fn archive(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut a = b"!<arch>\n".to_vec();
    for (name, data) in members {
        let name = format!("{name}/");
        a.extend(
            format!(
                "{name:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n",
                0,
                0,
                0,
                644,
                data.len()
            )
            .bytes(),
        );
        a.extend(*data);
        if data.len() % 2 != 0 {
            a.push(b'\n');
        }
    }
    a
}

/// An object put together by hand, for what no compiler makes. Relocations carry their addends, but on x86 and ARM
/// the fields do.
pub struct Made {
    object: Object<'static>,
}

impl Made {
    pub fn new(arch_name: &str) -> Self {
        let machine = match arch_name {
            "x64" => object::Architecture::X86_64,
            "rv32imc" => object::Architecture::Riscv32,
            "rv64imc" => object::Architecture::Riscv64,
            "xtensa" | "xtensawin" => object::Architecture::Xtensa,
            "x86" => object::Architecture::I386,
            _ => object::Architecture::Arm,
        };
        Self {
            object: Object::new(BinaryFormat::Elf, machine, Endianness::Little),
        }
    }

    pub fn section(
        &mut self,
        name: &str,
        flags: u32,
        kind: SectionKind,
        data: &[u8],
        align: u64,
    ) -> SectionId {
        let segment = self.object.segment_name(StandardSegment::Data).to_vec();
        let id = self
            .object
            .add_section(segment, name.as_bytes().to_vec(), kind);
        let section = self.object.section_mut(id);
        section.flags = SectionFlags::Elf {
            sh_flags: flags.into(),
        };
        match kind {
            SectionKind::UninitializedData | SectionKind::UninitializedTls => {
                section.append_bss(data.len() as u64, align);
            }
            _ => {
                section.append_data(data, align);
            }
        }
        id
    }

    pub fn code(&mut self, name: &str, data: &[u8]) -> SectionId {
        self.section(
            name,
            elf::SHF_ALLOC | elf::SHF_EXECINSTR,
            SectionKind::Text,
            data,
            4,
        )
    }

    pub fn constants(&mut self, name: &str, data: &[u8]) -> SectionId {
        self.section(name, elf::SHF_ALLOC, SectionKind::ReadOnlyData, data, 4)
    }

    pub fn symbol(&mut self, name: &str, section: SymbolSection, value: u64) -> SymbolId {
        self.symbol_as(name, section, value, false, SymbolScope::Dynamic)
    }

    /// A function at the start of a section.
    pub fn function(&mut self, name: &str, section: SectionId, size: u64) -> SymbolId {
        let id = self.global(name, section);
        let symbol = self.object.symbol_mut(id);
        (symbol.size, symbol.kind) = (size, SymbolKind::Text);
        id
    }

    pub fn symbol_as(
        &mut self,
        name: &str,
        section: SymbolSection,
        value: u64,
        weak: bool,
        scope: SymbolScope,
    ) -> SymbolId {
        self.object.add_symbol(Symbol {
            name: name.as_bytes().to_vec(),
            value,
            size: 0,
            kind: SymbolKind::Data,
            scope,
            weak,
            section,
            flags: SymbolFlags::None,
        })
    }

    pub fn global(&mut self, name: &str, section: SectionId) -> SymbolId {
        self.symbol(name, SymbolSection::Section(section), 0)
    }

    pub fn external(&mut self, name: &str) -> SymbolId {
        self.symbol(name, SymbolSection::Undefined, 0)
    }

    pub fn relocate(
        &mut self,
        section: SectionId,
        offset: u64,
        symbol: SymbolId,
        r_type: u32,
        addend: i64,
    ) {
        let flags = RelocationFlags::Elf { r_type };
        self.object
            .add_relocation(
                section,
                Relocation {
                    offset,
                    symbol,
                    addend,
                    flags,
                },
            )
            .expect("a relocation");
    }

    pub fn done(&self) -> Vec<u8> {
        self.object.write().expect("an object")
    }
}

const TEXT: u64 = 0x1000_0000;
const BLOCK: u64 = 0x2000_0000;
const QSTRS: u64 = 0x3000_0000;
const FUN_TABLE: u64 = 0x4000_0000;
const FUN_TABLE_ENTRIES: u64 = 0x5000_0000;

/// A module as it lies in memory.
pub struct Loaded {
    pub qstrs: Vec<String>,
    pub text: Vec<u8>,
    pub rodata: Vec<u8>,
    pub bss: usize,
    /// The operations of the relocation stream as (kind, count).
    pub operations: Vec<(u8, usize)>,
    pub feature: u8,
    word: usize,
}

impl Loaded {
    pub fn new(mpy: &[u8], word: usize) -> Self {
        let mut r = mpy.iter().copied();
        let mut byte = move || r.next().expect("the file goes on");
        fn uint(byte: &mut impl FnMut() -> u8) -> usize {
            let mut value = 0;
            loop {
                let b = byte();
                value = value << 7 | usize::from(b & 0x7f);
                if b < 0x80 {
                    return value;
                }
            }
        }
        assert_eq!([byte(), byte()], [b'M', 6]);
        let feature = byte();
        assert_eq!(byte(), 31);
        let (qstr_count, objects) = (uint(&mut byte), uint(&mut byte));
        assert_eq!(objects, 0);
        let mut qstrs = Vec::new();
        for _ in 0..qstr_count {
            let length = uint(&mut byte);
            if length & 1 != 0 {
                qstrs.push(format!("static {}", length >> 1));
                continue;
            }
            let name = (0..length >> 1).map(|_| byte()).collect();
            qstrs.push(String::from_utf8(name).expect("UTF-8"));
            assert_eq!(byte(), 0);
        }
        let kind_len = uint(&mut byte);
        assert_eq!(kind_len & 7, 2, "viper code without children");
        let mut text: Vec<u8> = (0..kind_len >> 3).map(|_| byte()).collect();
        let flags = uint(&mut byte);
        assert_eq!(flags & 0x10, 0x10, "relocations follow");
        let rodata_size = if flags & 0x20 != 0 {
            uint(&mut byte)
        } else {
            0
        };
        let bss = if flags & 0x40 != 0 {
            uint(&mut byte)
        } else {
            0
        };
        let mut rodata: Vec<u8> = (0..rodata_size).map(|_| byte()).collect();
        let rodata_base = BLOCK + bss.next_multiple_of(word) as u64;
        let (mut operations, mut at) = (Vec::new(), None);
        let mut patched = BTreeMap::new();
        loop {
            let op = byte();
            if op == 0xff {
                break;
            }
            if op & 1 != 0 {
                let address = uint(&mut byte);
                at = Some((address & 1 != 0, (address >> 1) * word));
            }
            let (kind, count) = match op >> 1 {
                k @ 0..=5 => (k >> 1, if k & 1 != 0 { uint(&mut byte) } else { 1 }),
                k => (k, 1),
            };
            operations.push((kind, count));
            let base = match kind {
                0 => TEXT,
                1 => rodata_base,
                2 => BLOCK,
                6 => QSTRS,
                8 => FUN_TABLE,
                k => FUN_TABLE_ENTRIES + 16 * u64::from(k - 9),
            };
            for _ in 0..count {
                let (in_rodata, offset) = at.expect("the first operation has an address");
                let memory = if in_rodata { &mut rodata } else { &mut text };
                let field = &mut memory[offset..offset + word];
                let old = field
                    .iter()
                    .rev()
                    .fold(0_u64, |n, b| n << 8 | u64::from(*b));
                field.copy_from_slice(&old.wrapping_add(base).to_le_bytes()[..word]);
                assert_eq!(
                    patched.insert((in_rodata, offset), ()),
                    None,
                    "relocated twice"
                );
                at = Some((in_rodata, offset + word));
            }
        }
        Self {
            qstrs,
            text,
            rodata,
            bss,
            operations,
            feature,
            word,
        }
    }

    fn rodata_base(&self) -> u64 {
        BLOCK + self.bss.next_multiple_of(self.word) as u64
    }

    /// What an address is, in words.
    pub fn what(&self, address: u64) -> String {
        let rodata = self.rodata_base();
        match address {
            a if (TEXT..TEXT + self.text.len() as u64).contains(&a) => {
                format!("text+{:#x}", a - TEXT)
            }
            a if (BLOCK..rodata).contains(&a) => format!("bss+{:#x}", a - BLOCK),
            a if (rodata..rodata + self.rodata.len() as u64).contains(&a) => {
                format!("rodata+{:#x}", a - rodata)
            }
            a if (QSTRS..QSTRS + 2 * self.qstrs.len() as u64).contains(&a) => {
                format!("qstr {}", self.qstrs[(a - QSTRS) as usize / 2])
            }
            a if (FUN_TABLE..FUN_TABLE + 1000).contains(&a) => {
                format!("table+{:#x}", a - FUN_TABLE)
            }
            a if (FUN_TABLE_ENTRIES..FUN_TABLE_ENTRIES + 2000).contains(&a) => {
                format!(
                    "entry {}+{}",
                    (a - FUN_TABLE_ENTRIES) / 16,
                    (a - FUN_TABLE_ENTRIES) % 16
                )
            }
            a => format!("{a:#x}"),
        }
    }

    /// The bytes from an offset of the text on.
    pub fn bytes<const N: usize>(&self, at: usize) -> [u8; N] {
        *self.text[at..].first_chunk().expect("in the text")
    }

    pub fn half(&self, at: usize) -> u16 {
        u16::from_le_bytes(self.bytes(at))
    }

    pub fn int(&self, at: usize) -> i32 {
        i32::from_le_bytes(self.bytes(at))
    }

    /// The word at an offset of the text.
    pub fn word(&self, at: usize) -> u64 {
        match self.word {
            8 => u64::from_le_bytes(self.bytes(at)),
            _ => u32::from_le_bytes(self.bytes(at)).into(),
        }
    }

    /// What the word at an offset of the text points at.
    pub fn points(&self, at: usize) -> String {
        self.what(self.word(at))
    }

    /// The byte an address points at.
    pub fn at(&self, address: u64) -> u8 {
        let rodata = self.rodata_base();
        match address {
            a if a >= rodata => self.rodata[(a - rodata) as usize],
            a if a >= BLOCK => 0,
            a => self.text[(a - TEXT) as usize],
        }
    }
}
