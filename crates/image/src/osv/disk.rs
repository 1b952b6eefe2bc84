//! Looking into a disk for OSv.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use manifest::{Manifest, SIZE_MAX};

use super::{
    CMDLINE, CMDLINE_PATH, CMDLINE_SIZE, MANIFEST_PATH, MARK, MARK_AT, ROOT_PLACE, SECTOR,
    base::read_loader, fastlz,
};
use crate::disk_image::{ByteRange, Section};
use crate::error::ImageError;
use crate::formats::Medium;
use crate::mbr;
use crate::rofs::{self, Kind, Reader};

/// A disk for OSv whose root is sound.
#[derive(Debug)]
pub struct OsvImage {
    medium: Medium,
    path: PathBuf,
    /// The root.
    pub root: ByteRange,
    /// The kernel's command line.
    pub cmdline: String,
    /// Whether the disk boots by itself.
    pub boots: bool,
}

/// Whether a file looks like a disk for OSv: with its boot sector, or without one but with its root.
///
/// # Errors
/// It cannot be read as a disk.
pub fn is_osv(path: &Path) -> Result<bool, ImageError> {
    let medium = Medium::open(path)?;
    let Ok(sector) = read_sector(&medium, 0) else {
        return Ok(false);
    };
    let root = mbr::partitions(&sector)[ROOT_PLACE];
    let start = root.and_then(|root| read_sector(&medium, u64::from(root.first) * SECTOR).ok());
    Ok(has_mark(&sector) || start.is_some_and(|block| rofs::is_superblock(&block)))
}

fn has_mark(sector: &[u8; 512]) -> bool {
    sector[MARK_AT..].starts_with(MARK) && sector[510..] == mbr::SIGNATURE
}

impl OsvImage {
    /// Opens a disk and checks its root.
    ///
    /// # Errors
    /// It cannot be read, or is not such a disk.
    pub fn open(path: &Path) -> Result<Self, ImageError> {
        let medium = Medium::open(path)?;
        let fail = |error| ImageError::input(path, error);
        let sector = read_sector(&medium, 0).map_err(fail)?;
        let root = mbr::partitions(&sector)[ROOT_PLACE].ok_or(ImageError::NoRoot)?;
        let root = ByteRange {
            offset: u64::from(root.first) * SECTOR,
            size: u64::from(root.sectors) * SECTOR,
        };
        let size = (&mut &medium).seek(SeekFrom::End(0)).map_err(fail)?;
        let end = root.offset + root.size;
        if end > size {
            return Err(ImageError::RootOutside { end, size });
        }
        let mut image = Self {
            medium,
            path: path.into(),
            root,
            cmdline: String::new(),
            boots: has_mark(&sector),
        };
        let file = image.file(CMDLINE_PATH, CMDLINE_SIZE as u64)?;
        image.cmdline = match image.boots {
            true => image.boot_cmdline()?,
            false => text(&file.unwrap_or_default()),
        };
        Ok(image)
    }

    /// The file that holds the disk.
    pub fn medium(&self) -> &Medium {
        &self.medium
    }

    /// Size of the disk in bytes.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn size(&self) -> Result<u64, ImageError> {
        let size = (&mut &self.medium).seek(SeekFrom::End(0));
        size.map_err(|error| ImageError::input(&self.path, error))
    }

    /// The root.
    ///
    /// # Errors
    /// It is damaged.
    pub fn root_entries(&self) -> Result<Reader<Section<&Medium>>, ImageError> {
        let section = Section::new(&self.medium, self.root);
        let section = section.map_err(|error| ImageError::input(&self.path, error))?;
        Ok(Reader::open(section)?)
    }

    /// Copies a part of the disk.
    ///
    /// # Errors
    /// It cannot be read, or `out` not written.
    pub fn copy(&self, range: ByteRange, out: &mut dyn Write) -> Result<(), ImageError> {
        let fail = |error| ImageError::input(&self.path, error);
        let mut part = Section::new(&self.medium, range).map_err(fail)?;
        io::copy(&mut part, out).map_err(fail)?;
        Ok(())
    }

    /// What the image says about itself, if it does.
    ///
    /// # Errors
    /// That cannot be read, is damaged, or is of a later form.
    pub fn read_manifest(&self) -> Result<Option<Manifest>, ImageError> {
        let bytes = self.file(MANIFEST_PATH, SIZE_MAX)?;
        Ok(bytes.map(|bytes| Manifest::parse(&bytes)).transpose()?)
    }

    /// The kernel, an ELF file, if the disk has one.
    ///
    /// # Errors
    /// The disk cannot be read, or its loader has no kernel.
    pub fn kernel(&self) -> Result<Option<Vec<u8>>, ImageError> {
        if !self.boots {
            return Ok(None);
        }
        let fail = |error| ImageError::input(&self.path, error);
        let sector = read_sector(&self.medium, 0).map_err(fail)?;
        let loader = read_loader(&self.medium, &sector).map_err(fail)?;
        match fastlz::kernel(&loader.used()) {
            Some(kernel) => Ok(Some(kernel)),
            None => Err(ImageError::NoOsvKernel),
        }
    }

    /// Copies the disk with another command line, which only a disk that boots by itself has.
    ///
    /// # Errors
    /// It cannot be read, `out` not written, or the command line does not fit.
    pub fn copy_with(&self, cmdline: &str, out: &mut File) -> Result<(), ImageError> {
        let limit = CMDLINE_SIZE - 1;
        let found = cmdline.len();
        if found > limit {
            return Err(ImageError::CmdlineTooLong { found, limit });
        }
        let mut field = cmdline.as_bytes().to_vec();
        field.resize(CMDLINE_SIZE, 0);
        let mut medium = &self.medium;
        medium
            .rewind()
            .and_then(|()| io::copy(&mut medium, out))
            .and_then(|_| out.seek(SeekFrom::Start(CMDLINE)))
            .and_then(|_| out.write_all(&field))
            .map_err(|error| ImageError::input(&self.path, error))
    }

    fn boot_cmdline(&self) -> Result<String, ImageError> {
        let range = ByteRange {
            offset: CMDLINE,
            size: CMDLINE_SIZE as u64,
        };
        let fail = |error| ImageError::input(&self.path, error);
        let mut bytes = Vec::new();
        let mut section = Section::new(&self.medium, range).map_err(fail)?;
        section.read_to_end(&mut bytes).map_err(fail)?;
        Ok(text(&bytes))
    }

    /// A small file of the root, if it is there.
    fn file(&self, path: &str, limit: u64) -> Result<Option<Vec<u8>>, ImageError> {
        let mut root = self.root_entries()?;
        let Some(entry) = root.find(path.as_bytes()).cloned() else {
            return Ok(None);
        };
        match entry.kind {
            Kind::File { size, .. } if size <= limit => Ok(Some(root.data(&entry)?)),
            Kind::File { size, .. } => Err(ImageError::ManifestTooLarge { size }),
            _ => Ok(None),
        }
    }
}

fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|&byte| byte == 0);
    let bytes = &bytes[..end.unwrap_or(bytes.len())];
    String::from_utf8_lossy(bytes).trim_end_matches('\n').into()
}

fn read_sector(mut medium: &Medium, offset: u64) -> io::Result<[u8; 512]> {
    let mut sector = [0; 512];
    medium.seek(SeekFrom::Start(offset))?;
    medium.read_exact(&mut sector)?;
    Ok(sector)
}
