//! Changing what stat(2) shows.

use alloc::sync::Arc;

use super::Tree;
use super::inode::Inode;
use crate::page::PAGE_SIZE;
use crate::{Errno, Timespec};

/// What utimensat(2) does to one of the times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeChange {
    /// Set it to the current time (`UTIME_NOW`).
    Now,
    /// Leave it (`UTIME_OMIT`).
    Omit,
    /// Set it to this time.
    At(Timespec),
}

/// What statfs(2) tells about the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileSystemSize {
    /// Bytes in a block.
    pub block_size: u64,
    /// Blocks that changed and new files may take in all.
    pub blocks: u64,
    /// Blocks that are free.
    pub free_blocks: u64,
}

impl Tree {
    /// chmod(2), fchmod(2).
    pub fn set_permissions(&self, inode: &Inode, permissions: u32) {
        let now = self.clock.now();
        inode.update(|attributes| {
            attributes.permissions = permissions & 0o7777;
            attributes.ctime = now;
        });
    }

    /// chown(2), fchown(2); `None` leaves the owner or group as it is.
    pub fn set_owner(&self, inode: &Inode, uid: Option<u32>, gid: Option<u32>) {
        let now = self.clock.now();
        let regular = inode.regular().is_some();
        inode.update(|attributes| {
            attributes.uid = uid.unwrap_or(attributes.uid);
            attributes.gid = gid.unwrap_or(attributes.gid);
            if regular {
                attributes.permissions = without_set_id(attributes.permissions);
            }
            attributes.ctime = now;
        });
    }

    /// utimensat(2), futimens(3).
    pub fn set_times(&self, inode: &Inode, access: TimeChange, modification: TimeChange) {
        if (access, modification) == (TimeChange::Omit, TimeChange::Omit) {
            return;
        }
        let now = self.clock.now();
        let changed = |old, change| match change {
            TimeChange::Now => now,
            TimeChange::Omit => old,
            TimeChange::At(time) => time,
        };
        inode.update(|attributes| {
            attributes.atime = changed(attributes.atime, access);
            attributes.mtime = changed(attributes.mtime, modification);
            attributes.ctime = now;
        });
    }

    /// truncate(2).
    ///
    /// # Errors
    /// `EISDIR` for directories, `EINVAL` for anything else that is no regular file or a `size`
    /// below zero, `EFBIG`, `ETXTBSY` for a program that runs.
    pub fn truncate(&self, inode: &Arc<Inode>, size: i64) -> Result<(), Errno> {
        let size = u64::try_from(size).map_err(|_| Errno::EINVAL)?;
        if inode.is_directory() {
            return Err(Errno::EISDIR);
        }
        let regular = inode.regular().ok_or(Errno::EINVAL)?;
        let _writes = inode.write_access()?;
        regular.truncate(size)?;
        inode.touch(self.clock.now());
        Ok(())
    }

    /// statfs(2).
    pub fn size(&self) -> FileSystemSize {
        let (limit, used) = (self.budget.limit() as u64, self.budget.used() as u64);
        FileSystemSize {
            block_size: PAGE_SIZE as u64,
            blocks: limit,
            free_blocks: limit.saturating_sub(used),
        }
    }
}

/// chown(2) takes the set-user-id bit, and the set-group-id bit of a group-executable file.
const fn without_set_id(permissions: u32) -> u32 {
    let kept = permissions & !0o4000;
    if kept & 0o010 != 0 {
        kept & !0o2000
    } else {
        kept
    }
}
