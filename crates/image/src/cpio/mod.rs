//! The root archive: cpio in the "newc" format, as described in cpio(5).
//!
//! ```text
//! 0    6  magic "070701"
//! 6  104  thirteen fields of eight hexadecimal digits, see `Field`
//! 110  n  name, NUL-terminated, n = field `NameSize`
//!         zero bytes up to a multiple of 4
//!         data
//!         zero bytes up to a multiple of 4
//! ```
//!
//! The kernel reads files in place, so the data of a file of a page or more starts at a multiple
//! of [`PAGE`]: its name is followed by as many NULs as that takes, and they count as part of
//! the name. Every reader stops at the first NUL.

mod read;
mod write;

pub use read::{Entry, Reader};
pub use write::{Archive, Record};

use std::io;

use crate::tree::{PATH_MAX, TreeError, show};

/// Alignment of the data of files of at least this size, in bytes.
pub const PAGE: u64 = 4096;

/// Bytes of a header.
const HEADER: u64 = 110;
const MAGIC: &[u8; 6] = b"070701";
const TRAILER: &[u8] = b"TRAILER!!!";

/// File type bits of a mode (inode(7)).
pub const S_IFMT: u32 = 0o170_000;
/// Type of a directory.
pub const S_IFDIR: u32 = 0o040_000;
/// Type of a regular file.
pub const S_IFREG: u32 = 0o100_000;
/// Type of a symbolic link.
pub const S_IFLNK: u32 = 0o120_000;

/// The fields of a header that matter here, by position. The others (uid 2, gid 3, device
/// numbers 7 to 10, check 12) are 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Ino = 0,
    Mode = 1,
    Nlink = 4,
    Mtime = 5,
    FileSize = 6,
    NameSize = 11,
}

/// Number of fields.
const FIELDS: usize = 13;
const _: () = assert!(HEADER as usize == MAGIC.len() + 8 * FIELDS);

/// Why an archive cannot be made or read.
#[derive(Debug, thiserror::Error)]
pub enum CpioError {
    /// The bytes cannot be read.
    #[error("cannot read the archive: {0}")]
    Read(#[from] io::Error),
    /// A header does not start with the magic.
    #[error("no entry at byte {at}: expected the magic 070701")]
    Magic {
        /// Offset of the header.
        at: u64,
    },
    /// A field is not a hexadecimal number.
    #[error("the entry at byte {at} has a field that is not eight hexadecimal digits")]
    Number {
        /// Offset of the header.
        at: u64,
    },
    /// A name has no end, or is longer than any path.
    #[error("the entry at byte {at} has a bad name of {found} bytes")]
    Name {
        /// Offset of the header.
        at: u64,
        /// Size of the name field.
        found: u64,
    },
    /// The archive ends inside an entry or without a trailer.
    #[error("the archive ends inside the entry at byte {at}")]
    Truncated {
        /// Offset of the header.
        at: u64,
    },
    /// The entries are not a tree.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// A file that is named like the archive's end.
    #[error(
        "a file in the root cannot be named {}: that is how an archive ends",
        show(TRAILER)
    )]
    Trailer,
    /// A file the format cannot hold.
    #[error("`{}` has {size} bytes; a file in the root archive has less than 4 GiB", show(.path))]
    FileTooLarge {
        /// The path.
        path: Vec<u8>,
        /// Its size.
        size: u64,
    },
}
