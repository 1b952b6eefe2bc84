//! What can go wrong with a disk for rumprun.

use super::config::{CONFIG_MAX, ConfigError};
use super::multiboot::MultibootError;
use super::{FOLDER, PATH_MAX, PROGRAM_PATH};
use crate::tree::show;

/// Why a disk for rumprun could not be made or read.
#[derive(Debug, thiserror::Error)]
pub enum RumprunError {
    /// The program is not one that can be loaded.
    #[error(transparent)]
    Program(#[from] MultibootError),
    /// The configuration is not one that rumprun takes.
    #[error("rumprun's configuration: {0}")]
    Configuration(#[from] ConfigError),
    /// A path where this program has its own files.
    #[error("`{}` cannot be in the root: `{FOLDER}` holds what the disk boots from", show(.path))]
    Reserved {
        /// The path.
        path: Vec<u8>,
    },
    /// A path that is too long for NetBSD.
    #[error(
        "the path `{}` has {found} bytes; rumprun's file systems take at most {PATH_MAX}, with the place \
         where they are mounted",
        show(.path)
    )]
    PathTooLong {
        /// The path.
        path: Vec<u8>,
        /// Its length.
        found: usize,
    },
    /// A data partition was asked for.
    #[error(
        "a disk for rumprun is read only and has no data partition; attach a second disk (`/dev/ld1a`)"
    )]
    DataPartition,
    /// A disk without what it boots from.
    #[error("it is no disk for rumprun: there is no `{PROGRAM_PATH}` on it")]
    NotRumprun,
    /// A configuration that is larger than any.
    #[error(
        "its configuration has {size} bytes, more than the {CONFIG_MAX} that rumprun takes; it is damaged"
    )]
    ConfigurationSize {
        /// Its size.
        size: u64,
    },
}
