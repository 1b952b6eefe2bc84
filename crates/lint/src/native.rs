//! Programs and libraries of machine code: the errors and notes of [`erts`].

use erts::elf::{Elf, ElfError, is_elf};
use erts::{Closure, Error, Missing, MissingVersion, Note, Sysroot};
use release::{GuestPath, Source, TreeEntry};

use crate::finding::{Finding, Place};
use crate::table::Code;

/// What is wrong with native code.
#[derive(Debug, thiserror::Error)]
pub enum NativeFact {
    /// What stops `unibeam image`.
    #[error(transparent)]
    Error(#[from] Error),
    /// It is for another machine.
    #[error("{path} cannot run in the guest: it is {error}")]
    Foreign {
        /// The file.
        path: GuestPath,
        /// What it is.
        error: ElfError,
    },
    /// It is for another machine, and there is one for this.
    #[error("{path} is {error}; {other} is used")]
    ForeignBeside {
        /// The file.
        path: GuestPath,
        /// What it is.
        error: ElfError,
        /// The one for this machine.
        other: GuestPath,
    },
    /// A library is missing.
    #[error("{missing}: it is neither in the release nor in {sysroot}")]
    Missing {
        /// Which, and who needs it.
        missing: Missing,
        /// Where it was looked for.
        sysroot: String,
    },
    /// OpenSSL is there in another version.
    #[error("{missing}: {sysroot} has {}", .found.join(", "))]
    OpenSsl {
        /// Which, and who needs it.
        missing: Missing,
        /// Where it was looked for.
        sysroot: String,
        /// What is there.
        found: Vec<String>,
    },
    /// A library is too old.
    #[error("{0}")]
    Version(MissingVersion),
    /// The library of a module is missing.
    #[error(
        "{module} loads a library when it is loaded, and the release has none of a name that is in it"
    )]
    MissingNif {
        /// The module.
        module: String,
    },
    /// A library is found only if it was loaded before.
    #[error("{0}")]
    ByName(Note),
}

impl NativeFact {
    /// The rule that it belongs to.
    pub fn code(&self) -> Code {
        match self {
            Self::Error(error) => code_of(error),
            Self::Foreign { .. } => Code::ForeignNative,
            Self::ForeignBeside { .. } => Code::ForeignBeside,
            Self::Missing { .. } => Code::MissingLibrary,
            Self::OpenSsl { .. } => Code::OpenSsl,
            Self::Version(_) => Code::SymbolVersion,
            Self::MissingNif { .. } => Code::MissingNif,
            Self::ByName(_) => Code::LibraryByName,
        }
    }
}

fn code_of(error: &Error) -> Code {
    match error {
        Error::Elf { .. } => Code::DamagedElf,
        Error::Musl { .. } => Code::Musl,
        Error::NoInterpreter { .. } => Code::NoLoader,
        Error::MissingLibraries { .. } => Code::MissingLibrary,
        Error::SymbolVersions { .. } => Code::SymbolVersion,
        _ => Code::Unreadable,
    }
}

/// Completes a tree with libraries as [`erts::closure`] does, but goes on after each problem: a
/// file that stops it is replaced by an empty one, and all that is wrong is reported.
pub fn survey(tree: &[TreeEntry], sysroot: &Sysroot) -> (Option<Closure>, Vec<Finding>) {
    let mut tree = tree.to_vec();
    let mut findings = Vec::new();
    // Each round takes at least one file of the tree away.
    loop {
        match erts::closure(&tree, sysroot) {
            Ok(closure) => {
                let notes = closure.notes.iter();
                findings.extend(notes.filter_map(|note| note_finding(note, &tree)));
                return (Some(closure), findings);
            }
            Err(error) => {
                let culprits = culprits(&error);
                findings.extend(error_findings(error, sysroot));
                if !blank(&mut tree, &culprits) {
                    return (None, findings);
                }
            }
        }
    }
}

/// The files whose needs stop the closure.
fn culprits(error: &Error) -> Vec<GuestPath> {
    match error {
        Error::Elf { path, .. } | Error::Musl { path, .. } | Error::NoInterpreter { path, .. } => {
            vec![path.clone()]
        }
        Error::MissingLibraries { missing, .. } => missing
            .iter()
            .flat_map(|missing| missing.needed_by.clone())
            .collect(),
        Error::SymbolVersions { missing, .. } => missing
            .iter()
            .flat_map(|missing| missing.needed_by.clone())
            .collect(),
        _ => Vec::new(),
    }
}

/// Empties these files; whether there were any.
fn blank(tree: &mut [TreeEntry], paths: &[GuestPath]) -> bool {
    let is_culprit = |entry: &&mut TreeEntry| {
        paths.contains(&entry.path) && entry.source != Source::Bytes(Vec::new())
    };
    let entries = tree.iter_mut().filter(is_culprit);
    entries
        .map(|entry| entry.source = Source::Bytes(Vec::new()))
        .count()
        > 0
}

fn error_findings(error: Error, sysroot: &Sysroot) -> Vec<Finding> {
    let place = match culprits(&error).first() {
        Some(path) => Place::file(path),
        None => Place::default(),
    };
    match error {
        Error::MissingLibraries { missing, .. } => missing
            .into_iter()
            .map(|missing| {
                let place = missing.needed_by.first().map(Place::file);
                Finding::new(missing_fact(missing, sysroot)).at(place.unwrap_or_default())
            })
            .collect(),
        Error::SymbolVersions { missing, .. } => missing
            .into_iter()
            .map(|missing| {
                let place = missing.needed_by.first().map(Place::file);
                Finding::new(NativeFact::Version(missing)).at(place.unwrap_or_default())
            })
            .collect(),
        error => vec![Finding::new(NativeFact::Error(error)).at(place)],
    }
}

/// Parts of OpenSSL.
const OPENSSL: [&str; 2] = ["libcrypto.so.", "libssl.so."];

fn missing_fact(missing: Missing, sysroot: &Sysroot) -> NativeFact {
    let root = sysroot.root().display().to_string();
    let part = OPENSSL.iter().find(|part| missing.name.starts_with(**part));
    let found = part.map_or(Vec::new(), |part| other_versions(part, sysroot));
    if found.is_empty() {
        return NativeFact::Missing {
            missing,
            sysroot: root,
        };
    }
    NativeFact::OpenSsl {
        missing,
        sysroot: root,
        found,
    }
}

/// Libraries in the sysroot whose names start so.
fn other_versions(start: &str, sysroot: &Sysroot) -> Vec<String> {
    let mut found: Vec<String> = sysroot
        .directories()
        .iter()
        .filter_map(|directory| {
            let inside = directory.strip_prefix("/").unwrap_or(directory);
            std::fs::read_dir(sysroot.root().join(inside)).ok()
        })
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.starts_with(start))
        .collect();
    found.sort();
    found.dedup();
    found
}

/// Remarks that say what was added are no findings.
fn note_finding(note: &Note, tree: &[TreeEntry]) -> Option<Finding> {
    match note {
        Note::ForeignElf { path, error } => {
            let (path, error) = (path.clone(), error.clone());
            let place = Place::file(&path);
            let fact = match for_this_machine(&path, tree) {
                Some(other) => NativeFact::ForeignBeside { path, error, other },
                None => NativeFact::Foreign { path, error },
            };
            Some(Finding::new(fact).at(place))
        }
        Note::OnlyByName { needed_by, .. } => {
            let place = Place::file(needed_by);
            Some(Finding::new(NativeFact::ByName(note.clone())).at(place))
        }
        _ => None,
    }
}

/// A file of the same application that is for this machine and has the same name, but for what
/// names the machine.
fn for_this_machine(path: &GuestPath, tree: &[TreeEntry]) -> Option<GuestPath> {
    let application = |path: &GuestPath| -> Vec<Vec<u8>> {
        let parts = path.as_bytes().split(|&byte| byte == b'/');
        parts.skip(1).take(3).map(<[u8]>::to_vec).collect()
    };
    let home = application(path);
    tree.iter()
        .filter(|entry| entry.path != *path && entry.path.file_name() == path.file_name())
        .filter(|entry| application(&entry.path) == home)
        .find(|entry| {
            let content = entry.content().ok().flatten();
            content.is_some_and(|bytes| is_elf(&bytes) && Elf::parse(&bytes).is_ok())
        })
        .map(|entry| entry.path.clone())
}
