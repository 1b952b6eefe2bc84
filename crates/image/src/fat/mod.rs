//! The FAT file system of the EFI system partition (Microsoft, "FAT: General Overview of On-Disk
//! Format" 1.03; ECMA-107).
//!
//! ```text
//! reserved sectors   boot sector; FAT32 also has FSInfo (1) and a copy of both (6, 7)
//! FAT, FAT           two copies of the cluster chains
//! root directory     FAT16 only; FAT32 has it in cluster 2
//! clusters           of 4096 bytes, from number 2; starts at a multiple of 4096 bytes
//! ```
//!
//! Clusters always have 4096 bytes, so the type follows from the size: FAT16 below about
//! 256 MiB, FAT32 from there. Files are contiguous.

mod read;
mod write;

pub use read::{FoundFile, Volume as ReadVolume};
pub use write::{PlannedFile, Volume};

use std::io;

use boot_contract::disk::SECTOR;

/// Bytes in a cluster.
pub const CLUSTER: u64 = 4096;
const CLUSTER_SECTORS: u64 = CLUSTER / SECTOR;
/// Number of the first cluster.
const FIRST_CLUSTER: u32 = 2;
/// Bytes in a directory entry.
const DIR_ENTRY: usize = 32;
/// Entries in the root directory of FAT16.
const FAT16_ROOT_ENTRIES: u64 = 512;

// Boot sector fields.
const BYTES_PER_SECTOR: usize = 11;
const SECTORS_PER_CLUSTER: usize = 13;
const RESERVED_SECTORS: usize = 14;
const FAT_COUNT: usize = 16;
const ROOT_ENTRIES: usize = 17;
const SECTORS_16: usize = 19;
const MEDIA: usize = 21;
const FAT_SECTORS_16: usize = 22;
const TRACK_SECTORS: usize = 24;
const HEADS: usize = 26;
const HIDDEN_SECTORS: usize = 28;
const SECTORS_32: usize = 32;
const FAT_SECTORS_32: usize = 36;
const ROOT_CLUSTER: usize = 44;
const FS_INFO_SECTOR: usize = 48;
const BACKUP_SECTOR: usize = 50;
/// Where the drive number is; the other fields of the extended boot record follow it.
const EXTENDED_16: usize = 36;
const EXTENDED_32: usize = 64;

// Directory entry fields.
const ENTRY_ATTRIBUTES: usize = 11;
const ENTRY_CREATION_DATE: usize = 16;
const ENTRY_ACCESS_DATE: usize = 18;
const ENTRY_CLUSTER_HIGH: usize = 20;
const ENTRY_WRITE_DATE: usize = 24;
const ENTRY_CLUSTER_LOW: usize = 26;
const ENTRY_SIZE: usize = 28;

const ATTRIBUTE_VOLUME_LABEL: u8 = 0x08;
const ATTRIBUTE_DIRECTORY: u8 = 0x10;
const ATTRIBUTE_ARCHIVE: u8 = 0x20;
/// Attributes of a part of a long name.
const ATTRIBUTE_LONG_NAME: u8 = 0x0f;

/// FAT16 or FAT32.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FatType {
    /// 16-bit entries, a root directory of fixed size.
    Fat16,
    /// 32-bit entries (28 used), the root directory is a chain.
    Fat32,
}

impl FatType {
    /// The type of a volume with this many clusters; `None` is FAT12 or too large.
    fn of(clusters: u64) -> Option<Self> {
        match clusters {
            4085..65_525 => Some(Self::Fat16),
            65_525..0x0fff_fff5 => Some(Self::Fat32),
            _ => None,
        }
    }

    /// Bytes of an entry of the FAT.
    fn width(self) -> u64 {
        match self {
            Self::Fat16 => 2,
            Self::Fat32 => 4,
        }
    }

    /// The entry of a chain's last cluster.
    fn end_of_chain(self) -> u32 {
        match self {
            Self::Fat16 => 0xffff,
            Self::Fat32 => 0x0fff_ffff,
        }
    }
}

/// Where the parts of a volume are, in sectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Geometry {
    fat_type: FatType,
    sectors: u64,
    reserved: u64,
    fat_sectors: u64,
    root_sectors: u64,
    clusters: u64,
}

impl Geometry {
    /// First sector of the root directory (FAT16).
    fn root_start(&self) -> u64 {
        self.reserved + 2 * self.fat_sectors
    }

    /// First sector of the first cluster.
    fn data_start(&self) -> u64 {
        self.root_start() + self.root_sectors
    }

    /// Offset of a cluster in bytes; the caller checked the number.
    fn cluster_offset(&self, cluster: u32) -> u64 {
        let index = u64::from(cluster - FIRST_CLUSTER);
        (self.data_start() + index * CLUSTER_SECTORS) * SECTOR
    }
}

/// Why a volume cannot be made or read.
#[derive(Debug, thiserror::Error)]
pub enum FatError {
    /// The bytes cannot be read.
    #[error("cannot read it: {0}")]
    Read(#[from] io::Error),
    /// A file that is too large for FAT.
    #[error("{path} would have {size} bytes; a file on FAT has less than 4 GiB")]
    FileTooLarge {
        /// The file.
        path: String,
        /// Its size.
        size: u64,
    },
    /// The files do not fit any volume.
    #[error("the files need {needed} bytes, more than a FAT volume can hold")]
    TooLarge {
        /// Bytes needed.
        needed: u64,
    },
    /// A name the writer cannot form.
    #[error(
        "`{path}` is not a name for FAT: upper-case letters, digits and one dot, 13 characters at most"
    )]
    Name {
        /// The path.
        path: String,
    },
    /// More entries than one cluster of directory holds.
    #[error("too many entries in `{path}`")]
    DirectoryFull {
        /// The directory.
        path: String,
    },
    /// Not a FAT16 or FAT32 boot sector with clusters of 4096 bytes.
    #[error("no usable FAT file system: {what}")]
    BootSector {
        /// Which check failed.
        what: &'static str,
    },
    /// A file or directory is missing.
    #[error("there is no `{path}`; was the image made by this program?")]
    NotFound {
        /// The path.
        path: String,
    },
    /// A file's clusters are not one run.
    #[error("`{path}` is damaged or not contiguous on the disk; build the image again")]
    Chain {
        /// The path.
        path: String,
    },
}

/// The 11-byte short name of a name: `NAME.EXT` as it is, a longer name cut to its alias with
/// `~1`. `None` if the name has other characters than the writer uses.
fn short_name(name: &str) -> Option<[u8; 11]> {
    let (stem, extension) = name.split_once('.').unwrap_or((name, ""));
    let legal = |part: &str| {
        part.bytes()
            .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
    };
    if stem.is_empty() || name.len() > 13 || !legal(stem) || !legal(extension) {
        return None;
    }
    let mut short = [b' '; 11];
    if needs_long_name(name) {
        let kept = stem.len().min(6);
        put(&mut short, 0, &stem.as_bytes()[..kept]);
        put(&mut short, kept, b"~1");
    } else {
        put(&mut short, 0, stem.as_bytes());
    }
    for (slot, byte) in short[8..].iter_mut().zip(extension.bytes()) {
        *slot = byte;
    }
    Some(short)
}

/// Whether a name is longer than 8.3.
fn needs_long_name(name: &str) -> bool {
    let (stem, extension) = name.split_once('.').unwrap_or((name, ""));
    stem.len() > 8 || extension.len() > 3
}

fn put(bytes: &mut [u8], at: usize, field: &[u8]) {
    bytes[at..at + field.len()].copy_from_slice(field);
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from(u16_at(bytes, at)) | u32::from(u16_at(bytes, at + 2)) << 16
}
