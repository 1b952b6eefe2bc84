//! The directories of a file system: their records, with what Rock Ridge adds.

use std::collections::BTreeMap;

use super::susp::{self, CE_SIZE, both};
use super::{
    BLOCK, DIRECTORY_COUNT_MAX, FLAG_DIRECTORY, IsoError, NAME_MAX, PARENT, RECORD_BLOCK,
    RECORD_DATE, RECORD_FLAGS, RECORD_MAX, RECORD_NAME, RECORD_NAME_SIZE, RECORD_SEQUENCE,
    RECORD_SIZE, SELF, date,
};
use crate::cpio::{S_IFDIR, S_IFLNK, S_IFREG};
use crate::spec::EntryKind;
use crate::tree::Tree;

/// A directory; the first is the root.
pub(super) struct Directory {
    /// Position of the parent; the root is its own.
    pub(super) parent: usize,
    /// Its name in the format itself.
    pub(super) id: Vec<u8>,
    pub(super) children: Vec<Child>,
    mode: u32,
}

/// What is in a directory. The name in the format itself is its number.
pub(super) struct Child {
    pub(super) path: Vec<u8>,
    id: Vec<u8>,
    mode: u32,
    pub(super) kind: ChildKind,
}

pub(super) enum ChildKind {
    /// Position of the directory.
    Directory(usize),
    File {
        block: u32,
        size: u32,
    },
    Link(Vec<u8>),
}

/// The directories, breadth first, as path tables want them.
pub(super) fn directories(tree: &Tree<'_>) -> Result<Vec<Directory>, IsoError> {
    let mut members: BTreeMap<&[u8], Vec<&[u8]>> = BTreeMap::new();
    for path in tree.keys() {
        members.entry(split(path).0).or_default().push(path);
    }
    let mut paths = vec![[].as_slice()];
    let mut directories = vec![Directory::new(0, SELF.into(), 0o755)];
    let mut at = 0;
    while let Some(path) = paths.get(at) {
        let mut children = Vec::new();
        for (position, path) in members
            .remove(path)
            .unwrap_or_default()
            .into_iter()
            .enumerate()
        {
            let child = child(path, position, tree, directories.len())?;
            if let ChildKind::Directory(_) = child.kind {
                directories.push(Directory::new(at, child.id.clone(), child.mode));
                paths.push(path);
            }
            children.push(child);
        }
        if let Some(directory) = directories.get_mut(at) {
            directory.children = children;
        }
        at += 1;
    }
    match directories.len() {
        found if found > DIRECTORY_COUNT_MAX => Err(IsoError::TooManyDirectories { found }),
        _ => Ok(directories),
    }
}

/// Parent and name of a path.
fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|&byte| byte == b'/') {
        Some(at) => (&path[..at], &path[at + 1..]),
        None => (&[], path),
    }
}

/// The child of a directory; `next` is the position of the next new directory.
fn child(path: &[u8], position: usize, tree: &Tree<'_>, next: usize) -> Result<Child, IsoError> {
    let found = split(path).1.len();
    if found > NAME_MAX {
        let path = path.to_vec();
        return Err(IsoError::NameTooLong { path, found });
    }
    let entry = tree.get(path).copied().flatten();
    let mode = entry.map_or(0o755, |entry| entry.mode);
    let file = || format!("{position:08}.;1");
    let (id, mode, kind) = match entry.map(|entry| &entry.kind) {
        None | Some(EntryKind::Dir) => (format!("{position:08}"), mode, ChildKind::Directory(next)),
        Some(EntryKind::File(_)) => (
            file(),
            S_IFREG | mode,
            ChildKind::File { block: 0, size: 0 },
        ),
        Some(EntryKind::Symlink(target)) if target.is_empty() || target.contains(&0) => {
            let (path, found) = (path.to_vec(), target.len());
            return Err(IsoError::Target { path, found });
        }
        Some(EntryKind::Symlink(target)) => {
            (file(), S_IFLNK | mode, ChildKind::Link(target.clone()))
        }
    };
    Ok(Child {
        path: path.to_vec(),
        id: id.into_bytes(),
        mode,
        kind,
    })
}

impl Directory {
    fn new(parent: usize, id: Vec<u8>, mode: u32) -> Self {
        Self {
            parent,
            id,
            children: Vec::new(),
            mode,
        }
    }

    fn px(&self) -> Vec<u8> {
        let is_directory = |child: &&Child| matches!(child.kind, ChildKind::Directory(_));
        let below = self.children.iter().filter(is_directory).count();
        susp::px(S_IFDIR | self.mode, 2 + below as u32)
    }
}

impl Child {
    fn bad_target(&self) -> IsoError {
        let found = match &self.kind {
            ChildKind::Link(target) => target.len(),
            _ => 0,
        };
        let path = self.path.clone();
        IsoError::Target { path, found }
    }

    /// The entries of Rock Ridge.
    fn entries(&self, all: &[Directory], mtime: u32) -> Vec<Vec<u8>> {
        let px = match &self.kind {
            ChildKind::Directory(at) => all.get(*at).map(Directory::px),
            _ => None,
        };
        let px = px.unwrap_or_else(|| susp::px(self.mode, 1));
        let mut entries = vec![px, susp::tf(mtime)];
        entries.extend(susp::nm(split(&self.path).1));
        if let ChildKind::Link(target) = &self.kind {
            entries.extend(susp::sl(target));
        }
        entries
    }
}

/// Where directories and continuations are.
#[derive(Clone, Debug)]
pub(super) struct Places {
    /// First block and number of blocks of each directory.
    pub(super) directories: Vec<(u32, u32)>,
    /// First block of the continuations.
    pub(super) continuations: u32,
}

/// Directories and continuations as they are on the disk.
#[derive(Debug, Default)]
pub(super) struct Rendered {
    /// Each in whole blocks.
    pub(super) directories: Vec<Vec<u8>>,
    pub(super) continuations: Vec<u8>,
}

/// Writes directories; with other places, the sizes stay the same.
pub(super) fn render(
    directories: &[Directory],
    places: &Places,
    mtime: u32,
) -> Result<Rendered, IsoError> {
    let mut renderer = Renderer {
        all: directories,
        places,
        mtime,
        continuations: Vec::new(),
    };
    let numbered = directories.iter().enumerate();
    let rendered = numbered.map(|(at, directory)| renderer.directory(at, directory));
    Ok(Rendered {
        directories: rendered.collect::<Result<_, _>>()?,
        continuations: renderer.continuations,
    })
}

struct Renderer<'a> {
    all: &'a [Directory],
    places: &'a Places,
    mtime: u32,
    continuations: Vec<u8>,
}

impl Renderer<'_> {
    fn directory(&mut self, at: usize, directory: &Directory) -> Result<Vec<u8>, IsoError> {
        let mtime = self.mtime;
        let mut own = vec![directory.px(), susp::tf(mtime)];
        if at == 0 {
            own.insert(0, susp::sp());
            own.push(susp::er());
        }
        let parent = self.all.get(directory.parent).unwrap_or(directory);
        let above = [parent.px(), susp::tf(mtime)].concat();
        let (here, there) = (self.extent(at), self.extent(directory.parent));
        let mut bytes = record(SELF, here, FLAG_DIRECTORY, mtime, &own.concat());
        bytes.extend(record(PARENT, there, FLAG_DIRECTORY, mtime, &above));
        for child in &directory.children {
            let (extent, flags) = match &child.kind {
                ChildKind::Directory(at) => (self.extent(*at), FLAG_DIRECTORY),
                ChildKind::File { block, size } => ((*block, *size), 0),
                ChildKind::Link(_) => ((0, 0), 0),
            };
            let system_use = self.system_use(child)?;
            push_whole(
                &mut bytes,
                &record(&child.id, extent, flags, mtime, &system_use),
            );
        }
        pad(&mut bytes);
        Ok(bytes)
    }

    /// First block and size in bytes of a directory.
    fn extent(&self, at: usize) -> (u32, u32) {
        let (block, blocks) = self.places.directories.get(at).copied().unwrap_or_default();
        (block, blocks.saturating_mul(BLOCK as u32))
    }

    /// What the record of a child carries of Rock Ridge; what does not fit there is continued.
    fn system_use(&mut self, child: &Child) -> Result<Vec<u8>, IsoError> {
        let mut entries = child.entries(self.all, self.mtime);
        let space = RECORD_MAX - head_size(&child.id);
        if entries.iter().map(Vec::len).sum::<usize>() > space {
            let mut size = 0;
            let fits = entries.iter().take_while(|entry| {
                size += entry.len();
                size <= space - CE_SIZE
            });
            let rest = entries.split_off(fits.count()).concat();
            entries.push(
                self.continue_with(&rest)
                    .ok_or_else(|| child.bad_target())?,
            );
        }
        Ok(entries.concat())
    }

    /// Puts entries aside and tells where; `None` if no block can hold them.
    fn continue_with(&mut self, entries: &[u8]) -> Option<Vec<u8>> {
        if entries.len() as u64 > BLOCK {
            return None;
        }
        push_whole(&mut self.continuations, entries);
        let at = (self.continuations.len() - entries.len()) as u64;
        let block = u64::from(self.places.continuations) + at / BLOCK;
        let (block, size) = (u32::try_from(block).ok()?, entries.len() as u32);
        Some(susp::ce(block, (at % BLOCK) as u32, size))
    }
}

/// Bytes of a record before what Rock Ridge adds: that starts at an even byte.
fn head_size(id: &[u8]) -> usize {
    (RECORD_NAME + id.len()).next_multiple_of(2)
}

/// A directory record (ECMA-119 §9.1).
pub(super) fn record(
    id: &[u8],
    (block, size): (u32, u32),
    flags: u8,
    mtime: u32,
    system_use: &[u8],
) -> Vec<u8> {
    let mut bytes = vec![0; head_size(id)];
    bytes.extend(system_use);
    bytes.resize(bytes.len().next_multiple_of(2), 0);
    let whole = bytes.len() as u8;
    put(&mut bytes, 0, &[whole]);
    put(&mut bytes, RECORD_BLOCK, &both(block));
    put(&mut bytes, RECORD_SIZE, &both(size));
    put(&mut bytes, RECORD_DATE, &date::short(mtime));
    put(&mut bytes, RECORD_FLAGS, &[flags]);
    put(&mut bytes, RECORD_SEQUENCE, &both_16(1));
    put(&mut bytes, RECORD_NAME_SIZE, &[id.len() as u8]);
    put(&mut bytes, RECORD_NAME, id);
    bytes
}

/// A number of 16 bits in both byte orders (ECMA-119 §7.2.3).
pub(super) fn both_16(number: u16) -> [u8; 4] {
    let ([one, other], [third, fourth]) = (number.to_le_bytes(), number.to_be_bytes());
    [one, other, third, fourth]
}

pub(super) fn put(bytes: &mut [u8], at: usize, field: &[u8]) {
    bytes[at..at + field.len()].copy_from_slice(field);
}

/// Fills the last block with zeros.
pub(super) fn pad(bytes: &mut Vec<u8>) {
    bytes.resize(bytes.len().next_multiple_of(BLOCK as usize), 0);
}

/// Adds what must lie in one block, in the next one if need be.
fn push_whole(bytes: &mut Vec<u8>, whole: &[u8]) {
    let used = bytes.len() % BLOCK as usize;
    if used + whole.len() > BLOCK as usize {
        pad(bytes);
    }
    bytes.extend(whole);
}
