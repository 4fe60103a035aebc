//! Words that hold addresses, and code that reaches data, on each architecture.

mod support;

use object::elf;
use object::write::SymbolSection;
use support::*;

/// mpy_init is nothing but words here.
const WORDS: [(&str, i64); 13] = [
    ("mp_fun_table", 0),
    ("mp_fun_table", 8),
    ("mp_type_type", 0),
    ("mp_type_fun_builtin_1", 0),
    ("mp_stream_write_obj", 0),
    ("MP_QSTR_beta", 0),
    ("MP_QSTR_alpha", 0),
    ("MP_QSTR_beta", 0),
    ("code", 0),
    ("code", 4),
    ("constants", 4),
    ("data", 0),
    ("zeroed", 4),
];
const CODE: [u8; 8] = *b"CODECODE";
const CONSTANTS: [u8; 8] = *b"XXXXCONS";
const DATA: [u8; 8] = *b"DATADATA";

fn assembled(arch_name: &str) -> Vec<u8> {
    let word = if arch(arch_name).word == 8 {
        ".quad"
    } else {
        ".long"
    };
    let words: String = WORDS
        .iter()
        .map(|(symbol, addend)| format!("{word} {symbol}+{addend}\n"))
        .collect();
    let ascii = |name: &str, flags: &str, text: &[u8]| {
        let text = str::from_utf8(text).expect("ASCII");
        format!(
            ".section {name},\"{flags}\",%progbits\n.p2align 3\n{}: .ascii \"{text}\"\n",
            &name[1..]
        )
    };
    assemble(
        arch_name,
        &format!(
            ".section .text.mpy_init,\"ax\",%progbits\n.p2align 4\n.globl mpy_init\nmpy_init:\n{words}\n{}{}{}
            .section .zeroed,\"aw\",%nobits\n.p2align 3\nzeroed: .space 8\n",
            ascii(".code", "ax", &CODE),
            ascii(".constants", "a", &CONSTANTS),
            ascii(".data", "aw", &DATA),
        ),
    )
}

fn made(arch_name: &str) -> Vec<u8> {
    let mut o = Made::new(arch_name);
    let init = o.code(".text.mpy_init", &[0; 4 * WORDS.len()]);
    o.global("mpy_init", init);
    let alloc = elf::SHF_ALLOC;
    let (code, constants) = (
        o.code(".code", &CODE),
        o.constants(".constants", &CONSTANTS),
    );
    let data = o.section(
        ".data",
        alloc | elf::SHF_WRITE,
        object::SectionKind::Data,
        &DATA,
        4,
    );
    let zeroed = o.section(
        ".zeroed",
        alloc | elf::SHF_WRITE,
        object::SectionKind::UninitializedData,
        &[0; 8],
        8,
    );
    for (i, (name, addend)) in WORDS.iter().enumerate() {
        let section = match *name {
            "code" => SymbolSection::Section(code),
            "constants" => SymbolSection::Section(constants),
            "data" => SymbolSection::Section(data),
            "zeroed" => SymbolSection::Section(zeroed),
            _ => SymbolSection::Undefined,
        };
        let scope = match section {
            SymbolSection::Undefined => object::SymbolScope::Dynamic,
            _ => object::SymbolScope::Compilation,
        };
        let symbol = o.symbol_as(name, section, 0, false, scope);
        o.relocate(init, 4 * i as u64, symbol, elf::R_XTENSA_32, *addend);
    }
    o.done()
}

#[test]
fn address_words() {
    for name in ARCHITECTURES {
        let arch = arch(name);
        let object = if name.starts_with("xtensa") {
            made(name)
        } else {
            assembled(name)
        };
        let m = link_and_load(name, &[&object]);
        assert_eq!(m.feature >> 2, arch.code, "{name}");
        assert_eq!(m.feature & 3, 3, "{name}");
        assert_eq!(m.qstrs, ["m.mpy", "alpha", "beta"], "{name}");
        // on Xtensa a jump and the slots come first
        let start = if arch.split {
            m.text.windows(8).position(|w| w == CODE).expect("code") - 4 * WORDS.len()
        } else {
            0
        };
        let points = |i: usize| m.points(start + arch.word * i);
        let value = |i: usize| m.word(start + arch.word * i);
        let expected = [
            "table+0x0",
            "table+0x8",
            "entry 73+0",
            "entry 78+0",
            "entry 86+0",
            "qstr beta",
            "qstr alpha",
            "qstr beta",
        ];
        for (i, expected) in expected.iter().enumerate() {
            assert_eq!(points(i), *expected, "{name}, word {i}");
        }
        let bytes = |i: usize| (0..4).map(|k| m.at(value(i) + k)).collect::<Vec<_>>();
        assert_eq!(bytes(8), b"CODE", "{name}");
        assert_eq!(value(9), value(8) + 4, "{name}");
        assert_eq!(bytes(10), b"CONS", "{name}");
        assert_eq!(bytes(11), b"DATA", "{name}");
        assert_eq!(bytes(12), [0; 4], "{name}");
        let regions: Vec<_> = (8..13)
            .map(|i| points(i).split('+').next().expect("a region").to_string())
            .collect();
        let split = if arch.split {
            ["text", "text", "rodata", "rodata", "bss"]
        } else {
            ["text"; 5]
        };
        assert_eq!(regions, split, "{name}");
        assert_eq!(m.bss, if arch.split { 8 } else { 0 }, "{name}");
    }
}

const INIT: &str = ".section .text.mpy_init,\"ax\",%progbits\n.p2align 2\n.globl mpy_init\n";
const DATUM: &str =
    "\n.section .rodata.datum,\"a\",%progbits\n.p2align 2\ndatum: .ascii \"DATUM...\"\n";

#[test]
fn x64_reaches_slots_and_data() {
    let m = link_and_load(
        "x64",
        &[&assemble(
            "x64",
            &format!(
                "{INIT}mpy_init:
        movq mp_fun_table@GOTPCREL(%rip), %rax
        movl mp_type_str@GOTPCREL(%rip), %eax
        leaq datum(%rip), %rax
        movzwl datum+2(%rip), %eax
        .long mp_fun_table@GOTPCREL-4{DATUM}"
            ),
        )],
    );
    let rip = |field: usize| (field as i32 + 4 + m.int(field)) as usize;
    assert_eq!(m.points(rip(3)), "table+0x0");
    assert_eq!(m.points(rip(9)), "entry 74+0");
    assert_eq!(&m.bytes(rip(16)), b"DATUM");
    assert_eq!(&m.bytes(rip(23)), b"TUM");
    assert_eq!(m.points(rip(27)), "table+0x0");
}

#[test]
fn x86_reaches_slots_and_data() {
    let m = link_and_load(
        "x86",
        &[&assemble(
            "x86",
            &format!(
                "{INIT}mpy_init:
        calll 1f
        1: popl %ebx
        2: addl $_GLOBAL_OFFSET_TABLE_+(2b-1b), %ebx
        movl mp_fun_table@GOT(%ebx), %eax
        movl MP_QSTR_q@GOT(%ebx), %ecx
        leal datum@GOTOFF(%ebx), %ecx
        leal datum@GOTOFF+2(%ebx), %ecx
        .long mp_type_str@GOT{DATUM}"
            ),
        )],
    );
    let ebx = 5 + m.int(8);
    let from = |field: usize| (ebx + m.int(field)) as usize;
    assert_eq!(m.points(from(14)), "table+0x0");
    assert_eq!(m.points(from(20)), "qstr q");
    assert_eq!(&m.bytes(from(26)), b"DATUM");
    assert_eq!(&m.bytes(from(32)), b"TUM");
    assert_eq!(m.points(from(36)), "entry 74+0");
}

#[test]
fn arm_reaches_slots_and_data() {
    for name in ["armv6m", "armv7m", "armv7emsp", "armv7emdp"] {
        let m = link_and_load(
            name,
            &[&assemble(
                name,
                &format!(
                    "{INIT}.thumb_func\nmpy_init:
            nop
            nop
            3: .long mp_fun_table(GOT_PREL)
            4: .long datum+1-.
            5: .long function-.
            6: .long function
            .section .text.function,\"ax\",%progbits
            .thumb_func
            function: bx lr{DATUM}"
                ),
            )],
        );
        let from = |at: usize| at as i32 + m.int(at);
        assert_eq!(m.points(from(4) as usize), "table+0x0", "{name}");
        assert_eq!(&m.bytes(from(8) as usize), b"ATUM", "{name}");
        let function = from(12);
        assert_eq!(function & 1, 1, "{name}: Thumb");
        assert_eq!(m.half(function as usize & !1), 0x4770, "{name}");
        assert_eq!(m.points(16), format!("text+{function:#x}"), "{name}");
    }
}

#[test]
fn riscv_reaches_slots_and_data() {
    let m = link_and_load(
        "rv32imc",
        &[&assemble(
            "rv32imc",
            &format!(
                ".option norvc\n{INIT}mpy_init:
        1: auipc a0, %got_pcrel_hi(mp_fun_table)
        lw a0, %pcrel_lo(1b)(a0)
        2: auipc a1, %pcrel_hi(datum)
        addi a1, a1, %pcrel_lo(2b)
        3: auipc a2, %pcrel_hi(datum+4)
        sw a1, %pcrel_lo(3b)(a2)
        .word datum - mpy_init
        .word far - mpy_init
        .reloc ., R_RISCV_32_PCREL, datum + 4
        .word 0
        .section .text.far,\"ax\",%progbits
        .space 0x1000
        far: ret{DATUM}"
            ),
        )],
    );
    let high = |at: usize| at as i32 + (m.int(at) & !0xfff);
    let low_i = |at: usize| m.int(at) >> 20;
    let low_s = |at: usize| m.int(at) >> 25 << 5 | m.int(at) >> 7 & 0x1f;
    assert_eq!(m.points((high(0) + low_i(4)) as usize), "table+0x0");
    assert_eq!(&m.bytes((high(8) + low_i(12)) as usize), b"DATUM");
    assert_eq!(&m.bytes((high(16) + low_s(20)) as usize), b"M...");
    assert_eq!(&m.bytes(m.int(24) as usize), b"DATUM");
    assert_eq!(m.half(m.int(28) as usize), 0x8067, "ret");
    assert_eq!(&m.bytes((32 + m.int(32)) as usize), b"M...");
    assert_eq!(m.text[0] & 0x7f, 0x17, "auipc stays auipc");
    assert_eq!(m.int(20) & 0x01ff_f07f, 0x00b6_2023, "sw a1, (a2)");
}

/// Literals that LLVM parked behind other sections are lifted out of them, and count only if their function is live.
#[test]
fn xtensa_literals() {
    let source = r#"
        #[lang = "pointee_sized"] pub trait PointeeSized {}
        #[lang = "meta_sized"] pub trait MetaSized: PointeeSized {}
        #[lang = "sized"] pub trait Sized: MetaSized {}
        #[lang = "copy"] pub trait Copy {}
        #[lang = "sync"] pub unsafe trait Sync {}
        unsafe impl Sync for u32 {}
        #[lang = "drop_in_place"] unsafe fn drop_in_place<T: PointeeSized>(_: *mut T) {}
        impl Copy for *const u8 {}
        unsafe extern "C" { static mp_fun_table: u8; static undefined: u8; }
        #[unsafe(no_mangle)] pub static datum: u32 = 0x55544144;
        #[unsafe(no_mangle)] pub extern "C" fn dead() -> *const u8 { &raw const undefined }
        #[unsafe(no_mangle)] pub extern "C" fn table() -> *const u8 { &raw const mp_fun_table }
        #[unsafe(no_mangle)] pub extern "C" fn number() -> usize { 0x1234_5678 }
        #[unsafe(no_mangle)] pub extern "C" fn mpy_init() -> *const u32 { table(); number(); &raw const datum }
    "#;
    for name in ["xtensa", "xtensawin"] {
        let object = rustc(name, source, &["-Copt-level=0", "-Zinline-mir=no"]);
        let m = link_and_load(name, &[&object]);
        let jump = m.int(0) & 0xff_ffff;
        assert_eq!(jump & 0x3f, 6, "{name}: j");
        let entry = 4 + (jump >> 6) as usize;
        assert!(
            entry.is_multiple_of(4) && entry < m.text.len(),
            "{name}: {entry}"
        );
        let loads: Vec<_> = (entry..m.text.len() - 2)
            .filter(|at| m.text[*at] & 15 == 1)
            .map(|at| ((at + 3) & !3) as i64 + (i64::from(m.half(at + 1)) - 0x1_0000) * 4)
            .filter(|slot| (4..entry as i64).contains(slot))
            .map(|slot| m.word(slot as usize))
            .collect();
        let points: Vec<_> = loads.iter().map(|a| m.what(*a)).collect();
        assert!(
            points.contains(&"table+0x0".to_string()),
            "{name}: {points:?}"
        );
        assert!(
            points.contains(&"rodata+0x0".to_string()),
            "{name}: {points:?}"
        );
        assert!(
            points.contains(&"0x12345678".to_string()),
            "{name}: {points:?}"
        );
        assert_eq!(m.rodata, b"DATU", "{name}");
        assert_eq!(m.bss, 0, "{name}");
    }
}

/// LLVM also parks literals that nothing loads: they are no part of the section they are in.
#[test]
fn xtensa_literals_not_in_use() {
    let mut o = Made::new("xtensa");
    // l32r, call0, l32r, ret
    let code = [0x21, 0, 0, 0x05, 0, 0, 0x31, 0, 0, 0x80, 0, 0];
    let init = o.code(".text.mpy_init", &code);
    o.function("mpy_init", init, code.len() as u64);
    // a function, then three words, of which the middle one is in use
    let other = o.code(".text.other", &[&[0x80, 0, 0][..], &[0; 12]].concat());
    let other_symbol = o.function("other", other, 3);
    // a table of unknown size, then a word that is in use and one that is not
    let constants = o.constants(
        ".rodata.init",
        &[0xee, 0xee, 0xee, 0xee, 0, 0, 0, 0, 0, 0, 0, 0],
    );
    let constants_symbol = o.global("constants", constants);
    let (undefined, table) = (o.external("undefined"), o.external("mp_fun_table"));
    for (home, offset, symbol) in [
        (other, 3, undefined),
        (other, 7, table),
        (other, 11, undefined),
        (constants, 4, constants_symbol),
        (constants, 8, undefined),
    ] {
        o.relocate(home, offset, symbol, elf::R_XTENSA_32, 0);
    }
    for (at, symbol, addend) in [
        (0, other_symbol, 7),
        (3, other_symbol, 0),
        (6, constants_symbol, 4),
    ] {
        o.relocate(init, at, symbol, elf::R_XTENSA_SLOT0_OP, addend);
    }
    let m = link_and_load("xtensa", &[&o.done()]);
    assert_eq!(
        m.text.len(),
        4 + 8 + 12 + 2,
        "a jump, two literals, mpy_init, other"
    );
    let slots = [m.points(4), m.points(8)];
    assert!(
        slots.contains(&"table+0x0".into()) && slots.contains(&"rodata+0x0".into()),
        "{slots:?}"
    );
    assert_eq!(m.rodata, [0xee; 4]);
}

/// The collector frees the block of bss and rodata unless a word of the text holds the address of its head.
#[test]
fn split_block_is_held() {
    for (bss, head) in [(&[0; 6][..], "bss+0x0"), (&[][..], "rodata+0x0")] {
        let mut o = Made::new("xtensa");
        let init = o.code(".text.mpy_init", &[0; 8]);
        o.global("mpy_init", init);
        let constants = o.section(
            ".rodata",
            elf::SHF_ALLOC,
            object::SectionKind::ReadOnlyData,
            &[7; 20],
            16,
        );
        let zeroed = o.section(
            ".bss",
            elf::SHF_ALLOC | elf::SHF_WRITE,
            object::SectionKind::UninitializedData,
            bss,
            2,
        );
        let (constants, zeroed) = (o.global("constants", constants), o.global("zeroed", zeroed));
        o.relocate(init, 0, constants, elf::R_XTENSA_32, 16);
        o.relocate(init, 4, zeroed, elf::R_XTENSA_32, 0);
        let m = link_and_load("xtensa", &[&o.done()]);
        assert_eq!(m.points(4), head);
        // the loader puts rodata right behind bss
        assert_eq!(m.bss % 16, 0);
    }
}
