//! Entry points for fuzzers, one per parser of foreign bytes. Each panics if a promise is broken;
//! the corpus under `fuzz/corpus` also runs as an ordinary test.

use std::path::Path;

use launch::substitute::substitute;

use crate::app::AppFile;
use crate::archive::{self, Limits};
use crate::boot::BootScript;
use crate::rel::RelFile;
use crate::systools::{AppSpec, ScriptOptions, make_script};
use crate::term::{etf, text};
use crate::{env_sh, read, vm_args};

/// Term text: what is read and written again is the same, and is read as a `.rel` and an `.app`
/// file without harm.
pub fn term_text(bytes: &[u8]) {
    let Ok(terms) = text::parse(bytes) else {
        return;
    };
    for term in terms {
        let again = text::parse_one(text::emit(&term).as_bytes());
        assert_eq!(again.as_ref(), Ok(&term));
        let _ = AppFile::from_term(&term);
        if let Ok(rel) = RelFile::from_term(&term) {
            assert_eq!(RelFile::from_term(&rel.to_term()).as_ref(), Ok(&rel));
        }
    }
}

/// External Term Format: what is read and written again is the same term, and so is a boot
/// script.
pub fn etf(bytes: &[u8]) {
    let Ok((term, style)) = etf::decode(bytes) else {
        return;
    };
    let again = etf::decode(&etf::emit(&term, style));
    assert_eq!(again.map(|(term, _)| term).as_ref(), Ok(&term));
    if let Ok(script) = BootScript::parse(bytes) {
        let again = BootScript::parse(&script.emit());
        assert_eq!(
            again.map(|script| script.instructions),
            Ok(script.instructions)
        );
    }
}

/// Arguments files: what is read and written again is the same.
pub fn vm_args(bytes: &[u8]) {
    if let Ok(arguments) = vm_args::parse(bytes) {
        assert_eq!(
            vm_args::parse(vm_args::emit(&arguments).as_bytes()),
            Ok(arguments)
        );
    }
}

/// `env.sh`: no line is both applied and reported.
pub fn env_sh(bytes: &[u8]) {
    if let Ok(script) = std::str::from_utf8(bytes) {
        let mut env = std::collections::BTreeMap::new();
        let ignored = env_sh::apply(script, &mut env);
        assert!(ignored.len() + env.len() <= script.lines().count());
    }
}

/// A `.rel` file with its `.app` files behind it: a boot script that is made of them is one.
pub fn script(bytes: &[u8]) {
    let Ok(terms) = text::parse(bytes) else {
        return;
    };
    let Some((rel, apps)) = terms.split_first() else {
        return;
    };
    let Ok(rel) = RelFile::from_term(rel) else {
        return;
    };
    let specs: Vec<_> = apps
        .iter()
        .filter_map(|app| AppSpec::from_term(app).ok())
        .collect();
    let named = rel.applications.iter().map_while(|named| {
        let is_it = |spec: &&AppSpec| (&spec.name, &spec.version) == (&named.name, &named.version);
        specs.iter().find(is_it).cloned()
    });
    let named: Vec<_> = named.collect();
    if named.len() < rel.applications.len() {
        return;
    }
    if let Ok(script) = make_script(&rel, named, ScriptOptions::default()) {
        assert_eq!(BootScript::parse(&script.emit()), Ok(script));
    }
}

/// Archives: nothing appears beside the folder that they are unpacked to, and no link in it leads
/// out.
pub fn archive(bytes: &[u8]) {
    let Ok(outside) = tempfile::tempdir() else {
        return;
    };
    let folder = outside.path().join("in");
    if std::fs::create_dir(&folder).is_err() {
        return;
    }
    let limits = Limits {
        members: 64,
        ratio: 100,
        floor: 1 << 16,
    };
    let unpacked = archive::unpack_bytes(bytes, bytes.len() as u64, &folder, limits);
    let beside = std::fs::read_dir(outside.path()).map(Iterator::count);
    assert_eq!(beside.ok(), Some(1));
    if unpacked.is_ok() {
        assert_links_stay(&folder, &folder);
    }
}

fn assert_links_stay(root: &Path, folder: &Path) {
    for path in read::directory(folder).unwrap_or_default() {
        if path.is_symlink() {
            let real = path.canonicalize();
            let root = root.canonicalize();
            assert!(
                real.is_err() || real.is_ok_and(|real| real.starts_with(root.unwrap_or_default()))
            );
        } else if path.is_dir() {
            assert_links_stay(root, &path);
        }
    }
}

/// Templates, with lines `NAME=VALUE` before an empty line as the environment: what has a value is
/// replaced, and a text that was filled is as it was.
pub fn template(bytes: &[u8]) {
    let Ok(input) = std::str::from_utf8(bytes) else {
        return;
    };
    let (variables, template) = input.split_once("\n\n").unwrap_or(("", input));
    let pairs = variables.lines().filter_map(|line| line.split_once('='));
    let env = pairs
        .map(|(name, value)| (name.to_string(), value.to_string()))
        .collect();
    let filled = substitute(template, &env);
    if filled.unset.is_empty() {
        assert_eq!(substitute(&filled.text, &env), filled);
    }
}
