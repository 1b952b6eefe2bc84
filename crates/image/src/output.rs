//! The image file while it is being made: temporary until it is whole.

use std::io::{self, BufWriter, IntoInnerError, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::error::ImageError;
use crate::formats::{self, Encoding, Raw, Runs};
use crate::temporary::Temporary;

/// Bytes collected before they are written.
const BUFFER: usize = 1 << 20;

pub(crate) struct Output {
    file: BufWriter<Temporary>,
    path: PathBuf,
    size: u64,
    position: u64,
    written: Runs,
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
            written: Runs::default(),
        })
    }

    /// Writes bytes at an offset.
    pub(crate) fn write_at(&mut self, offset: u64, bytes: &[u8]) -> Result<(), ImageError> {
        self.try_write_at(offset, bytes)
            .map_err(|error| ImageError::output(&self.path, self.size, error))
    }

    fn try_write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        if offset != self.position {
            self.file.seek(SeekFrom::Start(offset))?;
        }
        self.file.write_all(bytes)?;
        self.position = offset + bytes.len() as u64;
        self.written.add(offset, self.position);
        Ok(())
    }

    /// Carries the disk over into its format, and gives the file its name; gives that and its size.
    pub(crate) fn finish(
        self,
        encoding: Encoding,
        digest: &[u8; 32],
    ) -> Result<(PathBuf, u64), ImageError> {
        let (path, size) = (self.path.clone(), self.size);
        self.try_finish(encoding, digest)
            .map_err(|error| ImageError::output(&path, size, error))
    }

    fn try_finish(self, encoding: Encoding, digest: &[u8; 32]) -> io::Result<(PathBuf, u64)> {
        let Self {
            path,
            size,
            written,
            file,
            ..
        } = self;
        let mut file = file.into_inner().map_err(IntoInnerError::into_error)?;
        if !encoding.is_plain() {
            let mut raw = Raw::new(file.as_file(), size, written);
            let container = Temporary::beside(&path)?;
            let mut out = BufWriter::with_capacity(BUFFER, container);
            formats::write(encoding, &mut raw, digest, &mut out)?;
            file = out.into_inner().map_err(IntoInnerError::into_error)?;
        }
        let size = file.as_file().metadata()?.len();
        file.persist(&path)?;
        Ok((path, size))
    }
}

/// The file that will be replaced: links are followed, anything but a regular file is refused.
pub(crate) fn target(path: &Path) -> Result<PathBuf, ImageError> {
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
