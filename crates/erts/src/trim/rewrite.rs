//! Rules that change what is in files.

use std::borrow::Cow;

use beam::{Beam, BeamError};
use release::{Source, TreeEntry};

use super::table::Action;
use super::{RuleSet, Savings};
use crate::{Error, Note, elf};

/// Bytes at the start of a file that tell what it is.
const HEAD: usize = 4;

/// How files of a kind are changed.
#[derive(Debug)]
pub(super) struct Rewrite {
    /// Whether a file with this name and first bytes is of that kind.
    concerns: fn(&[u8], &[u8]) -> bool,
    /// The new content.
    rewrite: fn(&[u8]) -> NewContent,
}

/// What becomes of a file's content; `None` if it is right as it is.
type NewContent = Result<Option<Vec<u8>>, BeamError>;

pub(super) const UNCOMPRESS: Rewrite = Rewrite {
    concerns: |name, head| is_module(name) && beam::is_compressed(head),
    rewrite: uncompress,
};

pub(super) const STRIP: Rewrite = Rewrite {
    concerns: |name, _| is_module(name),
    rewrite: strip,
};

pub(super) const SYMBOLS: Rewrite = Rewrite {
    concerns: |_, head| elf::is_elf(head),
    // What is wrong with a file is found where its libraries are.
    rewrite: |bytes| Ok(elf::strip(bytes)),
};

fn is_module(name: &[u8]) -> bool {
    name.ends_with(b".beam")
}

fn uncompress(bytes: &[u8]) -> NewContent {
    match beam::uncompressed(bytes)? {
        Cow::Owned(plain) => {
            Beam::parse(&plain)?;
            Ok(Some(plain))
        }
        Cow::Borrowed(_) => Ok(None),
    }
}

fn strip(bytes: &[u8]) -> NewContent {
    let plain = beam::uncompressed(bytes)?;
    let stripped = Beam::parse(&plain)?.strip()?.emit();
    Ok((stripped != bytes).then_some(stripped))
}

/// What rewriting a tree came to.
#[derive(Debug, Default)]
pub struct Rewritten {
    /// The tree.
    pub entries: Vec<TreeEntry>,
    /// What was saved.
    pub savings: Savings,
    /// What could not be rewritten, and stays as it is.
    pub notes: Vec<Note>,
}

impl Rewritten {
    /// Adds an entry, changed by the rules that concern it.
    pub(super) fn add(&mut self, mut entry: TreeEntry, rules: &RuleSet) -> Result<(), Error> {
        for rule in rules.iter() {
            let Action::Rewrite(Rewrite { concerns, rewrite }) = &rule.action else {
                continue;
            };
            if !is_file(&entry) || !concerns(entry.path.file_name(), &entry.head(HEAD)?) {
                continue;
            }
            let old = entry.content()?.unwrap_or_default();
            match rewrite(&old) {
                Ok(None) => {}
                Ok(Some(new)) => {
                    self.savings.add(rule, old.len() as i64 - new.len() as i64);
                    entry.source = Source::Bytes(new);
                }
                Err(error) => {
                    let path = entry.path.clone();
                    self.notes.push(Note::NotAModule { path, error });
                    break;
                }
            }
        }
        self.entries.push(entry);
        Ok(())
    }
}

fn is_file(entry: &TreeEntry) -> bool {
    matches!(entry.source, Source::HostFile(_) | Source::Bytes(_))
}
