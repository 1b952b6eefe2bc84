//! Writing a file system: first every number, then the bytes.

use std::collections::BTreeMap;

use super::directory::{
    ChildKind, Directory, Places, Rendered, both_16, directories, pad, put, record, render,
};
use super::susp::both;
use super::{
    BLOCK, BLOCK_SIZE, DATES, FLAG_DIRECTORY, IDENTIFIER, IsoError, PATH_TABLE_L, PATH_TABLE_M,
    PATH_TABLE_SIZE, PRIMARY, ROOT_RECORD, SELF, SEQUENCE, SET_SIZE, STRUCTURE_VERSION,
    SYSTEM_AREA, TERMINATOR, TEXTS, VOLUME_BLOCKS, VOLUME_ID, date,
};
use crate::error::ImageError;
use crate::spec::{EntryKind, RootEntry};
use crate::tree::{self, Data, Sink};

/// First block of the path tables: after the volume descriptor and the end of them.
const PATH_TABLES: u32 = (SYSTEM_AREA / BLOCK) as u32 + 2;

/// A planned file system: all tables, no file content yet.
#[derive(Debug)]
pub struct Iso<'a> {
    /// Volume descriptors, path tables, directories and continuations, as they are on the disk.
    tables: Vec<u8>,
    /// In the order of their paths.
    files: Vec<File<'a>>,
    /// Of the whole file system, in blocks.
    blocks: u32,
}

/// A file with content.
#[derive(Clone, Debug)]
struct File<'a> {
    path: Vec<u8>,
    block: u32,
    size: u32,
    data: Data<'a>,
}

impl<'a> Iso<'a> {
    /// Plans a file system: sorts the entries, adds missing parents, looks up the sizes of host files
    /// and gives everything its block. All files have this time, in seconds since 1970.
    ///
    /// # Errors
    /// A path, name or target that the format cannot hold, or a host file that is not there or not a
    /// regular file.
    pub fn plan(entries: &'a [RootEntry], mtime: u32) -> Result<Self, ImageError> {
        let tree = tree::of(entries).map_err(IsoError::from)?;
        let mut files = files(&tree)?;
        let mut directories = directories(&tree)?;
        let layout = Layout::new(&directories, mtime)?;
        let blocks = place(&mut files, layout.end)?;
        set_blocks(&mut directories, &files);
        Ok(Self {
            tables: layout.tables(&directories, blocks)?,
            files,
            blocks,
        })
    }

    /// Size of the whole file system in bytes, with the system area.
    pub fn size(&self) -> u64 {
        u64::from(self.blocks) * BLOCK
    }

    /// Where the content of a file is: offset and size in bytes. The path has no leading `/`.
    pub fn find(&self, path: &[u8]) -> Option<(u64, u64)> {
        let place = self
            .files
            .binary_search_by(|file| file.path.as_slice().cmp(path));
        let file = self.files.get(place.ok()?)?;
        Some((u64::from(file.block) * BLOCK, u64::from(file.size)))
    }

    /// Writes all that comes after the system area to `out`, reading host files as it goes.
    ///
    /// # Errors
    /// Those of `out`, and host files that cannot be read or changed their size.
    pub fn write(&self, out: Sink<'_>) -> Result<(), ImageError> {
        out(&self.tables)?;
        for file in &self.files {
            let size = u64::from(file.size);
            file.data.write(size, out)?;
            let rest = size.next_multiple_of(BLOCK) - size;
            out(&[0; BLOCK as usize][..rest as usize])?;
        }
        Ok(())
    }
}

/// The files in a tree, without their blocks yet.
fn files<'a>(tree: &tree::Tree<'a>) -> Result<Vec<File<'a>>, ImageError> {
    let mut files = Vec::new();
    for (path, entry) in tree {
        if !matches!(entry.map(|entry| &entry.kind), Some(EntryKind::File(_))) {
            continue;
        }
        let data = Data::of(*entry);
        let size = data.size()?;
        let size = u32::try_from(size).map_err(|_| IsoError::FileTooLarge {
            path: path.clone(),
            size,
        })?;
        files.push(File {
            path: path.clone(),
            block: 0,
            size,
            data,
        });
    }
    Ok(files)
}

/// Gives files their blocks from `first` on, and tells the block after the last. Empty files have none.
fn place(files: &mut [File<'_>], first: u32) -> Result<u32, IsoError> {
    let mut next = u64::from(first);
    for file in files {
        if file.size > 0 {
            file.block = number(next)?;
            next += u64::from(file.size).div_ceil(BLOCK);
        }
    }
    number(next)
}

/// A number of a block.
fn number(block: u64) -> Result<u32, IsoError> {
    let size = block.saturating_mul(BLOCK);
    u32::try_from(block).map_err(|_| IsoError::TooLarge { size })
}

/// Tells the directories where the files are.
fn set_blocks(directories: &mut [Directory], files: &[File<'_>]) {
    let places: BTreeMap<_, _> = files.iter().map(|f| (&f.path, (f.block, f.size))).collect();
    for child in directories.iter_mut().flat_map(|d| &mut d.children) {
        if let (ChildKind::File { block, size }, Some(place)) =
            (&mut child.kind, places.get(&child.path))
        {
            (*block, *size) = *place;
        }
    }
}

/// Where the tables are.
struct Layout {
    mtime: u32,
    /// Bytes of a path table.
    path_table: usize,
    places: Places,
    /// The block after the tables.
    end: u32,
}

impl Layout {
    /// From directories that do not know yet where the files are.
    fn new(directories: &[Directory], mtime: u32) -> Result<Self, IsoError> {
        let nowhere = Places {
            directories: Vec::new(),
            continuations: 0,
        };
        let sizes = render(directories, &nowhere, mtime)?;
        let path_table =
            path_table(directories, &nowhere, u32::to_le_bytes, u16::to_le_bytes).len();
        let mut next = u64::from(PATH_TABLES) + 2 * blocks(path_table);
        let mut places = Vec::with_capacity(directories.len());
        for directory in &sizes.directories {
            let blocks = blocks(directory.len());
            places.push((number(next)?, number(blocks)?));
            next += blocks;
        }
        Ok(Self {
            mtime,
            path_table,
            places: Places {
                directories: places,
                continuations: number(next)?,
            },
            end: number(next + blocks(sizes.continuations.len()))?,
        })
    }

    /// The tables as they are on the disk, which has this many blocks.
    fn tables(&self, directories: &[Directory], blocks: u32) -> Result<Vec<u8>, IsoError> {
        let Rendered {
            directories: records,
            continuations,
        } = render(directories, &self.places, self.mtime)?;
        let mut bytes = self.primary(blocks);
        bytes.extend(descriptor(TERMINATOR));
        let little = path_table(
            directories,
            &self.places,
            u32::to_le_bytes,
            u16::to_le_bytes,
        );
        let big = path_table(
            directories,
            &self.places,
            u32::to_be_bytes,
            u16::to_be_bytes,
        );
        for table in [little, big]
            .into_iter()
            .chain(records)
            .chain([continuations])
        {
            bytes.extend(table);
            pad(&mut bytes);
        }
        Ok(bytes)
    }

    /// The primary volume descriptor (ECMA-119 §8.4).
    fn primary(&self, volume: u32) -> Vec<u8> {
        let mut bytes = descriptor(PRIMARY);
        // System and volume are named by letters; the bytes after them are 0.
        bytes[8..72].fill(b' ');
        put(&mut bytes, VOLUME_ID, b"UNIBEAM");
        put(&mut bytes, VOLUME_BLOCKS, &both(volume));
        put(&mut bytes, SET_SIZE, &both_16(1));
        put(&mut bytes, SEQUENCE, &both_16(1));
        put(&mut bytes, BLOCK_SIZE, &both_16(BLOCK as u16));
        put(&mut bytes, PATH_TABLE_SIZE, &both(self.path_table as u32));
        let second = PATH_TABLES + blocks(self.path_table) as u32;
        put(&mut bytes, PATH_TABLE_L, &PATH_TABLES.to_le_bytes());
        put(&mut bytes, PATH_TABLE_M, &second.to_be_bytes());
        let (block, count) = self.places.directories.first().copied().unwrap_or_default();
        let root = (block, count.saturating_mul(BLOCK as u32));
        put(
            &mut bytes,
            ROOT_RECORD,
            &record(SELF, root, FLAG_DIRECTORY, self.mtime, &[]),
        );
        bytes[TEXTS..DATES].fill(b' ');
        // Made and changed; never outdated, always in force.
        let (time, never) = (date::long(self.mtime), *b"0000000000000000\0");
        put(&mut bytes, DATES, &[time, time, never, never].concat());
        put(&mut bytes, STRUCTURE_VERSION, &[1]);
        bytes
    }
}

/// Blocks that some bytes take.
fn blocks(size: usize) -> u64 {
    (size as u64).div_ceil(BLOCK)
}

/// A volume descriptor without its fields (ECMA-119 §8.1).
fn descriptor(kind: u8) -> Vec<u8> {
    let mut bytes = vec![0; BLOCK as usize];
    put(&mut bytes, 0, &[kind]);
    put(&mut bytes, 1, IDENTIFIER);
    put(&mut bytes, 1 + IDENTIFIER.len(), &[1]);
    bytes
}

/// A path table in one of the byte orders (ECMA-119 §9.4).
fn path_table(
    directories: &[Directory],
    places: &Places,
    long: fn(u32) -> [u8; 4],
    short: fn(u16) -> [u8; 2],
) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (at, directory) in directories.iter().enumerate() {
        let (block, _) = places.directories.get(at).copied().unwrap_or_default();
        bytes.extend([directory.id.len() as u8, 0]);
        bytes.extend(long(block));
        bytes.extend(short(directory.parent as u16 + 1));
        bytes.extend(&directory.id);
        bytes.resize(bytes.len().next_multiple_of(2), 0);
    }
    bytes
}
