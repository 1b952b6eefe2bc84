//! Why a file cannot be rewritten.

use super::emit::GAP_LIMIT;
use crate::elf::ElfError;

/// Why a file cannot be rewritten.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RelinkError {
    /// It is not a sound program or library.
    #[error(transparent)]
    Elf(#[from] ElfError),
    /// It is not linked dynamically.
    #[error("it is linked statically: there is no dynamic section to change")]
    Static,
    /// It names no dynamic loader.
    #[error("it names no dynamic loader that could be changed, as a shared library does not")]
    NoInterpreter,
    /// A new name cannot be written.
    #[error(
        "`{0}` cannot be a name in it: expected text without zeros, and directories without colons"
    )]
    Name(String),
    /// A symbol is not imported.
    #[error("it does not import `{0}`")]
    NotImported(String),
    /// A symbol's name is part of the file's hash table.
    #[error(
        "other files find `{0}` in it by its name, although it is imported: link it again without `-no-pie`"
    )]
    Hashed(String),
    /// There is no list of symbols.
    #[error("its section headers are stripped, so that the number of its symbols is not known")]
    NoSymbolTable,
    /// The new segment would be too far away.
    #[error(
        "{gap} bytes would have to be inserted for its zeroed data, expected at most {GAP_LIMIT}"
    )]
    Gap {
        /// How many.
        gap: u64,
    },
    /// A table is full.
    #[error("{0} has no room for more")]
    Full(&'static str),
}
