//! The shared libraries that the programs and libraries of a tree need, transitively, found as
//! the dynamic loader finds them (ld.so(8), "Rpath token expansion" and the search order above).

use std::fmt;
use std::path::PathBuf;

use beam::BeamError;
use release::{GuestPath, TreeEntry};

use crate::Error;
use crate::elf::ElfError;
use crate::search::Search;
use crate::sysroot::Sysroot;

/// What has to be added to a tree.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Closure {
    /// Loaders, libraries and their companion files, sorted, with parent directories.
    pub entries: Vec<TreeEntry>,
    /// The libraries among them, sorted by guest path.
    pub libraries: Vec<Library>,
    /// What the user should know.
    pub notes: Vec<Note>,
}

/// A shared library or dynamic loader that was added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Library {
    /// Where the guest's loader finds it.
    pub guest: GuestPath,
    /// The file on the host, with links resolved.
    pub host: PathBuf,
    /// Who needs it, sorted.
    pub needed_by: Vec<GuestPath>,
}

/// Something that may be a mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// A program or library for another machine is in the release.
    ForeignElf {
        /// The file.
        path: GuestPath,
        /// What is in it.
        error: ElfError,
    },
    /// A library is in the release, but not where the loader looks: it must be loaded before.
    OnlyByName {
        /// Name of the library.
        name: String,
        /// Who needs it.
        needed_by: GuestPath,
        /// Where it is.
        found: GuestPath,
    },
    /// The C library's character sets were added.
    Converters {
        /// A file that may use them.
        user: GuestPath,
        /// How many there are.
        count: usize,
    },
    /// A file that is named like a module is none.
    NotAModule {
        /// The file.
        path: GuestPath,
        /// What is wrong with it.
        error: BeamError,
    },
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ForeignElf { path, error } => {
                write!(f, "{path} cannot run in the guest: it is {error}")
            }
            Self::OnlyByName {
                name,
                needed_by,
                found,
            } => write!(
                f,
                "{needed_by} needs {name}, which works only after {found} was loaded"
            ),
            Self::Converters { user, count } => write!(
                f,
                "{user} may convert between character sets (iconv): the C library's {count} modules for that are added"
            ),
            Self::NotAModule { path, error } => {
                write!(f, "{path} stays as it is: {error}")
            }
        }
    }
}

/// Finds everything that the ELF files of `tree` need and that is not in it.
///
/// # Errors
/// Missing loaders or libraries (all of them, with who needs them), libraries without the symbol
/// versions that others need of them, programs for musl, damaged or unreadable files.
pub fn closure(tree: &[TreeEntry], sysroot: &Sysroot) -> Result<Closure, Error> {
    let mut search = Search::new(tree, sysroot);
    for entry in tree {
        search.add_entry(entry)?;
    }
    search.visit_all()?;
    search.add_converters()?;
    search.visit_all()?;
    search.finish()
}
