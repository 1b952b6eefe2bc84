//! Reading a file system from anything one can seek in. No number in it is trusted.

use std::collections::BTreeSet;
use std::io::{self, Read, Seek, SeekFrom};

use super::susp::{self, CONTINUE, CURRENT, MODIFY, PARENT as ABOVE, ROOT};
use super::{
    BLOCK, BLOCK_SIZE, DIRECTORIES_MAX, FLAG_DIRECTORY, FLAG_MULTI_EXTENT, IDENTIFIER, IsoError,
    PRIMARY, RECORD_BLOCK, RECORD_FLAGS, RECORD_NAME, RECORD_NAME_SIZE, RECORD_SIZE, ROOT_RECORD,
    SYSTEM_AREA, date,
};
use crate::cpio::{S_IFDIR, S_IFLNK, S_IFMT, S_IFREG};
use crate::tree::PATH_MAX;

/// A file system whose directories are sound.
#[derive(Debug)]
pub struct Reader<R> {
    input: R,
    /// Of the input, in bytes.
    size: u64,
    entries: Vec<Entry>,
}

/// A directory, file or link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Path without a leading `/`.
    pub path: Vec<u8>,
    /// Permission bits.
    pub mode: u32,
    /// Modification time in seconds since 1970.
    pub mtime: u32,
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

/// A directory that is still to be read.
struct Pending {
    path: Vec<u8>,
    offset: u64,
    size: u64,
}

impl<R: Read + Seek> Reader<R> {
    /// Reads all directories, and checks that they are a tree whose files lie inside the input.
    ///
    /// # Errors
    /// What is wrong.
    pub fn open(mut input: R) -> Result<Self, IsoError> {
        let size = input.seek(SeekFrom::End(0))?;
        let mut reader = Self {
            input,
            size,
            entries: Vec::new(),
        };
        let mut descriptor = vec![0; BLOCK as usize];
        match reader.fill(SYSTEM_AREA, &mut descriptor) {
            Ok(()) if descriptor.starts_with(&[PRIMARY]) => {}
            Ok(()) | Err(IsoError::Damaged { .. }) => return Err(IsoError::NotIso),
            Err(error) => return Err(error),
        }
        let block = descriptor.get(BLOCK_SIZE..BLOCK_SIZE + 2);
        if descriptor.get(1..1 + IDENTIFIER.len()) != Some(IDENTIFIER)
            || block != Some(&(BLOCK as u16).to_le_bytes())
        {
            return Err(IsoError::NotIso);
        }
        let root = descriptor.get(ROOT_RECORD..).unwrap_or_default();
        let (offset, size) = extent(root).ok_or(damaged("the root's record", SYSTEM_AREA))?;
        reader.walk(offset, size)?;
        reader
            .entries
            .sort_by(|one, other| one.path.cmp(&other.path));
        let mut pairs = reader.entries.windows(2);
        if pairs.any(|pair| matches!(pair, [one, other] if one.path == other.path)) {
            return Err(damaged("a name that comes twice", offset));
        }
        Ok(reader)
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
    pub fn data(&mut self, entry: &Entry) -> Result<Vec<u8>, IsoError> {
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

    fn walk(&mut self, offset: u64, size: u64) -> Result<(), IsoError> {
        let mut pending = vec![Pending {
            path: Vec::new(),
            offset,
            size,
        }];
        let (mut seen, mut total) = (BTreeSet::new(), 0u64);
        while let Some(directory) = pending.pop() {
            let at = directory.offset;
            total = total.saturating_add(directory.size);
            if total > DIRECTORIES_MAX {
                return Err(damaged("more directories than can be", at));
            }
            if !seen.insert(at) {
                return Err(damaged("a directory that comes twice", at));
            }
            let mut bytes = vec![0; directory.size as usize];
            self.fill(at, &mut bytes)?;
            for (number, block) in (0..).zip(bytes.chunks(BLOCK as usize)) {
                let block_at = at + number * BLOCK;
                self.records(&directory, block, block_at, &mut pending)?;
            }
        }
        Ok(())
    }

    /// The records in a block of a directory, which ends with its first 0.
    fn records(
        &mut self,
        directory: &Pending,
        mut block: &[u8],
        at: u64,
        pending: &mut Vec<Pending>,
    ) -> Result<(), IsoError> {
        while let Some(&size @ 1..) = block.first() {
            let cut = damaged("a directory record", at);
            let (record, rest) = block.split_at_checked(size.into()).ok_or(cut)?;
            block = rest;
            let name_size = record.get(RECORD_NAME_SIZE).copied();
            let is_dot = record.get(RECORD_NAME).is_some_and(|&name| name <= 1);
            if name_size == Some(1) && is_dot {
                continue;
            }
            let entry = self.entry(directory, record, at)?;
            if entry.kind == Kind::Directory {
                let (offset, size) = extent(record).ok_or(damaged("a directory", at))?;
                let path = entry.path.clone();
                pending.push(Pending { path, offset, size });
            }
            self.entries.push(entry);
        }
        Ok(())
    }

    fn entry(&mut self, directory: &Pending, record: &[u8], at: u64) -> Result<Entry, IsoError> {
        let field = |at: usize| record.get(at).copied().unwrap_or(0);
        let name_end = RECORD_NAME + usize::from(field(RECORD_NAME_SIZE));
        let system_use = record.get(name_end.next_multiple_of(2)..);
        let fields = self.fields(system_use.unwrap_or_default(), at)?;
        let path = child_path(&directory.path, &fields.name).ok_or(damaged("a name", at))?;
        let is_directory = field(RECORD_FLAGS) & FLAG_DIRECTORY != 0;
        let kind = match fields.mode & S_IFMT {
            S_IFDIR if is_directory => Kind::Directory,
            S_IFREG if !is_directory => {
                let file = extent(record).filter(|_| field(RECORD_FLAGS) & FLAG_MULTI_EXTENT == 0);
                let inside = |&(offset, size): &(u64, u64)| offset + size <= self.size;
                let (offset, size) = file.filter(inside).ok_or(damaged("a file", at))?;
                Kind::File { offset, size }
            }
            S_IFLNK if !is_directory && !fields.target.is_empty() => Kind::Symlink(fields.target),
            _ => return Err(damaged("a mode", at)),
        };
        Ok(Entry {
            path,
            mode: fields.mode & !S_IFMT,
            mtime: fields.mtime,
            kind,
        })
    }

    /// What Rock Ridge says in a record and, if it goes on, in one continuation after the other.
    fn fields(&mut self, system_use: &[u8], at: u64) -> Result<Fields, IsoError> {
        let mut fields = Fields::default();
        let mut bytes = system_use.to_vec();
        // Each continuation is read once; the limit ends a circle of them.
        for _ in 0..PATH_MAX {
            let Some((block, offset, size)) =
                fields.read(&bytes).ok_or(damaged("Rock Ridge", at))?
            else {
                return Ok(fields);
            };
            if u64::from(offset) + u64::from(size) > BLOCK {
                break;
            }
            bytes = vec![0; size as usize];
            self.fill(u64::from(block) * BLOCK + u64::from(offset), &mut bytes)?;
        }
        Err(damaged("a continuation", at))
    }

    fn fill(&mut self, offset: u64, bytes: &mut [u8]) -> Result<(), IsoError> {
        if self.size.saturating_sub(offset) < bytes.len() as u64 {
            return Err(damaged("the end of the file system", offset));
        }
        self.input.seek(SeekFrom::Start(offset))?;
        Ok(self.input.read_exact(bytes)?)
    }
}

fn damaged(what: &'static str, at: u64) -> IsoError {
    IsoError::Damaged { what, at }
}

/// First byte and size of what a record is for.
fn extent(record: &[u8]) -> Option<(u64, u64)> {
    let number = |at: usize| {
        let bytes = record.get(at..)?.first_chunk()?;
        Some(u64::from(u32::from_le_bytes(*bytes)))
    };
    Some((number(RECORD_BLOCK)? * BLOCK, number(RECORD_SIZE)?))
}

/// The path of something in a directory, if it can have that name.
fn child_path(directory: &[u8], name: &[u8]) -> Option<Vec<u8>> {
    let is_bad = name.is_empty()
        || name == b"."
        || name == b".."
        || name.contains(&b'/')
        || name.contains(&0);
    let path = match directory {
        [] => name.to_vec(),
        _ => [directory, b"/", name].concat(),
    };
    (!is_bad && path.len() < PATH_MAX).then_some(path)
}

/// What Rock Ridge says of something.
#[derive(Default)]
struct Fields {
    mode: u32,
    mtime: u32,
    name: Vec<u8>,
    target: Vec<u8>,
    /// The target has a part already.
    has_part: bool,
    /// The next part follows without a `/`: the last one goes on, or was the root.
    joins: bool,
}

impl Fields {
    /// Takes in some entries; gives block, offset and size of those that continue them, and `None` if
    /// they are damaged.
    fn read(&mut self, bytes: &[u8]) -> Option<Option<(u32, u32, u32)>> {
        let mut next = None;
        for (signature, content) in susp::entries(bytes) {
            match &signature {
                b"PX" => self.mode = number(content, 0)?,
                b"TF" if content.first() == Some(&MODIFY) => {
                    self.mtime = date::seconds(*content.get(1..)?.first_chunk()?)?;
                }
                b"NM" => self.name.extend(content.get(1..)?),
                b"SL" => self.parts(content.get(1..)?)?,
                b"CE" => {
                    next = Some((
                        number(content, 0)?,
                        number(content, 8)?,
                        number(content, 16)?,
                    ))
                }
                _ => {}
            }
            if self.name.len() + self.target.len() > 2 * PATH_MAX {
                return None;
            }
        }
        Some(next)
    }

    /// Takes in parts of the target of a link.
    fn parts(&mut self, mut bytes: &[u8]) -> Option<()> {
        while let [flags, size, rest @ ..] = bytes {
            let (name, rest) = rest.split_at_checked(usize::from(*size))?;
            bytes = rest;
            if self.has_part && !self.joins {
                self.target.push(b'/');
            }
            let is_first = !std::mem::replace(&mut self.has_part, true);
            self.joins = flags & (CONTINUE | ROOT) != 0;
            match flags & !CONTINUE {
                0 => self.target.extend(name),
                CURRENT => self.target.extend(b"."),
                ABOVE => self.target.extend(b".."),
                ROOT if is_first => self.target.extend(b"/"),
                _ => return None,
            }
        }
        bytes.is_empty().then_some(())
    }
}

fn number(content: &[u8], at: usize) -> Option<u32> {
    let bytes = content.get(at..)?.first_chunk()?;
    Some(u32::from_le_bytes(*bytes))
}
