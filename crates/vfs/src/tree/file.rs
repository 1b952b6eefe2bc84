//! A node of the tree as an open file.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;
use core::ops::Range;

use super::Clock;
use super::inode::{Inode, Node};
use super::text_busy::WriteAccess;
use super::walk::Site;
use crate::{
    Errno, Events, Extent, File, FileKind, PageMemory, Sink, Socket, Source, Stat, WaitQueue,
};

/// An open file of the tree. Regular files and directories are served by the inode itself;
/// devices, FIFOs and generated files by the object that opening them made.
pub(super) struct TreeFile {
    pub(super) inode: Arc<Inode>,
    pub(super) site: Option<Site>,
    pub(super) object: Option<Arc<dyn File>>,
    pub(super) clock: Arc<dyn Clock>,
    /// Held by files that are open for writing.
    pub(super) _writes: Option<WriteAccess>,
}

impl TreeFile {
    /// What answers when there is no object.
    fn no_object(&self) -> Errno {
        match self.inode.is_directory() {
            true => Errno::EISDIR,
            false => Errno::EINVAL,
        }
    }
}

impl Site {
    /// The absolute path of `inode` if it still is here, marked as deleted if not.
    fn path_of(&self, inode: &Arc<Inode>) -> Vec<u8> {
        let above = self.directory.directory_path();
        let mut path = above.unwrap_or_else(|_| b"/".to_vec());
        if !path.ends_with(b"/") {
            path.push(b'/');
        }
        path.extend_from_slice(&self.name);
        let is_here = match &self.directory.node {
            Node::Directory(entries) => entries
                .read()
                .get(&self.name)
                .is_some_and(|here| Arc::ptr_eq(here, inode)),
            _ => true,
        };
        if !is_here {
            path.extend_from_slice(b" (deleted)");
        }
        path
    }
}

impl File for TreeFile {
    fn stat(&self) -> Stat {
        self.inode.stat()
    }

    fn is_seekable(&self) -> bool {
        self.object
            .as_ref()
            .is_none_or(|object| object.is_seekable())
    }

    fn read(&self, to: &mut dyn Sink) -> Result<usize, Errno> {
        match &self.object {
            Some(object) => object.read(to),
            None => Err(self.no_object()),
        }
    }

    fn write(&self, from: &mut dyn Source) -> Result<usize, Errno> {
        match &self.object {
            Some(object) => object.write(from),
            None => Err(self.no_object()),
        }
    }

    fn read_at(&self, offset: u64, to: &mut dyn Sink) -> Result<usize, Errno> {
        match (&self.object, self.inode.regular()) {
            (Some(object), _) => object.read_at(offset, to),
            (None, Some(regular)) => regular.read_at(offset, to),
            (None, None) => Err(self.no_object()),
        }
    }

    fn write_at(&self, offset: u64, from: &mut dyn Source) -> Result<usize, Errno> {
        match (&self.object, self.inode.regular()) {
            (Some(object), _) => object.write_at(offset, from),
            (None, Some(regular)) => {
                let count = regular.write_at(offset, from)?;
                self.inode.touch(self.clock.now());
                Ok(count)
            }
            (None, None) => Err(self.no_object()),
        }
    }

    fn append(&self, from: &mut dyn Source) -> Result<(u64, usize), Errno> {
        match (&self.object, self.inode.regular()) {
            (Some(object), _) => object.append(from),
            (None, Some(regular)) => {
                let end_and_count = regular.append(from)?;
                self.inode.touch(self.clock.now());
                Ok(end_and_count)
            }
            (None, None) => Err(self.no_object()),
        }
    }

    fn poll(&self) -> Events {
        match &self.object {
            Some(object) => object.poll(),
            None => Events::IN | Events::OUT,
        }
    }

    fn wait_queue(&self) -> Option<&WaitQueue> {
        self.object.as_ref()?.wait_queue()
    }

    fn truncate(&self, size: u64) -> Result<(), Errno> {
        self.inode.regular().ok_or(Errno::EINVAL)?.truncate(size)?;
        self.inode.touch(self.clock.now());
        Ok(())
    }

    fn allocate(&self, range: Range<u64>, keep_size: bool) -> Result<(), Errno> {
        let regular = self.inode.regular().ok_or(match self.inode.kind() {
            FileKind::Fifo => Errno::ESPIPE,
            _ => Errno::ENODEV,
        })?;
        regular.allocate(range, keep_size)?;
        self.inode.touch(self.clock.now());
        Ok(())
    }

    fn seek_data(&self, offset: u64, sought: Extent) -> Result<u64, Errno> {
        match self.inode.regular() {
            Some(regular) => regular.seek_data(offset, sought),
            None => Err(Errno::EINVAL),
        }
    }

    fn page(&self, index: u64, allocate: bool) -> Option<Arc<dyn PageMemory>> {
        self.inode.regular()?.page(index, allocate)
    }

    fn archive_range(&self) -> Option<&'static [u8]> {
        self.inode.regular()?.archive_range()
    }

    fn inode(&self) -> Option<&Arc<Inode>> {
        Some(&self.inode)
    }

    fn path(&self) -> Option<Vec<u8>> {
        match &self.site {
            Some(site) => Some(site.path_of(&self.inode)),
            None => self.inode.directory_path().ok(),
        }
    }

    fn as_socket(&self) -> Option<&dyn Socket> {
        self.object.as_ref()?.as_socket()
    }

    fn as_any(&self) -> &dyn Any {
        match &self.object {
            Some(object) => object.as_any(),
            None => self,
        }
    }
}

/// A read-only file over bytes in memory: an opened generated file.
pub(super) struct Snapshot(pub(super) Vec<u8>);

impl File for Snapshot {
    fn stat(&self) -> Stat {
        Stat::anonymous(FileKind::Regular)
    }

    fn is_seekable(&self) -> bool {
        true
    }

    fn read_at(&self, offset: u64, to: &mut dyn Sink) -> Result<usize, Errno> {
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        to.put(&self.0[start.min(self.0.len())..])
    }

    fn write_at(&self, _offset: u64, _from: &mut dyn Source) -> Result<usize, Errno> {
        Err(Errno::EINVAL)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
