//! Writing an archive: first every offset, then the bytes.

use std::ffi::OsStr;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::{CpioError, FIELDS, Field, HEADER, MAGIC, PAGE, S_IFDIR, S_IFLNK, S_IFREG, TRAILER};
use crate::error::ImageError;
use crate::spec::{EntryKind, RootEntry};
use crate::tree::{self, Data, Sink};

/// A planned archive: all headers and offsets, no file content yet.
#[derive(Debug)]
pub struct Archive<'a> {
    records: Vec<Record<'a>>,
    mtime: u32,
    size: u64,
}

/// One planned entry.
#[derive(Clone, Debug)]
pub struct Record<'a> {
    /// Path without a leading `/`.
    pub path: Vec<u8>,
    /// Type and permissions.
    pub mode: u32,
    /// Size of the data in bytes.
    pub size: u32,
    /// Offset of the data in the archive.
    pub data_offset: u64,
    header_offset: u64,
    name_size: u64,
    data: Data<'a>,
}

impl<'a> Archive<'a> {
    /// Plans an archive: sorts the entries, adds missing parents, looks up the sizes of host
    /// files and gives everything its offset. The root directory itself is implied; an entry for
    /// it is left out.
    ///
    /// # Errors
    /// An unusable path or mode, or a host file that is not there or not a regular file.
    pub fn plan(entries: &'a [RootEntry], mtime: u32) -> Result<Self, ImageError> {
        let tree = tree::of(entries).map_err(CpioError::from)?;
        let mut archive = Self {
            records: Vec::with_capacity(tree.len()),
            mtime,
            size: 0,
        };
        for (path, entry) in tree {
            archive.push(path, entry)?;
        }
        archive.size += trailer_size();
        Ok(archive)
    }

    /// Size of the whole archive in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The entries in their order.
    pub fn records(&self) -> &[Record<'a>] {
        &self.records
    }

    fn push(&mut self, path: Vec<u8>, entry: Option<&'a RootEntry>) -> Result<(), ImageError> {
        check_name(&path)?;
        let mode = entry.map_or(S_IFDIR | 0o755, mode);
        let data = Data::of(entry);
        let size = data.size()?;
        let size = u32::try_from(size).map_err(|_| CpioError::FileTooLarge {
            path: path.clone(),
            size,
        })?;
        let name_offset = self.size + HEADER;
        let name_end = name_offset + path.len() as u64 + 1;
        let (name_size, data_offset) = if u64::from(size) < PAGE {
            (name_end - name_offset, name_end.next_multiple_of(4))
        } else {
            let data_offset = name_end.next_multiple_of(PAGE);
            (data_offset - name_offset, data_offset)
        };
        self.records.push(Record {
            path,
            mode,
            size,
            data_offset,
            header_offset: self.size,
            name_size,
            data,
        });
        self.size = (data_offset + u64::from(size)).next_multiple_of(4);
        Ok(())
    }

    /// Writes the archive to `out`, reading host files as it goes.
    ///
    /// # Errors
    /// Those of `out`, and host files that cannot be read or changed their size.
    pub fn write(&self, out: Sink<'_>) -> Result<(), ImageError> {
        for (record, ino) in self.records.iter().zip(1..) {
            out(&record.header(ino, self.mtime))?;
            out(&record.path)?;
            out(&vec![0; (record.data_offset - record.name_end()) as usize])?;
            record.write_data(out)?;
            out(padding(record.data_offset + u64::from(record.size)))?;
        }
        out(&header(&[
            (Field::Nlink, 1),
            (Field::NameSize, TRAILER.len() as u32 + 1),
        ]))?;
        out(TRAILER)?;
        out(&vec![0; (trailer_size() - HEADER) as usize - TRAILER.len()])
    }
}

impl Record<'_> {
    /// Copies the data to `out`.
    ///
    /// # Errors
    /// Those of `out`, and a host file that cannot be read or changed its size.
    pub fn copy(&self, out: &mut dyn Write) -> Result<(), ImageError> {
        let fail = |error| ImageError::input(Path::new(OsStr::from_bytes(&self.path)), error);
        self.write_data(&mut |bytes| out.write_all(bytes).map_err(fail))
    }

    /// Where the path without its NUL ends.
    fn name_end(&self) -> u64 {
        self.header_offset + HEADER + self.path.len() as u64
    }

    fn header(&self, ino: u32, mtime: u32) -> [u8; HEADER as usize] {
        let is_dir = self.mode & super::S_IFMT == S_IFDIR;
        header(&[
            (Field::Ino, ino),
            (Field::Mode, self.mode),
            (Field::Nlink, if is_dir { 2 } else { 1 }),
            (Field::Mtime, mtime),
            (Field::FileSize, self.size),
            (Field::NameSize, self.name_size as u32),
        ])
    }

    fn write_data(&self, out: Sink<'_>) -> Result<(), ImageError> {
        self.data.write(u64::from(self.size), out)
    }
}

/// A header with these fields; the others are 0.
fn header(fields: &[(Field, u32)]) -> [u8; HEADER as usize] {
    let mut values = [0u32; FIELDS];
    for &(field, value) in fields {
        values[field as usize] = value;
    }
    let mut bytes = [0; HEADER as usize];
    bytes[..MAGIC.len()].copy_from_slice(MAGIC);
    for (slot, value) in bytes[MAGIC.len()..].chunks_exact_mut(8).zip(values) {
        slot.copy_from_slice(format!("{value:08X}").as_bytes());
    }
    bytes
}

fn trailer_size() -> u64 {
    (HEADER + TRAILER.len() as u64 + 1).next_multiple_of(4)
}

/// The zero bytes from `offset` to the next multiple of 4.
fn padding(offset: u64) -> &'static [u8] {
    &[0; 3][..(offset.next_multiple_of(4) - offset) as usize]
}

/// Mode of an entry with the bits of its type.
fn mode(entry: &RootEntry) -> u32 {
    let kind = match &entry.kind {
        EntryKind::Dir => S_IFDIR,
        EntryKind::Symlink(_) => S_IFLNK,
        EntryKind::File(_) => S_IFREG,
    };
    kind | entry.mode
}

/// Whether a path would be taken for the archive's end.
fn check_name(path: &[u8]) -> Result<(), CpioError> {
    match path == TRAILER {
        true => Err(CpioError::Trailer),
        false => Ok(()),
    }
}
