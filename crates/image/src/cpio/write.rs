//! Writing an archive: first every offset, then the bytes.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::{
    CpioError, FIELDS, Field, HEADER, MAGIC, PAGE, PATH_MAX, S_IFDIR, S_IFLNK, S_IFREG, TRAILER,
};
use crate::error::ImageError;
use crate::spec::{Content, EntryKind, RootEntry};

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

#[derive(Clone, Copy, Debug)]
enum Data<'a> {
    Bytes(&'a [u8]),
    Host(&'a Path),
}

/// Receives an archive's bytes in order.
type Sink<'s> = &'s mut dyn FnMut(&[u8]) -> Result<(), ImageError>;

impl<'a> Archive<'a> {
    /// Plans an archive: sorts the entries, adds missing parents, looks up the sizes of host
    /// files and gives everything its offset. The root directory itself is implied; an entry for
    /// it is left out.
    ///
    /// # Errors
    /// An unusable path or mode, or a host file that is not there or not a regular file.
    pub fn plan(entries: &'a [RootEntry], mtime: u32) -> Result<Self, ImageError> {
        let tree = tree_of(entries)?;
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
        let (mode, size, data) = entry.map_or(Ok((S_IFDIR | 0o755, 0, Data::Bytes(&[]))), inode)?;
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
        match self.data {
            Data::Bytes(bytes) => out(bytes),
            Data::Host(path) => copy_file(path, u64::from(self.size), out),
        }
    }
}

/// Copies a host file that must have exactly `size` bytes.
fn copy_file(path: &Path, size: u64, out: Sink<'_>) -> Result<(), ImageError> {
    let mut file = File::open(path).map_err(|e| ImageError::input(path, e))?;
    let mut buffer = vec![0; 256 * 1024];
    let mut found = 0;
    loop {
        let count = file
            .read(&mut buffer)
            .map_err(|e| ImageError::input(path, e))?;
        found += count as u64;
        if found > size || (count == 0 && found < size) {
            return Err(ImageError::InputChanged {
                path: path.to_path_buf(),
                expected: size,
                found,
            });
        }
        if count == 0 {
            return Ok(());
        }
        out(&buffer[..count])?;
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

/// Mode, size and content of an entry.
fn inode(entry: &RootEntry) -> Result<(u32, u64, Data<'_>), ImageError> {
    let (kind, size, data) = match &entry.kind {
        EntryKind::Dir => (S_IFDIR, 0, Data::Bytes(&[])),
        EntryKind::Symlink(target) => (S_IFLNK, target.len() as u64, Data::Bytes(target)),
        EntryKind::File(Content::Bytes(bytes)) => (S_IFREG, bytes.len() as u64, Data::Bytes(bytes)),
        EntryKind::File(Content::Host(path)) => (S_IFREG, host_size(path)?, Data::Host(path)),
    };
    Ok((kind | entry.mode, size, data))
}

fn host_size(path: &Path) -> Result<u64, ImageError> {
    let metadata = path.metadata().map_err(|e| ImageError::input(path, e))?;
    if metadata.is_file() {
        Ok(metadata.len())
    } else {
        Err(ImageError::InputKind {
            path: path.to_path_buf(),
        })
    }
}

/// Entries by normal path; `None` is a parent nobody named.
type Tree<'a> = BTreeMap<Vec<u8>, Option<&'a RootEntry>>;

fn tree_of(entries: &[RootEntry]) -> Result<Tree<'_>, CpioError> {
    let mut tree = Tree::new();
    for entry in entries {
        let path = normal_path(&entry.path)?;
        check_entry(entry, &path)?;
        if !path.is_empty() && tree.insert(path.clone(), Some(entry)).is_some() {
            return Err(CpioError::Duplicate { path });
        }
    }
    let named: Vec<_> = tree.keys().cloned().collect();
    for path in named {
        add_parents(&mut tree, &path)?;
    }
    Ok(tree)
}

fn check_entry(entry: &RootEntry, path: &[u8]) -> Result<(), CpioError> {
    if entry.mode > 0o7777 {
        return Err(CpioError::Mode {
            path: entry.path.clone(),
            mode: entry.mode,
        });
    }
    if path.is_empty() && entry.kind != EntryKind::Dir {
        return Err(CpioError::Path {
            path: entry.path.clone(),
        });
    }
    Ok(())
}

fn add_parents<'a>(tree: &mut Tree<'a>, path: &[u8]) -> Result<(), CpioError> {
    let slashes = path.iter().enumerate().filter(|&(_, &byte)| byte == b'/');
    for (end, _) in slashes {
        let parent = tree.entry(path[..end].to_vec()).or_insert(None);
        if parent.is_some_and(|entry| entry.kind != EntryKind::Dir) {
            return Err(CpioError::ParentIsNotDir {
                path: path.to_vec(),
                parent: path[..end].to_vec(),
            });
        }
    }
    Ok(())
}

/// The path without empty and `.` parts; empty for the root directory.
fn normal_path(path: &[u8]) -> Result<Vec<u8>, CpioError> {
    let parts: Vec<&[u8]> = path
        .split(|&byte| byte == b'/')
        .filter(|part| !part.is_empty() && *part != b".")
        .collect();
    let normal = parts.join(&b'/');
    let bad = path.is_empty()
        || normal.len() >= PATH_MAX
        || normal == TRAILER
        || normal.contains(&0)
        || parts.contains(&b"..".as_slice());
    if bad {
        return Err(CpioError::Path {
            path: path.to_vec(),
        });
    }
    Ok(normal)
}
