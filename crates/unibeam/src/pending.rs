//! A file that is there when it is whole, and not before.

use crate::error::Error;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

/// Permission bits of a new file, before the umask.
const MODE: u32 = 0o666;

/// A file to be written next to an image. That it can be written is known before the image is.
pub(crate) struct PendingFile {
    file: NamedTempFile,
    path: PathBuf,
}

impl PendingFile {
    /// A file of this name, which is not there yet.
    ///
    /// # Errors
    /// It cannot be written there.
    pub(crate) fn new(path: &Path) -> Result<Self, Error> {
        let fail = |source| Error::write(path, source);
        if path.is_dir() {
            return Err(fail(io::ErrorKind::IsADirectory.into()));
        }
        let folder = match path.parent() {
            Some(parent) if parent != Path::new("") => parent,
            _ => Path::new("."),
        };
        fs::metadata(folder).map_err(fail)?;
        let file = tempfile::Builder::new()
            .prefix(".unibeam-")
            .permissions(fs::Permissions::from_mode(MODE))
            .tempfile_in(folder)
            .map_err(|error| fail(error.kind().into()))?;
        Ok(Self {
            file,
            path: path.into(),
        })
    }

    /// Gives it its content and its name; a file that had it is replaced.
    ///
    /// # Errors
    /// It cannot be written.
    pub(crate) fn finish(mut self, content: &str) -> Result<(), Error> {
        let fail = |source| Error::write(&self.path, source);
        self.file.write_all(content.as_bytes()).map_err(fail)?;
        let named = self.file.persist(&self.path);
        named.map(drop).map_err(|error| fail(error.error))
    }
}
