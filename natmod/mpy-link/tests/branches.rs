//! Branches between sections get the bytes that the assembler gives branches within one.

mod support;

use object::elf;
use support::*;

/// Branches from mpy_init over `gap` bytes to `far`, and from there back to `near` in mpy_init.
struct Branches<'a> {
    start: &'a str,
    end: &'a str,
    gap: usize,
}

fn text(arch: &str, b: &Branches, section: &str) -> Vec<u8> {
    let Branches { start, end, gap } = b;
    let assembly = format!(
        ".section .text.mpy_init,\"ax\",%progbits
        .p2align 2
        .globl mpy_init
        mpy_init:
        {start}
        near: .p2align 2
        {section}
        .space {gap}
        far:
        {end}
        .p2align 2"
    );
    let m = link_and_load(arch, &[&assemble(arch, &assembly)]);
    assert_eq!(m.operations, [], "{arch}: nothing is left to the loader");
    m.text
}

/// `linked` in two sections is the same as `assembled` in one.
fn same(arch: &str, linked: &Branches, assembled: &Branches) {
    let two = text(
        arch,
        linked,
        ".section .text.far,\"ax\",%progbits\n.p2align 2",
    );
    let one = text(arch, assembled, "");
    assert_eq!(
        two, one,
        "{arch}: {} ... {}, {} bytes between",
        assembled.start, assembled.end, linked.gap
    );
}

fn same_source(arch: &str, start: &str, end: &str, gap: usize) {
    let branches = Branches { start, end, gap };
    same(arch, &branches, &branches);
}

#[test]
fn x86() {
    for arch in ["x64", "x86"] {
        for gap in [0, 1, 0x12345] {
            same_source(arch, "call far", "call near\ncall near@PLT", gap);
        }
    }
}

#[test]
fn arm() {
    for arch in ["armv6m", "armv7m"] {
        for gap in [0, 2, 0x7fe, 0xffff0] {
            same_source(arch, "bl far\nbl far", "bl near", gap);
        }
    }
    same_source("armv6m", "bl far", "bl near", 0xff_fff0);
    // Thumb-2 has wide forms, which the assembler takes where it does not know the distance
    for gap in [0, 2, 200] {
        same_source("armv6m", "b far", "b near", gap);
        same_source("armv6m", "beq far", "bne near", gap);
    }
    for gap in [0, 0x12346, 0x400000] {
        same_source("armv7m", "b.w far", "b.w near", gap);
    }
    for gap in [0, 0x802, 0x40000, 0xffff0] {
        same_source("armv7m", "beq.w far\nbne.w far", "blt.w near", gap);
    }
}

/// The assembler replaces a branch that may not reach, so that the relocation has to be written out.
#[test]
fn riscv() {
    let arch = "rv32imc";
    let cases = [
        (
            "BRANCH",
            ".word 0x00b50063",
            "beq a0, a1,",
            &[0, 2, 0x7fa, 0x800, 0xff0][..],
        ),
        ("BRANCH", ".word 0x00d67063", "bgeu a2, a3,", &[0, 0x400]),
        (
            "JAL",
            ".word 0x0000006f",
            "jal x0,",
            &[0, 0x7fe, 0x800, 0x7ffe, 0xfffee],
        ),
        ("JAL", ".word 0x000002ef", "jal t0,", &[0, 0x1234]),
        (
            "RVC_JUMP",
            ".half 0xa001",
            "c.j",
            &[0, 2, 0x3fe, 0x5aa, 0x7f0],
        ),
        ("RVC_JUMP", ".half 0x2001", "c.jal", &[0, 2, 0x3fe, 0x7f0]),
        (
            "RVC_BRANCH",
            ".half 0xc101",
            "c.beqz a0,",
            &[0, 2, 30, 66, 0xf0],
        ),
        ("RVC_BRANCH", ".half 0xe081", "c.bnez s1,", &[0, 2, 0xaa]),
        (
            "CALL_PLT",
            ".word 0x00000097, 0x000080e7",
            "call",
            &[0, 0x7f4, 0x7f8, 0x800, 0x12344, 0x7_f800],
        ),
        (
            "CALL",
            ".word 0x00000317, 0x00030067",
            "tail",
            &[0, 0x7f4, 0x7f8, 0x800],
        ),
    ];
    for (r_type, bits, instruction, gaps) in cases {
        let option = if instruction.starts_with("c.") {
            ""
        } else {
            ".option norvc\n"
        };
        for gap in gaps {
            let linked = |to: &str| format!(".reloc ., R_RISCV_{r_type}, {to}\n{bits}");
            let assembled = |to: &str| format!("{option}.option norelax\n{instruction} {to}");
            same(
                arch,
                &Branches {
                    start: &linked("far"),
                    end: &linked("near"),
                    gap: *gap,
                },
                &Branches {
                    start: &assembled("far"),
                    end: &assembled("near"),
                    gap: *gap,
                },
            );
        }
    }
}

/// Bytes of GNU as for xtensa-lx106, since rustc has no assembler for Xtensa: (at, instruction, target, result).
#[test]
fn xtensa() {
    let cases: [(u64, [u8; 3], i64, [u8; 3]); 9] = [
        (0x8, [0x05, 0, 0], -0x40, [0x45, 0xfb, 0xff]), // call0
        (0xb, [0x06, 0, 0], 0x123f, [0x06, 0x8c, 0x04]), // j
        (0xe, [0x06, 0, 0], -0xff2, [0x06, 0xff, 0xfb]), // j
        (0x11, [0x16, 0x02, 0], 0x801, [0x16, 0xc2, 0x7e]), // beqz a2
        (0x14, [0x56, 0x03, 0], -0x6ec, [0x56, 0xc3, 0x8f]), // bnez a3
        (0x17, [0x37, 0x12, 0], 0x87, [0x37, 0x12, 0x6c]), // beq a2, a3
        (0x1a, [0xf6, 0x84, 0], -0x46, [0xf6, 0x84, 0x9c]), // bgeui a4, 8
        (0x1d, [0x47, 0x65, 0], 0x72, [0x47, 0x65, 0x51]), // bbci a5, 4
        (0x25, [0x25, 0, 0], 0x1028, [0x25, 0x00, 0x01]), // call8, by the manual
    ];
    const START: usize = 0x2000;
    for (at, op, target, expected) in cases {
        let mut o = Made::new("xtensa");
        let mut code = vec![0; 2 * START];
        let place = START as u64 + at;
        code[place as usize..][..3].copy_from_slice(&op);
        let init = o.code(".text.mpy_init", &code);
        let symbol = o.global("mpy_init", init);
        o.relocate(
            init,
            place,
            symbol,
            elf::R_XTENSA_SLOT0_OP,
            START as i64 + target,
        );
        let m = link_and_load("xtensa", &[&o.done()]);
        // behind the jump
        assert_eq!(
            m.bytes::<3>(place as usize + 4),
            expected,
            "{op:02x?} at {at:#x}"
        );
    }
}
