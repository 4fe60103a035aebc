//! Shorter code. LLVM writes three bytes where the code density option has two, and calls all functions through a
//! literal because it does not know how far they are.

use super::{L32R, Xtensa};
use crate::{
    input::{Definition, Literal, Object, Relocation, Section, SectionKind},
    isa::{Isa, sign_extend},
};
use object::elf::*;
use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};

/// Shrinks each code section of which all is understood; the others stay as they are.
pub fn shrink(object: &mut Object) {
    let mut labels = labels(object);
    let shrunk: BTreeMap<_, _> = object
        .sections
        .iter()
        .filter(|(_, section)| section.kind == SectionKind::Code)
        .filter_map(|(index, section)| {
            let labels = labels.remove(index).unwrap_or_default();
            let mut code = Code::read(section, labels)?;
            code.call(section, object);
            code.narrow();
            Some((*index, (code.bytes()?, code)))
        })
        .collect();
    for (index, (bytes, code)) in &shrunk {
        if let Some(section) = object.sections.get_mut(index) {
            section.data = Cow::Owned(bytes.clone());
            code.relocate(&mut section.relocations);
        }
    }
    for section in object.sections.values_mut() {
        for r in &mut section.relocations {
            let (symbol, addend) = match &mut r.literal {
                Some(Literal::Address { symbol, addend }) => (*symbol, addend),
                Some(Literal::Constant(_)) => continue,
                None => (r.symbol, r.addend.get_or_insert(0)),
            };
            if let Some((index, offset)) = place(object.symbols.get(&symbol))
                && let Some((_, code)) = shrunk.get(&index)
            {
                *addend = code.now(offset + *addend) - code.now(offset);
            }
        }
    }
    for symbol in object.symbols.values_mut() {
        if let Definition::Section { index, offset } = &mut symbol.definition
            && let Some((_, code)) = shrunk.get(index)
        {
            let end = code.now(*offset + symbol.size as i64);
            *offset = code.now(*offset);
            symbol.size = (end - *offset) as u64;
        }
    }
}

/// Section and offset that a symbol stands for.
fn place(symbol: Option<&crate::input::Symbol>) -> Option<(usize, i64)> {
    match symbol?.definition {
        Definition::Section { index, offset } => Some((index, offset)),
        _ => None,
    }
}

/// The offsets of each section that symbols and relocations refer to.
fn labels(object: &Object) -> BTreeMap<usize, BTreeSet<i64>> {
    let mut labels: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    let mut add = |symbol, addend| {
        if let Some((index, offset)) = place(symbol) {
            labels.entry(index).or_default().insert(offset + addend);
        }
    };
    for symbol in object.symbols.values() {
        add(Some(symbol), 0);
        add(Some(symbol), symbol.size as i64);
    }
    for r in object.sections.values().flat_map(|s| &s.relocations) {
        match r.literal {
            Some(Literal::Address { symbol, addend }) => add(object.symbols.get(&symbol), addend),
            Some(Literal::Constant(_)) => {}
            None => add(object.symbols.get(&r.symbol), r.addend.unwrap_or(0)),
        }
    }
    labels
}

/// The code of a section.
struct Code {
    instructions: Vec<Instruction>,
    /// Where it is entered, before.
    labels: BTreeSet<i64>,
    /// Bytes, before and now.
    length: (i64, i64),
}

struct Instruction {
    /// Where it is, before and now.
    at: (i64, i64),
    /// Bytes now, none if it is gone.
    size: i64,
    op: u32,
    /// Where a branch within the section leads, before.
    to: Option<i64>,
    /// Which of the section's relocations patches it.
    relocation: Option<usize>,
}

impl Code {
    /// `None` if it is not all instructions, or has some of unknown effect.
    fn read(section: &Section, mut labels: BTreeSet<i64>) -> Option<Self> {
        let mut relocations: BTreeMap<_, _> = section
            .relocations
            .iter()
            .enumerate()
            .map(|(nth, r)| (r.offset, nth))
            .collect();
        if relocations.len() != section.relocations.len()
            || section
                .relocations
                .iter()
                .any(|r| r.r_type != R_XTENSA_SLOT0_OP)
        {
            return None;
        }
        let mut instructions = Vec::new();
        let mut at = 0;
        while at < section.data.len() {
            let size = match section.data[at] & 15 {
                0..8 => 3,
                8..14 => 2,
                _ => return None,
            };
            let bytes = section.data.get(at..at + size)?;
            let op = bytes.iter().rev().fold(0, |op, b| op << 8 | u32::from(*b));
            let relocation = relocations.remove(&at);
            let to = match relocation {
                Some(_) => None,
                None => distance(op)?.map(|distance| at as i64 + distance),
            };
            instructions.push(Instruction {
                at: (at as i64, at as i64),
                size: size as i64,
                op,
                to,
                relocation,
            });
            at += size;
        }
        let end = at as i64;
        let starts: BTreeSet<_> = instructions.iter().map(|i| i.at.0).chain([end]).collect();
        let mut targets = instructions.iter().filter_map(|i| i.to);
        let known = relocations.is_empty()
            && labels.range(0..end).all(|label| starts.contains(label))
            && targets.all(|to| starts.contains(&to));
        labels.extend(instructions.iter().filter_map(|i| i.to));
        known.then_some(Self {
            instructions,
            labels,
            length: (end, end),
        })
    }

    /// `l32r aN, function; ...; callx aN` becomes `...; call function` where aN is of no other use.
    fn call(&mut self, section: &Section, object: &Object) {
        let in_code = |nth: usize| match section.relocations.get(nth)?.literal? {
            Literal::Address { symbol, .. } => {
                let (home, _) = place(object.symbols.get(&symbol))?;
                (object.sections.get(&home)?.kind == SectionKind::Code).then_some(())
            }
            Literal::Constant(_) => None,
        };
        for at in 0..self.instructions.len() {
            let (before, rest) = self.instructions.split_at_mut(at);
            let [call, ..] = rest else { return };
            // what a8 and a9 hold does not outlive a call0 or call8, nor are they arguments
            let register @ (8 | 9) = call.op >> 8 & 15 else {
                continue;
            };
            if call.size != 3 || call.op & 0xff_f0df != CALLX || self.labels.contains(&call.at.0) {
                continue;
            }
            for i in before.iter_mut().rev().filter(|i| i.size > 0) {
                if i.op & 15 == u32::from(L32R) && i.op >> 4 & 15 == register {
                    if i.relocation.and_then(in_code).is_some() {
                        call.op = CALL | call.op & 0x30;
                        call.relocation = i.relocation.take();
                        i.size = 0;
                    }
                    break;
                }
                if self.labels.contains(&i.at.0) || leaves(i.op) || names(i.op, register) {
                    break;
                }
            }
        }
    }

    /// Gives instructions their narrow form.
    fn narrow(&mut self) {
        for i in self.instructions.iter_mut().filter(|i| i.size == 3) {
            if let (None, Some(op)) = (i.relocation, narrow(i.op)) {
                (i.op, i.size) = (op, 2);
            }
        }
        // a branch may come near enough once others are short
        loop {
            self.place();
            let near: Vec<_> = (0..self.instructions.len())
                .filter(|n| self.instructions.get(*n).is_some_and(|i| self.is_near(i)))
                .collect();
            if near.is_empty() {
                return;
            }
            for n in near {
                if let Some(i) = self.instructions.get_mut(n) {
                    (i.op, i.size) = (0x8c | i.op & 0xf00 | i.op & 0x40, 2);
                }
            }
        }
    }

    fn place(&mut self) {
        let mut at = 0;
        for i in &mut self.instructions {
            i.at.1 = at;
            at += i.size;
        }
        self.length.1 = at;
    }

    /// A beqz or bnez within the reach of its narrow form.
    fn is_near(&self, i: &Instruction) -> bool {
        i.size == 3
            && i.op & 0xbf == 0x16
            && i.to
                .is_some_and(|to| (5..=68).contains(&(self.now(to) - i.at.1)))
    }

    /// Where it is now what was at `offset`.
    fn now(&self, offset: i64) -> i64 {
        match self.instructions.binary_search_by_key(&offset, |i| i.at.0) {
            Ok(n) => self.instructions.get(n).map_or(offset, |i| i.at.1),
            // in front of the section or behind it
            Err(0) => offset,
            Err(_) => offset - self.length.0 + self.length.1,
        }
    }

    fn bytes(&self) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        for i in &self.instructions {
            let mut field = i.op.to_le_bytes();
            if let Some(to) = i.to {
                let distance = self.now(to) - i.at.1;
                if i.size == 2 {
                    let forward = u32::try_from(distance - 4).ok().filter(|f| *f < 64)?;
                    field = (i.op & 0xfcf | forward & 0x30 | forward << 12).to_le_bytes();
                } else {
                    Xtensa
                        .encode(R_XTENSA_SLOT0_OP, &mut field, distance, i.at.1)
                        .ok()?;
                }
            }
            bytes.extend(field.iter().take(i.size as usize));
        }
        Some(bytes)
    }

    fn relocate(&self, relocations: &mut [Relocation]) {
        for i in &self.instructions {
            let Some(r) = i.relocation.and_then(|nth| relocations.get_mut(nth)) else {
                continue;
            };
            r.offset = i.at.1 as usize;
            if let (CALL, Some(Literal::Address { symbol, addend })) = (i.op & 15, r.literal) {
                (r.symbol, r.addend, r.literal) = (symbol, Some(addend), None);
            }
        }
    }
}

const CALL: u32 = 5;
const CALLX: u32 = 0xc0;

/// How far a branch leads that no relocation patches; `None` if that is not known.
fn distance(op: u32) -> Option<Option<i64>> {
    let by = |field: u32, bits| Some(Some(4 + sign_extend(field, bits)));
    match (op & 15, op >> 4 & 3, op >> 6 & 3) {
        (1 | 5, ..) => None,
        (6, 0, _) => by(op >> 6, 18),
        (6, 1, _) => by(op >> 12, 12),
        (6, 3, 0) => Some(None),
        // branches on flags, and loops, whose bodies have to be aligned
        (6, 3, 1) => None,
        (6 | 7, ..) => by(op >> 16, 8),
        (12, narrow, 2 | 3) => Some(Some(i64::from(4 + (narrow << 4 | op >> 12)))),
        _ => Some(None),
    }
}

/// Whether an instruction may go elsewhere than to the next: branches, and all calls, jumps and returns.
fn leaves(op: u32) -> bool {
    matches!(op & 15, 5..8) || op & 0xff_000f == 0 || op & 0x8f == 0x8c || op & 0xf00f == 0xf00d
}

/// Whether an instruction may read or write a register: it stands in the place of one, even if it is none.
fn names(op: u32, register: u32) -> bool {
    let fields = if op & 15 == u32::from(L32R) {
        4..5
    } else {
        4..13
    };
    fields.step_by(4).any(|bit| op >> bit & 15 == register)
}

/// The narrow form of an instruction that is no branch.
fn narrow(op: u32) -> Option<u32> {
    let (t, s, r) = (op >> 4 & 15, op >> 8 & 15, op >> 12 & 15);
    let imm8 = sign_extend(op >> 16, 8);
    let fields = |op: u32, t: u32, s: u32, r: u32| Some(op | t << 4 | s << 8 | r << 12);
    match (op & 15, r, op >> 16) {
        // or with itself: mov
        (0, _, 0x20) if s == t => fields(13, r, s, 0),
        (0, _, 0x80) => fields(10, t, s, r),
        (0, 0, 0) if op == 0x80 => Some(0xf00d),
        (0, 0, 0) if op == 0x90 => Some(0xf01d),
        (2, 2, words @ 0..16) => fields(8, t, s, words),
        (2, 6, words @ 0..16) => fields(9, t, s, words),
        (2, 10, low) => {
            let value = sign_extend(s << 8 | low, 12);
            let field = (value & 0x7f) as u32;
            (-32..96).contains(&value).then_some(())?;
            fields(12, field >> 4, t, field & 15)
        }
        (2, 12, 0) => fields(13, t, s, 0),
        (2, 12, _) if imm8 == -1 => fields(11, 0, s, t),
        (2, 12, low @ 1..16) => fields(11, low, s, t),
        _ => None,
    }
}
