//! What Google Compute Engine imports: a gzip-compressed tar archive in the old GNU format (GNU
//! tar manual, "Basic Tar Format" and "Storing Sparse Files") with one file, `disk.raw`, a sparse
//! one.
//!
//! ```text
//!   0 100  name                        257   8  "ustar  "
//! 100   8  mode                        386  96  4 pairs: offset and size of a run (12 digits each)
//! 108  16  user, group                 482   1  1: a sector with 21 more pairs follows
//! 124  12  bytes stored                483  12  bytes of the file
//! 136  12  time                        sector of pairs: 0  504  21 pairs
//! 148   8  checksum                                   504    1  1: another one follows
//! 156   1  type, "S"
//! ```
//! Numbers are octal digits, or binary after a byte 80 if they need more than 11.

mod read;
mod write;

pub(super) use read::is_tar;
pub(crate) use read::unpack;
pub(super) use write::write;

/// The file in the archive.
const NAME: &[u8] = b"disk.raw";
const SECTOR: usize = 512;

const MODE: usize = 100;
const USER: usize = MODE + 8;
const GROUP: usize = USER + 8;
const STORED: usize = GROUP + 8;
const TIME: usize = STORED + 12;
const CHECKSUM: usize = TIME + 12;
const TYPE: usize = CHECKSUM + 8;
const MAGIC: usize = 257;
const PAIRS: usize = 386;
const MORE: usize = PAIRS + HEADER_PAIRS * PAIR;
const FILE_SIZE: usize = MORE + 1;

/// Digits of a size.
const NUMBER: usize = 12;
const PAIR: usize = 2 * NUMBER;
const HEADER_PAIRS: usize = 4;
const SECTOR_PAIRS: usize = 21;

const GNU_MAGIC: &[u8; 8] = b"ustar  \0";
const TYPE_FILE: u8 = b'0';
const TYPE_SPARSE: u8 = b'S';

/// The sum of a header's bytes, in which the checksum counts as spaces.
fn checksum(header: &[u8; SECTOR]) -> u64 {
    let own = CHECKSUM..CHECKSUM + 8;
    (0..)
        .zip(header)
        .map(|(at, &byte)| u64::from(if own.contains(&at) { b' ' } else { byte }))
        .sum()
}
