//! Every error, provoked, with what it names.

mod support;

use mpy_link::{Architecture, Error, Misfit, Sizes};
use object::{SectionKind, SymbolScope, elf, write::SymbolSection};
use support::*;

/// An object with mpy_init of 16 bytes and one relocation in it.
fn with_relocation(arch: &str, offset: u64, r_type: u32, symbol: &str, addend: i64) -> Vec<u8> {
    let mut o = Made::new(arch);
    let init = o.code(".text.mpy_init", &[0; 16]);
    o.global("mpy_init", init);
    let symbol = o.external(symbol);
    o.relocate(init, offset, symbol, r_type, addend);
    o.done()
}

/// An object whose mpy_init holds the address of a symbol in another section.
fn with_section(name: &str, flags: u32, kind: SectionKind, align: u64) -> Vec<u8> {
    let mut o = Made::new("x64");
    let init = o.code(".text.mpy_init", &[0; 16]);
    o.global("mpy_init", init);
    let section = o.section(name, flags, kind, &[0; 8], align);
    let symbol = o.global("there", section);
    o.relocate(init, 8, symbol, elf::R_X86_64_64, 0);
    o.done()
}

fn error(arch: &str, objects: &[&[u8]]) -> Error {
    match link(arch, objects) {
        Ok(_) => panic!("linked"),
        Err(e) => e,
    }
}

/// The error's text names all of these.
fn names(error: &Error, parts: &[&str]) {
    let text = error.to_string();
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in {text:?}");
    }
}

#[test]
fn unknown_architecture() {
    let e = Architecture::named("z80").expect_err("unknown");
    assert!(matches!(e, Error::UnknownArchitecture { .. }));
    names(&e, &["z80", "x64", "xtensawin"]);
}

#[test]
fn not_an_object() {
    let e = error("x64", &[b"BC\xc0\xde"]);
    assert!(matches!(e, Error::NotElf { .. }));
    names(&e, &["0.o"]);
    let e = error("x64", &[&archive(&[("a.o", b"text"), ("b.o", b"")])]);
    assert!(matches!(e, Error::NotElf { .. }));
    names(&e, &["0.o(a.o)"]);
    let whole = with_relocation("x64", 0, elf::R_X86_64_64, "mp_fun_table", 0);
    let e = error("x64", &[&whole[..whole.len() / 2]]);
    assert!(matches!(e, Error::Object { .. }));
    let e = error("x64", &[b"!<arch>\nrubbish"]);
    assert!(matches!(e, Error::Object { .. }));
    names(&e, &["0.o"]);
}

/// No way of cutting an object short makes the linker panic.
#[test]
fn truncated_objects() {
    for arch in ["x64", "rv32imc", "xtensa"] {
        let whole = with_relocation(arch, 0, 1, "mp_fun_table", 0);
        for length in 0..whole.len() {
            let _ = link(arch, &[&whole[..length]]);
        }
        let mut changed = whole.clone();
        for at in 0..whole.len() {
            for value in [0, 1, 0x7f, 0xff] {
                changed[at] = value;
                let _ = link(arch, &[&changed]);
            }
            changed[at] = whole[at];
        }
    }
}

#[test]
fn wrong_machine() {
    let object = with_relocation("x64", 0, elf::R_X86_64_64, "mp_fun_table", 0);
    for arch in ARCHITECTURES.iter().filter(|a| **a != "x64") {
        let e = error(arch, &[&object]);
        assert!(matches!(e, Error::WrongMachine { .. }), "{arch}: {e}");
        names(&e, &["0.o", arch, "X86_64"]);
    }
}

#[test]
fn no_entry() {
    let mut o = Made::new("x64");
    o.code(".text.other", &[0; 4]);
    let e = error("x64", &[&o.done()]);
    assert!(matches!(e, Error::NoEntry(_)));
    names(&e, &["mpy_init"]);

    let mut o = Made::new("x64");
    let text = o.code(".text", &[0; 8]);
    o.symbol("mpy_init", SymbolSection::Section(text), 4);
    let e = error("x64", &[&o.done()]);
    assert!(matches!(e, Error::EntryNotFirst(_)));
    names(&e, &[".text+0x4", "0.o"]);
}

#[test]
fn bad_names() {
    let object = with_relocation("x64", 0, elf::R_X86_64_64, "mp_fun_table", 0);
    let input = || {
        [mpy_link::Input {
            name: "0.o",
            data: &object,
        }]
    };
    for name in ["", &"n".repeat(256)] {
        let result = mpy_link::link(&arch("x64"), name, &input());
        assert!(matches!(result, Err(Error::Name(_))));
    }
}

#[test]
fn duplicate() {
    let one = |name: &str, value: u8| {
        let mut o = Made::new("x64");
        let section = o.code(&format!(".text.{name}"), &[value; 16]);
        o.global(name, section);
        o
    };
    let mut init = one("mpy_init", 0);
    let section = init.code(".text.user", &[0; 8]);
    init.global("user", section);
    let twice = (one("twice", 1).done(), one("twice", 2).done());
    // not in use: no matter
    assert!(link("x64", &[&init.done(), &twice.0, &twice.1]).is_ok());
    let e = error(
        "x64",
        &[
            &with_relocation("x64", 0, elf::R_X86_64_64, "twice", 0),
            &twice.0,
            &twice.1,
        ],
    );
    assert!(matches!(e, Error::Duplicate { .. }));
    names(&e, &["`twice`", "1.o", "2.o"]);
}

#[test]
fn undefined() {
    let e = error(
        "x64",
        &[&with_relocation("x64", 8, elf::R_X86_64_64, "nowhere", 0)],
    );
    assert!(matches!(e, Error::Undefined { .. }));
    names(&e, &["`nowhere`", "0.o:(.text.mpy_init+0x8)"]);
    // in the runtime, but not in its table
    let e = error(
        "x64",
        &[&with_relocation(
            "x64",
            0,
            elf::R_X86_64_64,
            "mp_type_bytearray",
            0,
        )],
    );
    names(&e, &["mp_type_bytearray", "mp_fun_table"]);
    let e = error(
        "x64",
        &[&with_relocation("x64", 0, elf::R_X86_64_64, "MP_QSTR_", 0)],
    );
    assert!(matches!(e, Error::Undefined { .. }));
}

#[test]
fn unsupported_symbols() {
    for (section, size) in [
        (SymbolSection::Absolute, "absolute"),
        (SymbolSection::Common, "common"),
    ] {
        let mut o = Made::new("x64");
        let init = o.code(".text.mpy_init", &[0; 16]);
        o.global("mpy_init", init);
        let symbol = o.symbol("odd", section, 4);
        o.relocate(init, 0, symbol, elf::R_X86_64_64, 0);
        let e = error("x64", &[&o.done()]);
        assert!(matches!(e, Error::UnsupportedSymbol { .. }), "{e}");
        names(&e, &["`odd`", size, "0.o:(.text.mpy_init+0x0)"]);
    }
}

/// Those of both, and the word of one.
const fn riscv(word: u32) -> [u32; 17] {
    [
        word,
        elf::R_RISCV_NONE,
        elf::R_RISCV_RELAX,
        elf::R_RISCV_32_PCREL,
        elf::R_RISCV_BRANCH,
        elf::R_RISCV_JAL,
        elf::R_RISCV_CALL,
        elf::R_RISCV_CALL_PLT,
        elf::R_RISCV_RVC_BRANCH,
        elf::R_RISCV_RVC_JUMP,
        elf::R_RISCV_PCREL_HI20,
        elf::R_RISCV_GOT_HI20,
        elf::R_RISCV_PCREL_LO12_I,
        elf::R_RISCV_PCREL_LO12_S,
        elf::R_RISCV_ADD32,
        elf::R_RISCV_SUB32,
        elf::R_RISCV_ALIGN,
    ]
}
static RISCV32: [u32; 17] = riscv(elf::R_RISCV_32);
static RISCV64: [u32; 17] = riscv(elf::R_RISCV_64);

/// The relocation types of which each instruction set's meaning is tested in words.rs and branches.rs.
fn known(arch: &str) -> &'static [u32] {
    match arch {
        "x64" => &[
            elf::R_X86_64_NONE,
            elf::R_X86_64_64,
            elf::R_X86_64_PC32,
            elf::R_X86_64_PLT32,
            elf::R_X86_64_GOTPCREL,
            elf::R_X86_64_GOTPCRELX,
            elf::R_X86_64_REX_GOTPCRELX,
        ],
        "x86" => &[
            elf::R_386_NONE,
            elf::R_386_32,
            elf::R_386_PC32,
            elf::R_386_PLT32,
            elf::R_386_GOTPC,
            elf::R_386_GOTOFF,
            elf::R_386_GOT32,
            elf::R_386_GOT32X,
        ],
        "rv32imc" => &RISCV32,
        "rv64imc" => &RISCV64,
        "xtensa" | "xtensawin" => &[elf::R_XTENSA_NONE, elf::R_XTENSA_32, elf::R_XTENSA_SLOT0_OP],
        _ => &[
            elf::R_ARM_NONE,
            elf::R_ARM_ABS32,
            elf::R_ARM_REL32,
            elf::R_ARM_THM_PC22,
            elf::R_ARM_THM_JUMP24,
            elf::R_ARM_THM_JUMP19,
            elf::R_ARM_THM_PC11,
            elf::R_ARM_THM_PC9,
            elf::R_ARM_GOT_PREL,
        ],
    }
}

#[test]
fn unknown_relocations() {
    for arch in ARCHITECTURES {
        for r_type in 0..256 {
            let object = with_relocation(arch, 4, r_type, "mp_fun_table", 0);
            match link(arch, &[&object]) {
                Err(e @ Error::UnknownRelocation { .. }) => {
                    assert!(!known(arch).contains(&r_type), "{arch}: {e}");
                    let site = "0.o:(.text.mpy_init+0x4)";
                    names(&e, &[&format!("type {r_type}"), "`mp_fun_table`", site]);
                }
                _ => assert!(known(arch).contains(&r_type), "{arch}: type {r_type}"),
            }
        }
    }
}

/// What code that is not position independent brings.
#[test]
fn absolute_code() {
    let cases = [
        ("armv7m", "movw r0, :lower16:mp_fun_table", "type 47"),
        ("rv32imc", "lui a0, %hi(mp_fun_table)", "type 26"),
        ("x64", "movl $mp_fun_table, %eax", "type 10"),
    ];
    for (arch, instruction, what) in cases {
        let object = assemble(
            arch,
            &format!(
                ".section .text.mpy_init,\"ax\",%progbits\n.globl mpy_init\nmpy_init: {instruction}\n"
            ),
        );
        let e = error(arch, &[&object]);
        assert!(matches!(e, Error::UnknownRelocation { .. }), "{arch}: {e}");
        names(&e, &[what, "relocation model"]);
    }
}

#[test]
fn outside_the_section() {
    let e = error(
        "x64",
        &[&with_relocation(
            "x64",
            16,
            elf::R_X86_64_64,
            "mp_fun_table",
            0,
        )],
    );
    assert!(matches!(e, Error::OutsideSection { .. }), "{e}");
    let e = error(
        "x64",
        &[&with_relocation(
            "x64",
            12,
            elf::R_X86_64_64,
            "mp_fun_table",
            0,
        )],
    );
    assert!(matches!(e, Error::UnalignedWord { .. }), "{e}");
    let e = error(
        "rv32imc",
        &[&with_relocation(
            "rv32imc",
            14,
            elf::R_RISCV_JAL,
            "mpy_init",
            0,
        )],
    );
    assert!(
        matches!(
            e,
            Error::Misfit {
                why: Misfit::Truncated,
                ..
            }
        ),
        "{e}"
    );
    names(&e, &["`mpy_init`", "0.o:(.text.mpy_init+0xe)"]);
}

#[test]
fn unknown_sections() {
    let alloc = elf::SHF_ALLOC;
    let cases = [
        (".debug_x", 0, SectionKind::Debug, "not loaded"),
        (
            ".tdata",
            alloc | elf::SHF_WRITE | elf::SHF_TLS,
            SectionKind::Tls,
            "thread-local",
        ),
        (
            ".init_array",
            alloc | elf::SHF_WRITE,
            SectionKind::Elf(elf::SHT_INIT_ARRAY),
            "constructors",
        ),
        (".note.x", alloc, SectionKind::Note, "unknown type"),
    ];
    for (name, flags, kind, why) in cases {
        let e = error("x64", &[&with_section(name, flags, kind, 8)]);
        assert!(matches!(e, Error::UnknownSection { .. }), "{name}: {e}");
        names(&e, &[name, why, "0.o"]);
    }
}

/// Constructors count although nothing refers to them, in an object that is in use.
#[test]
fn constructors() {
    let with_constructor = |name: &str| {
        let mut o = Made::new("x64");
        let init = o.code(&format!(".text.{name}"), &[0; 16]);
        o.global(name, init);
        o.section(
            ".init_array",
            elf::SHF_ALLOC,
            SectionKind::Elf(elf::SHT_INIT_ARRAY),
            &[0; 8],
            8,
        );
        o.done()
    };
    assert!(matches!(
        error("x64", &[&with_constructor("mpy_init")]),
        Error::UnknownSection { .. }
    ));
    let plain = with_relocation("x64", 0, elf::R_X86_64_64, "mp_fun_table", 0);
    assert!(link("x64", &[&plain, &with_constructor("unused")]).is_ok());
}

#[test]
fn alignment() {
    let flags = elf::SHF_ALLOC;
    assert!(
        link(
            "x64",
            &[&with_section(
                ".rodata",
                flags,
                SectionKind::ReadOnlyData,
                16
            )]
        )
        .is_ok()
    );
    let e = error(
        "x64",
        &[&with_section(
            ".rodata",
            flags,
            SectionKind::ReadOnlyData,
            32,
        )],
    );
    assert!(
        matches!(
            e,
            Error::Alignment {
                align: 32,
                limit: 16,
                ..
            }
        ),
        "{e}"
    );
    names(&e, &[".rodata", "0.o"]);
}

#[test]
fn unaligned_word() {
    for (arch, r_type, offset) in [
        ("x64", elf::R_X86_64_64, 4),
        ("rv32imc", elf::R_RISCV_32, 2),
    ] {
        let e = error(
            arch,
            &[&with_relocation(arch, offset, r_type, "mp_type_str", 0)],
        );
        assert!(matches!(e, Error::UnalignedWord { .. }), "{e}");
        names(
            &e,
            &[
                "`mp_type_str`",
                &format!("0.o:(.text.mpy_init+{offset:#x})"),
            ],
        );
    }
}

/// A distance to the runtime, or between regions, is not known before the module is loaded.
#[test]
fn not_text() {
    let e = error(
        "x64",
        &[&with_relocation(
            "x64",
            0,
            elf::R_X86_64_PC32,
            "mp_fun_table",
            -4,
        )],
    );
    assert!(matches!(e, Error::NotText { .. }), "{e}");
    names(&e, &["`mp_fun_table`", "0.o:(.text.mpy_init+0x0)"]);
    let mut o = Made::new("xtensa");
    let init = o.code(".text.mpy_init", &[6, 0, 0, 0]);
    o.global("mpy_init", init);
    let constants = o.constants(".rodata", &[0; 4]);
    let constants = o.global("constants", constants);
    o.relocate(init, 0, constants, elf::R_XTENSA_SLOT0_OP, 0);
    let e = error("xtensa", &[&o.done()]);
    assert!(matches!(e, Error::NotText { .. }), "{e}");
}

#[test]
fn out_of_range() {
    let cases: [(&str, u32, [u8; 4], i64); 12] = [
        ("x64", elf::R_X86_64_PC32, [0; 4], 1 << 31),
        ("rv32imc", elf::R_RISCV_BRANCH, [0x63, 0, 0, 0], 1 << 12),
        (
            "rv32imc",
            elf::R_RISCV_BRANCH,
            [0x63, 0, 0, 0],
            -(1 << 12) - 2,
        ),
        ("rv32imc", elf::R_RISCV_JAL, [0x6f, 0, 0, 0], 1 << 20),
        ("rv32imc", elf::R_RISCV_RVC_JUMP, [1, 0xa0, 0, 0], 1 << 11),
        ("rv32imc", elf::R_RISCV_RVC_BRANCH, [1, 0xc1, 0, 0], 1 << 8),
        ("xtensa", elf::R_XTENSA_SLOT0_OP, [0x05, 0, 0, 0], 1 << 20),
        ("xtensa", elf::R_XTENSA_SLOT0_OP, [0x06, 0, 0, 0], 1 << 18),
        ("xtensa", elf::R_XTENSA_SLOT0_OP, [0x16, 0, 0, 0], 1 << 12),
        ("xtensa", elf::R_XTENSA_SLOT0_OP, [0x26, 0, 0, 0], 1 << 8),
        ("xtensa", elf::R_XTENSA_SLOT0_OP, [0x07, 0, 0, 0], 1 << 8),
        ("xtensa", elf::R_XTENSA_SLOT0_OP, [0x07, 0, 0, 0], -(1 << 8)),
    ];
    for (arch, r_type, op, distance) in cases {
        let mut o = Made::new(arch);
        let init = o.code(".text.mpy_init", &op);
        let symbol = o.global("mpy_init", init);
        o.relocate(init, 0, symbol, r_type, distance);
        let e = error(arch, &[&o.done()]);
        assert!(
            matches!(
                e,
                Error::Misfit {
                    why: Misfit::OutOfRange { .. },
                    ..
                }
            ),
            "{arch} {op:x?}: {e}"
        );
        names(&e, &["`mpy_init`", "0.o:(.text.mpy_init+0x0)"]);
    }
}

#[test]
fn thumb_out_of_range() {
    let far = |arch: &str, instruction: &str, gap: usize| {
        let object = assemble(
            arch,
            &format!(
                ".section .text.mpy_init,\"ax\",%progbits\n.globl mpy_init\nmpy_init: {instruction} far
                .section .text.far,\"ax\",%progbits\n.space {gap}\nfar: nop"
            ),
        );
        link(arch, &[&object])
    };
    for (arch, instruction, gap) in [
        ("armv6m", "b", 2048),
        ("armv6m", "beq", 256),
        ("armv7m", "beq.w", (1 << 20) - 2),
        ("armv6m", "bl", (1 << 24) - 2),
    ] {
        assert!(far(arch, instruction, gap).is_ok(), "{instruction}");
        let e = far(arch, instruction, gap + 4).err().expect("too far");
        assert!(
            matches!(
                e,
                Error::Misfit {
                    why: Misfit::OutOfRange { .. },
                    ..
                }
            ),
            "{instruction}: {e}"
        );
    }
}

#[test]
fn misaligned_and_wrong_instruction() {
    let misfit = |arch: &str, r_type, op: [u8; 4], distance| {
        let mut o = Made::new(arch);
        let init = o.code(".text.mpy_init", &op);
        let symbol = o.global("mpy_init", init);
        o.relocate(init, 0, symbol, r_type, distance);
        match error(arch, &[&o.done()]) {
            Error::Misfit { why, .. } => why,
            e => panic!("{e}"),
        }
    };
    assert!(matches!(
        misfit("rv32imc", elf::R_RISCV_JAL, [0; 4], 3),
        Misfit::Misaligned { to: 2, .. }
    ));
    assert!(matches!(
        misfit("xtensa", elf::R_XTENSA_SLOT0_OP, [5, 0, 0, 0], 6),
        Misfit::Misaligned { to: 4, .. }
    ));
    // add, entry and loop take no distance
    for op in [[0, 0, 0x80, 0], [0x36, 0x41, 0, 0], [0x76, 0x82, 0, 0]] {
        assert!(
            matches!(
                misfit("xtensa", elf::R_XTENSA_SLOT0_OP, op, 8),
                Misfit::Opcode(_)
            ),
            "{op:x?}"
        );
    }
    // an l32r whose literal is behind it cannot come from a compiler: nothing to test but the parked word's place
    let mut o = Made::new("xtensa");
    let init = o.code(".text.mpy_init", &[1, 0, 0, 0]);
    let symbol = o.global("mpy_init", init);
    o.relocate(init, 0, symbol, elf::R_XTENSA_SLOT0_OP, 400);
    assert!(matches!(
        error("xtensa", &[&o.done()]),
        Error::OutsideSection { .. }
    ));
}

#[test]
fn unpaired() {
    for r_type in [
        elf::R_RISCV_PCREL_LO12_I,
        elf::R_RISCV_ADD32,
        elf::R_RISCV_SUB32,
    ] {
        let e = error(
            "rv32imc",
            &[&with_relocation("rv32imc", 4, r_type, "mp_fun_table", 0)],
        );
        assert!(matches!(e, Error::Unpaired { .. }), "{r_type}: {e}");
    }
}

/// Nops that a relaxing linker would take away leave what follows misaligned.
#[test]
fn relaxation_needed() {
    let with_align = |padding: i64| {
        let mut o = Made::new("rv32imc");
        let init = o.code(".text.mpy_init", &[0; 16]);
        let symbol = o.symbol_as(
            "mpy_init",
            SymbolSection::Section(init),
            0,
            false,
            SymbolScope::Dynamic,
        );
        o.relocate(init, 4, symbol, elf::R_RISCV_ALIGN, padding);
        link("rv32imc", &[&o.done()])
    };
    assert!(with_align(2).is_err());
    assert!(with_align(4).is_ok());
}

#[test]
fn not_a_module() {
    let good = link(
        "x64",
        &[&with_relocation(
            "x64",
            0,
            elf::R_X86_64_64,
            "mp_fun_table",
            0,
        )],
    )
    .expect("links")
    .mpy;
    assert!(Sizes::read("good", &good).is_ok());
    for length in 0..good.len() {
        let e = Sizes::read("short.mpy", &good[..length]).expect_err("cut short");
        names(&e, &["short.mpy"]);
    }
    for (at, value) in [(0, b'N'), (1, 5), (2, 0x0a), (2, 3), (3, 32), (5, 1)] {
        let mut bad = good.clone();
        bad[at] = value;
        assert!(
            matches!(Sizes::read("bad", &bad), Err(Error::Mpy { .. })),
            "byte {at}"
        );
    }
}
