//! Reading a file system from anything one can seek in. No number in it is trusted.

use std::io::{self, Read, Seek, SeekFrom};

use super::{
    BLOCK, DIRECTORY, DIRENT_HEAD, FILE, INODE, LINK, MAGIC, NAME_MAX, ROOT, RofsError,
    SUPERBLOCK_FIELDS, VERSION,
};

use crate::tree::PATH_MAX;

/// Largest tables that are read, in bytes: a guest reads them into its memory at once.
pub(super) const TABLES_MAX: u64 = 256 << 20;

/// A file system whose tables are sound.
#[derive(Debug)]
pub struct Reader<R> {
    input: R,
    entries: Vec<Entry>,
}

/// A directory, file or link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Path without a leading `/`.
    pub path: Vec<u8>,
    /// What it is.
    pub kind: Kind,
}

/// What an entry is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A directory.
    Directory,
    /// A file.
    File {
        /// Where its content is, in bytes; all of it lies inside the input.
        offset: u64,
        /// Its size in bytes.
        size: u64,
    },
    /// A link to this target.
    Symlink(Vec<u8>),
}

impl<R: Read + Seek> Reader<R> {
    /// Reads the tables, and checks that they are a tree whose files lie inside the input.
    ///
    /// # Errors
    /// What is wrong.
    pub fn open(mut input: R) -> Result<Self, RofsError> {
        let size = input.seek(SeekFrom::End(0))?;
        input.rewind()?;
        let superblock = read_superblock(&mut input)?;
        let [_, _, _, first, count, dirents, links, inodes] = superblock;
        let start = first.checked_mul(BLOCK);
        let length = count.checked_mul(BLOCK).filter(|&length| length > 0);
        let end = start.and_then(|start| start.checked_add(length?));
        let (Some(start), Some(length), Some(..)) = (start, length, end.filter(|&e| e <= size))
        else {
            let (what, number) = ("the end of the tables, block", first.saturating_add(count));
            return Err(RofsError::Outside { what, number });
        };
        if length > TABLES_MAX {
            return Err(RofsError::TooLarge { size: length });
        }
        let mut bytes = vec![0; length as usize];
        input.seek(SeekFrom::Start(start))?;
        input.read_exact(&mut bytes)?;
        let tables = Tables::parse(&bytes, [dirents, links, inodes])?;
        let mut entries = Walk::new(&tables, size).run()?;
        entries.sort_by(|one, other| one.path.cmp(&other.path));
        if entries.windows(2).any(|pair| pair[0].path == pair[1].path) {
            return Err(RofsError::BadName { directory: ROOT });
        }
        Ok(Self { input, entries })
    }

    /// Everything but the root itself, sorted by path.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// What is at a path without a leading `/`.
    pub fn find(&self, path: &[u8]) -> Option<&Entry> {
        let place = self
            .entries
            .binary_search_by(|entry| entry.path.as_slice().cmp(path));
        self.entries.get(place.ok()?)
    }

    /// The content of a file of this file system; nothing for anything else.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn data(&mut self, entry: &Entry) -> Result<Vec<u8>, RofsError> {
        let mut data = Vec::new();
        if let Kind::File { offset, size } = entry.kind {
            self.input.seek(SeekFrom::Start(offset))?;
            (&mut self.input).take(size).read_to_end(&mut data)?;
            if (data.len() as u64) < size {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
            }
        }
        Ok(data)
    }
}

fn read_superblock(input: &mut impl Read) -> Result<[u64; SUPERBLOCK_FIELDS], RofsError> {
    let mut bytes = [0; 8 * SUPERBLOCK_FIELDS];
    input.read_exact(&mut bytes)?;
    let mut fields = [0; SUPERBLOCK_FIELDS];
    for (field, bytes) in fields.iter_mut().zip(bytes.chunks_exact(8)) {
        *field = u64_at(bytes, 0).unwrap_or(0);
    }
    let [magic, version, block, ..] = fields;
    if (magic, version, block) != (MAGIC, VERSION, BLOCK) {
        let found = match magic {
            MAGIC => format!("version {version} with blocks of {block} bytes"),
            _ => format!("the magic {magic:#x}"),
        };
        return Err(RofsError::Superblock { found });
    }
    Ok(fields)
}

/// The tables, each cut into its records.
struct Tables<'a> {
    dirents: Vec<(u64, &'a [u8])>,
    links: Vec<&'a [u8]>,
    inodes: Vec<Inode>,
}

#[derive(Clone, Copy)]
struct Inode {
    mode: u64,
    place: u64,
    count: u64,
}

impl<'a> Tables<'a> {
    fn parse(bytes: &'a [u8], counts: [u64; 3]) -> Result<Self, RofsError> {
        let [dirent_count, link_count, inode_count] = counts;
        let mut cursor = Cursor { bytes, at: 0 };
        let mut dirents = Vec::new();
        for number in 0..dirent_count {
            let dirent = cursor.dirent();
            dirents.push(dirent.ok_or(outside("directory entry", number))?);
        }
        let mut links = Vec::new();
        for number in 0..link_count {
            let link = cursor.text(0);
            links.push(link.ok_or(outside("link", number))?);
        }
        let mut inodes = Vec::new();
        for number in 1..=inode_count {
            let inode = cursor.take(INODE).ok_or(outside("inode", number))?;
            let field = |index: usize| u64_at(inode, 8 * index).unwrap_or(0);
            if field(1) != number {
                let what = "its number is not its place";
                return Err(RofsError::Inode { number, what });
            }
            let (mode, place, count) = (field(0), field(2), field(3));
            inodes.push(Inode { mode, place, count });
        }
        Ok(Self {
            dirents,
            links,
            inodes,
        })
    }
}

fn outside(what: &'static str, number: u64) -> RofsError {
    RofsError::Outside { what, number }
}

/// Cuts records from the front.
struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let end = self.at.checked_add(count)?;
        let taken = self.bytes.get(self.at..end)?;
        self.at = end;
        Some(taken)
    }

    /// What follows `skip` bytes and its own length of two bytes.
    fn text(&mut self, skip: usize) -> Option<&'a [u8]> {
        let head = self.take(skip + 2)?;
        let length = head.get(skip..)?.first_chunk()?;
        self.take(u16::from_le_bytes(*length).into())
    }

    fn dirent(&mut self) -> Option<(u64, &'a [u8])> {
        let number = u64_at(self.bytes, self.at)?;
        Some((number, self.text(DIRENT_HEAD - 2)?))
    }
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    let bytes = bytes.get(at..)?.first_chunk()?;
    Some(u64::from_le_bytes(*bytes))
}

/// Going through the tree from its root. Each inode is met at most once, so that the way has an
/// end: there are no hard links, and a directory in itself would be a loop.
struct Walk<'a> {
    tables: &'a Tables<'a>,
    size: u64,
    seen: Vec<bool>,
    found: Vec<Entry>,
    /// Bytes of paths that are still taken.
    room: usize,
}

/// Most bytes of all paths together: more than half a million files have.
const PATHS_MAX: usize = 64 << 20;

impl<'a> Walk<'a> {
    fn new(tables: &'a Tables<'a>, size: u64) -> Self {
        Self {
            tables,
            size,
            seen: vec![false; tables.inodes.len()],
            found: Vec::new(),
            room: PATHS_MAX,
        }
    }

    fn run(mut self) -> Result<Vec<Entry>, RofsError> {
        let root = self.visit(ROOT)?;
        if root.mode != DIRECTORY {
            return Err(malformed(ROOT, "the root is not a directory"));
        }
        let mut directories = vec![(ROOT, Vec::new(), root)];
        while let Some((number, path, inode)) = directories.pop() {
            for &(child, name) in self.children(number, inode)? {
                let path = joined(&path, name).ok_or(RofsError::BadName { directory: number })?;
                self.room = match self.room.checked_sub(path.len()) {
                    Some(room) => room,
                    None => return Err(malformed(child, "its path makes the tree too large")),
                };
                let inode = self.visit(child)?;
                let kind = self.kind(child, inode)?;
                if kind == Kind::Directory {
                    directories.push((child, path.clone(), inode));
                }
                self.found.push(Entry { path, kind });
            }
        }
        Ok(self.found)
    }

    fn visit(&mut self, number: u64) -> Result<Inode, RofsError> {
        let index = number
            .checked_sub(1)
            .and_then(|index| usize::try_from(index).ok());
        let index = index.filter(|&index| index < self.seen.len());
        let index = index.ok_or(outside("inode", number))?;
        match std::mem::replace(&mut self.seen[index], true) {
            true => Err(malformed(number, "it is in more than one place")),
            false => Ok(self.tables.inodes[index]),
        }
    }

    fn children(&self, number: u64, inode: Inode) -> Result<&'a [(u64, &'a [u8])], RofsError> {
        let children = range(inode).and_then(|range| self.tables.dirents.get(range));
        children.ok_or(malformed(number, "its entries are outside of the table"))
    }

    fn kind(&self, number: u64, inode: Inode) -> Result<Kind, RofsError> {
        let Inode { mode, place, count } = inode;
        match mode {
            DIRECTORY => Ok(Kind::Directory),
            LINK => {
                let target = range(inode).and_then(|range| self.tables.links.get(range.start));
                let target =
                    target.ok_or(malformed(number, "its target is outside of the table"))?;
                match target.is_empty() || target.contains(&0) {
                    true => Err(malformed(number, "its target is empty or holds a zero")),
                    false => Ok(Kind::Symlink(target.to_vec())),
                }
            }
            FILE => {
                let offset = place.checked_mul(BLOCK);
                let end = offset.and_then(|offset| offset.checked_add(count));
                match (offset, end) {
                    (Some(offset), Some(end)) if end <= self.size => Ok(Kind::File {
                        offset,
                        size: count,
                    }),
                    _ => Err(malformed(number, "its content lies outside of the disk")),
                }
            }
            _ => Err(malformed(number, "it is no directory, file or link")),
        }
    }
}

fn malformed(number: u64, what: &'static str) -> RofsError {
    RofsError::Inode { number, what }
}

/// The records that an inode names.
fn range(inode: Inode) -> Option<std::ops::Range<usize>> {
    let start = usize::try_from(inode.place).ok()?;
    let count = usize::try_from(inode.count).ok()?;
    Some(start..start.checked_add(count)?)
}

/// The path of a name in a directory.
fn joined(directory: &[u8], name: &[u8]) -> Option<Vec<u8>> {
    let bad = matches!(name, b"" | b"." | b"..") || name.iter().any(|b| matches!(b, b'/' | 0));
    let long = name.len() > NAME_MAX || directory.len() + name.len() + 1 >= PATH_MAX;
    let separator: &[u8] = if directory.is_empty() { b"" } else { b"/" };
    (!bad && !long).then(|| [directory, separator, name].concat())
}
