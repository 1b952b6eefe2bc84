//! Disks around a rumprun program: a binary that `rumprun-bake` made for the platform `hw`, with Erlang
//! in it. Nothing can be added to the binary itself; around it go its configuration ([`config`]) and the
//! files of a release.
//!
//! ```text
//! 0       512  boot sector, without a partition
//! 2048     …   BIOS stage, which loads program and configuration and enters the program by Multiboot
//! 32768    …   ISO 9660 with Rock Ridge, the whole disk: `unibeam/program`, `unibeam/config.json`,
//!              `unibeam/manifest.json`, and the files
//! ```
//!
//! One disk is both: the guest finds the file system on its first disk, `/dev/ld0a`. NetBSD takes the
//! partition `a` for all of a disk that has neither a label, which it looks for in the first three sectors, nor
//! a partition in its boot sector (netbsd: sys/kern/subr_disk_mbr.c, `readdisklabel`); and what rumprun
//! mounts from there may be FFS, ext2, whose first block would be at byte 1024, or this.

mod assemble;
pub mod config;
mod disk;
mod error;
pub mod multiboot;

pub use assemble::{RumprunSpec, assemble, plan};
pub use disk::{RumprunImage, is_rumprun};
pub use error::RumprunError;

/// The device that such a disk is for its guest, if it is the first.
pub const DEVICE: &str = "/dev/ld0a";
/// The folder of what the disk boots from.
pub const FOLDER: &str = "unibeam";
/// The program on the disk.
pub const PROGRAM_PATH: &str = "unibeam/program";
/// The configuration (JSON) on the disk.
pub const CONFIG_PATH: &str = "unibeam/config.json";
/// The description of the image (JSON) on the disk; nothing of the boot needs it.
pub const MANIFEST_PATH: &str = "unibeam/manifest.json";
/// Longest path in bytes, with the place where the disk is mounted (PATH_MAX of NetBSD without the NUL).
pub const PATH_MAX: usize = 1023;
/// Where the BIOS stage starts, in bytes: after all that NetBSD could take for a label or a file system.
const STAGE: u64 = 2048;
