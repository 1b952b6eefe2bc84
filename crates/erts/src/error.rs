//! Why a run-time system cannot be adapted.

use std::fmt;
use std::io;
use std::path::PathBuf;

use release::GuestPath;

use crate::elf::ElfError;

/// Why the closure of shared libraries cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// An entry of the tree cannot be read.
    #[error(transparent)]
    Entry(#[from] release::Error),
    /// A program or library of the release is damaged.
    #[error("{path} is a damaged ELF file: {error}; build the release again")]
    Elf {
        /// The file in the guest.
        path: GuestPath,
        /// What is wrong.
        error: ElfError,
    },
    /// A program or library was linked with musl.
    #[error(
        "{path} needs {library} of the musl C library; build the release on a system with glibc (Debian, Fedora, Ubuntu; not Alpine)"
    )]
    Musl {
        /// The file in the guest.
        path: GuestPath,
        /// Interpreter or C library that it names.
        library: String,
    },
    /// The dynamic loader is not there.
    #[error(
        "{path} needs the dynamic loader {interpreter}, which is not in {sysroot}; give the root of the system that the release was built on (`--sysroot DIR`)"
    )]
    NoInterpreter {
        /// The program in the guest.
        path: GuestPath,
        /// The loader.
        interpreter: String,
        /// Where it was looked for.
        sysroot: PathBuf,
    },
    /// Shared libraries are not there.
    #[error(
        "shared libraries are missing in {sysroot}:{}\ninstall them, or give the root of the system that the release was built on (`--sysroot DIR`)",
        list(.missing)
    )]
    MissingLibraries {
        /// Where they were looked for.
        sysroot: PathBuf,
        /// All of them, sorted by name.
        missing: Vec<Missing>,
    },
    /// Libraries are older than what was linked against them.
    #[error(
        "shared libraries in {sysroot} are older than those that the release was built with:{}\nbuild the release on a system as old as {sysroot}, or give the root of the system that it was built on (`--sysroot DIR`)",
        list(.missing)
    )]
    SymbolVersions {
        /// Where the libraries were looked for.
        sysroot: PathBuf,
        /// Every version that is missing, sorted by library and version.
        missing: Vec<MissingVersion>,
    },
}

/// A symbol version that a library does not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissingVersion {
    /// The version, such as `GLIBC_2.38`.
    pub version: String,
    /// The library that should have it, in the guest.
    pub library: GuestPath,
    /// The highest version of that name that it has.
    pub highest: Option<String>,
    /// Who needs it, sorted.
    pub needed_by: Vec<GuestPath>,
}

impl fmt::Display for MissingVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let needed_by: Vec<_> = self.needed_by.iter().map(ToString::to_string).collect();
        let library = &self.library;
        let who = needed_by.join(", ");
        write!(f, "{who} needs {}, but {library} has ", self.version)?;
        match &self.highest {
            Some(highest) => write!(f, "{highest} at most"),
            None => write!(f, "no such version"),
        }
    }
}

/// A shared library that was not found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// Name in `DT_NEEDED`.
    pub name: String,
    /// Who needs it, sorted.
    pub needed_by: Vec<GuestPath>,
    /// Files of that name that are not for x86-64.
    pub wrong: Vec<PathBuf>,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let needed_by: Vec<_> = self.needed_by.iter().map(ToString::to_string).collect();
        write!(f, "{}, needed by {}", self.name, needed_by.join(", "))?;
        for path in &self.wrong {
            write!(f, " ({} is not for x86-64)", path.display())?;
        }
        Ok(())
    }
}

fn list(missing: &[impl fmt::Display]) -> String {
    missing.iter().map(|one| format!("\n  {one}")).collect()
}
