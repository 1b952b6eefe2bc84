//! What can go wrong while an image is looked into.

use std::io;
use std::path::{Path, PathBuf};

use image::ImageError;

use crate::contents::ENTRIES_MAX;
use crate::text::printable;

/// Why an image cannot be looked into.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It cannot be read.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// Its root archive has more entries than any release.
    #[error(
        "the root archive has more than {ENTRIES_MAX} entries; no release has, so the image is damaged or hostile"
    )]
    TooManyEntries,
    /// A path that leads out of the folder, or nowhere.
    #[error("the image has the path `{}`, which leads out of its root; it is not extracted: images made by unibeam have no such paths", printable(.path))]
    UnsafePath {
        /// The path.
        path: Vec<u8>,
    },
    /// A path below something that is not a directory.
    #[error("the image has `{}` below `{}`, which is not a directory; it is not extracted: images made by unibeam have no such paths", printable(.path), printable(.parent))]
    BelowFile {
        /// The path.
        path: Vec<u8>,
        /// What it lies below.
        parent: Vec<u8>,
    },
    /// A path that comes twice.
    #[error("the image has `{}` twice; it is not extracted: images made by unibeam have each path once", printable(.path))]
    Twice {
        /// The path.
        path: Vec<u8>,
    },
    /// A device, pipe or socket.
    #[error("`{}` in the image is a special file (mode {mode:o}); it is not extracted: images made by unibeam have files, directories and links only", printable(.path))]
    SpecialFile {
        /// The path.
        path: Vec<u8>,
        /// Its type and permissions.
        mode: u32,
    },
    /// Nothing of that name is in the image.
    #[error("there is no `{path}` in it; `unibeam inspect --list` shows what there is")]
    NoSuchPath {
        /// What was asked for.
        path: String,
    },
    /// The folder to extract to has something in it.
    #[error("cannot extract to {}: it is not an empty folder; name one that is new or empty", path.display())]
    TargetNotEmpty {
        /// The folder.
        path: PathBuf,
    },
    /// The folder to extract to is a symbolic link that leads nowhere.
    #[error("cannot extract to {}: it is a link to a folder that does not exist; make that folder, or name another one", path.display())]
    TargetIsDanglingLink {
        /// The link.
        path: PathBuf,
    },
    /// A file or folder cannot be written.
    #[error("cannot extract to {}: {source}", path.display())]
    Write {
        /// The folder.
        path: PathBuf,
        /// The operating system's reason.
        source: io::Error,
    },
}

impl Error {
    pub(crate) fn write(path: &Path, source: io::Error) -> Self {
        Self::Write {
            path: path.into(),
            source,
        }
    }
}
