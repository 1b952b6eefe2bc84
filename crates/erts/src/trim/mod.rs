//! Leaving out what no guest needs, by a table of named rules.

mod place;
mod rewrite;
mod rule_set;
mod savings;
mod table;

pub use rewrite::Rewritten;
pub use rule_set::RuleSet;
pub use savings::{Saving, Savings};
pub use table::{RULES, Rule};

use release::{GuestPath, Source, TreeEntry};

use crate::{Error, Note};

/// A file that was left out.
#[derive(Debug)]
pub struct Dropped {
    /// Where it would be.
    pub path: GuestPath,
    /// Why it is not.
    pub rule: &'static Rule,
}

/// A tree without what no guest needs.
#[derive(Debug, Default)]
pub struct Trimmed {
    /// What stays, in the order given.
    pub entries: Vec<TreeEntry>,
    /// The files that do not.
    pub dropped: Vec<Dropped>,
    /// What was saved.
    pub savings: Savings,
    /// What the user should know.
    pub notes: Vec<Note>,
}

/// Applies rules to the files of a release: leaves out some, and rewrites others.
///
/// # Errors
/// A file cannot be read.
pub fn trim(entries: Vec<TreeEntry>, rules: &RuleSet) -> Result<Trimmed, Error> {
    let mut kept = Rewritten::default();
    let mut dropped = Vec::new();
    for entry in entries {
        let Some(rule) = rules.leaves_out_entry(&entry) else {
            kept.add(entry, rules)?;
            continue;
        };
        if entry.source != Source::Directory {
            kept.savings.add(rule, entry.size()? as i64);
            dropped.push(Dropped {
                path: entry.path,
                rule,
            });
        }
    }
    Ok(Trimmed {
        entries: kept.entries,
        dropped,
        savings: kept.savings,
        notes: kept.notes,
    })
}

/// Applies those rules that rewrite files to files that are not of the release.
///
/// # Errors
/// A file cannot be read.
pub fn rewrite(entries: Vec<TreeEntry>, rules: &RuleSet) -> Result<Rewritten, Error> {
    let mut kept = Rewritten::default();
    for entry in entries {
        kept.add(entry, rules)?;
    }
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use super::table::Action;
    use super::{RULES, Rule, RuleSet, trim};
    use crate::Note;
    use beam::{Beam, Chunk, ChunkId};
    use release::{GuestPath, Source, TreeEntry};
    use std::collections::BTreeSet;

    fn path(text: &str) -> GuestPath {
        GuestPath::new(format!("/release/{text}")).unwrap()
    }

    fn entry(place: &str) -> TreeEntry {
        match place.strip_suffix('/') {
            Some(directory) => TreeEntry::directory(path(directory)),
            None => TreeEntry::bytes(path(place), "1234"),
        }
    }

    const DROPPED: [(&str, &str); 16] = [
        ("erts-13.1.5/bin/erlc", "build-tools"),
        ("erts-13.1.5/bin/start.src", "launchers"),
        ("erts-13.1.5/bin/epmd", "remote-control"),
        ("erts-13.1.5/bin/beam.debug.smp", "other-emulators"),
        ("lib/a-1/src/a.erl", "sources"),
        ("lib/a-1/ebin/a.yrl", "sources"),
        ("lib/a-1/include/a.hrl", "include-files"),
        ("lib/crypto-5.1.2/priv/lib/crypto.a", "native-build"),
        ("lib/a-1/doc/chunks/a.chunk", "documentation"),
        ("lib/a-1/examples/a.txt", "examples"),
        ("lib/a-1/test/a.beam", "tests"),
        ("lib/tools-3/emacs/erlang.el", "editor-modes"),
        ("erts-13.1.5/bin/beam.smp.debug", "debug-files"),
        ("releases/1.0/env.bat", "other-systems"),
        ("releases/1.0/elixir", "start-scripts"),
        ("releases/1.0/start.script", "start-scripts"),
    ];

    const KEPT: [&str; 11] = [
        "erts-13.1.5/bin/beam.smp",
        "erts-13.1.5/bin/erl_child_setup",
        "erts-13.1.5/bin/inet_gethost",
        "lib/elixir-1.14.0/ebin/elixir.app",
        "lib/a-1/ebin/a.appup",
        "lib/a-1/priv/erlc",
        "lib/a-1/priv/template.erl",
        "lib/a-1/priv/src/a.c",
        "releases/1.0/start.boot",
        "releases/1.0/vm.args",
        "etc/data.h",
    ];

    #[test]
    fn every_rule_drops_its_files_only() {
        let files = DROPPED.map(|(place, _)| place).into_iter().chain(KEPT);
        let directories = ["lib/a-1/src/", "lib/a-1/doc/chunks/"].map(entry);
        let entries = directories.into_iter().chain(files.map(entry)).collect();
        let trimmed = trim(entries, &RuleSet::default()).unwrap();
        assert_eq!(trimmed.entries, KEPT.map(entry));
        let names: Vec<_> = trimmed.dropped.iter().map(|drop| drop.rule.name).collect();
        assert_eq!(names, DROPPED.map(|(_, rule)| rule));
        let tested: BTreeSet<_> = names.into_iter().collect();
        let leave_out = |rule: &&Rule| matches!(rule.action, Action::LeaveOut(_));
        assert_eq!(tested.len(), RULES.iter().filter(leave_out).count());
        assert_eq!(trimmed.savings.bytes(), 4 * DROPPED.len() as i64);
    }

    #[test]
    fn what_is_kept_stays() {
        for (place, name) in DROPPED {
            let mut rules = RuleSet::default();
            rules.keep(Rule::named(name).unwrap());
            let trimmed = trim(vec![entry(place)], &rules).unwrap();
            assert_eq!(trimmed.entries, [entry(place)], "{name}");
        }
    }

    fn module(chunks: &[&[u8; 4]]) -> Vec<u8> {
        let chunk = |id: &&[u8; 4]| Chunk {
            id: ChunkId(**id),
            data: b"some data",
        };
        let chunks = chunks.iter().map(chunk).collect();
        Beam { chunks }.emit()
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        use std::io::Write as _;
        let level = flate2::Compression::best();
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), level);
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    const ALL: [&[u8; 4]; 6] = [b"AtU8", b"Code", b"StrT", b"ImpT", b"ExpT", b"Dbgi"];

    /// What becomes of a module, and the rules that did it.
    fn rewritten(content: &[u8], rules: &RuleSet) -> (Vec<u8>, Vec<(&'static str, i64)>) {
        let entry = TreeEntry::bytes(path("lib/a-1/ebin/a.beam"), content);
        let trimmed = trim(vec![entry], rules).unwrap();
        assert_eq!(trimmed.notes, []);
        let savings = trimmed.savings.iter();
        let savings = savings.map(|saving| (saving.rule.name, saving.bytes));
        let content = trimmed.entries[0].content().unwrap().unwrap();
        (content, savings.collect())
    }

    #[test]
    fn modules_are_stored_uncompressed() {
        let plain = module(&ALL);
        let packed = gzip(&plain);
        let cost = packed.len() as i64 - plain.len() as i64;
        let default = RuleSet::default();
        assert_eq!(
            rewritten(&packed, &default),
            (plain.clone(), vec![("compression", cost)])
        );
        assert_eq!(rewritten(&plain, &default), (plain, vec![]));
        assert_eq!(rewritten(&packed, &RuleSet::none()), (packed, vec![]));
    }

    #[test]
    fn modules_are_stripped_if_asked_for() {
        let plain = module(&ALL);
        let small = Beam::parse(&plain).unwrap().strip().unwrap().emit();
        let saved = plain.len() as i64 - small.len() as i64;
        assert!(saved > 0);
        let mut rules = RuleSet::default();
        rules.trim(Rule::named("debug-info").unwrap());
        assert_eq!(
            rewritten(&plain, &rules),
            (small.clone(), vec![("debug-info", saved)])
        );
        assert_eq!(rewritten(&small, &rules), (small, vec![]));
    }

    #[test]
    fn what_is_no_module_stays_as_it_is() {
        let mut rules = RuleSet::default();
        rules.trim(Rule::named("debug-info").unwrap());
        for content in [b"FOR1".to_vec(), gzip(b"FOR1"), b"\x1f\x8b\x08".to_vec()] {
            let entry = TreeEntry::bytes(path("lib/a-1/ebin/a.beam"), content.clone());
            let trimmed = trim(vec![entry.clone()], &rules).unwrap();
            assert_eq!(trimmed.entries[0].source, Source::Bytes(content));
            assert!(matches!(trimmed.notes[..], [Note::NotAModule { .. }]));
        }
    }
}
