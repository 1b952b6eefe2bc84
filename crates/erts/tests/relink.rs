//! Rewritten files, judged by `readelf`, by the dynamic loader, and by running them.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

#[path = "../../release/tests/support/mod.rs"]
mod support;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use erts::elf::{Elf, ElfError};
use erts::relink::{Relink, RelinkError};
use erts::{Rule, RuleSet, trim};
use release::{GuestPath, TreeEntry};

use support::{compile, need, otp, run};

/// Compiles C code to a program or library.
fn cc(directory: &Path, name: &str, code: &str, flags: &[&str]) -> PathBuf {
    let source = directory.join(format!("{name}.c"));
    fs::write(&source, code).unwrap();
    let out = directory.join(name);
    run(Command::new("cc")
        .arg("-o")
        .arg(&out)
        .arg(&source)
        .args(flags));
    out
}

/// Writes the changed file to a path.
fn relink(from: &Path, to: &Path, changes: &Relink) {
    fs::write(to, changes.apply(&fs::read(from).unwrap()).unwrap()).unwrap();
    fs::set_permissions(to, fs::Permissions::from_mode(0o755)).unwrap();
}

/// What `readelf` says, which must not warn.
fn readelf(flags: &str, file: &Path) -> String {
    let mut command = Command::new("readelf");
    let output = command.args([flags, "-W"]).arg(file).output().unwrap();
    let warnings = String::from_utf8_lossy(&output.stderr);
    assert_eq!(warnings, "", "{}", file.display());
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Demands that `readelf` finds nothing wrong, and the changes.
fn judge(file: &Path, changes: &Relink) {
    let all = readelf("-a", file);
    let dynamic = readelf("-d", file);
    for name in &changes.needed {
        assert!(
            dynamic.contains(&format!("Shared library: [{name}]")),
            "{dynamic}"
        );
    }
    if let Some(directories) = &changes.runpath {
        let path = format!("Library runpath: [{}]", directories.join(":"));
        assert!(dynamic.contains(&path), "{dynamic}");
    }
    if let Some(path) = &changes.interpreter {
        let request = format!("[Requesting program interpreter: {path}]");
        assert!(all.contains(&request), "{all}");
    }
    // Only of symbols that the file asks for: the same name may be defined in it.
    let symbols = readelf("--dyn-syms", file);
    let names: Vec<_> = symbols
        .lines()
        .filter(|line| line.contains(" UND "))
        .filter_map(|line| line.split_whitespace().nth(7))
        .collect();
    for (old, new) in &changes.imports {
        assert!(names.contains(&new.as_str()), "{new}: {names:?}");
        let is_old = |name: &&str| name.split('@').next() == Some(old);
        assert!(!names.iter().any(is_old), "{old}: {names:?}");
    }
}

fn renamed(old: &str, new: &str) -> BTreeMap<String, String> {
    BTreeMap::from([(old.into(), new.into())])
}

const CALLER: &str = "
#include <stdio.h>
#include <string.h>
#include <unistd.h>
int big[100000];
int main(int argc, char **argv) { big[99999] = argc; printf(\"%d %d\\n\", (int) getpid(), big[99999]); return 0; }
";

const SHIM: &str = "int unibeam_getpid(void) { return 4242; }";

#[test]
fn programs_call_other_functions_by_other_names() {
    need("readelf");
    let dir = tempfile::tempdir().unwrap();
    cc(dir.path(), "libshim.so", SHIM, &["-shared", "-fPIC"]);
    for flags in [
        &["-pie"][..],
        &["-no-pie"],
        &["-Wl,--hash-style=sysv"],
        &["-Wl,-z,now"],
    ] {
        let program = cc(dir.path(), "program", CALLER, flags);
        let loader = dir.path().join("loader.so");
        let interpreter = Elf::parse(&fs::read(&program).unwrap())
            .unwrap()
            .interpreter;
        fs::copy(interpreter.unwrap(), &loader).unwrap();
        let changes = Relink {
            interpreter: Some(loader.to_str().unwrap().into()),
            runpath: Some(vec!["/nowhere".into(), dir.path().to_str().unwrap().into()]),
            needed: vec!["libshim.so".into(), "libc.so.6".into()],
            imports: renamed("getpid", "unibeam_getpid"),
        };
        let changed = dir.path().join("changed");
        relink(&program, &changed, &changes);
        judge(&changed, &changes);
        assert_eq!(run(&mut Command::new(&changed)), "4242 1\n", "{flags:?}");
        let elf = Elf::parse(&fs::read(&changed).unwrap()).unwrap();
        assert_eq!(elf.needed, ["libshim.so", "libc.so.6"]);
        // Twice is possible, too, and the old search path goes.
        let again = Relink {
            runpath: Some(Vec::new()),
            ..Relink::default()
        };
        let twice = dir.path().join("twice");
        relink(&changed, &twice, &again);
        assert!(!readelf("-d", &twice).contains("runpath"));
        let mut command = Command::new(&twice);
        command.env("LD_LIBRARY_PATH", dir.path());
        assert_eq!(run(&mut command), "4242 1\n", "{flags:?}");
    }
}

#[test]
fn the_emulator_runs_with_another_function() {
    need("erl");
    let (root, version) = otp();
    let dir = tempfile::tempdir().unwrap();
    cc(dir.path(), "libshim.so", SHIM, &["-shared", "-fPIC"]);
    let changes = Relink {
        runpath: Some(vec![dir.path().to_str().unwrap().into()]),
        needed: vec!["libshim.so".into()],
        imports: renamed("getpid", "unibeam_getpid"),
        ..Relink::default()
    };
    let bin = root.join(format!("erts-{version}/bin"));
    let emulator = dir.path().join("beam.smp");
    relink(&bin.join("beam.smp"), &emulator, &changes);
    judge(&emulator, &changes);
    let code = "io:format(\"~s ~w\", [os:getpid(), lists:sum(lists:seq(1, 1000000))]), halt().";
    let mut command = Command::new(&emulator);
    command
        .env("BINDIR", &bin)
        .env("ROOTDIR", &root)
        .env("EMU", "beam");
    command
        .args(["--", "-root"])
        .arg(&root)
        .arg("-bindir")
        .arg(&bin);
    command.args(["-progname", "erl", "--", "-home", "/root", "--"]);
    command.args(["-noshell", "-eval", code]);
    assert_eq!(run(&mut command), "4242 500000500000");
}

#[test]
fn a_rewritten_nif_is_loaded() {
    need("erl");
    let dir = tempfile::tempdir().unwrap();
    let directory = "io:format(\"~s\", [code:lib_dir(crypto)]), halt().";
    let original = run(Command::new("erl").args(["-noshell", "-eval", directory]));
    let original = Path::new(&original);
    let copy = dir.path().join(original.file_name().unwrap());
    run(Command::new("cp").arg("-rL").arg(original).arg(&copy));
    let code = "#include <string.h>\n
        void *unibeam_memset(void *at, int byte, size_t size) { return memset(at, byte, size); }";
    cc(dir.path(), "libshim.so", code, &["-shared", "-fPIC"]);
    let changes = Relink {
        runpath: Some(vec![dir.path().to_str().unwrap().into()]),
        needed: vec!["libshim.so".into()],
        imports: renamed("memset", "unibeam_memset"),
        ..Relink::default()
    };
    let nif = copy.join("priv/lib/crypto.so");
    relink(&original.join("priv/lib/crypto.so"), &nif, &changes);
    judge(&nif, &changes);
    let code = "io:format(\"~s ~w\", [code:priv_dir(crypto), crypto:hash(md5, <<>>)]),
        {ok, Maps} = file:read_file(\"/proc/self/maps\"),
        {_, _} = binary:match(Maps, <<\"libshim.so\">>), halt().";
    let mut command = Command::new("erl");
    command.arg("-pa").arg(copy.join("ebin"));
    let said = run(command.args(["-noshell", "-eval", code]));
    assert!(said.starts_with(copy.to_str().unwrap()), "{said}");
    assert!(
        said.contains("[<<212,29,140,217") || said.contains("<<212,29,140,217"),
        "{said}"
    );
}

#[test]
fn what_cannot_be_changed_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let apply = |file: &Path, changes: &Relink| changes.apply(&fs::read(file).unwrap());
    let fixed = compile(at, "fixed", &["-static", "-nostdlib", "-Wl,-e,main"]);
    assert_eq!(apply(&fixed, &Relink::default()), Err(RelinkError::Static));
    let library = compile(at, "library.so", &["-shared", "-fPIC"]);
    let interpreter = Relink {
        interpreter: Some("/lib/ld.so".into()),
        ..Relink::default()
    };
    assert_eq!(
        apply(&library, &interpreter),
        Err(RelinkError::NoInterpreter)
    );
    let program = cc(at, "program", CALLER, &[]);
    let rename = |old: &str, new: &str| Relink {
        imports: renamed(old, new),
        ..Relink::default()
    };
    let unknown = apply(&program, &rename("fork", "unibeam_fork"));
    assert_eq!(unknown, Err(RelinkError::NotImported("fork".into())));
    for name in ["", "a\0b"] {
        let bad = apply(&program, &rename("getpid", name));
        assert_eq!(bad, Err(RelinkError::Name(name.into())));
    }
    let pinned = "#include <unistd.h>\n
        int main(void) { pid_t (*volatile pointer)(void) = getpid; return pointer() <= 0; }";
    let pinned = cc(at, "pinned", pinned, &["-no-pie", "-fno-pic"]);
    let hashed = apply(&pinned, &rename("getpid", "unibeam_getpid"));
    assert_eq!(hashed, Err(RelinkError::Hashed("getpid".into())));
    let large = "char large[1 << 30]; int main(void) { return large[5]; }";
    let large = cc(at, "large", large, &[]);
    assert!(matches!(
        apply(&large, &Relink::default()),
        Err(RelinkError::Gap { .. })
    ));
    let text = Relink::default().apply(b"#!/bin/sh");
    assert_eq!(text, Err(RelinkError::Elf(ElfError::NotElf)));
}

/// `strip` is the judge.
#[test]
fn native_code_is_stripped() {
    let dir = tempfile::tempdir().unwrap();
    let program = cc(dir.path(), "program", CALLER, &["-g3"]);
    let mut rules = RuleSet::default();
    rules.trim(Rule::named("symbols").unwrap());
    let guest = GuestPath::new("/release/lib/a-1/priv/program").unwrap();
    let trimmed = |file: &Path| {
        let entry = TreeEntry::host_file(guest.clone(), file, true);
        trim(vec![entry], &rules).unwrap()
    };
    let found = trimmed(&program);
    let stripped = dir.path().join("stripped");
    fs::write(&stripped, found.entries[0].content().unwrap().unwrap()).unwrap();
    fs::set_permissions(&stripped, fs::Permissions::from_mode(0o755)).unwrap();
    let size = |file: &Path| fs::metadata(file).unwrap().len();
    let saved = size(&program) - size(&stripped);
    assert_eq!(found.savings.bytes(), saved as i64);
    let sections = readelf("-aS", &stripped);
    for gone in [".symtab", ".strtab", ".debug_info"] {
        assert!(!sections.contains(&format!(" {gone} ")), "{sections}");
    }
    assert!(run(&mut Command::new(&stripped)).ends_with(" 1\n"));
    let judge = dir.path().join("judge");
    run(Command::new("strip").arg("-o").arg(&judge).arg(&program));
    assert!(size(&stripped) < size(&judge) + 1024, "{}", size(&stripped));
    assert_eq!(trimmed(&stripped).savings.bytes(), 0);
    // A large one: this test.
    let own = trimmed(&std::env::current_exe().unwrap());
    assert!(own.savings.bytes() > 1_000_000, "{:?}", own.savings);
    let stripped = dir.path().join("own");
    fs::write(&stripped, own.entries[0].content().unwrap().unwrap()).unwrap();
    fs::set_permissions(&stripped, fs::Permissions::from_mode(0o755)).unwrap();
    readelf("-a", &stripped);
    let list = run(Command::new(&stripped).arg("--list"));
    assert!(list.contains("native_code_is_stripped: test"), "{list}");
}
