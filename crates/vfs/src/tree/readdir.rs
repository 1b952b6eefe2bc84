//! getdents64(2).

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::inode::{Inode, Node};
use crate::{Errno, FileKind, OpenFile, Sink};

/// One entry of a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
struct DirectoryEntry {
    inode: u64,
    /// Position to go on from after this entry.
    next: u64,
    kind: FileKind,
    name: Vec<u8>,
}

/// Bytes before the name in `struct linux_dirent64`: inode, position, record length, type.
const HEADER_BYTES: usize = 8 + 8 + 2 + 1;
/// Records are multiples of this.
const ALIGNMENT: usize = 8;

impl OpenFile {
    /// getdents64(2): `struct linux_dirent64` records of the entries from the position on, as
    /// many as fit. 0 at the end.
    ///
    /// # Errors
    /// `ENOTDIR`, `ENOENT` for a directory that was removed, `EINVAL` if not even one record
    /// fits.
    pub fn read_directory(&self, to: &mut dyn Sink) -> Result<usize, Errno> {
        if !self.is_readable() {
            return Err(Errno::EBADF);
        }
        let inode = self.file().inode().ok_or(Errno::ENOTDIR)?;
        let mut position = self.position();
        let mut done = 0;
        while let Some(entry) = entry_from(inode, *position)? {
            let record = entry.encode();
            if record.len() > to.remaining() {
                return if done > 0 {
                    Ok(done)
                } else {
                    Err(Errno::EINVAL)
                };
            }
            match to.put(&record) {
                Ok(_) => {}
                Err(error) if done == 0 => return Err(error),
                Err(_) => break,
            }
            done += record.len();
            *position = entry.next;
        }
        Ok(done)
    }
}

impl DirectoryEntry {
    fn encode(&self) -> Vec<u8> {
        let length = (HEADER_BYTES + self.name.len() + 1).next_multiple_of(ALIGNMENT);
        let mut record = Vec::with_capacity(length);
        record.extend_from_slice(&self.inode.to_le_bytes());
        record.extend_from_slice(&self.next.to_le_bytes());
        // Names are at most 255 bytes, so the length fits.
        record.extend_from_slice(&(length as u16).to_le_bytes());
        // The `d_type` of dirent.h is the upper part of the mode (`IFTODT`).
        record.push((self.kind.mode_bits() >> 12) as u8);
        record.extend_from_slice(&self.name);
        record.resize(length, 0);
        record
    }
}

/// The first entry of `directory` at or after `position`.
fn entry_from(directory: &Arc<Inode>, position: u64) -> Result<Option<DirectoryEntry>, Errno> {
    let named = |inode: &Inode, name: &[u8]| DirectoryEntry {
        inode: inode.number(),
        next: position + 1,
        kind: FileKind::Directory,
        name: name.into(),
    };
    if !directory.is_directory() {
        return Err(Errno::ENOTDIR);
    }
    if position == 0 {
        check_present(directory)?;
        return Ok(Some(named(directory, b".")));
    }
    if position == 1 {
        let above = super::walk::above(directory).unwrap_or_else(|_| directory.clone());
        return Ok(Some(named(&above, b"..")));
    }
    match &directory.node {
        Node::Directory(entries) => {
            let entries = entries.read();
            let found = entries.entry_from(position);
            Ok(found.map(|(at, name, inode)| DirectoryEntry {
                inode: inode.number(),
                next: at + 1,
                kind: inode.kind(),
                name: name.to_vec(),
            }))
        }
        Node::Dynamic(dynamic) => {
            let index = usize::try_from(position - 2).unwrap_or(usize::MAX);
            let found = dynamic.source.entries().into_iter().nth(index);
            Ok(found.map(|(name, kind)| DirectoryEntry {
                inode: super::dynamic::number_of(directory.number(), &name),
                next: position + 1,
                kind,
                name,
            }))
        }
        _ => Err(Errno::ENOTDIR),
    }
}

fn check_present(directory: &Inode) -> Result<(), Errno> {
    match &directory.node {
        Node::Directory(entries) if entries.read().removed => Err(Errno::ENOENT),
        _ => Ok(()),
    }
}
