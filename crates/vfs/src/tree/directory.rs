//! The entries of a directory.

use alloc::collections::BTreeMap;
use alloc::sync::{Arc, Weak};

use hashbrown::HashMap;

use super::inode::Inode;

/// A file name: one component of a path.
pub(crate) type Name = Arc<[u8]>;

/// Position of the first real entry; `.` and `..` come before it.
const FIRST: u64 = 2;

/// Where an inode hangs in the tree.
#[derive(Clone)]
pub(crate) struct Place {
    /// The directory.
    pub(crate) parent: Weak<Inode>,
    /// The name in it.
    pub(crate) name: Name,
}

/// Names, and the inodes they stand for. Every entry keeps its position until it is removed and
/// positions are never used again, so that reading a directory in parts meets every entry that
/// stays exactly once.
pub(crate) struct Directory {
    entries: HashMap<Name, Entry>,
    order: BTreeMap<u64, Name>,
    next: u64,
    /// Where the directory is (or was, before its removal); `None` for the root.
    pub(crate) place: Option<Place>,
    /// Whether the directory was removed: it takes no new entries.
    pub(crate) removed: bool,
}

struct Entry {
    inode: Arc<Inode>,
    position: u64,
}

impl Directory {
    /// An empty directory at `place`.
    pub(crate) fn new(place: Option<Place>) -> Self {
        Self {
            entries: HashMap::new(),
            order: BTreeMap::new(),
            next: FIRST,
            place,
            removed: false,
        }
    }

    /// What `name` stands for.
    pub(crate) fn get(&self, name: &[u8]) -> Option<&Arc<Inode>> {
        self.entries.get(name).map(|entry| &entry.inode)
    }

    /// Whether there are no entries besides `.` and `..`.
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// What `name` stands for, with the name as the directory holds it.
    pub(crate) fn get_named(&self, name: &[u8]) -> Option<(&Name, &Arc<Inode>)> {
        let (name, entry) = self.entries.get_key_value(name)?;
        Some((name, &entry.inode))
    }

    /// Makes `name` stand for `inode` and returns what it stood for before.
    pub(crate) fn insert(&mut self, name: Name, inode: Arc<Inode>) -> Option<Arc<Inode>> {
        if let Some(entry) = self.entries.get_mut(&name) {
            return Some(core::mem::replace(&mut entry.inode, inode));
        }
        let position = self.next;
        self.next += 1;
        self.order.insert(position, name.clone());
        self.entries.insert(name, Entry { inode, position });
        None
    }

    /// Removes `name` and returns what it stood for.
    pub(crate) fn remove(&mut self, name: &[u8]) -> Option<Arc<Inode>> {
        let entry = self.entries.remove(name)?;
        self.order.remove(&entry.position);
        Some(entry.inode)
    }

    /// The first entry at or after `position`: its position, name and inode.
    pub(crate) fn entry_from(&self, position: u64) -> Option<(u64, &Name, &Arc<Inode>)> {
        let (position, name) = self.order.range(position..).next()?;
        let entry = self.entries.get(name)?;
        Some((*position, name, &entry.inode))
    }
}
