//! A small file beside an image: there when it is whole, and not before.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::error::ImageError;
use crate::output::target;
use crate::temporary::Temporary;

/// A file that has no name until it is whole, so that nothing is left of it however this program
/// ends. That it can be written is known when it is made.
#[derive(Debug)]
pub struct WholeFile {
    file: Temporary,
    path: PathBuf,
}

impl WholeFile {
    /// A file for this path. Links are followed, and anything but a regular file is refused, as it
    /// is for an image.
    ///
    /// # Errors
    /// It cannot be written there.
    pub fn create(path: &Path) -> Result<Self, ImageError> {
        let path = target(path)?;
        match Temporary::beside(&path) {
            Ok(file) => Ok(Self { file, path }),
            Err(error) => Err(fail(&path, error)),
        }
    }

    /// Gives it its content and its name; a file that had it is replaced.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn finish(mut self, content: &[u8]) -> Result<(), ImageError> {
        let written = self.file.write_all(content);
        let named = written.and_then(|()| self.file.persist(&self.path));
        named.map_err(|error| fail(&self.path, error))
    }
}

fn fail(path: &Path, source: io::Error) -> ImageError {
    ImageError::Beside {
        path: path.into(),
        source,
    }
}
