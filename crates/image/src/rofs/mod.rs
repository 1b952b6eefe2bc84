//! ROFS, the read-only file system of OSv, version 1 (osv: fs/rofs/rofs.hh).
//!
//! ```text
//! block 0      superblock: eight u64, the rest zero
//! block 1 …    the files, each from a block's start, zeros up to the next
//!              directory entries: u64 inode, u16 length of the name, name
//!              links: u16 length of the target, target
//!              inodes: u64 mode, u64 number, u64 place, u64 count
//!              zeros up to the next block
//! ```
//!
//! Blocks have 512 bytes, numbers are little-endian, and the three tables follow each other without
//! any alignment. An inode's number is its place in the table, from 1; number 1 is the root.
//!
//! | kind | mode | place | count |
//! |---|---|---|---|
//! | directory | 0x4000 | index of its first entry | how many follow each other |
//! | file | 0x8000 | first block | size in bytes |
//! | link | 0xA000 | index of its target | 1 |
//!
//! There are no permissions, owners or times. Sizes, checksums or alignment beyond this do not
//! exist; kernels up to v0.57 trust every number, so that a writer must be right.

mod read;
#[cfg(test)]
mod tests;
mod write;

pub use read::{Entry, Kind, Reader};
pub use write::Rofs;

use std::io;

use crate::tree::{TreeError, show};

/// Bytes of a block.
pub const BLOCK: u64 = 512;

const MAGIC: u64 = 0xDEAD_BEAD;
const VERSION: u64 = 1;
const SUPERBLOCK_FIELDS: usize = 8;
/// Bytes of an inode.
const INODE: usize = 32;
/// Bytes of a directory entry before its name.
const DIRENT_HEAD: usize = 10;
/// Longest name in bytes: `d_name` of OSv's `struct dirent` has 256 with the zero at its end.
const NAME_MAX: usize = 255;
/// Number of the root's inode.
const ROOT: u64 = 1;

/// Types in a mode.
const DIRECTORY: u64 = 0x4000;
const FILE: u64 = 0x8000;
const LINK: u64 = 0xA000;

/// Whether a block is the first of a file system, of any version.
pub(crate) fn is_superblock(block: &[u8]) -> bool {
    block.starts_with(&MAGIC.to_le_bytes())
}

/// Why a file system cannot be made or read.
#[derive(Debug, thiserror::Error)]
pub enum RofsError {
    /// The bytes cannot be read.
    #[error("cannot read it: {0}")]
    Read(#[from] io::Error),
    /// The entries are not a tree.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// A name is too long.
    #[error("the name of `{}` has {found} bytes; OSv takes up to {NAME_MAX}", show(.path))]
    Name {
        /// The path.
        path: Vec<u8>,
        /// Its last part's length.
        found: usize,
    },
    /// A link's target cannot be written.
    #[error("the link `{}` has a target of {found} bytes; expected 1 to 4095, without zeros", show(.path))]
    Target {
        /// The link's path.
        path: Vec<u8>,
        /// The target's length.
        found: usize,
    },
    /// It is something else.
    #[error("expected a ROFS of version 1 with blocks of {BLOCK} bytes, found {found}")]
    Superblock {
        /// What is there.
        found: String,
    },
    /// A number leads out of the file system.
    #[error("{what} {number} lies outside of it")]
    Outside {
        /// What the number is.
        what: &'static str,
        /// The number.
        number: u64,
    },
    /// The tables are larger than any guest's memory.
    #[error("its tables have {size} bytes, at most {} are read", read::TABLES_MAX)]
    TooLarge {
        /// Their size.
        size: u64,
    },
    /// An inode is of no known kind, or out of place.
    #[error("inode {number} is malformed: {what}")]
    Inode {
        /// Its number.
        number: u64,
        /// What is wrong.
        what: &'static str,
    },
    /// A name is not one.
    #[error(
        "a name in inode {directory} is empty, `.`, `..`, too long, there twice, or holds `/` or a zero"
    )]
    BadName {
        /// The directory.
        directory: u64,
    },
}
