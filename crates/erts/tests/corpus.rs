//! The fuzz entries over their committed corpora.
#![allow(clippy::unwrap_used, reason = "helper of tests")]

use std::fs;
use std::path::Path;

use erts::elf::Elf;

#[test]
fn elf() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/erts_elf");
    for file in fs::read_dir(&directory).unwrap() {
        let bytes = fs::read(file.unwrap().path()).unwrap();
        for size in (0..bytes.len()).step_by(7).chain([bytes.len()]) {
            erts::fuzz::elf(&bytes[..size]);
        }
    }
    let program = Elf::parse(&fs::read(directory.join("prog")).unwrap()).unwrap();
    assert_eq!(program.needed, ["libf.so"]);
    assert_eq!(program.runpath, ["$ORIGIN/lib"]);
    assert_eq!(
        program.interpreter.as_deref(),
        Some("/lib64/ld-linux-x86-64.so.2")
    );
    let fixed = Elf::parse(&fs::read(directory.join("static_prog")).unwrap()).unwrap();
    assert_eq!(fixed, Elf::default());
}

#[test]
fn relink() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/erts_relink");
    for file in fs::read_dir(&directory).unwrap() {
        let bytes = fs::read(file.unwrap().path()).unwrap();
        for size in (0..bytes.len()).step_by(7).chain([bytes.len()]) {
            erts::fuzz::relink(&bytes[..size]);
        }
    }
}
