//! Looking into a disk for rumprun.

use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use manifest::{Manifest, SIZE_MAX};

use super::config::{CONFIG_MAX, Configuration};
use super::{CONFIG_PATH, MANIFEST_PATH, PROGRAM_PATH, RumprunError};
use crate::disk_image::{ByteRange, Section};
use crate::error::ImageError;
use crate::formats::Medium;
use crate::iso::{IsoError, Kind, Reader};

/// A disk for rumprun whose files are sound.
#[derive(Debug)]
pub struct RumprunImage {
    medium: Medium,
    path: PathBuf,
    /// The program.
    pub program: ByteRange,
    /// What it is told.
    pub configuration: Configuration,
    /// The description of the image, if it has one.
    pub manifest: Option<ByteRange>,
}

/// Whether a file is a disk with what rumprun boots from.
///
/// # Errors
/// It cannot be read as a disk.
pub fn is_rumprun(path: &Path) -> Result<bool, ImageError> {
    let medium = Medium::open(path)?;
    match root(&medium, path) {
        Ok(root) => Ok(find(&root, PROGRAM_PATH).is_some()),
        Err(ImageError::Iso(error)) if !matches!(error, IsoError::Read(_)) => Ok(false),
        Err(error) => Err(error),
    }
}

impl RumprunImage {
    /// Opens a disk and checks its files and its configuration.
    ///
    /// # Errors
    /// It cannot be read, or is not such a disk.
    pub fn open(path: &Path) -> Result<Self, ImageError> {
        let medium = Medium::open(path)?;
        let mut root = root(&medium, path)?;
        let program = find(&root, PROGRAM_PATH).ok_or(RumprunError::NotRumprun)?;
        let manifest = find(&root, MANIFEST_PATH);
        let size = find(&root, CONFIG_PATH).map_or(0, |range| range.size);
        if size > CONFIG_MAX as u64 {
            return Err(RumprunError::ConfigurationSize { size }.into());
        }
        let text = match root.find(CONFIG_PATH.as_bytes()).cloned() {
            Some(entry) => root.data(&entry)?,
            None => Vec::new(),
        };
        let configuration = Configuration::parse(&text).map_err(RumprunError::from)?;
        drop(root);
        Ok(Self {
            medium,
            path: path.into(),
            program,
            configuration,
            manifest,
        })
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
        size(&self.medium, &self.path)
    }

    /// Copies a part of the disk, for example the program into a file of its own.
    ///
    /// # Errors
    /// The disk cannot be read or `out` not written.
    pub fn copy(&self, range: ByteRange, out: &mut dyn Write) -> Result<(), ImageError> {
        let fail = |error| ImageError::input(&self.path, error);
        let mut part = Section::new(&self.medium, range).map_err(fail)?;
        std::io::copy(&mut part, out).map_err(fail)?;
        Ok(())
    }

    /// The files, those that the disk boots from among them.
    ///
    /// # Errors
    /// They are damaged.
    pub fn root_entries(&self) -> Result<Reader<Section<&Medium>>, ImageError> {
        root(&self.medium, &self.path)
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
}

/// The file system, which is the whole disk.
fn root<'a>(medium: &'a Medium, path: &Path) -> Result<Reader<Section<&'a Medium>>, ImageError> {
    let range = ByteRange {
        offset: 0,
        size: size(medium, path)?,
    };
    let section = Section::new(medium, range).map_err(|error| ImageError::input(path, error))?;
    Ok(Reader::open(section)?)
}

fn size(mut medium: &Medium, path: &Path) -> Result<u64, ImageError> {
    let size = medium.seek(SeekFrom::End(0));
    size.map_err(|error| ImageError::input(path, error))
}

fn find<R: std::io::Read + Seek>(root: &Reader<R>, path: &str) -> Option<ByteRange> {
    match root.find(path.as_bytes())?.kind {
        Kind::File { offset, size } => Some(ByteRange { offset, size }),
        _ => None,
    }
}
