//! What the tests share: a tree, its clock, and shorthands for opening, reading and writing.

// Every test binary compiles this module and uses a part of it.
#![allow(dead_code, reason = "shared by test binaries that each use a part")]
#![allow(clippy::unwrap_used, reason = "test support: a failure fails the test")]

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use vfs::{
    Clock, Errno, HeapPages, Inode, OpenFile, OpenFlags, SliceSource, Timespec, Tree, VecSink,
};

/// A clock that goes on by a second whenever it is read.
#[derive(Default)]
pub(crate) struct Ticks(AtomicI64);

impl Clock for Ticks {
    fn now(&self) -> Timespec {
        Timespec {
            seconds: self.0.fetch_add(1, Ordering::Relaxed),
            nanoseconds: 0,
        }
    }
}

/// An empty tree with `pages` pages for content.
pub(crate) fn tree_with(pages: usize) -> Arc<Tree> {
    Tree::new(
        Arc::new(Ticks::default()),
        Arc::new(HeapPages),
        pages * vfs::PAGE_SIZE,
    )
}

/// An empty tree.
pub(crate) fn tree() -> Arc<Tree> {
    tree_with(10_000)
}

/// Opens `path` from the root.
pub(crate) fn open(tree: &Tree, path: &str, flags: OpenFlags) -> Result<Arc<OpenFile>, Errno> {
    tree.open(tree.root(), path.as_bytes(), flags, 0o644)
}

/// Creates or empties `path` and writes `content`.
pub(crate) fn write(tree: &Tree, path: &str, content: &[u8]) {
    let flags = OpenFlags::CREAT | OpenFlags::TRUNC | OpenFlags::WRONLY;
    let file = open(tree, path, flags).unwrap();
    assert_eq!(
        file.write(&mut SliceSource(content)).unwrap(),
        content.len()
    );
}

/// Up to `limit` bytes of an open file, from its position.
pub(crate) fn read_some(file: &OpenFile, limit: usize) -> Result<Vec<u8>, Errno> {
    let mut sink = VecSink::new(limit);
    file.read(&mut sink)?;
    Ok(sink.into_bytes())
}

/// The whole content of `path`.
pub(crate) fn read(tree: &Tree, path: &str) -> Result<Vec<u8>, Errno> {
    let file = open(tree, path, OpenFlags::empty())?;
    read_some(&file, 1 << 20)
}

/// The file `path`, symbolic links followed.
pub(crate) fn lookup(tree: &Tree, path: &str) -> Result<Arc<Inode>, Errno> {
    tree.lookup(tree.root(), path.as_bytes(), vfs::Follow::Yes)
}

/// Names in a directory in order of reading, read through a buffer of `buffer` bytes.
pub(crate) fn list(tree: &Tree, path: &str, buffer: usize) -> Result<Vec<String>, Errno> {
    let directory = open(tree, path, OpenFlags::DIRECTORY)?;
    let mut names = Vec::new();
    loop {
        let mut sink = VecSink::new(buffer);
        if directory.read_directory(&mut sink)? == 0 {
            return Ok(names);
        }
        names.extend(
            entries(&sink.into_bytes())
                .into_iter()
                .map(|(name, _)| name),
        );
    }
}

/// Names and next positions in `struct linux_dirent64` records.
pub(crate) fn entries(mut records: &[u8]) -> Vec<(String, u64)> {
    let mut found = Vec::new();
    while !records.is_empty() {
        let next = u64::from_le_bytes(records[8..16].try_into().unwrap());
        let length = u16::from_le_bytes(records[16..18].try_into().unwrap());
        let (record, rest) = records.split_at(length.into());
        let name = record[19..].split(|byte| *byte == 0).next().unwrap();
        found.push((String::from_utf8(name.into()).unwrap(), next));
        records = rest;
    }
    found
}
