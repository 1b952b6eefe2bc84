//! The file tree: the root archive with everything that was changed since on top, in memory.
//!
//! [`Tree`] holds [`Inode`]s; a file of the archive is an inode whose content is still in the
//! archive. System calls on a path first [`Tree::lookup`] the inode (or go through an open
//! file's [`File::inode`](crate::File::inode)) and then ask the inode or the tree.

mod archive;
mod attributes;
mod change;
mod content;
mod directory;
mod dynamic;
mod file;
mod inode;
mod open;
mod readdir;
mod rename;
mod special;
mod text_busy;
mod walk;

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicU64, Ordering};

use spin::{Mutex, RwLock};

use crate::page::{PAGE_SIZE, PageBudget};
use crate::{Errno, File, OpenFlags, PageSource, Timespec};

pub use archive::LoadError;
pub use attributes::{FileSystemSize, TimeChange};
pub use dynamic::{DynamicDirectory, DynamicEntry};
pub use inode::{Inode, Producer};
pub use rename::RenameFlags;
pub use special::device_number;
pub use text_busy::Executing;
pub use walk::Follow;

pub(crate) use inode::Node;

use content::Regular;
use directory::Directory;
use inode::Attributes;

/// Tells the time of day.
pub trait Clock: Send + Sync {
    /// Now, as `CLOCK_REALTIME`.
    fn now(&self) -> Timespec;
}

/// Opens a device.
pub type Opener = Arc<dyn Fn(OpenFlags) -> Result<Arc<dyn File>, Errno> + Send + Sync>;

/// The file tree.
pub struct Tree {
    root: Arc<Inode>,
    clock: Arc<dyn Clock>,
    budget: Arc<PageBudget>,
    numbers: AtomicU64,
    /// Held while names change, so that what was checked stays true. Lookups do not take it.
    changes: Mutex<()>,
    /// Devices by number.
    devices: RwLock<BTreeMap<u64, Opener>>,
}

impl Tree {
    /// A tree with an empty root directory. File content that is not in the archive takes pages
    /// from `pages`, at most `limit` bytes in all (rounded down to pages).
    pub fn new(clock: Arc<dyn Clock>, pages: Arc<dyn PageSource>, limit: usize) -> Arc<Self> {
        let mut attributes = Attributes::new(0o755, clock.now());
        attributes.links = 1;
        let node = Node::Directory(RwLock::new(Directory::new(None)));
        let root = Inode::new(1, node, attributes);
        root.link(clock.now());
        Arc::new(Self {
            root,
            clock,
            budget: Arc::new(PageBudget::new(pages, limit / PAGE_SIZE)),
            numbers: AtomicU64::new(2),
            changes: Mutex::new(()),
            devices: RwLock::new(BTreeMap::new()),
        })
    }

    /// The root directory.
    pub fn root(&self) -> &Arc<Inode> {
        &self.root
    }

    fn new_inode(&self, node: Node, attributes: Attributes) -> Arc<Inode> {
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        Inode::new(number, node, attributes)
    }

    fn new_regular(&self, base: &'static [u8], permissions: u32) -> Arc<Inode> {
        let regular = Regular::new(base, self.budget.clone());
        let attributes = Attributes::new(permissions, self.clock.now());
        self.new_inode(Node::Regular(regular), attributes)
    }
}
