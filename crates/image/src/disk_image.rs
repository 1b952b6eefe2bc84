//! Looking into an image: its partition table and its files.

use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use boot_contract::disk::{
    CMDLINE_MAX, CMDLINE_PATH, EFI_SYSTEM_TYPE, KERNEL_PATH, MANIFEST_PATH, ROOT_PATH, SECTOR,
};
use manifest::{Manifest, SIZE_MAX};
use serde::{Deserialize, Serialize};

use crate::cpio;
use crate::error::ImageError;
use crate::fat::{FatError, ReadVolume};
use crate::formats::Medium;
use crate::gpt::{COPY_SECTORS, Gpt, GptError, Guid, check_protective};

/// An image on disk whose partition tables are valid and whose files are there.
#[derive(Debug)]
pub struct DiskImage {
    medium: Medium,
    path: PathBuf,
    /// The partition table.
    pub gpt: Gpt,
    /// The kernel.
    pub kernel: ByteRange,
    /// The root archive.
    pub root: ByteRange,
    /// The kernel command line, without its newline.
    pub cmdline: String,
    /// The description of the image, which older ones do not have.
    pub manifest: Option<ByteRange>,
}

/// A run of bytes in an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ByteRange {
    /// Offset in the image.
    pub offset: u64,
    /// Size in bytes.
    pub size: u64,
}

impl DiskImage {
    /// Opens an image and checks it.
    ///
    /// # Errors
    /// It cannot be read, or is not an image of this program.
    pub fn open(path: &Path) -> Result<Self, ImageError> {
        let medium = Medium::open(path)?;
        let gpt = read_gpt(&mut &medium, path)?;
        let esp = find_esp(&gpt)?;
        let mut volume = ReadVolume::open(&medium, esp.0 * SECTOR, esp.1)?;
        let mut find = |name| {
            volume.find(name).map(|found| ByteRange {
                offset: found.offset,
                size: found.size,
            })
        };
        let manifest = match find(MANIFEST_PATH) {
            Ok(found) => Some(found),
            Err(FatError::NotFound { .. }) => None,
            Err(error) => return Err(error.into()),
        };
        let (kernel, root, cmdline) = (find(KERNEL_PATH)?, find(ROOT_PATH)?, find(CMDLINE_PATH)?);
        let cmdline = read_cmdline(&medium, cmdline).map_err(|e| ImageError::input(path, e))?;
        Ok(Self {
            medium,
            path: path.to_path_buf(),
            gpt,
            kernel,
            root,
            cmdline,
            manifest,
        })
    }

    /// What the image says about itself, if it does.
    ///
    /// # Errors
    /// That cannot be read, is damaged, or is of a later form.
    pub fn read_manifest(&self) -> Result<Option<Manifest>, ImageError> {
        let Some(range) = self.manifest else {
            return Ok(None);
        };
        if range.size > SIZE_MAX {
            return Err(ImageError::ManifestTooLarge { size: range.size });
        }
        let mut bytes = Vec::new();
        self.copy(range, &mut bytes)?;
        Ok(Some(Manifest::parse(&bytes)?))
    }

    /// Size of the disk in bytes.
    pub fn size(&self) -> u64 {
        self.gpt.sectors * SECTOR
    }

    /// The file that holds the disk.
    pub fn medium(&self) -> &Medium {
        &self.medium
    }

    /// Copies a part of the image, for example the kernel into a file of its own.
    ///
    /// # Errors
    /// The image cannot be read or `out` not written.
    pub fn copy(&self, range: ByteRange, out: &mut dyn Write) -> Result<(), ImageError> {
        let fail = |error| ImageError::input(&self.path, error);
        let mut part = Section::new(&self.medium, range).map_err(fail)?;
        std::io::copy(&mut part, out).map_err(fail)?;
        Ok(())
    }

    /// A reader over the root archive's entries.
    ///
    /// # Errors
    /// The image cannot be read.
    pub fn root_entries(&self) -> Result<cpio::Reader<Section<&Medium>>, ImageError> {
        let section = Section::new(&self.medium, self.root);
        let section = section.map_err(|error| ImageError::input(&self.path, error))?;
        Ok(cpio::Reader::new(section)?)
    }
}

/// First sector and number of sectors of the EFI system partition.
fn find_esp(gpt: &Gpt) -> Result<(u64, u64), GptError> {
    let kind = Guid::from_text(EFI_SYSTEM_TYPE);
    let found = gpt.partitions.iter().find(|p| Some(p.kind) == kind);
    let esp = found.ok_or(GptError::Missing {
        kind: EFI_SYSTEM_TYPE,
    })?;
    Ok((esp.first, esp.last - esp.first + 1))
}

/// Reads both copies of the table, which must agree.
fn read_gpt(file: &mut &Medium, path: &Path) -> Result<Gpt, ImageError> {
    let fail = |error| ImageError::input(path, error);
    let sectors = file.seek(SeekFrom::End(0)).map_err(fail)? / SECTOR;
    if sectors < 2 * COPY_SECTORS + 2 {
        return Err(GptError::TooSmall { found: sectors }.into());
    }
    check_protective(&read_at(file, 0).map_err(fail)?)?;
    let last = sectors - 1;
    let table_at = last - (COPY_SECTORS - 1);
    let header = read_at(file, SECTOR).map_err(fail)?;
    let table = read_at(file, 2 * SECTOR).map_err(fail)?;
    let primary = Gpt::parse(1, sectors, &header, &table)?;
    let header = read_at(file, last * SECTOR).map_err(fail)?;
    let table = read_at(file, table_at * SECTOR).map_err(fail)?;
    let backup = Gpt::parse(last, sectors, &header, &table)?;
    if primary != backup {
        let what = "it differs from the first";
        return Err(GptError::Damaged { lba: last, what }.into());
    }
    Ok(primary)
}

fn read_at<const N: usize>(file: &mut &Medium, offset: u64) -> std::io::Result<[u8; N]> {
    let mut bytes = [0; N];
    file.seek(SeekFrom::Start(offset))?;
    file.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn read_cmdline(file: &Medium, range: ByteRange) -> std::io::Result<String> {
    let mut text = Vec::new();
    let limit = CMDLINE_MAX as u64 + 1;
    Section::new(file, range)?
        .take(limit)
        .read_to_end(&mut text)?;
    Ok(String::from_utf8_lossy(&text)
        .trim_end_matches(['\r', '\n'])
        .into())
}

/// A part of something one can seek in, as if it were all there is.
#[derive(Debug)]
pub struct Section<R> {
    inner: R,
    range: ByteRange,
    position: u64,
}

impl<R: Read + Seek> Section<R> {
    pub(crate) fn new(mut inner: R, range: ByteRange) -> std::io::Result<Self> {
        inner.seek(SeekFrom::Start(range.offset))?;
        Ok(Self {
            inner,
            range,
            position: 0,
        })
    }
}

impl<R: Read> Read for Section<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let left = self.range.size.saturating_sub(self.position);
        let wanted = buffer
            .len()
            .min(usize::try_from(left).unwrap_or(usize::MAX));
        let count = self.inner.read(&mut buffer[..wanted])?;
        self.position += count as u64;
        Ok(count)
    }
}

impl<R: Seek> Seek for Section<R> {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        let position = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::End(offset) => self.range.size.checked_add_signed(offset),
            SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
        };
        let absolute = position.and_then(|position| position.checked_add(self.range.offset));
        let (Some(position), Some(absolute)) = (position, absolute) else {
            return Err(std::io::ErrorKind::InvalidInput.into());
        };
        self.inner.seek(SeekFrom::Start(absolute))?;
        self.position = position;
        Ok(position)
    }
}
