//! Files, file systems and directory entries.

use super::{Field, layout};
use crate::raw;

layout! {
    /// `struct stat`, stat(2).
    struct Stat[144, like raw::general::stat] {
        st_dev: u64 = 0,
        st_ino: u64 = 8,
        st_nlink: u64 = 16,
        st_mode: u32 = 24,
        st_uid: u32 = 28,
        st_gid: u32 = 32,
        st_rdev: u64 = 40,
        st_size: i64 = 48,
        st_blksize: i64 = 56,
        st_blocks: i64 = 64,
        st_atime: i64 = 72,
        st_atime_nsec: i64 = 80,
        st_mtime: i64 = 88,
        st_mtime_nsec: i64 = 96,
        st_ctime: i64 = 104,
        st_ctime_nsec: i64 = 112,
    }

    /// `struct statx_timestamp`, statx(2).
    struct StatxTimestamp[16, like raw::general::statx_timestamp] {
        tv_sec: i64 = 0,
        tv_nsec: u32 = 8,
    }

    /// `struct statx`, statx(2); what follows `stx_mnt_id` is written as zero.
    struct Statx[256, like raw::general::statx] {
        stx_mask: u32 = 0,
        stx_blksize: u32 = 4,
        stx_attributes: u64 = 8,
        stx_nlink: u32 = 16,
        stx_uid: u32 = 20,
        stx_gid: u32 = 24,
        stx_mode: u16 = 28,
        stx_ino: u64 = 32,
        stx_size: u64 = 40,
        stx_blocks: u64 = 48,
        stx_attributes_mask: u64 = 56,
        stx_atime: StatxTimestamp = 64,
        stx_btime: StatxTimestamp = 80,
        stx_ctime: StatxTimestamp = 96,
        stx_mtime: StatxTimestamp = 112,
        stx_rdev_major: u32 = 128,
        stx_rdev_minor: u32 = 132,
        stx_dev_major: u32 = 136,
        stx_dev_minor: u32 = 140,
        stx_mnt_id: u64 = 144,
    }

    /// `struct statfs`, statfs(2).
    struct StatFs[120, like raw::general::statfs] {
        f_type: i64 = 0,
        f_bsize: i64 = 8,
        f_blocks: i64 = 16,
        f_bfree: i64 = 24,
        f_bavail: i64 = 32,
        f_files: i64 = 40,
        f_ffree: i64 = 48,
        f_fsid: u64 = 56,
        f_namelen: i64 = 64,
        f_frsize: i64 = 72,
        f_flags: i64 = 80,
    }

    /// `struct flock`, fcntl(2).
    struct Flock[32, like raw::general::flock] {
        l_type: i16 = 0,
        l_whence: i16 = 2,
        l_start: i64 = 8,
        l_len: i64 = 16,
        l_pid: i32 = 24,
    }

    /// `struct utimbuf`, utime(2).
    struct Utimbuf[16] {
        actime: i64 = 0,
        modtime: i64 = 8,
    }
}

/// A device number from its halves, as `st_dev` holds it (linux/kdev_t.h, `new_encode_dev`).
pub const fn makedev(major: u32, minor: u32) -> u64 {
    let (major, minor) = (major as u64, minor as u64);
    (minor & 0xff) | (major << 8) | ((minor & !0xff) << 12)
}

/// Fills a buffer with `struct linux_dirent64` records, getdents64(2).
#[derive(Debug)]
pub struct Dirents<'a> {
    buffer: &'a mut [u8],
    used: usize,
}

impl<'a> Dirents<'a> {
    /// Offset of the name in a record.
    const NAME: usize = 19;

    /// Starts at the front of `buffer`.
    pub fn new(buffer: &'a mut [u8]) -> Self {
        Self { buffer, used: 0 }
    }

    /// Adds one entry; false, and nothing written, if it does not fit.
    ///
    /// `next` is the position to go on from after this entry; `kind` is one of `DT_*`.
    pub fn push(&mut self, inode: u64, next: i64, kind: u8, name: &[u8]) -> bool {
        let length = (Self::NAME + name.len() + 1).next_multiple_of(8);
        let Ok(record_length) = u16::try_from(length) else {
            return false;
        };
        let Some(record) = self.buffer.get_mut(self.used..self.used + length) else {
            return false;
        };
        record.fill(0);
        inode.put(record);
        next.put(&mut record[8..]);
        record_length.put(&mut record[16..]);
        kind.put(&mut record[18..]);
        record[Self::NAME..Self::NAME + name.len()].copy_from_slice(name);
        self.used += length;
        true
    }

    /// Bytes written so far.
    pub fn used(&self) -> usize {
        self.used
    }
}
