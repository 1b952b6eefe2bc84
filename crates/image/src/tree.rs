//! The files of a root as a tree, before a format makes bytes of it: sorted, complete, and with
//! nothing but what a guest can name.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::error::ImageError;
use crate::spec::{Content, EntryKind, RootEntry};

/// Longest path with its NUL (PATH_MAX of Linux).
pub(crate) const PATH_MAX: usize = 4096;

/// Bytes of a file read at a time.
const CHUNK: usize = 256 * 1024;

/// Receives bytes in order.
pub(crate) type Sink<'s> = &'s mut dyn FnMut(&[u8]) -> Result<(), ImageError>;

/// Entries by normal path, without that of the root itself; `None` is a parent nobody named.
pub(crate) type Tree<'a> = BTreeMap<Vec<u8>, Option<&'a RootEntry>>;

/// Why entries are not a tree.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TreeError {
    /// A path that no guest could use.
    #[error("the path `{}` is not usable in the guest: it is empty, longer than 4095 bytes, or has a NUL or a `..`", show(.path))]
    Path {
        /// The path.
        path: Vec<u8>,
    },
    /// A path that comes twice.
    #[error("the path `{}` comes twice", show(.path))]
    Duplicate {
        /// The path.
        path: Vec<u8>,
    },
    /// A path below something that is not a directory.
    #[error("`{}` lies below `{}`, which is not a directory", show(.path), show(.parent))]
    ParentIsNotDir {
        /// The path.
        path: Vec<u8>,
        /// The parent.
        parent: Vec<u8>,
    },
    /// Mode bits other than permissions.
    #[error("`{}` has the mode {mode:o}; only permission bits (up to 7777) are possible", show(.path))]
    Mode {
        /// The path.
        path: Vec<u8>,
        /// The mode.
        mode: u32,
    },
}

pub(crate) fn show(path: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(path)
}

/// The content of a file, or the target of a link.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Data<'a> {
    Bytes(&'a [u8]),
    Host(&'a Path),
}

impl<'a> Data<'a> {
    /// That of an entry; of a directory, nothing.
    pub(crate) fn of(entry: Option<&'a RootEntry>) -> Self {
        match entry.map(|entry| &entry.kind) {
            None | Some(EntryKind::Dir) => Self::Bytes(&[]),
            Some(EntryKind::Symlink(target)) => Self::Bytes(target),
            Some(EntryKind::File(Content::Bytes(bytes))) => Self::Bytes(bytes),
            Some(EntryKind::File(Content::Host(path))) => Self::Host(path),
        }
    }

    /// How many bytes there are.
    pub(crate) fn size(self) -> Result<u64, ImageError> {
        match self {
            Self::Bytes(bytes) => Ok(bytes.len() as u64),
            Self::Host(path) => host_size(path),
        }
    }

    /// Copies all of it, which must be `size` bytes.
    pub(crate) fn write(self, size: u64, out: Sink<'_>) -> Result<(), ImageError> {
        match self {
            Self::Bytes(bytes) => out(bytes),
            Self::Host(path) => copy_file(path, size, out),
        }
    }
}

/// Copies a host file that must have exactly `size` bytes.
fn copy_file(path: &Path, size: u64, out: Sink<'_>) -> Result<(), ImageError> {
    let mut file = File::open(path).map_err(|e| ImageError::input(path, e))?;
    let mut buffer = vec![0; CHUNK];
    let mut found = 0;
    loop {
        let count = file
            .read(&mut buffer)
            .map_err(|e| ImageError::input(path, e))?;
        found += count as u64;
        if found > size || (count == 0 && found < size) {
            return Err(ImageError::InputChanged {
                path: path.to_path_buf(),
                expected: size,
                found,
            });
        }
        if count == 0 {
            return Ok(());
        }
        out(&buffer[..count])?;
    }
}

fn host_size(path: &Path) -> Result<u64, ImageError> {
    let metadata = path.metadata().map_err(|e| ImageError::input(path, e))?;
    if metadata.is_file() {
        Ok(metadata.len())
    } else {
        Err(ImageError::InputKind {
            path: path.to_path_buf(),
        })
    }
}

/// The tree of these entries, with the parents that none of them names.
pub(crate) fn of(entries: &[RootEntry]) -> Result<Tree<'_>, TreeError> {
    let mut tree = Tree::new();
    for entry in entries {
        let path = normal_path(&entry.path)?;
        check_entry(entry, &path)?;
        if !path.is_empty() && tree.insert(path.clone(), Some(entry)).is_some() {
            return Err(TreeError::Duplicate { path });
        }
    }
    let named: Vec<_> = tree.keys().cloned().collect();
    for path in named {
        add_parents(&mut tree, &path)?;
    }
    Ok(tree)
}

fn check_entry(entry: &RootEntry, path: &[u8]) -> Result<(), TreeError> {
    if entry.mode > 0o7777 {
        return Err(TreeError::Mode {
            path: entry.path.clone(),
            mode: entry.mode,
        });
    }
    if path.is_empty() && entry.kind != EntryKind::Dir {
        return Err(TreeError::Path {
            path: entry.path.clone(),
        });
    }
    Ok(())
}

fn add_parents<'a>(tree: &mut Tree<'a>, path: &[u8]) -> Result<(), TreeError> {
    let slashes = path.iter().enumerate().filter(|&(_, &byte)| byte == b'/');
    for (end, _) in slashes {
        let parent = tree.entry(path[..end].to_vec()).or_insert(None);
        if parent.is_some_and(|entry| entry.kind != EntryKind::Dir) {
            return Err(TreeError::ParentIsNotDir {
                path: path.to_vec(),
                parent: path[..end].to_vec(),
            });
        }
    }
    Ok(())
}

/// The path without empty and `.` parts; empty for the root directory.
fn normal_path(path: &[u8]) -> Result<Vec<u8>, TreeError> {
    let parts: Vec<&[u8]> = path
        .split(|&byte| byte == b'/')
        .filter(|part| !part.is_empty() && *part != b".")
        .collect();
    let normal = parts.join(&b'/');
    let bad = path.is_empty()
        || normal.len() >= PATH_MAX
        || normal.contains(&0)
        || parts.contains(&b"..".as_slice());
    if bad {
        return Err(TreeError::Path {
            path: path.to_vec(),
        });
    }
    Ok(normal)
}
