//! The image file while it is being made: temporary until it is whole.

use std::fs::File;
use std::io::{BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::error::ImageError;
use crate::temporary::Temporary;

/// Bytes collected before they are written.
const BUFFER: usize = 1 << 20;

pub(crate) struct Output {
    file: BufWriter<Temporary>,
    path: PathBuf,
    size: u64,
    position: u64,
}

impl Output {
    /// Creates the temporary file, `size` bytes of zeros that take no space yet.
    pub(crate) fn create(path: &Path, size: u64) -> Result<Self, ImageError> {
        let path = target(path)?;
        let fail = |error| ImageError::output(&path, size, error);
        let mut file = Temporary::beside(&path).map_err(fail)?;
        file.as_file().set_len(size).map_err(fail)?;
        Ok(Self {
            file: BufWriter::with_capacity(BUFFER, file),
            path,
            size,
            position: 0,
        })
    }

    /// Writes bytes at an offset.
    pub(crate) fn write_at(&mut self, offset: u64, bytes: &[u8]) -> Result<(), ImageError> {
        self.try_write_at(offset, bytes)
            .map_err(|error| ImageError::output(&self.path, self.size, error))
    }

    fn try_write_at(&mut self, offset: u64, bytes: &[u8]) -> std::io::Result<()> {
        if offset != self.position {
            self.file.seek(SeekFrom::Start(offset))?;
        }
        self.file.write_all(bytes)?;
        self.position = offset + bytes.len() as u64;
        Ok(())
    }

    /// Gives the file its name.
    pub(crate) fn finish(self) -> Result<PathBuf, ImageError> {
        let fail = |error| ImageError::output(&self.path, self.size, error);
        let file = self.file.into_inner().map_err(|e| fail(e.into_error()))?;
        file.persist(&self.path).map_err(fail)?;
        Ok(self.path)
    }
}

/// The file that will be replaced: links are followed, anything but a regular file is refused.
fn target(path: &Path) -> Result<PathBuf, ImageError> {
    let Ok(metadata) = path.metadata() else {
        return Ok(path.to_path_buf());
    };
    if metadata.is_dir() {
        return Err(ImageError::OutputIsDirectory {
            path: path.to_path_buf(),
        });
    }
    if !metadata.is_file() {
        return Err(ImageError::OutputIsDevice {
            path: path.to_path_buf(),
        });
    }
    path.canonicalize()
        .map_err(|error| ImageError::output(path, 0, error))
}

/// Opens an image for reading.
pub(crate) fn open(path: &Path) -> Result<File, ImageError> {
    File::open(path).map_err(|error| ImageError::input(path, error))
}
