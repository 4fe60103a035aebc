//! `mpy-link --arch x64 -o out.mpy in.a`

use lexopt::prelude::*;
use mpy_link::{Architecture, Error, Input, Sizes, link};
use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

const USAGE: &str = "\
Usage: mpy-link --arch ARCH -o OUT.mpy [--map] IN.a...
       mpy-link --sizes FILE.mpy...

Links static libraries and object files into a MicroPython native module.

  --arch ARCH    architecture of the module, as in natmod/architectures.json
  -o OUT.mpy     file to write; its name is what the module calls its file
  --map          print where the bytes go, the largest first
  --sizes        print the sizes of modules and fail if one is over its budget";

struct Options {
    arch: Option<String>,
    out: Option<PathBuf>,
    map: bool,
    sizes: bool,
    files: Vec<PathBuf>,
}

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(e) => {
            eprintln!("mpy-link: {e}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<bool, Box<dyn std::error::Error>> {
    let Some(options) = options()? else {
        println!("{USAGE}");
        return Ok(true);
    };
    if options.files.is_empty() {
        return Err("no input files; see mpy-link --help".into());
    }
    if options.sizes {
        sizes(&options.files)
    } else {
        link_files(&options)
    }
}

fn options() -> Result<Option<Options>, lexopt::Error> {
    let mut o = Options {
        arch: None,
        out: None,
        map: false,
        sizes: false,
        files: Vec::new(),
    };
    let mut args = lexopt::Parser::from_env();
    while let Some(arg) = args.next()? {
        match arg {
            Long("arch") => o.arch = Some(args.value()?.string()?),
            Short('o') => o.out = Some(args.value()?.into()),
            Long("map") => o.map = true,
            Long("sizes") => o.sizes = true,
            Value(file) => o.files.push(file.into()),
            Short('h') | Long("help") => return Ok(None),
            _ => return Err(arg.unexpected()),
        }
    }
    Ok(Some(o))
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    fs::read(path).map_err(|source| Error::Read {
        path: path.into(),
        source,
    })
}

fn link_files(options: &Options) -> Result<bool, Box<dyn std::error::Error>> {
    let arch = Architecture::named(
        options
            .arch
            .as_deref()
            .ok_or("--arch is missing; see mpy-link --help")?,
    )?;
    let out = options
        .out
        .as_deref()
        .ok_or("-o is missing; see mpy-link --help")?;
    let name = out
        .file_name()
        .and_then(|n| n.to_str())
        .ok_or("-o needs a file name in UTF-8")?;
    let names: Vec<_> = options
        .files
        .iter()
        .map(|f| f.display().to_string())
        .collect();
    let contents = options
        .files
        .iter()
        .map(|f| read(f))
        .collect::<Result<Vec<_>, _>>()?;
    let inputs: Vec<_> = names
        .iter()
        .zip(&contents)
        .map(|(name, data)| Input { name, data })
        .collect();
    let module = link(&arch, name, &inputs)?;
    let failed = |source| Error::Write {
        path: out.into(),
        source,
    };
    // whole or not at all
    let partial = out.with_extension("mpy.partial");
    fs::write(&partial, &module.mpy).map_err(failed)?;
    fs::rename(&partial, out).map_err(failed)?;
    if options.map {
        for entry in &module.map {
            println!("{entry}");
        }
    }
    let s = module.sizes;
    println!(
        "{}: text {} rodata {} bss {} qstrs {} relocs {} file {} bytes",
        arch.name, s.text, s.rodata, s.bss, s.qstrs, module.relocations, s.file
    );
    Ok(true)
}

fn sizes(files: &[PathBuf]) -> Result<bool, Box<dyn std::error::Error>> {
    let mut within = true;
    println!(
        "{:18} {:>7} {:>7} {:>7} {:>7} {:>7}",
        "bytes", "text", "rodata", "bss", "file", "budget"
    );
    for path in files {
        let s = Sizes::read(&path.display().to_string(), &read(path)?)?;
        let arch = Architecture::numbered(s.code)?
            .ok_or_else(|| format!("{}: unknown architecture {}", path.display(), s.code))?;
        let folder = path.parent().and_then(Path::file_name);
        let (name, budget) = match folder.and_then(OsStr::to_str) {
            Some("3.1.1") => (format!("{} 3.1.1", arch.name), &arch.budget_3_1_1),
            Some("umqtt") => (format!("{} umqtt", arch.name), &arch.budget_umqtt),
            Some("p256") => (format!("{} tls p256", arch.name), &arch.budget_tls_p256),
            _ if path.file_stem().is_some_and(|stem| stem == "_mqtt_tls") => {
                (format!("{} tls", arch.name), &arch.budget_tls)
            }
            _ => (arch.name.to_string(), &arch.budget),
        };
        println!(
            "{:18} {:7} {:7} {:7} {:7} {:>7}",
            name,
            s.text,
            s.rodata,
            s.bss,
            s.file,
            budget.as_ref().map_or("-".into(), |b| b.file.to_string())
        );
        let Some(budget) = budget else { continue };
        let checks = [
            ("text", s.text, budget.text),
            ("rodata", s.rodata, budget.rodata),
            ("bss", s.bss, budget.bss),
            ("file", s.file, budget.file),
        ];
        for (what, size, limit) in checks {
            if size > limit {
                within = false;
                eprintln!(
                    "{}: {what} is {size} bytes, {} over its budget of {limit}: make it smaller or raise the budget in natmod/architectures.json",
                    name,
                    size - limit
                );
            }
        }
    }
    Ok(within)
}
