//! Directories whose entries the kernel makes up on use, such as `/proc/self/fd`.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::directory::Place;
use super::inode::{Attributes, Inode, Node, Producer};
use crate::{Errno, FileKind, Timespec};

/// The entries of a directory that are made on use. They cannot be changed.
pub trait DynamicDirectory: Send + Sync {
    /// Names and kinds of all entries, in a stable order.
    fn entries(&self) -> Vec<(Vec<u8>, FileKind)>;

    /// The entry `name`, if there is one.
    fn lookup(&self, name: &[u8]) -> Option<DynamicEntry>;
}

/// What a dynamic entry is.
pub enum DynamicEntry {
    /// A file to read; its content is made on open.
    File(Producer),
    /// A symbolic link; its target is made on use.
    Symlink(Producer),
    /// A further directory.
    Directory(Arc<dyn DynamicDirectory>),
    /// The very file that is open already: `/proc/self/fd/N` leads to it even without a name.
    Open(Arc<Inode>),
}

/// Numbers of dynamic inodes start here: apart from those that the tree counts up. They are
/// not unique, as nobody keeps such an inode for long.
const FIRST_NUMBER: u64 = 1 << 32;

/// A directory of such entries in the tree.
pub(crate) struct Dynamic {
    pub(super) source: Arc<dyn DynamicDirectory>,
    pub(super) place: Place,
    /// Keeps a directory above that itself only exists while it is used.
    above: Option<Arc<Inode>>,
}

impl Dynamic {
    /// The directory `name` in `parent`, which stays in the tree.
    pub(super) fn new(source: Arc<dyn DynamicDirectory>, parent: &Arc<Inode>, name: &[u8]) -> Self {
        let place = Place {
            parent: Arc::downgrade(parent),
            name: name.into(),
        };
        Self {
            source,
            place,
            above: None,
        }
    }

    /// The entry `name` of this directory, whose own inode is `directory`.
    pub(super) fn child(&self, directory: &Arc<Inode>, name: &[u8]) -> Result<Arc<Inode>, Errno> {
        let (node, permissions) = match self.source.lookup(name).ok_or(Errno::ENOENT)? {
            DynamicEntry::File(producer) => (Node::Generated(producer), 0o444),
            DynamicEntry::Symlink(producer) => (Node::GeneratedSymlink(producer), 0o777),
            DynamicEntry::Directory(source) => {
                let mut inner = Self::new(source, directory, name);
                inner.above = Some(directory.clone());
                (Node::Dynamic(inner), 0o555)
            }
            DynamicEntry::Open(inode) => return Ok(inode),
        };
        let attributes = Attributes::new(permissions, Timespec::default());
        let number = number_of(directory.number(), name);
        Ok(Inode::new(number, node, attributes))
    }
}

/// A number that stays the same for the same path (FNV-1a over the parent's number and the name).
pub(super) fn number_of(parent: u64, name: &[u8]) -> u64 {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    let hash = name.iter().fold(parent ^ 0xcbf2_9ce4_8422_2325, step);
    FIRST_NUMBER | hash >> 1
}
