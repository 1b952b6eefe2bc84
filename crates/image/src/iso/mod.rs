//! ISO 9660 with Rock Ridge, the file system that needs no first 32 KiB: boot code can lie there.
//!
//! (ECMA-119, 4th edition; System Use Sharing Protocol 1.12; Rock Ridge Interchange Protocol 1.10)
//!
//! ```text
//! block 0   16  system area, the caller's
//!      16    1  primary volume descriptor
//!      17    1  end of the volume descriptors
//!      18    …  path table, little-endian; then big-endian
//!            …  directories, breadth first
//!            …  continuations: what does not fit into directory records
//!            …  files, in the order of their paths
//! ```
//!
//! Blocks have 2048 bytes; numbers come in both byte orders, one after the other. The names of the
//! format itself are short; here they are numbers, in the order of the real names, which are Rock
//! Ridge's like modes, times and links. Directories lie as deep as they are: readers do not mind, though
//! the standard wants eight levels at most.

mod date;
mod directory;
mod read;
mod susp;
mod write;

pub use read::{Entry, Kind, Reader};
pub use write::Iso;

use std::io;

use crate::tree::{TreeError, show};

/// Bytes of a block.
pub const BLOCK: u64 = 2048;
/// Bytes of the system area at the start, which is the caller's.
pub const SYSTEM_AREA: u64 = 16 * BLOCK;
/// Longest name of a file in bytes (NAME_MAX of every system).
pub const NAME_MAX: usize = 255;
/// Largest directories that are read, all of them together, in bytes.
const DIRECTORIES_MAX: u64 = 256 << 20;
/// Most directories: their numbers in path tables have 16 bits (ECMA-119 §9.4.4).
const DIRECTORY_COUNT_MAX: usize = 0xffff;

/// Begins every volume descriptor, after its type (ECMA-119 §8.1.2).
const IDENTIFIER: &[u8; 5] = b"CD001";
/// Types of volume descriptors (ECMA-119 §8.1.1).
const PRIMARY: u8 = 1;
const TERMINATOR: u8 = 255;

// Fields of the primary volume descriptor (ECMA-119 §8.4), the first byte being 0.
const VOLUME_ID: usize = 40;
const VOLUME_BLOCKS: usize = 80;
const SET_SIZE: usize = 120;
const SEQUENCE: usize = 124;
const BLOCK_SIZE: usize = 128;
const PATH_TABLE_SIZE: usize = 132;
const PATH_TABLE_L: usize = 140;
const PATH_TABLE_M: usize = 148;
const ROOT_RECORD: usize = 156;
const TEXTS: usize = 190;
const DATES: usize = 813;
const STRUCTURE_VERSION: usize = 881;

// Fields of a directory record (ECMA-119 §9.1).
const RECORD_BLOCK: usize = 2;
const RECORD_SIZE: usize = 10;
const RECORD_DATE: usize = 18;
const RECORD_FLAGS: usize = 25;
const RECORD_SEQUENCE: usize = 28;
const RECORD_NAME_SIZE: usize = 32;
const RECORD_NAME: usize = 33;
/// Most bytes of a record: one byte holds the number, and it is even.
const RECORD_MAX: usize = 254;
/// Flag of a directory (ECMA-119 §9.1.6).
const FLAG_DIRECTORY: u8 = 1 << 1;
/// Flag of a file with more than one extent (ECMA-119 §9.1.6).
const FLAG_MULTI_EXTENT: u8 = 1 << 7;
/// Names of a directory in itself, and of its parent (ECMA-119 §6.8.2.2).
const SELF: &[u8] = &[0];
const PARENT: &[u8] = &[1];

/// Why a file system cannot be made or read.
#[derive(Debug, thiserror::Error)]
pub enum IsoError {
    /// The bytes cannot be read.
    #[error("cannot read the file system: {0}")]
    Read(#[from] io::Error),
    /// No file system of this kind.
    #[error("there is no ISO 9660 file system: expected CD001 at byte {}", SYSTEM_AREA + 1)]
    NotIso,
    /// A number or a structure in it is wrong.
    #[error("the file system is damaged: {what} at byte {at}")]
    Damaged {
        /// What is wrong.
        what: &'static str,
        /// Where.
        at: u64,
    },
    /// The entries are not a tree.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// A name that is too long.
    #[error("the name of `{}` has {found} bytes, at most {NAME_MAX} are possible", show(.path))]
    NameTooLong {
        /// The path.
        path: Vec<u8>,
        /// Bytes of the name.
        found: usize,
    },
    /// The target of a link that no block can hold, or none.
    #[error(
        "the link `{}` has a target of {found} bytes; it must not be empty, nor need more than {BLOCK} bytes \
         with its name",
        show(.path)
    )]
    Target {
        /// The path of the link.
        path: Vec<u8>,
        /// Bytes of the target.
        found: usize,
    },
    /// A file that is too large.
    #[error("`{}` has {size} bytes; a file has less than 4 GiB here", show(.path))]
    FileTooLarge {
        /// The path.
        path: Vec<u8>,
        /// Its size.
        size: u64,
    },
    /// Too many directories.
    #[error("the root has {found} directories, at most {DIRECTORY_COUNT_MAX} are possible")]
    TooManyDirectories {
        /// Their number.
        found: usize,
    },
    /// Too many blocks.
    #[error("the root needs {size} bytes, more than the format can hold")]
    TooLarge {
        /// Its size.
        size: u64,
    },
}
