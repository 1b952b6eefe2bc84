//! Nodes of the file tree.

use alloc::boxed::Box;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;

use spin::{Mutex, Once, RwLock};

use super::content::Regular;
use super::directory::{Directory, Place};
use super::dynamic::Dynamic;
use super::text_busy::TextUse;
use crate::pipe::Pipe;
use crate::{Errno, FileKind, FileLocks, LockOwner, Stat, Timespec};

/// Makes bytes when asked: the content of a generated file or the target of a generated link.
pub type Producer = Arc<dyn Fn() -> Vec<u8> + Send + Sync>;

/// Device number of the tree as file system (`st_dev`): an unnamed device, as tmpfs has.
const TREE_DEVICE: u64 = 0x1;

/// A node of the file tree: a file, directory, link or device, whatever its names are.
pub struct Inode {
    number: u64,
    pub(crate) node: Node,
    attributes: Mutex<Attributes>,
    locks: Once<Box<FileLocks>>,
    pub(super) text_use: TextUse,
}

/// What an inode is.
pub(crate) enum Node {
    Regular(Regular),
    Directory(RwLock<Directory>),
    Symlink(Target),
    /// A character device with its number.
    Device(u64),
    /// The pipe of a FIFO, while it is open.
    Fifo(Mutex<Weak<Pipe>>),
    /// The name of a local socket.
    Socket,
    /// A file whose content is made on open.
    Generated(Producer),
    /// A symbolic link whose target is made on use.
    GeneratedSymlink(Producer),
    /// A directory whose entries are made on use.
    Dynamic(Dynamic),
}

/// The target of a symbolic link.
pub(crate) enum Target {
    Archive(&'static [u8]),
    Owned(Box<[u8]>),
}

impl Target {
    pub(crate) fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Archive(bytes) => bytes,
            Self::Owned(bytes) => bytes,
        }
    }
}

/// The changeable attributes of an inode.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attributes {
    pub(crate) permissions: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) links: u64,
    /// Whether a file without a name may get one: `O_TMPFILE` without `O_EXCL` (open(2)).
    pub(crate) linkable: bool,
    pub(crate) atime: Timespec,
    pub(crate) mtime: Timespec,
    pub(crate) ctime: Timespec,
}

impl Attributes {
    /// A new file of root's.
    pub(crate) const fn new(permissions: u32, now: Timespec) -> Self {
        Self {
            permissions: permissions & 0o7777,
            uid: 0,
            gid: 0,
            links: 0,
            linkable: false,
            atime: now,
            mtime: now,
            ctime: now,
        }
    }
}

impl Inode {
    /// A node without a name; directories count the link of their own `.`.
    pub(crate) fn new(number: u64, node: Node, mut attributes: Attributes) -> Arc<Self> {
        if matches!(node, Node::Directory(_) | Node::Dynamic(_)) {
            attributes.links = 1;
        }
        Arc::new(Self {
            number,
            node,
            attributes: Mutex::new(attributes),
            locks: Once::new(),
            text_use: TextUse::default(),
        })
    }

    /// Inode number, never used again for another file.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// What kind of file this is.
    pub fn kind(&self) -> FileKind {
        match &self.node {
            Node::Regular(_) | Node::Generated(_) => FileKind::Regular,
            Node::Directory(_) | Node::Dynamic(_) => FileKind::Directory,
            Node::Symlink(_) | Node::GeneratedSymlink(_) => FileKind::Symlink,
            Node::Device(_) => FileKind::CharDevice,
            Node::Fifo(_) => FileKind::Fifo,
            Node::Socket => FileKind::Socket,
        }
    }

    /// Whether this is a directory.
    pub fn is_directory(&self) -> bool {
        self.kind() == FileKind::Directory
    }

    /// stat(2).
    pub fn stat(&self) -> Stat {
        let attributes = *self.attributes.lock();
        let (size, blocks) = self.size_and_blocks();
        Stat {
            kind: self.kind(),
            permissions: attributes.permissions,
            device: TREE_DEVICE,
            inode: self.number,
            links: attributes.links,
            uid: attributes.uid,
            gid: attributes.gid,
            rdev: match self.node {
                Node::Device(number) => number,
                _ => 0,
            },
            size,
            blocks,
            atime: attributes.atime,
            mtime: attributes.mtime,
            ctime: attributes.ctime,
        }
    }

    fn size_and_blocks(&self) -> (u64, u64) {
        match &self.node {
            Node::Regular(regular) => (regular.size(), regular.blocks()),
            Node::Symlink(target) => (target.as_bytes().len() as u64, 0),
            _ => (0, 0),
        }
    }

    /// The target of a symbolic link (readlink(2)).
    ///
    /// # Errors
    /// `EINVAL` if this is not a symbolic link.
    pub fn readlink(&self) -> Result<Vec<u8>, Errno> {
        match &self.node {
            Node::Symlink(target) => Ok(target.as_bytes().into()),
            Node::GeneratedSymlink(producer) => Ok(producer()),
            _ => Err(Errno::EINVAL),
        }
    }

    /// access(2) for root: everything is allowed, except executing a file that nobody may
    /// execute. `executable` says whether `X_OK` is asked for.
    ///
    /// # Errors
    /// `EACCES`.
    pub fn check_access(&self, executable: bool) -> Result<(), Errno> {
        let nobody_executes = self.attributes.lock().permissions & 0o111 == 0;
        if executable && nobody_executes && !self.is_directory() {
            return Err(Errno::EACCES);
        }
        Ok(())
    }

    /// The absolute path of a directory (getcwd(2)).
    ///
    /// # Errors
    /// `ENOENT` if it was removed, `ENOTDIR` if this is not a directory.
    pub fn directory_path(&self) -> Result<Vec<u8>, Errno> {
        let mut names = Vec::new();
        let mut place = self.directory_place()?;
        while let Some(Place { parent, name }) = place {
            names.push(name);
            place = parent.upgrade().ok_or(Errno::ENOENT)?.directory_place()?;
        }
        let mut path = Vec::new();
        for name in names.iter().rev() {
            path.push(b'/');
            path.extend_from_slice(name);
        }
        if path.is_empty() {
            path.push(b'/');
        }
        Ok(path)
    }

    fn directory_place(&self) -> Result<Option<Place>, Errno> {
        if let Node::Dynamic(dynamic) = &self.node {
            return Ok(Some(dynamic.place.clone()));
        }
        let directory = self.directory()?.read();
        match directory.removed {
            true => Err(Errno::ENOENT),
            false => Ok(directory.place.clone()),
        }
    }

    /// The entries, if this is a directory that keeps them.
    ///
    /// # Errors
    /// `ENOTDIR`; `EACCES` for a directory whose entries are made on use.
    pub(crate) fn directory(&self) -> Result<&RwLock<Directory>, Errno> {
        match &self.node {
            Node::Directory(directory) => Ok(directory),
            Node::Dynamic(_) => Err(Errno::EACCES),
            _ => Err(Errno::ENOTDIR),
        }
    }

    /// The content, if this is a regular file that keeps it.
    pub(crate) fn regular(&self) -> Option<&Regular> {
        match &self.node {
            Node::Regular(regular) => Some(regular),
            _ => None,
        }
    }

    /// Changes attributes.
    pub(crate) fn update(&self, change: impl FnOnce(&mut Attributes)) {
        change(&mut self.attributes.lock());
    }

    /// Notes a change of the content.
    pub(crate) fn touch(&self, now: Timespec) {
        self.update(|attributes| {
            attributes.mtime = now;
            attributes.ctime = now;
        });
    }

    /// Whether link(2) may give the file a further name: one that lost its last does not come back.
    pub(crate) fn may_get_name(&self) -> bool {
        let attributes = self.attributes.lock();
        attributes.links > 0 || attributes.linkable
    }

    /// Counts a new name, at `now`.
    pub(crate) fn link(&self, now: Timespec) {
        self.update(|attributes| {
            attributes.links += 1;
            attributes.linkable = false;
            attributes.ctime = now;
        });
    }

    /// Counts a name less, at `now`.
    pub(crate) fn unlink(&self, now: Timespec) {
        self.update(|attributes| {
            attributes.links = attributes.links.saturating_sub(1);
            attributes.ctime = now;
        });
    }

    /// The advisory locks of the file.
    pub fn locks(&self) -> &FileLocks {
        self.locks.call_once(Box::default)
    }

    /// Gives up the locks of `owner`, if the file ever had any.
    pub fn release_locks(&self, owner: LockOwner) {
        if let Some(locks) = self.locks.get() {
            locks.release(owner);
        }
    }
}
