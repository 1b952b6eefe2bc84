//! What a base works on, and what it makes of it.

use image::{Content as FileContent, DiskSpec, EntryKind, RootEntry};
use manifest::Manifest;
use release::{Release, Source, Start, TreeEntry};

use crate::network::Network;
use crate::osv::LaunchMode;

/// A release that is understood, completed with libraries.
#[derive(Clone, Debug)]
pub struct Content<'a> {
    /// The release.
    pub release: &'a Release,
    /// How it starts.
    pub start: &'a Start,
    /// Its files, and what the user added.
    pub tree: Vec<TreeEntry>,
    /// Loaders, libraries and their companions.
    pub libraries: Vec<TreeEntry>,
    /// What the user says about the machine.
    pub settings: &'a Settings,
}

/// What the user says about the machine, whatever the base.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// The network.
    pub network: Network,
    /// Words for the kernel, in its own grammar.
    pub kernel_words: Vec<String>,
    /// Secret of a distributed node (erl(1), `-setcookie`).
    pub cookie: Option<String>,
    /// How OSv loads the emulator, if the user decides.
    pub launch: Option<LaunchMode>,
}

/// What an image holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// All files.
    pub root: Vec<TreeEntry>,
    /// What the kernel is told.
    pub command_line: String,
    /// What the user should know.
    pub notes: Vec<String>,
}

/// What is written to a disk.
#[derive(Clone, Copy, Debug)]
pub struct Disk<'a> {
    /// All files, in any order.
    pub root: &'a [RootEntry],
    /// What the kernel is told.
    pub command_line: &'a str,
    /// What the image says about itself; its digest is filled in.
    pub manifest: &'a Manifest,
    /// Modification time of every file, in seconds since 1970.
    pub mtime: u32,
    /// The disk that holds all this.
    pub spec: DiskSpec,
}

/// A file of the guest, as the assembler takes it.
pub fn root_entry(entry: TreeEntry) -> RootEntry {
    let kind = match entry.source {
        Source::Directory => EntryKind::Dir,
        Source::HostFile(path) => EntryKind::File(FileContent::Host(path)),
        Source::Bytes(bytes) => EntryKind::File(FileContent::Bytes(bytes)),
        Source::Symlink(target) => EntryKind::Symlink(target),
    };
    RootEntry {
        path: entry.path.as_bytes().to_vec(),
        kind,
        mode: entry.mode,
    }
}
