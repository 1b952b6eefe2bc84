//! A release in an archive, for as long as it is looked at.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::archive::{self, Limits};
use crate::locate::is_root;
use crate::{Error, Places, read};

/// The folder that an archive was unpacked to; it vanishes with this.
#[derive(Debug)]
pub(crate) struct Packed {
    archive: PathBuf,
    folder: TempDir,
}

impl Packed {
    /// Unpacks an archive.
    pub(crate) fn unpack(archive: &Path, places: &Places) -> Result<Self, Error> {
        let scratch = places.scratch.clone().unwrap_or_else(std::env::temp_dir);
        let make = |scratch: &Path| tempfile::tempdir_in(scratch.canonicalize()?);
        let folder = make(&scratch).map_err(|source| Error::Scratch {
            path: scratch,
            source,
        })?;
        archive::unpack(archive, folder.path(), Limits::default())?;
        Ok(Self {
            archive: archive.into(),
            folder,
        })
    }

    /// The release's root directory: what was unpacked, or the only folder in it.
    pub(crate) fn root(&self) -> PathBuf {
        let folder = self.folder.path();
        match read::directory(folder).unwrap_or_default().as_slice() {
            [only] if is_root(only) => only.clone(),
            _ => folder.into(),
        }
    }

    /// An error that names files as they are in the archive.
    pub(crate) fn explain(&self, error: Error) -> Error {
        Error::Packed {
            folder: self.folder.path().into(),
            archive: self.archive.clone(),
            error: Box::new(error),
        }
    }

    /// A path as it is in the archive.
    pub(crate) fn shown(&self, path: &Path) -> PathBuf {
        match path.strip_prefix(self.folder.path()) {
            Ok(below) => self.archive.join(below),
            Err(_) => path.into(),
        }
    }
}
