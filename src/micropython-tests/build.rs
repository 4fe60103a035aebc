//! Compiles MicroPython's py/ and the little that its port for embedding adds.
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

fn main() {
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap());
    let here = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap());
    println!("cargo:rerun-if-changed=mpconfigport.h");
    println!("cargo:rerun-if-env-changed=MPY_DIR");
    let found = Command::new(here.join("../../tests/micropython-source"))
        .output()
        .unwrap();
    assert!(
        found.status.success(),
        "{}",
        String::from_utf8_lossy(&found.stderr)
    );
    let source = String::from_utf8(found.stdout).unwrap();
    let source = Path::new(source.trim());

    fs::copy(here.join("mpconfigport.h"), out.join("mpconfigport.h")).unwrap();
    let made = Command::new("make")
        .current_dir(&out)
        .env_remove("MAKEFLAGS")
        .args(["-s", "-f"])
        .arg(source.join("ports/embed/embed.mk"))
        .arg(format!("MICROPYTHON_TOP={}", source.display()))
        .status()
        .unwrap();
    assert!(
        made.success(),
        "MicroPython's sources could not be generated"
    );

    let package = out.join("micropython_embed");
    let mut c = cc::Build::new();
    c.include(&out)
        .include(&package)
        .include(package.join("port"));
    c.std("gnu99")
        .warnings(false)
        .flag_if_supported("-fno-strict-aliasing");
    for folder in ["py", "port", "shared/runtime"] {
        for file in fs::read_dir(package.join(folder)).unwrap() {
            let path = file.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "c") {
                c.file(path);
            }
        }
    }
    c.compile("micropython");
}
