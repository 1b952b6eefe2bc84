//! Changes of names: creating, linking and removing files.

use alloc::sync::Arc;

use spin::RwLock;

use super::directory::{Directory, Name, Place};
use super::inode::{Attributes, Inode, Node, Target};
use super::walk::{Follow, Last};
use super::{Regular, Tree};
use crate::{Errno, FileKind};

/// Longest target of a symbolic link in bytes (`PATH_MAX` without the NUL).
const MAX_TARGET: usize = 4095;

impl Tree {
    /// mkdir(2); `permissions` with the umask applied.
    ///
    /// # Errors
    /// As mkdir(2).
    pub fn mkdir(
        &self,
        base: &Arc<Inode>,
        path: &[u8],
        permissions: u32,
    ) -> Result<Arc<Inode>, Errno> {
        let _changing = self.changes.lock();
        let parent = self.parent(base, path)?;
        let name = parent.new_name()?;
        let node = Node::Directory(RwLock::new(Directory::new(None)));
        let attributes = Attributes::new(permissions, self.clock.now());
        self.insert(&parent.directory, name, self.new_inode(node, attributes))
    }

    /// mknod(2) for regular files, FIFOs, character devices and the names of sockets;
    /// `permissions` with the umask applied.
    ///
    /// # Errors
    /// As mknod(2).
    pub fn mknod(
        &self,
        base: &Arc<Inode>,
        path: &[u8],
        kind: FileKind,
        permissions: u32,
        rdev: u64,
    ) -> Result<Arc<Inode>, Errno> {
        let node = match kind {
            FileKind::Regular => Node::Regular(Regular::new(&[], self.budget.clone())),
            FileKind::Fifo => Node::new_fifo(),
            FileKind::CharDevice => Node::Device(rdev),
            FileKind::Socket => Node::Socket,
            FileKind::Directory => return Err(Errno::EPERM),
            FileKind::Symlink | FileKind::Anonymous => return Err(Errno::EINVAL),
        };
        let attributes = Attributes::new(permissions, self.clock.now());
        self.create(base, path, node, attributes)
    }

    /// symlink(2): makes `path` a symbolic link to `target`.
    ///
    /// # Errors
    /// As symlink(2).
    pub fn symlink(
        &self,
        target: &[u8],
        base: &Arc<Inode>,
        path: &[u8],
    ) -> Result<Arc<Inode>, Errno> {
        match target.len() {
            0 => return Err(Errno::ENOENT),
            length if length > MAX_TARGET => return Err(Errno::ENAMETOOLONG),
            _ => {}
        }
        let node = Node::Symlink(Target::Owned(target.into()));
        let attributes = Attributes::new(0o777, self.clock.now());
        self.create(base, path, node, attributes)
    }

    fn create(
        &self,
        base: &Arc<Inode>,
        path: &[u8],
        node: Node,
        attributes: Attributes,
    ) -> Result<Arc<Inode>, Errno> {
        let _changing = self.changes.lock();
        let parent = self.parent(base, path)?;
        let name = parent.new_name()?;
        if parent.has_slash() {
            return Err(Errno::ENOENT);
        }
        self.insert(&parent.directory, name, self.new_inode(node, attributes))
    }

    /// link(2): makes `path` a further name of `inode`.
    ///
    /// # Errors
    /// As link(2): `EPERM` for directories, `ENOENT` if the file has no name any more.
    pub fn link(&self, inode: &Arc<Inode>, base: &Arc<Inode>, path: &[u8]) -> Result<(), Errno> {
        let _changing = self.changes.lock();
        let parent = self.parent(base, path)?;
        let name = parent.new_name()?;
        if parent.has_slash() || !inode.may_get_name() {
            return Err(Errno::ENOENT);
        }
        if inode.is_directory() {
            return Err(Errno::EPERM);
        }
        self.insert(&parent.directory, name, inode.clone())
            .map(|_| ())
    }

    /// unlink(2).
    ///
    /// # Errors
    /// As unlink(2), `EISDIR` for directories.
    pub fn unlink(&self, base: &Arc<Inode>, path: &[u8]) -> Result<(), Errno> {
        let _changing = self.changes.lock();
        let parent = self.parent(base, path)?;
        let Last::Name(name) = parent.last() else {
            return Err(Errno::EISDIR);
        };
        let inode = parent.child()?.inode;
        if inode.is_directory() {
            return Err(Errno::EISDIR);
        }
        if parent.has_slash() {
            return Err(Errno::ENOTDIR);
        }
        self.remove(&parent.directory, name)
    }

    /// rmdir(2).
    ///
    /// # Errors
    /// As rmdir(2).
    pub fn rmdir(&self, base: &Arc<Inode>, path: &[u8]) -> Result<(), Errno> {
        let _changing = self.changes.lock();
        let parent = self.parent(base, path)?;
        let name = match parent.last() {
            Last::Name(name) => name,
            Last::Dot => return Err(Errno::EINVAL),
            Last::DotDot => return Err(Errno::ENOTEMPTY),
            Last::Root => return Err(Errno::EBUSY),
        };
        parent.child()?.inode.retire()?;
        self.remove(&parent.directory, name)
    }

    /// Puts `inode` into `directory` under a name that is free. Needs `changes` held.
    pub(super) fn insert(
        &self,
        directory: &Arc<Inode>,
        name: Name,
        inode: Arc<Inode>,
    ) -> Result<Arc<Inode>, Errno> {
        let mut entries = directory.directory()?.write();
        if entries.removed {
            return Err(Errno::ENOENT);
        }
        inode.move_to(directory, &name);
        let now = self.clock.now();
        inode.link(now);
        entries.insert(name, inode.clone());
        drop(entries);
        if inode.is_directory() {
            directory.link(now);
        }
        directory.touch(now);
        Ok(inode)
    }

    /// Takes `name` out of `directory`. Needs `changes` held.
    pub(super) fn remove(&self, directory: &Arc<Inode>, name: &[u8]) -> Result<(), Errno> {
        let removed = directory.directory()?.write().remove(name);
        let inode = removed.ok_or(Errno::ENOENT)?;
        self.forget(directory, &inode);
        directory.touch(self.clock.now());
        Ok(())
    }

    /// Accounts for `inode` being an entry of `directory` no more.
    pub(super) fn forget(&self, directory: &Inode, inode: &Inode) {
        let now = self.clock.now();
        inode.unlink(now);
        if inode.is_directory() {
            inode.unlink(now);
            directory.unlink(now);
        }
    }

    /// Makes `path` a directory if nothing is there, with all directories above it.
    ///
    /// # Errors
    /// `ENOTDIR` if something else is in the way.
    pub(super) fn mkdir_all(&self, path: &[u8], permissions: u32) -> Result<Arc<Inode>, Errno> {
        let mut directory = self.root.clone();
        for name in path
            .split(|byte| *byte == b'/')
            .filter(|name| !name.is_empty())
        {
            directory = match self.lookup(&directory, name, Follow::Yes) {
                Err(Errno::ENOENT) => self.mkdir(&directory, name, permissions)?,
                there => there?,
            };
        }
        match directory.is_directory() {
            true => Ok(directory),
            false => Err(Errno::ENOTDIR),
        }
    }
}

impl Inode {
    /// Notes where a directory is now; other files do not know their names.
    pub(super) fn move_to(&self, parent: &Arc<Self>, name: &Name) {
        if let Node::Directory(entries) = &self.node {
            entries.write().place = Some(Place {
                parent: Arc::downgrade(parent),
                name: name.clone(),
            });
        }
    }

    /// Closes an empty directory for new entries before it is removed.
    pub(super) fn retire(&self) -> Result<(), Errno> {
        let mut entries = match &self.node {
            Node::Directory(entries) => entries.write(),
            Node::Dynamic(_) => return Err(Errno::EBUSY),
            _ => return Err(Errno::ENOTDIR),
        };
        if !entries.is_empty() {
            return Err(Errno::ENOTEMPTY);
        }
        entries.removed = true;
        Ok(())
    }
}
