//! rename(2) and renameat2(2).

use alloc::sync::Arc;

use bitflags::bitflags;

use super::Tree;
use super::directory::Name;
use super::inode::Inode;
use super::walk::{Last, Walk};
use crate::Errno;

bitflags! {
    /// The flags of renameat2(2) (linux/fs.h).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct RenameFlags: u32 {
        /// Fail if the new name exists.
        const NOREPLACE = 1;
        /// Exchange the two files.
        const EXCHANGE = 2;
    }
}

/// One side of a rename.
struct Side {
    directory: Arc<Inode>,
    name: Name,
    inode: Option<Arc<Inode>>,
    slash: bool,
}

impl Tree {
    /// renameat2(2): moves `old` (relative to `old_base`) to `new` (relative to `new_base`).
    ///
    /// # Errors
    /// As renameat2(2).
    pub fn rename(
        &self,
        old_base: &Arc<Inode>,
        old: &[u8],
        new_base: &Arc<Inode>,
        new: &[u8],
        flags: RenameFlags,
    ) -> Result<(), Errno> {
        if flags == RenameFlags::all() {
            return Err(Errno::EINVAL);
        }
        let _changing = self.changes.lock();
        let (old, new) = (self.parent(old_base, old)?, self.parent(new_base, new)?);
        check_names(&old, &new, flags)?;
        let old = Side::of(&old)?;
        let moved = old.inode.clone().ok_or(Errno::ENOENT)?;
        let new = Side::of(&new)?;
        check_flags(&new, flags)?;
        if flags.contains(RenameFlags::EXCHANGE) {
            let other = new.inode.clone().ok_or(Errno::ENOENT)?;
            return self.exchange((&old, moved), (&new, other));
        }
        check_slashes(&old, &new, &moved)?;
        if is_within(&new.directory, &moved) {
            return Err(Errno::EINVAL);
        }
        self.replace(&old, &new, &moved)
    }

    fn replace(&self, old: &Side, new: &Side, moved: &Arc<Inode>) -> Result<(), Errno> {
        if let Some(replaced) = &new.inode {
            if is_within(&old.directory, replaced) {
                return Err(Errno::ENOTEMPTY);
            }
            if Arc::ptr_eq(replaced, moved) {
                return Ok(());
            }
            make_way(moved, replaced)?;
        }
        self.put(new, moved)?;
        let replaced = new.inode.as_ref();
        old.directory.directory()?.write().remove(&old.name);
        let now = self.clock.now();
        if let Some(replaced) = replaced {
            self.forget(&new.directory, replaced);
        }
        if moved.is_directory() {
            old.directory.unlink(now);
            new.directory.link(now);
        }
        self.stamp(&[&old.directory, &new.directory], &[moved]);
        Ok(())
    }

    fn exchange(
        &self,
        (old, moved): (&Side, Arc<Inode>),
        (new, other): (&Side, Arc<Inode>),
    ) -> Result<(), Errno> {
        for (side, inode) in [(old, &moved), (new, &other)] {
            if side.slash && !inode.is_directory() {
                return Err(Errno::ENOTDIR);
            }
        }
        if is_within(&new.directory, &moved) || is_within(&old.directory, &other) {
            return Err(Errno::EINVAL);
        }
        self.put(new, &moved)?;
        self.put(old, &other)?;
        let now = self.clock.now();
        for (inode, from, to) in [(&moved, old, new), (&other, new, old)] {
            if inode.is_directory() {
                from.directory.unlink(now);
                to.directory.link(now);
            }
        }
        self.stamp(&[&old.directory, &new.directory], &[&moved, &other]);
        Ok(())
    }

    /// Makes `inode` the entry at `side`, in place of what was there.
    fn put(&self, side: &Side, inode: &Arc<Inode>) -> Result<(), Errno> {
        let mut entries = side.directory.directory()?.write();
        if entries.removed {
            return Err(Errno::ENOENT);
        }
        entries.insert(side.name.clone(), inode.clone());
        drop(entries);
        inode.move_to(&side.directory, &side.name);
        Ok(())
    }

    fn stamp(&self, directories: &[&Arc<Inode>], moved: &[&Arc<Inode>]) {
        let now = self.clock.now();
        for directory in directories {
            directory.touch(now);
        }
        for inode in moved {
            inode.update(|attributes| attributes.ctime = now);
        }
    }
}

impl Side {
    fn of(walk: &Walk<'_>) -> Result<Self, Errno> {
        let Last::Name(name) = walk.last() else {
            return Err(Errno::EBUSY);
        };
        walk.directory.directory()?;
        let inode = match walk.child() {
            Ok(found) => Some(found.inode),
            Err(Errno::ENOENT) => None,
            Err(error) => return Err(error),
        };
        Ok(Self {
            directory: walk.directory.clone(),
            name: name.into(),
            inode,
            slash: walk.has_slash(),
        })
    }
}

/// Only entries with a name can be moved.
fn check_names(old: &Walk<'_>, new: &Walk<'_>, flags: RenameFlags) -> Result<(), Errno> {
    match (old.last(), new.last()) {
        (Last::Name(_), Last::Name(_)) => Ok(()),
        (Last::Name(_), _) if flags.contains(RenameFlags::NOREPLACE) => Err(Errno::EEXIST),
        _ => Err(Errno::EBUSY),
    }
}

fn check_flags(new: &Side, flags: RenameFlags) -> Result<(), Errno> {
    match &new.inode {
        Some(_) if flags.contains(RenameFlags::NOREPLACE) => Err(Errno::EEXIST),
        None if flags.contains(RenameFlags::EXCHANGE) => Err(Errno::ENOENT),
        _ => Ok(()),
    }
}

fn check_slashes(old: &Side, new: &Side, moved: &Inode) -> Result<(), Errno> {
    match (old.slash || new.slash) && !moved.is_directory() {
        true => Err(Errno::ENOTDIR),
        false => Ok(()),
    }
}

/// Checks that `moved` may take the place of `replaced`, and closes a directory for it.
fn make_way(moved: &Inode, replaced: &Inode) -> Result<(), Errno> {
    match (moved.is_directory(), replaced.is_directory()) {
        (true, false) => Err(Errno::ENOTDIR),
        (false, true) => Err(Errno::EISDIR),
        (true, true) => replaced.retire(),
        (false, false) => Ok(()),
    }
}

/// Whether `directory` is `ancestor` or below it.
fn is_within(directory: &Arc<Inode>, ancestor: &Arc<Inode>) -> bool {
    if !ancestor.is_directory() {
        return false;
    }
    let mut at = directory.clone();
    loop {
        if Arc::ptr_eq(&at, ancestor) {
            return true;
        }
        let above = match at.directory() {
            Ok(entries) => entries.read().place.clone(),
            Err(_) => None,
        };
        match above.and_then(|place| place.parent.upgrade()) {
            Some(parent) => at = parent,
            None => return false,
        }
    }
}
