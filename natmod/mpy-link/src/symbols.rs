//! What a name or a symbol stands for.

use crate::{
    Error,
    input::{Binding, Definition, Object, Relocation, Section},
};
use std::collections::HashMap;

/// A section of an object, by their indices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SectionId {
    pub object: usize,
    pub section: usize,
}

/// What an address is relative to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target<'a> {
    /// Offset in bytes into a section.
    Section(SectionId, i64),
    /// The entry of a name in the module's table of qstrs.
    Qstr(&'a str),
    /// `mp_fun_table` itself.
    FunTable,
    /// The pointer in a slot of `mp_fun_table`.
    FunTableSlot(u8),
    /// The first slot, ELF's `_GLOBAL_OFFSET_TABLE_`.
    Slots,
}

/// Objects of the runtime that `mp_fun_table` points at, from slot [`FIRST_OBJECT`] on (py/nativeglue.h).
const OBJECTS: [&str; 14] = [
    "mp_type_type",
    "mp_type_str",
    "mp_type_list",
    "mp_type_dict",
    "mp_type_fun_builtin_0",
    "mp_type_fun_builtin_1",
    "mp_type_fun_builtin_2",
    "mp_type_fun_builtin_3",
    "mp_type_fun_builtin_var",
    "mp_type_Exception",
    "mp_stream_read_obj",
    "mp_stream_readinto_obj",
    "mp_stream_unbuffered_readline_obj",
    "mp_stream_write_obj",
];
const FIRST_OBJECT: u8 = 73;

#[derive(Default)]
struct Global {
    strong: Option<(SectionId, i64)>,
    weak: Option<(SectionId, i64)>,
    /// A second strong definition.
    rival: Option<SectionId>,
}

pub struct Symbols<'a, 'o> {
    objects: &'o [Object<'a>],
    globals: HashMap<&'a str, Global>,
}

impl<'a, 'o> Symbols<'a, 'o> {
    pub fn new(objects: &'o [Object<'a>]) -> Self {
        let mut globals: HashMap<&str, Global> = HashMap::new();
        for (object, o) in objects.iter().enumerate() {
            for symbol in o.symbols.values() {
                let Definition::Section { index, offset } = symbol.definition else {
                    continue;
                };
                let id = SectionId {
                    object,
                    section: index,
                };
                match symbol.binding {
                    Binding::Local => {}
                    Binding::Weak => {
                        globals
                            .entry(symbol.name)
                            .or_default()
                            .weak
                            .get_or_insert((id, offset));
                    }
                    Binding::Strong => {
                        let global = globals.entry(symbol.name).or_default();
                        match global.strong {
                            None => global.strong = Some((id, offset)),
                            Some(_) => global.rival = Some(id),
                        }
                    }
                }
            }
        }
        Self { objects, globals }
    }

    /// The definition of a global name: a strong one beats a weak one.
    pub fn global(&self, name: &str) -> Result<Option<(SectionId, i64)>, Error> {
        let Some(global) = self.globals.get(name) else {
            return Ok(None);
        };
        if let (Some((first, _)), Some(second)) = (global.strong, global.rival) {
            let name_of = |id: SectionId| {
                self.objects
                    .get(id.object)
                    .map_or_else(String::new, |o| o.name.clone())
            };
            return Err(Error::Duplicate {
                symbol: name.into(),
                first: name_of(first),
                second: name_of(second),
            });
        }
        Ok(global.strong.or(global.weak))
    }

    /// What a symbol of `object` stands for; `section` and `r` say where it is wanted.
    pub fn resolve(
        &self,
        object: usize,
        symbol: usize,
        section: &Section,
        r: &Relocation,
    ) -> Result<(Target<'a>, &'a str), Error> {
        let here = &self.objects[object];
        let unsupported = |symbol: &str, what| Error::UnsupportedSymbol {
            symbol: symbol.into(),
            what,
            site: here.site(section, r),
        };
        let Some(s) = here.symbols.get(&symbol) else {
            return Err(unsupported("", "without a symbol"));
        };
        match (s.definition, s.binding) {
            (Definition::Section { index, offset }, Binding::Local) => {
                return Ok((
                    Target::Section(
                        SectionId {
                            object,
                            section: index,
                        },
                        offset,
                    ),
                    s.name,
                ));
            }
            (Definition::Absolute, _) => return Err(unsupported(s.name, "an absolute address")),
            (Definition::Common, _) => {
                return Err(unsupported(
                    s.name,
                    "a common symbol (compile C with -fno-common)",
                ));
            }
            _ => {}
        }
        if let Some((id, offset)) = self.global(s.name)? {
            return Ok((Target::Section(id, offset), s.name));
        }
        runtime(s.name)
            .map(|t| (t, s.name))
            .ok_or_else(|| Error::Undefined {
                symbol: s.name.into(),
                site: here.site(section, r),
            })
    }
}

/// The names the linker itself defines.
fn runtime(name: &str) -> Option<Target<'_>> {
    match name {
        "mp_fun_table" => Some(Target::FunTable),
        "_GLOBAL_OFFSET_TABLE_" => Some(Target::Slots),
        _ => match name.strip_prefix("MP_QSTR_") {
            Some(qstr) if !qstr.is_empty() => Some(Target::Qstr(qstr)),
            _ => (FIRST_OBJECT..)
                .zip(OBJECTS)
                .find(|(_, n)| *n == name)
                .map(|(i, _)| Target::FunTableSlot(i)),
        },
    }
}
