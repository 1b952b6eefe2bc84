//! Nodes the kernel puts into the tree: devices and generated files.

use alloc::sync::Arc;

use super::dynamic::{Dynamic, DynamicDirectory};
use super::inode::{Attributes, Inode, Node, Producer};
use super::{Opener, Tree};
use crate::{Errno, File, OpenFlags};

/// A device number from its major and minor part (makedev(3)).
pub const fn device_number(major: u32, minor: u32) -> u64 {
    let (major, minor) = (major as u64, minor as u64);
    (major & 0xffff_f000) << 32 | (major & 0xfff) << 8 | (minor & 0xffff_ff00) << 12 | minor & 0xff
}

impl Tree {
    /// Makes `path` the node of a character device that `opener` opens. Every other node with
    /// the number `rdev` (see [`device_number`]) opens the same device.
    ///
    /// # Errors
    /// `ENOTDIR` if something above `path` is no directory, `ENOTEMPTY` if `path` is one that
    /// has entries.
    pub fn add_device(
        &self,
        path: &[u8],
        rdev: u64,
        permissions: u32,
        opener: Opener,
    ) -> Result<Arc<Inode>, Errno> {
        self.devices.write().insert(rdev, opener);
        self.add(path, Node::Device(rdev), permissions)
    }

    /// Makes `path` a read-only file whose content `producer` makes on open.
    ///
    /// # Errors
    /// `ENOTDIR` if something above `path` is no directory, `ENOTEMPTY` if `path` is one that
    /// has entries.
    pub fn add_generated(&self, path: &[u8], producer: Producer) -> Result<Arc<Inode>, Errno> {
        self.add(path, Node::Generated(producer), 0o444)
    }

    /// Makes `path` a symbolic link whose target `producer` makes on use.
    ///
    /// # Errors
    /// `ENOTDIR` if something above `path` is no directory, `ENOTEMPTY` if `path` is one that
    /// has entries.
    pub fn add_generated_symlink(
        &self,
        path: &[u8],
        producer: Producer,
    ) -> Result<Arc<Inode>, Errno> {
        self.add(path, Node::GeneratedSymlink(producer), 0o777)
    }

    /// Makes `path` a directory whose entries `source` makes on use.
    ///
    /// # Errors
    /// `ENOTDIR` if something above `path` is no directory, `ENOTEMPTY` if `path` is one that
    /// has entries.
    pub fn add_dynamic_directory(
        &self,
        path: &[u8],
        source: Arc<dyn DynamicDirectory>,
    ) -> Result<Arc<Inode>, Errno> {
        let (above, name) = split(path);
        let parent = self.mkdir_all(above, 0o755)?;
        let dynamic = Dynamic::new(source, &parent, name);
        self.add(path, Node::Dynamic(dynamic), 0o555)
    }

    /// Puts a node at `path`, in place of a file or an empty directory that is there.
    fn add(&self, path: &[u8], node: Node, permissions: u32) -> Result<Arc<Inode>, Errno> {
        let (above, name) = split(path);
        let parent = self.mkdir_all(above, 0o755)?;
        let attributes = Attributes::new(permissions, self.clock.now());
        let cleared = match self.unlink(&parent, name) {
            Err(Errno::EISDIR) => self.rmdir(&parent, name),
            cleared => cleared,
        };
        match cleared {
            Ok(()) | Err(Errno::ENOENT) => {}
            Err(error) => return Err(error),
        }
        let _changing = self.changes.lock();
        self.insert(&parent, name.into(), self.new_inode(node, attributes))
    }

    pub(super) fn open_device(
        &self,
        number: u64,
        flags: OpenFlags,
    ) -> Result<Arc<dyn File>, Errno> {
        let opener = self.devices.read().get(&number).cloned();
        opener.ok_or(Errno::ENXIO)?(flags)
    }
}

fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|byte| *byte == b'/') {
        Some(slash) => (&path[..slash], &path[slash + 1..]),
        None => (b"", path),
    }
}
