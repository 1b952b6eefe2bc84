//! Writing a file system: first every number, then the bytes.

use std::collections::BTreeMap;

use super::read::TABLES_MAX;
use super::{
    BLOCK, DIRECTORY, FILE, LINK, MAGIC, NAME_MAX, ROOT, RofsError, SUPERBLOCK_FIELDS, VERSION,
};
use crate::error::ImageError;
use crate::spec::{EntryKind, RootEntry};
use crate::tree::{self, Data, PATH_MAX, Sink};

/// A planned file system: all tables, no file content yet.
#[derive(Debug)]
pub struct Rofs<'a> {
    /// Files with content, by their first block.
    files: Vec<File<'a>>,
    superblock: [u64; SUPERBLOCK_FIELDS],
    /// Directory entries, links and inodes.
    tables: Vec<u8>,
}

/// The content of a file.
#[derive(Clone, Debug)]
struct File<'a> {
    path: Vec<u8>,
    block: u64,
    size: u64,
    data: Data<'a>,
}

impl<'a> Rofs<'a> {
    /// Plans a file system: sorts the entries, adds missing parents, looks up the sizes of host
    /// files and numbers everything. Permissions are left out, as the format has none.
    ///
    /// # Errors
    /// A path, name or target that OSv cannot use, or a host file that is not there or not a
    /// regular file.
    pub fn plan(entries: &'a [RootEntry]) -> Result<Self, ImageError> {
        let tree = tree::of(entries).map_err(RofsError::from)?;
        let mut tables = Tables::new(tree.keys())?;
        let mut files = Vec::new();
        let mut block = 1;
        for (path, entry) in &tree {
            let data = Data::of(*entry);
            match entry.map(|entry| &entry.kind) {
                None | Some(EntryKind::Dir) => tables.directory(path),
                Some(EntryKind::Symlink(target)) => tables.link(path, target)?,
                Some(EntryKind::File(_)) => {
                    let size = data.size()?;
                    tables.inode(FILE, block, size);
                    let path = path.clone();
                    files.push(File {
                        path,
                        block,
                        size,
                        data,
                    });
                    block += size.div_ceil(BLOCK);
                }
            }
        }
        let superblock = tables.superblock(block);
        let tables = tables.finish();
        let size = tables.len() as u64;
        match size {
            0..=TABLES_MAX => Ok(Self {
                files,
                superblock,
                tables,
            }),
            _ => Err(RofsError::TooLarge { size }.into()),
        }
    }

    /// Size of the whole file system in bytes, a multiple of [`BLOCK`].
    pub fn size(&self) -> u64 {
        let [_, _, _, first, count, ..] = self.superblock;
        (first + count) * BLOCK
    }

    /// Where the content of a file is: offset and size in bytes.
    pub fn find(&self, path: &[u8]) -> Option<(u64, u64)> {
        let file = self.files.iter().find(|file| file.path == path)?;
        Some((file.block * BLOCK, file.size))
    }

    /// Writes the file system to `out`, reading host files as it goes.
    ///
    /// # Errors
    /// Those of `out`, and host files that cannot be read or changed their size.
    pub fn write(&self, out: Sink<'_>) -> Result<(), ImageError> {
        let superblock: Vec<u8> = self
            .superblock
            .iter()
            .flat_map(|n| n.to_le_bytes())
            .collect();
        padded(out, superblock.len() as u64, |out| out(&superblock))?;
        for file in &self.files {
            padded(out, file.size, |out| file.data.write(file.size, out))?;
        }
        padded(out, self.tables.len() as u64, |out| out(&self.tables))
    }
}

/// Writes `size` bytes and zeros up to the next block.
fn padded(
    out: Sink<'_>,
    size: u64,
    write: impl FnOnce(Sink<'_>) -> Result<(), ImageError>,
) -> Result<(), ImageError> {
    write(out)?;
    let rest = size.next_multiple_of(BLOCK) - size;
    out(&[0; BLOCK as usize][..rest as usize])
}

/// The three tables while they grow.
#[derive(Debug, Default)]
struct Tables {
    dirents: Vec<u8>,
    dirent_count: u64,
    links: Vec<u8>,
    link_count: u64,
    inodes: Vec<u8>,
    inode_count: u64,
    /// First entry and number of entries of each directory that has any, by path.
    children: BTreeMap<Vec<u8>, (u64, u64)>,
}

impl Tables {
    /// With all directory entries, and the root's inode: paths have the numbers from 2.
    fn new<'p>(paths: impl Iterator<Item = &'p Vec<u8>>) -> Result<Self, RofsError> {
        let mut children: BTreeMap<&[u8], Vec<(u64, &[u8])>> = BTreeMap::new();
        for (number, path) in (ROOT + 1..).zip(paths) {
            let (parent, name) = split(path);
            if name.len() > NAME_MAX {
                let (path, found) = (path.clone(), name.len());
                return Err(RofsError::Name { path, found });
            }
            children.entry(parent).or_default().push((number, name));
        }
        let mut tables = Self::default();
        for (parent, entries) in children {
            let place = (tables.dirent_count, entries.len() as u64);
            tables.children.insert(parent.to_vec(), place);
            entries
                .into_iter()
                .for_each(|(number, name)| tables.dirent(number, name));
        }
        tables.directory(&[]);
        Ok(tables)
    }

    fn dirent(&mut self, number: u64, name: &[u8]) {
        self.dirents.extend(number.to_le_bytes());
        self.dirents.extend((name.len() as u16).to_le_bytes());
        self.dirents.extend(name);
        self.dirent_count += 1;
    }

    fn directory(&mut self, path: &[u8]) {
        let (first, count) = self.children.get(path).copied().unwrap_or_default();
        self.inode(DIRECTORY, first, count);
    }

    fn link(&mut self, path: &[u8], target: &[u8]) -> Result<(), RofsError> {
        if target.is_empty() || target.len() >= PATH_MAX || target.contains(&0) {
            let (path, found) = (path.to_vec(), target.len());
            return Err(RofsError::Target { path, found });
        }
        self.links.extend((target.len() as u16).to_le_bytes());
        self.links.extend(target);
        self.inode(LINK, self.link_count, 1);
        self.link_count += 1;
        Ok(())
    }

    fn inode(&mut self, mode: u64, place: u64, count: u64) {
        self.inode_count += 1;
        for field in [mode, self.inode_count, place, count] {
            self.inodes.extend(field.to_le_bytes());
        }
    }

    /// The superblock of a file system whose tables start at this block.
    fn superblock(&self, first: u64) -> [u64; SUPERBLOCK_FIELDS] {
        let size = self.dirents.len() + self.links.len() + self.inodes.len();
        [
            MAGIC,
            VERSION,
            BLOCK,
            first,
            (size as u64).div_ceil(BLOCK),
            self.dirent_count,
            self.link_count,
            self.inode_count,
        ]
    }

    fn finish(self) -> Vec<u8> {
        [self.dirents, self.links, self.inodes].concat()
    }
}

/// A path's directory (empty for the root) and last part.
fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|&byte| byte == b'/') {
        Some(slash) => (&path[..slash], &path[slash + 1..]),
        None => (&[], path),
    }
}
