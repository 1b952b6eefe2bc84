//! What an image is made of: the assembler's input.

use std::path::PathBuf;

use manifest::Manifest;

use crate::formats::Encoding;

/// Everything one image is made of.
#[derive(Clone, Copy, Debug)]
pub struct ImageSpec<'a> {
    /// The kernel, an ELF64 executable with a PVH note.
    pub kernel: &'a [u8],
    /// The BIOS boot sector, 512 bytes (`boot_images::BOOT_SECTOR`).
    pub boot_sector: &'a [u8],
    /// The BIOS boot stage (`boot_images::BIOS_STAGE`).
    pub bios_stage: &'a [u8],
    /// The kernel command line: one line, without a newline.
    pub cmdline: &'a str,
    /// The root archive's entries, in any order; missing parent directories are added.
    pub root: &'a [RootEntry],
    /// What the image says about itself; its digest is filled in.
    pub manifest: Option<&'a Manifest>,
    /// Modification time of every file, in seconds since 1970 (`SOURCE_DATE_EPOCH`, else 0).
    pub mtime: u32,
    /// The disk that holds all this.
    pub disk: DiskSpec,
}

/// How large a disk is, and how it is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DiskSpec {
    /// Size of the whole disk in bytes; the smallest possible if absent.
    pub size: Option<u64>,
    /// Size of an empty data partition in bytes, if there is to be one.
    pub data: Option<u64>,
    /// Format and compression of the file.
    pub encoding: Encoding,
}

/// One entry of the root archive.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RootEntry {
    /// Path in the guest, with or without a leading `/`; any bytes but NUL.
    pub path: Vec<u8>,
    /// What is there.
    pub kind: EntryKind,
    /// Permission bits, at most `0o7777`.
    pub mode: u32,
}

/// What a [`RootEntry`] is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum EntryKind {
    /// A directory.
    Dir,
    /// A regular file.
    File(Content),
    /// A symbolic link to this target.
    Symlink(Vec<u8>),
}

/// Where a file's bytes come from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Content {
    /// A file on this host, read while the image is written.
    Host(PathBuf),
    /// These bytes.
    Bytes(Vec<u8>),
}

impl RootEntry {
    /// A directory with mode `0o755`.
    pub fn dir(path: impl Into<Vec<u8>>) -> Self {
        Self {
            path: path.into(),
            kind: EntryKind::Dir,
            mode: 0o755,
        }
    }

    /// A file with the given bytes.
    pub fn bytes(path: impl Into<Vec<u8>>, bytes: impl Into<Vec<u8>>, mode: u32) -> Self {
        Self {
            path: path.into(),
            kind: EntryKind::File(Content::Bytes(bytes.into())),
            mode,
        }
    }

    /// A file with the bytes of a file on this host.
    pub fn host(path: impl Into<Vec<u8>>, source: impl Into<PathBuf>, mode: u32) -> Self {
        Self {
            path: path.into(),
            kind: EntryKind::File(Content::Host(source.into())),
            mode,
        }
    }

    /// A symbolic link.
    pub fn symlink(path: impl Into<Vec<u8>>, target: impl Into<Vec<u8>>) -> Self {
        Self {
            path: path.into(),
            kind: EntryKind::Symlink(target.into()),
            mode: 0o777,
        }
    }
}
