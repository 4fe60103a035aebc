//! The file as a whole: its relocation stream, what is kept and where, and the command.

mod support;

use object::{SymbolScope, elf, write::SymbolSection};
use std::{fs, path::Path, process::Command};
use support::*;

/// An object with one section of words, each the address of a symbol.
fn words(name: &str, weak: bool, marker: u8, symbols: &[&str]) -> Vec<u8> {
    let mut o = Made::new("x64");
    let mut data = vec![0; 8 * symbols.len()];
    data.extend([marker; 8]);
    let section = o.code(&format!(".text.{name}"), &data);
    o.symbol_as(
        name,
        SymbolSection::Section(section),
        0,
        weak,
        SymbolScope::Dynamic,
    );
    for (i, symbol) in symbols.iter().enumerate() {
        let symbol = o.external(symbol);
        o.relocate(section, 8 * i as u64, symbol, elf::R_X86_64_64, 0);
    }
    o.done()
}

#[test]
fn relocation_stream() {
    let table = "mp_fun_table";
    let object = words(
        "mpy_init",
        false,
        1,
        &[
            "mpy_init",
            "mpy_init",
            "mpy_init",
            table,
            table,
            "MP_QSTR_a",
            "mp_type_str",
            "mpy_init",
        ],
    );
    let m = link_and_load("x64", &[&object]);
    // a run of one kind in one operation, but of the regions only
    assert_eq!(
        m.operations,
        [(0, 3), (8, 1), (8, 1), (6, 1), (9 + 74, 1), (0, 1)]
    );
    let points: Vec<_> = (0..8).map(|i| m.points(8 * i)).collect();
    let text = "text+0x0";
    assert_eq!(
        points,
        [
            text,
            text,
            text,
            "table+0x0",
            "table+0x0",
            "qstr a",
            "entry 74+0",
            text
        ]
    );
}

#[test]
fn many_qstrs_and_much_text() {
    let names: Vec<_> = (0..200)
        .map(|i| format!("MP_QSTR_name_{i:03}_{}", "x".repeat(i)))
        .collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let mut sections = vec![words(
        "mpy_init",
        false,
        1,
        &[&names[..], &["big"]].concat(),
    )];
    let mut o = Made::new("x64");
    let big = o.code(".text.big", &vec![9; 70_000]);
    o.global("big", big);
    sections.push(o.done());
    let objects: Vec<_> = sections.iter().map(Vec::as_slice).collect();
    let module = link("x64", &objects).expect("links");
    let m = Loaded::new(&module.mpy, 8);
    for (i, name) in names.iter().enumerate() {
        assert_eq!(m.points(8 * i), name.replace("MP_QSTR_", "qstr "));
    }
    assert_eq!(m.at(m.word(1600)), 9);
    assert_eq!(module.sizes.qstrs, 201);
    assert_eq!(module.sizes.text, m.text.len());
    assert_eq!(module.sizes.file, module.mpy.len());
}

/// Names that every firmware has are numbers, which mpy-cross of MicroPython 1.26 gives them too.
#[test]
fn static_qstrs() {
    let names = [
        "ZeroDivisionError",
        "ArithmeticError",
        "IndexError",
        "ValueError",
        "Index",
    ];
    let symbols = names.map(|n| format!("MP_QSTR_{n}"));
    let module = link(
        "x64",
        &[&words(
            "mpy_init",
            false,
            1,
            &symbols.each_ref().map(String::as_str),
        )],
    );
    let module = module.expect("links");
    let m = Loaded::new(&module.mpy, 8);
    assert_eq!(
        m.qstrs,
        [
            "m.mpy",
            "static 30",
            "Index",
            "static 40",
            "static 55",
            "static 56"
        ]
    );
    let points = [0, 8, 16, 24, 32].map(|at| m.points(at));
    let numbers = ["static 56", "static 30", "static 40", "static 55", "Index"];
    assert_eq!(points, numbers.map(|n| format!("qstr {n}")));
    assert_eq!(
        (module.sizes.qstrs, module.sizes.file),
        (6, module.mpy.len())
    );
}

#[test]
fn only_what_is_reached() {
    let init = words("mpy_init", false, 1, &["one"]);
    let one = words("one", false, 2, &["two", "mpy_init"]);
    let two = words("two", false, 3, &["one"]);
    let dead = words("dead", false, 4, &["nowhere", "one"]);
    let m = link_and_load("x64", &[&dead, &two, &init, &one]);
    let markers: Vec<_> = [1, 2, 3, 4]
        .into_iter()
        .filter(|marker| m.text.contains(marker))
        .collect();
    assert_eq!(markers, [1, 2, 3]);
}

/// Any order of the members of an archive gives a module that works: every chain of pointers ends the same.
#[test]
fn any_order() {
    let members = [
        (
            "init.o",
            words(
                "mpy_init",
                false,
                1,
                &["first", "MP_QSTR_z", "second", "MP_QSTR_a"],
            ),
        ),
        ("weak.o", words("first", true, 0x66, &["nowhere"])),
        (
            "first.o",
            words("first", false, 2, &["second", "mp_type_dict"]),
        ),
        ("second.o", words("second", true, 3, &["MP_QSTR_m"])),
    ];
    let mut orders = vec![vec![]];
    for _ in 0..members.len() {
        orders = orders
            .iter()
            .flat_map(|order: &Vec<usize>| {
                let free = (0..members.len()).filter(|i| !order.contains(i));
                free.map(|i| [&order[..], &[i]].concat())
                    .collect::<Vec<_>>()
            })
            .collect();
    }
    assert_eq!(orders.len(), 24);
    for order in orders {
        let members: Vec<_> = order
            .iter()
            .map(|i| (members[*i].0, members[*i].1.as_slice()))
            .collect();
        let m = link_and_load("x64", &[&archive(&members)]);
        let offset = |at: usize| {
            m.points(at)
                .strip_prefix("text+0x")
                .map(|h| usize::from_str_radix(h, 16).expect("hex"))
        };
        let first = offset(0).expect("in the text");
        let second = offset(16).expect("in the text");
        assert_eq!(
            [m.points(8), m.points(24)],
            ["qstr z", "qstr a"],
            "{order:?}"
        );
        assert_eq!(m.text[32], 1);
        assert_eq!(
            (offset(first), m.points(first + 8), m.text[first + 16]),
            (Some(second), "entry 76+0".into(), 2)
        );
        assert_eq!((m.points(second), m.text[second + 8]), ("qstr m".into(), 3));
        assert!(!m.text.contains(&0x66), "the strong definition counts");
    }
}

#[test]
fn definitions_of_the_module_come_first() {
    let init = words("mpy_init", false, 1, &["mp_fun_table"]);
    let own = words("mp_fun_table", false, 7, &[]);
    let m = link_and_load("x64", &[&init, &own]);
    assert_eq!(m.at(m.word(0)), 7);
}

#[test]
fn same_input_same_bytes() {
    let objects = [
        words("mpy_init", false, 1, &["a", "b", "MP_QSTR_q"]),
        words("a", false, 2, &["b"]),
        words("b", false, 3, &["a"]),
    ];
    let objects: Vec<_> = objects.iter().map(Vec::as_slice).collect();
    let first = link("x64", &objects).expect("links").mpy;
    for _ in 0..20 {
        assert_eq!(link("x64", &objects).expect("links").mpy, first);
    }
}

#[test]
fn the_map_covers_all_bytes() {
    let objects = [
        words("mpy_init", false, 1, &["a"]),
        words("a", false, 2, &["mp_fun_table"]),
    ];
    let objects: Vec<_> = objects.iter().map(Vec::as_slice).collect();
    let module = link("x64", &objects).expect("links");
    assert_eq!(
        module.map.iter().map(|e| e.size).sum::<usize>(),
        module.sizes.text
    );
    assert!(module.map.is_sorted_by(|a, b| a.size >= b.size));
    assert!(
        module
            .map
            .iter()
            .any(|e| e.name.contains("mpy_init") && e.address == 0)
    );
}

#[test]
fn the_table() {
    for (name, entry) in table().as_object().expect("an object") {
        let arch = arch(name);
        assert_eq!(entry["code"], arch.code, "{name}");
        let built = entry["status"] == "built" || entry["status"] == "tested";
        assert_eq!(built, arch.budget.is_some(), "{name}");
    }
}

/// The command writes what the library returns, whole, and no path of the build is in it.
#[test]
fn command() {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("a folder of the command");
    fs::create_dir_all(&dir).expect("a directory");
    let input = dir.join("in.a");
    let members = [words("mpy_init", false, 1, &["mp_fun_table", "MP_QSTR_q"])];
    fs::write(&input, archive(&[("m.o", &members[0])])).expect("written");
    let out = dir.join("_m.mpy");
    let run = |args: &[&str]| {
        let out = Command::new(env!("CARGO_BIN_EXE_mpy-link"))
            .current_dir(&dir)
            .args(args)
            .output()
            .expect("runs");
        let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
        (out.status.success(), text(out.stdout), text(out.stderr))
    };
    let (ok, stdout, _) = run(&["--arch", "x64", "-o", "_m.mpy", "--map", "in.a"]);
    assert!(ok);
    assert!(
        stdout.contains("text 24 rodata 0 bss 0 qstrs 2 relocs 2 file"),
        "{stdout}"
    );
    assert!(stdout.contains("mpy_init"), "the map: {stdout}");
    let mpy = fs::read(&out).expect("a module");
    assert_eq!(Loaded::new(&mpy, 8).qstrs, ["_m.mpy", "q"]);
    assert!(!mpy.windows(6).any(|w| w == b"folder"));

    let (ok, stdout, _) = run(&["--sizes", "_m.mpy"]);
    assert!(ok && stdout.contains("x64"), "{stdout}");

    let absent = run(&["--arch", "x64", "-o", "none.mpy", "absent.a"]);
    assert!(!absent.0 && absent.2.contains("absent.a"), "{}", absent.2);
    for bad in [
        &["--arch", "x64", "in.a"][..],
        &["-o", "x.mpy", "in.a"],
        &["--arch", "x64", "-o", "x.mpy"],
        &["--wrong"],
    ] {
        let (ok, _, stderr) = run(bad);
        assert!(!ok && !stderr.is_empty(), "{bad:?}");
    }
    assert!(!dir.join("x.mpy").exists() && !dir.join("none.mpy").exists());
    assert!(run(&["--help"]).1.contains("Usage"));
}

#[test]
fn over_budget() {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("budget");
    fs::create_dir_all(&dir).expect("a directory");
    let limit = arch("x64").budget.expect("a budget").text;
    let mut o = Made::new("x64");
    let init = o.code(".text.mpy_init", &vec![0; limit + 1]);
    o.global("mpy_init", init);
    let file = dir.join("big.mpy");
    fs::write(&file, link("x64", &[&o.done()]).expect("links").mpy).expect("written");
    let out = Command::new(env!("CARGO_BIN_EXE_mpy-link"))
        .arg("--sizes")
        .arg(&file)
        .output()
        .expect("runs");
    assert!(!out.status.success());
    assert!(String::from_utf8_lossy(&out.stderr).contains("1 over its budget"));
}
