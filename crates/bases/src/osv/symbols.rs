//! Functions and objects that native code of a release needs and nothing has: where the kernel's
//! linker gives up, at the latest when they are called.

use std::collections::{BTreeMap, BTreeSet};

use erts::elf::{Elf, Symbols, is_elf};
use release::{GuestPath, TreeEntry};

use super::facts::Facts;

/// A symbol that nothing in an image has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissingSymbol {
    /// Its name.
    pub name: String,
    /// Who needs it.
    pub user: GuestPath,
}

/// Symbols that files of the tree need and that neither the kernel nor a file of the tree has,
/// sorted by user and name. Weak ones may be missing, and programs but the emulator never run.
pub(super) fn missing(
    tree: &[TreeEntry],
    emulator: &GuestPath,
    facts: &Facts,
) -> Vec<MissingSymbol> {
    let mut files: BTreeMap<&GuestPath, Symbols> = BTreeMap::new();
    for entry in tree {
        let content = entry.content().ok().flatten();
        let runs = |bytes: &Vec<u8>| entry.path == *emulator || !is_program(bytes);
        let symbols = content.filter(|bytes| is_elf(bytes)).filter(runs);
        let symbols = symbols.and_then(|bytes| Symbols::parse(&bytes).ok());
        files.extend(symbols.map(|symbols| (&entry.path, symbols)));
    }
    let known: BTreeSet<&str> = files
        .values()
        .flat_map(|symbols| &symbols.exports)
        .chain(&facts.exports)
        .map(String::as_str)
        .collect();
    let mut found = Vec::new();
    for (user, symbols) in &files {
        let lacking = symbols
            .imports
            .iter()
            .filter(|name| !known.contains(name.as_str()));
        found.extend(lacking.map(|name| MissingSymbol {
            name: name.clone(),
            user: (*user).clone(),
        }));
    }
    found
}

fn is_program(bytes: &[u8]) -> bool {
    Elf::parse(bytes).is_ok_and(|elf| elf.interpreter.is_some())
}
