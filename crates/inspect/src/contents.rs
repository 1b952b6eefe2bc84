//! The files of an image's root, whether the image is there or only planned.

use std::io::{self, Write};

use image::cpio::{self, Archive, S_IFDIR, S_IFLNK, S_IFMT, S_IFREG};
use image::osv::OsvImage;
use image::{ByteRange, DiskImage, ImageError, rofs};

use crate::error::Error;

/// Most entries of a root archive: twenty times what the largest releases have.
pub const ENTRIES_MAX: usize = 1 << 20;

/// Longest target of a symbolic link that is read (PATH_MAX of Linux).
const TARGET_MAX: u64 = 4096;

/// All files of a root, in the order of the archive.
#[derive(Debug)]
pub struct Contents<'a> {
    entries: Vec<Entry>,
    source: Source<'a>,
}

#[derive(Debug)]
enum Source<'a> {
    Image(&'a DiskImage),
    Osv(&'a OsvImage),
    Plan(&'a Archive<'a>),
}

/// A file, directory or link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its path as it is in the archive: relative to the root, if the image is sound.
    pub path: Vec<u8>,
    /// What it is.
    pub kind: Kind,
    /// Permission bits.
    pub mode: u32,
    /// Size of its data in bytes.
    pub size: u64,
    /// Offset of its data in the archive.
    data: u64,
    /// Position in the archive.
    index: usize,
}

/// What an [`Entry`] is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A directory.
    Directory,
    /// A regular file.
    File,
    /// A symbolic link to this target.
    Symlink(Vec<u8>),
    /// Something else, with these bits of type and permissions; no sound image has it.
    Special(u32),
}

impl<'a> Contents<'a> {
    /// The files of an image.
    ///
    /// # Errors
    /// The root archive is damaged, or has more than [`ENTRIES_MAX`] entries.
    pub fn of_image(image: &'a DiskImage) -> Result<Self, Error> {
        let mut contents = Self {
            entries: Vec::new(),
            source: Source::Image(image),
        };
        let mut reader = image.root_entries()?;
        while let Some(entry) = reader.next_entry().map_err(ImageError::from)? {
            contents.push(&entry)?;
        }
        Ok(contents)
    }

    /// The files of an image that boots OSv. Its file system keeps no permissions: OSv runs any file, so
    /// all of them may be run.
    ///
    /// # Errors
    /// The root is damaged, or has more than [`ENTRIES_MAX`] entries.
    pub fn of_osv(image: &'a OsvImage) -> Result<Self, Error> {
        let mut entries = Vec::new();
        for found in image.root_entries()?.entries() {
            if entries.len() == ENTRIES_MAX {
                return Err(Error::TooManyEntries);
            }
            let (kind, mode, (data, size)) = match &found.kind {
                rofs::Kind::Directory => (Kind::Directory, 0o755, (0, 0)),
                rofs::Kind::File { offset, size } => (Kind::File, 0o755, (*offset, *size)),
                // Its target is not where files have their content.
                rofs::Kind::Symlink(target) => (Kind::Symlink(target.clone()), 0o777, (0, 0)),
            };
            entries.push(Entry {
                path: found.path.clone(),
                kind,
                mode,
                size,
                data,
                index: entries.len(),
            });
        }
        Ok(Self {
            entries,
            source: Source::Osv(image),
        })
    }

    /// The files of an image that is planned.
    ///
    /// # Errors
    /// A file of the host cannot be read.
    pub fn of_plan(archive: &'a Archive<'a>) -> Result<Self, Error> {
        let mut contents = Self {
            entries: Vec::new(),
            source: Source::Plan(archive),
        };
        for record in archive.records() {
            contents.push(&cpio::Entry {
                path: record.path.clone(),
                ino: 0,
                mode: record.mode,
                mtime: 0,
                data_offset: record.data_offset,
                size: record.size.into(),
            })?;
        }
        Ok(contents)
    }

    fn push(&mut self, found: &cpio::Entry) -> Result<(), Error> {
        if self.entries.len() == ENTRIES_MAX {
            return Err(Error::TooManyEntries);
        }
        let mut entry = Entry {
            path: found.path.clone(),
            kind: Kind::File,
            mode: found.mode & !S_IFMT,
            size: found.size,
            data: found.data_offset,
            index: self.entries.len(),
        };
        entry.kind = match found.mode & S_IFMT {
            S_IFREG => Kind::File,
            S_IFDIR => Kind::Directory,
            S_IFLNK if entry.size <= TARGET_MAX => Kind::Symlink(self.read(&entry)?),
            _ => Kind::Special(found.mode),
        };
        self.entries.push(entry);
        Ok(())
    }

    /// All entries, in their order.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The regular files.
    pub fn files(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(|entry| entry.kind == Kind::File)
    }

    /// The regular file of this path, given without a leading `/`.
    pub fn file(&self, path: &str) -> Option<&Entry> {
        self.files().find(|entry| entry.path == path.as_bytes())
    }

    /// Copies the data of an entry of these contents.
    ///
    /// # Errors
    /// It cannot be read, or not be written to `out`.
    pub fn copy(&self, entry: &Entry, out: &mut dyn Write) -> Result<(), Error> {
        let copied = match self.source {
            Source::Image(image) => image.copy(range(image.root, entry, entry.size), out),
            Source::Osv(image) => image.copy(range(image.root, entry, entry.size), out),
            Source::Plan(archive) => archive.records()[entry.index].copy(out),
        };
        Ok(copied?)
    }

    /// The data of an entry of these contents.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn read(&self, entry: &Entry) -> Result<Vec<u8>, Error> {
        let mut data = Vec::new();
        self.copy(entry, &mut data)?;
        Ok(data)
    }

    /// The first bytes of an entry's data, at most `count`.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn head(&self, entry: &Entry, count: usize) -> Result<Vec<u8>, Error> {
        let mut data = Vec::new();
        match self.source {
            Source::Image(image) => {
                let size = entry.size.min(count as u64);
                image.copy(range(image.root, entry, size), &mut data)?;
            }
            Source::Osv(_) | Source::Plan(_) => self.copy(entry, &mut Head(&mut data, count))?,
        }
        Ok(data)
    }
}

/// Where an entry's first `size` bytes are in the image.
fn range(root: ByteRange, entry: &Entry, size: u64) -> ByteRange {
    ByteRange {
        offset: root.offset + entry.data,
        size,
    }
}

/// Keeps so many bytes and drops the rest.
struct Head<'a>(&'a mut Vec<u8>, usize);

impl Write for Head<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let kept = bytes.len().min(self.1 - self.0.len());
        self.0.extend_from_slice(&bytes[..kept]);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Entry {
    /// Whether its path is this one (without slashes at the ends) or lies below it.
    pub fn is_within(&self, ancestor: &[u8]) -> bool {
        self.path
            .strip_prefix(ancestor)
            .is_some_and(|rest| ancestor.is_empty() || rest.is_empty() || rest[0] == b'/')
    }
}
