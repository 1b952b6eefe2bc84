//! The file that an image is, whatever its format.

use std::cell::RefCell;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use super::container::fill;
use super::raw::is_zero;
use super::{Container, Format, FormatError, gce};
use crate::error::ImageError;
use crate::plan::SIZE_MAX;

/// First bytes of a gzip stream (RFC 1952 §2.3.1).
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
/// First bytes of a Zstandard frame (RFC 8878 §3.1.1), little-endian.
const ZSTD_MAGIC: [u8; 4] = 0xfd2f_b528_u32.to_le_bytes();

/// An opened image, read as the disk it holds. What is compressed as a whole is unpacked into a
/// temporary file first.
#[derive(Debug)]
pub struct Medium {
    container: RefCell<Container<File>>,
    path: PathBuf,
    /// The disk, if the file had to be unpacked.
    unpacked: Option<NamedTempFile>,
}

impl Medium {
    /// Opens an image.
    ///
    /// # Errors
    /// It cannot be read or unpacked, or is a damaged container.
    pub fn open(path: &Path) -> Result<Self, ImageError> {
        let fail = |error| ImageError::input(path, error);
        let mut file = File::open(path).map_err(fail)?;
        let unpacked = unpacked(&mut file, path)?;
        let file = match &unpacked {
            Some(disk) => disk.reopen().map_err(ImageError::unpack)?,
            None => file,
        };
        let container = Container::open(file).map_err(|source| ImageError::format(path, source))?;
        Ok(Self {
            container: RefCell::new(container),
            path: path.to_path_buf(),
            unpacked,
        })
    }

    /// Its format; of what is compressed as a whole, that of the disk inside.
    pub fn format(&self) -> Format {
        self.container.borrow().format()
    }

    /// Whether the file is compressed as a whole.
    pub fn is_packed(&self) -> bool {
        self.unpacked.is_some()
    }

    /// The file that QEMU can take as a disk, which lives as long as this value, and QEMU's name of
    /// its format.
    pub fn qemu_disk(&self) -> (&Path, &'static str) {
        let path = self
            .unpacked
            .as_ref()
            .map_or(&*self.path, |file| file.path());
        (path, self.container.borrow().qemu_format())
    }
}

/// The disk in a file that is compressed as a whole.
fn unpacked(file: &mut File, path: &Path) -> Result<Option<NamedTempFile>, ImageError> {
    let mut magic = [0; 4];
    let known = fill(file, &mut magic).and_then(|_| file.rewind());
    known.map_err(|error| ImageError::input(path, error))?;
    if !magic.starts_with(&GZIP_MAGIC) && magic != ZSTD_MAGIC {
        return Ok(None);
    }
    let mut disk = tempfile::Builder::new()
        .prefix("unibeam-")
        .tempfile()
        .map_err(ImageError::unpack)?;
    let out = disk.as_file_mut();
    let size = if magic == ZSTD_MAGIC {
        zstd::Decoder::new(file)
            .map_err(FormatError::Read)
            .and_then(|mut stream| unpack_stream(&mut stream, out))
    } else {
        unpack_gzip(flate2::read::MultiGzDecoder::new(BufReader::new(file)), out)
    };
    let size = size.map_err(|source| ImageError::format(path, source))?;
    out.set_len(size).map_err(ImageError::unpack)?;
    Ok(Some(disk))
}

/// A disk, or an archive with one.
fn unpack_gzip(mut stream: impl Read, out: &mut File) -> Result<u64, FormatError> {
    let mut head = [0; 512];
    let count = fill(&mut stream, &mut head)?;
    let head = &head[..count];
    let is_tar = gce::is_tar(head);
    let mut stream = head.chain(stream);
    if is_tar {
        gce::unpack(&mut stream, SIZE_MAX, out)
    } else {
        unpack_stream(&mut stream, out)
    }
}

/// Bytes of a stream carried over at a time; those that are all 0 stay holes.
const BLOCK: usize = 1 << 16;

fn unpack_stream<W: Write + Seek>(stream: &mut dyn Read, out: &mut W) -> Result<u64, FormatError> {
    let mut buffer = vec![0; BLOCK];
    let mut size = 0;
    loop {
        let count = fill(stream, &mut buffer)?;
        if count == 0 {
            return Ok(size);
        }
        if !is_zero(&buffer[..count]) {
            out.seek(SeekFrom::Start(size))?;
            out.write_all(&buffer[..count])?;
        }
        size += count as u64;
        if size > SIZE_MAX {
            return Err(FormatError::Damaged {
                format: "compressed image",
                what: "the disk is larger than any that is made",
            });
        }
    }
}

impl Read for &Medium {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.container.borrow_mut().read(buffer)
    }
}

impl Seek for &Medium {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.container.borrow_mut().seek(to)
    }
}
