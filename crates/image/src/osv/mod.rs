//! Disks that OSv boots from (osv: arch/x64/boot16.S, scripts/imgedit.py, fs/devfs/device.cc).
//!
//! ```text
//! 0        boot sector: how many 32 KiB of loader follow (u16 at 0x10), "VSO" at 0x1b8,
//!          partition table
//! 512      command line, with a zero at its end, in 63 sectors
//! 65536    loader: a program of 32 bits that unpacks the kernel inside of it
//! n MiB    partition 2: the root, a ROFS, as /dev/vblk0.1
//! n MiB    partition 3, if asked for: empty
//! ```
//!
//! A disk without a kernel, for a machine that is given one, has only a partition table in its first
//! sector, and the root right behind it. Both keep the command line as a file in the root, too.

mod assemble;
mod base;
mod disk;
mod fastlz;
#[cfg(test)]
mod tests;

pub use assemble::{Boot, OsvSpec, assemble, plan};
pub use base::{BaseFile, BaseKind, OsvBaseError};
pub use disk::{OsvImage, is_osv};

/// Where in the boot sector the number of units of the loader is.
const LOADER_UNITS: usize = 0x10;
/// Bytes of such a unit.
const UNIT: usize = 32 << 10;
/// Most units: what a program of 32 bits and its kernel take is far below.
const UNITS_MAX: usize = 4096;
/// What marks a boot sector of OSv, and where.
const MARK: &[u8; 6] = b"VSO\0\0\0";
const MARK_AT: usize = 0x1b8;
/// Bytes of a sector.
const SECTOR: u64 = 512;
/// Where the command line starts, and bytes of it with its zero.
const CMDLINE: u64 = 512;
const CMDLINE_SIZE: usize = 63 * 512;
/// Where the loader starts.
const LOADER: u64 = 64 << 10;
/// Places in the partition table, from 0: of the root, which the kernel knows as `/dev/vblk0.1`,
/// and of data.
const ROOT_PLACE: usize = 1;
const DATA_PLACE: usize = 2;

/// The command line, as a file in the root.
pub const CMDLINE_PATH: &str = "etc/unibeam/cmdline";
/// What the image says about itself, as a file in the root.
pub const MANIFEST_PATH: &str = "etc/unibeam/manifest.json";
