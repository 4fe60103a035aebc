//! Xtensa code takes no more bytes than it has to. All bytes are those of GNU as for xtensa-lx106.

mod support;

use object::{elf, write::SymbolSection};
use support::*;

const RET: [u8; 3] = [0x80, 0, 0];
const RET_N: [u8; 2] = [0x0d, 0xf0];
const MOV: [u8; 3] = [0x40, 0x34, 0x20];
const MOV_N: [u8; 2] = [0x3d, 0x04];
const SUB: [u8; 3] = [0x50, 0x34, 0xc0];

/// What is left of the code of mpy_init.
fn shrunk(code: &[&[u8]]) -> Vec<u8> {
    let mut o = Made::new("xtensa");
    let init = o.code(".text.mpy_init", &code.concat());
    o.global("mpy_init", init);
    // behind the jump
    link_and_load("xtensa", &[&o.done()]).text[4..].to_vec()
}

#[test]
fn narrow_forms() {
    let cases: [(&str, [u8; 3], [u8; 2]); 10] = [
        ("l32i a3, a4, 60", [0x32, 0x24, 0x0f], [0x38, 0xf4]),
        ("s32i a5, a1, 0", [0x52, 0x61, 0x00], [0x59, 0x01]),
        ("add a3, a4, a5", [0x50, 0x34, 0x80], [0x5a, 0x34]),
        ("addi a3, a4, 15", [0x32, 0xc4, 0x0f], [0xfb, 0x34]),
        ("addi a3, a4, -1", [0x32, 0xc4, 0xff], [0x0b, 0x34]),
        ("addi a3, a4, 0", [0x32, 0xc4, 0x00], [0x3d, 0x04]),
        ("mov a3, a4", [0x40, 0x34, 0x20], [0x3d, 0x04]),
        ("movi a3, 95", [0x32, 0xa0, 0x5f], [0x5c, 0xf3]),
        ("movi a3, -32", [0x32, 0xaf, 0xe0], [0x6c, 0x03]),
        ("ret", RET, RET_N),
    ];
    for (what, wide, narrow) in cases {
        assert_eq!(
            shrunk(&[&SUB, &wide]),
            [&SUB[..], &narrow].concat(),
            "{what}"
        );
    }
    assert_eq!(shrunk(&[&[0x90, 0, 0]]), [0x1d, 0xf0], "retw");
}

#[test]
fn forms_that_are_wide_only() {
    let cases: [(&str, [u8; 3]); 8] = [
        ("l32i a3, a4, 64", [0x32, 0x24, 0x10]),
        ("s32i a5, a1, 64", [0x52, 0x61, 0x10]),
        ("addi a3, a4, 16", [0x32, 0xc4, 0x10]),
        ("addi a3, a4, -2", [0x32, 0xc4, 0xfe]),
        ("or a3, a4, a5", [0x50, 0x34, 0x20]),
        ("movi a3, 96", [0x32, 0xa0, 0x60]),
        ("movi a3, -33", [0x32, 0xaf, 0xdf]),
        ("sub a3, a4, a5", SUB),
    ];
    for (what, wide) in cases {
        assert_eq!(
            shrunk(&[&wide, &RET]),
            [&wide[..], &RET_N].concat(),
            "{what}"
        );
    }
}

/// Branches over what became shorter, forwards and backwards.
#[test]
fn branches() {
    let code: [&[u8]; 8] = [
        &[0x16, 0x13, 0x01], // beqz a3, ret
        &[0x56, 0xe3, 0x00], // bnez a3, ret
        &[0x96, 0xb3, 0x00], // bltz a3, ret
        &[0x47, 0x93, 0x08], // bne a3, a4, ret
        &[0x46, 0x01, 0x00], // j ret
        &[0x32, 0xa0, 0x5f], // movi a3, 95
        &[0x47, 0x93, 0xea], // bne a3, a4, to the start
        &RET,
    ];
    let short: [&[u8]; 8] = [
        &[0x8c, 0xe3],
        &[0xcc, 0xc3],
        &[0x96, 0xa3, 0x00],
        &[0x47, 0x93, 0x07],
        &[0x06, 0x01, 0x00],
        &[0x5c, 0xf3],
        &[0x47, 0x93, 0xed],
        &RET_N,
    ];
    assert_eq!(shrunk(&code), short.concat());
}

/// The narrow form reaches 67 bytes ahead, but not to the next instruction.
#[test]
fn near_branches() {
    // beqz a3 to the ret behind `movs`, which become narrow, and `subs`, which do not
    let around = |movs: usize, subs: usize| {
        let field = 3 * (movs + subs) as i32 - 1;
        let beqz = (field << 12 | 0x316).to_le_bytes();
        shrunk(&[&beqz[..3], &MOV.repeat(movs), &SUB.repeat(subs), &RET])
    };
    let expected = |beqz: &[u8], movs: usize, subs: usize| {
        [beqz, &MOV_N.repeat(movs), &SUB.repeat(subs), &RET_N].concat()
    };
    assert_eq!(around(1, 0), expected(&[0x8c, 0x03], 1, 0));
    assert_eq!(around(1, 21), expected(&[0xbc, 0xf3], 1, 21));
    assert_eq!(around(0, 22), expected(&[0x16, 0x13, 0x04], 0, 22));
    assert_eq!(around(0, 0), expected(&[0x16, 0xf3, 0xff], 0, 0));
}

/// mpy_init of `code`, whose l32r loads the address of `callee`: f is a function, d are data.
fn calling(arch: &str, code: &[&[u8]], callee: &str) -> Loaded {
    let mut o = Made::new(arch);
    let init = o.code(".text.mpy_init", &code.concat());
    o.global("mpy_init", init);
    let function = o.code(".text.f", &RET);
    let data = o.constants(".rodata.d", &[0xdd; 4]);
    o.function("f", function, 3);
    o.global("d", data);
    let parked = o.code(".text", &[0; 4]);
    let callee = match callee {
        "f" => o.symbol("g", SymbolSection::Section(function), 0),
        "d" => o.symbol("e", SymbolSection::Section(data), 0),
        _ => o.external(callee),
    };
    o.relocate(parked, 0, callee, elf::R_XTENSA_32, 0);
    let literal = o.global("literal", parked);
    let l32r = code
        .iter()
        .take_while(|op| op[0] & 15 != 1)
        .map(|op| op.len())
        .sum::<usize>();
    o.relocate(init, l32r as u64, literal, elf::R_XTENSA_SLOT0_OP, 0);
    link_and_load(arch, &[&o.done()])
}

const L32R_A8: [u8; 3] = [0x81, 0, 0];
const CALLX0_A8: [u8; 3] = [0xc0, 0x08, 0];

/// l32r and callx become a call, and the literal goes too.
#[test]
fn calls() {
    let call8 = ("xtensawin", [0xe0, 0x08, 0], 0x65);
    for (arch, callx, call) in [("xtensa", CALLX0_A8, 0x45), call8] {
        let m = calling(arch, &[&L32R_A8, &SUB, &callx, &RET], "f");
        let code = [&SUB[..], &[call, 0, 0], &RET_N, &RET_N];
        assert_eq!(m.text[4..], code.concat(), "{arch}");
        assert_eq!(m.operations, [], "{arch}: nothing is left to the loader");
    }
}

#[test]
fn calls_through_a_register() {
    let cases: [(&str, &[&[u8]], &str); 9] = [
        ("data", &[&L32R_A8, &SUB, &CALLX0_A8], "d"),
        ("the runtime", &[&L32R_A8, &SUB, &CALLX0_A8], "mp_fun_table"),
        ("a12", &[&[0xc1, 0, 0], &SUB, &[0xc0, 0x0c, 0]], "f"),
        ("another", &[&[0x91, 0, 0], &SUB, &CALLX0_A8], "f"),
        (
            "s8i a8, a3, 0",
            &[&L32R_A8, &[0x82, 0x43, 0], &CALLX0_A8],
            "f",
        ),
        ("callx0 a9", &[&L32R_A8, &[0xc0, 0x09, 0], &CALLX0_A8], "f"),
        (
            "beqz a3, .+3",
            &[&L32R_A8, &[0x16, 0xf3, 0xff], &CALLX0_A8],
            "f",
        ),
        (
            "bltz a3, .+6, to the callx",
            &[&[0x96, 0x23, 0x00], &L32R_A8, &CALLX0_A8],
            "f",
        ),
        (
            "bltz a3, .+6, to the sub",
            &[&[0x96, 0x23, 0x00], &L32R_A8, &SUB, &CALLX0_A8],
            "f",
        ),
    ];
    for (what, code, callee) in cases {
        let m = calling("xtensa", code, callee);
        // behind the jump and the literal
        assert!(
            m.text[8..].windows(3).any(|op| Some(&op) == code.last()),
            "{what}: {:x?}",
            m.text
        );
        assert_eq!(m.operations.len(), 1, "{what}: the literal");
    }
}

/// What refers to a place in the code finds it where it has gone.
#[test]
fn places() {
    let mut o = Made::new("xtensa");
    let code = [L32R_A8, [0x32, 0xa0, 0x5f], MOV, RET];
    let init = o.code(".text.mpy_init", &code.concat());
    o.global("mpy_init", init);
    let third = o.symbol("third", SymbolSection::Section(init), 6);
    let parked = o.code(".text", &[0; 4]);
    let table = o.constants(".rodata", &[0; 8]);
    o.relocate(table, 0, third, elf::R_XTENSA_32, 0);
    o.relocate(table, 4, third, elf::R_XTENSA_32, 3);
    let table = o.global("table", table);
    o.relocate(parked, 0, table, elf::R_XTENSA_32, 0);
    let literal = o.global("literal", parked);
    o.relocate(init, 0, literal, elf::R_XTENSA_SLOT0_OP, 0);
    let m = link_and_load("xtensa", &[&o.done()]);
    assert_eq!(m.text[13..], [MOV_N, RET_N].concat());
    let places =
        [0, 4].map(|at| u32::from_le_bytes(*m.rodata[at..].first_chunk().expect("a word")));
    assert_eq!(places.map(|p| m.what(p.into())), ["text+0xd", "text+0xf"]);
}

/// Code that is not understood stays as it is.
#[test]
fn unknown_code() {
    let cases: [(&str, &[u8]); 5] = [
        ("loop", &[0x76, 0x83, 0x05]),
        ("branch between instructions", &[0x06, 0x00, 0x00]),
        ("branch out of the section", &[0x06, 0x40, 0x00]),
        ("wide instruction", &[0x0e, 0, 0]),
        ("cut off", &[0x0d, 0xf0, 0x02]),
    ];
    for (what, op) in cases {
        assert_eq!(shrunk(&[&MOV, op]), [&MOV[..], op].concat(), "{what}");
    }
    // referred to, in the middle of an instruction
    let mut o = Made::new("xtensa");
    let init = o.code(".text.mpy_init", &[MOV, MOV].concat());
    o.global("mpy_init", init);
    o.symbol("middle", SymbolSection::Section(init), 4);
    assert_eq!(
        link_and_load("xtensa", &[&o.done()]).text[4..],
        [MOV, MOV].concat()
    );
}
