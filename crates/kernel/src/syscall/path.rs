//! Calls on paths and file attributes.

use alloc::sync::Arc;
use alloc::vec::Vec;

use linux_abi::Errno;
use linux_abi::layout::{Stat, StatFs, Statx, StatxTimestamp, TimeSpec, TimeVal, Utimbuf};
use linux_abi::raw::general as raw;
use vfs::{Follow, Inode, OpenFlags, RenameFlags, TimeChange, Timespec};

use super::{Call, Result};
use crate::files;
use crate::memory::PAGE;

const AT_FDCWD: i32 = raw::AT_FDCWD;
const EMPTY_PATH: u64 = raw::AT_EMPTY_PATH as u64;
const NOFOLLOW: u64 = raw::AT_SYMLINK_NOFOLLOW as u64;
const SYMLINK_FOLLOW: u64 = raw::AT_SYMLINK_FOLLOW as u64;
const REMOVEDIR: u64 = raw::AT_REMOVEDIR as u64;
/// The working directory, as a descriptor argument.
const CWD: u64 = AT_FDCWD as i64 as u64;
/// Bits of a mode argument that count.
const MODE: u64 = 0o7777;
/// Magic number of tmpfs (linux/magic.h).
const TMPFS_MAGIC: i64 = 0x0102_1994;

/// The directory that a path argument is relative to.
fn base(c: &Call<'_>, fd: u64) -> Result<Arc<Inode>> {
    if fd as i32 == AT_FDCWD {
        return Ok(c.task.process().context().cwd.clone());
    }
    c.file(fd)?.file().inode().cloned().ok_or(Errno::ENOTDIR)
}

/// The file that a path names; with `AT_EMPTY_PATH` and an empty path, the descriptor's.
fn lookup(c: &Call<'_>, fd: u64, path: u64, flags: u64) -> Result<Arc<Inode>> {
    let path = c.memory().read_path(path)?;
    if path.is_empty() && flags & EMPTY_PATH != 0 {
        return base(c, fd);
    }
    let follow = if flags & NOFOLLOW != 0 {
        Follow::No
    } else {
        Follow::Yes
    };
    lookup_bytes(c, fd, &path, follow)
}

fn lookup_bytes(c: &Call<'_>, fd: u64, path: &[u8], follow: Follow) -> Result<Arc<Inode>> {
    let base = relative_base(c, fd, path)?;
    files::tree().lookup(&base, path, follow)
}

/// An absolute path needs no valid descriptor.
fn relative_base(c: &Call<'_>, fd: u64, path: &[u8]) -> Result<Arc<Inode>> {
    if path.starts_with(b"/") {
        Ok(files::tree().root().clone())
    } else {
        base(c, fd)
    }
}

pub(super) fn open(c: &mut Call<'_>, path: u64, flags: u64, mode: u64) -> Result {
    openat(c, CWD, path, flags, mode)
}

pub(super) fn creat(c: &mut Call<'_>, path: u64, mode: u64) -> Result {
    let flags = raw::O_CREAT | raw::O_WRONLY | raw::O_TRUNC;
    openat(c, CWD, path, flags.into(), mode)
}

pub(super) fn openat(c: &mut Call<'_>, fd: u64, path: u64, flags: u64, mode: u64) -> Result {
    let path = c.memory().read_path(path)?;
    let base = relative_base(c, fd, &path)?;
    let mask = c.task.process().context().umask;
    let open_flags = OpenFlags::from_bits_retain(flags as u32 & !raw::O_CLOEXEC);
    let permissions = (mode & MODE) as u32 & !mask;
    let file = files::tree().open(&base, &path, open_flags, permissions)?;
    let close_on_exec = flags & u64::from(raw::O_CLOEXEC) != 0;
    c.task
        .process()
        .files()
        .add(file, close_on_exec)
        .map(|fd| fd as u64)
}

/// A file's attributes as `struct stat`.
fn encode(stat: &vfs::Stat) -> Stat {
    Stat {
        st_dev: stat.device,
        st_ino: stat.inode,
        st_nlink: stat.links,
        st_mode: stat.kind.mode_bits() | stat.permissions,
        st_uid: stat.uid,
        st_gid: stat.gid,
        st_rdev: stat.rdev,
        st_size: stat.size as i64,
        st_blksize: PAGE as i64,
        st_blocks: stat.blocks as i64,
        st_atime: stat.atime.seconds,
        st_atime_nsec: stat.atime.nanoseconds.into(),
        st_mtime: stat.mtime.seconds,
        st_mtime_nsec: stat.mtime.nanoseconds.into(),
        st_ctime: stat.ctime.seconds,
        st_ctime_nsec: stat.ctime.nanoseconds.into(),
    }
}

/// The attributes that a path argument means.
fn stat_at(c: &Call<'_>, fd: u64, path: u64, flags: u64) -> Result<vfs::Stat> {
    let name = if path == 0 {
        Vec::new()
    } else {
        c.memory().read_path(path)?
    };
    if name.is_empty() && flags & EMPTY_PATH != 0 {
        // Any open file will do, not only those with a place in the tree.
        return match fd as i32 {
            AT_FDCWD => Ok(base(c, fd)?.stat()),
            _ => Ok(c.file(fd)?.file().stat()),
        };
    }
    let follow = if flags & NOFOLLOW != 0 {
        Follow::No
    } else {
        Follow::Yes
    };
    Ok(lookup_bytes(c, fd, &name, follow)?.stat())
}

pub(super) fn newfstatat(c: &mut Call<'_>, fd: u64, path: u64, to: u64, flags: u64) -> Result {
    let known = EMPTY_PATH | NOFOLLOW | u64::from(raw::AT_NO_AUTOMOUNT);
    if flags & !known != 0 {
        return Err(Errno::EINVAL);
    }
    let stat = stat_at(c, fd, path, flags)?;
    c.write(to, &encode(&stat))?;
    Ok(0)
}

pub(super) fn stat(c: &mut Call<'_>, path: u64, to: u64) -> Result {
    newfstatat(c, CWD, path, to, 0)
}

pub(super) fn lstat(c: &mut Call<'_>, path: u64, to: u64) -> Result {
    newfstatat(c, CWD, path, to, NOFOLLOW)
}

pub(super) fn fstat(c: &mut Call<'_>, fd: u64, to: u64) -> Result {
    let stat = c.file(fd)?.file().stat();
    c.write(to, &encode(&stat))?;
    Ok(0)
}

fn statx_time(time: Timespec) -> StatxTimestamp {
    StatxTimestamp {
        tv_sec: time.seconds,
        tv_nsec: time.nanoseconds,
    }
}

pub(super) fn statx(
    c: &mut Call<'_>,
    fd: u64,
    path: u64,
    flags: u64,
    _mask: u64,
    to: u64,
) -> Result {
    let stat = stat_at(c, fd, path, flags)?;
    let major = |device: u64| (device >> 8 & 0xfff) as u32;
    let minor = |device: u64| (device & 0xff | device >> 12 & 0xfff00) as u32;
    let result = Statx {
        stx_mask: raw::STATX_BASIC_STATS,
        stx_blksize: PAGE as u32,
        stx_nlink: stat.links as u32,
        stx_uid: stat.uid,
        stx_gid: stat.gid,
        stx_mode: (stat.kind.mode_bits() | stat.permissions) as u16,
        stx_ino: stat.inode,
        stx_size: stat.size,
        stx_blocks: stat.blocks,
        stx_atime: statx_time(stat.atime),
        stx_ctime: statx_time(stat.ctime),
        stx_mtime: statx_time(stat.mtime),
        stx_rdev_major: major(stat.rdev),
        stx_rdev_minor: minor(stat.rdev),
        stx_dev_major: major(stat.device),
        stx_dev_minor: minor(stat.device),
        ..Statx::default()
    };
    c.write(to, &result)?;
    Ok(0)
}

pub(super) fn access(c: &mut Call<'_>, path: u64, mode: u64) -> Result {
    faccessat2(c, CWD, path, mode, 0)
}

pub(super) fn faccessat(c: &mut Call<'_>, fd: u64, path: u64, mode: u64) -> Result {
    faccessat2(c, fd, path, mode, 0)
}

pub(super) fn faccessat2(c: &mut Call<'_>, fd: u64, path: u64, mode: u64, flags: u64) -> Result {
    if mode & !7 != 0 {
        return Err(Errno::EINVAL);
    }
    lookup(c, fd, path, flags)?.check_access(mode & u64::from(raw::X_OK) != 0)?;
    Ok(0)
}

pub(super) fn getcwd(c: &mut Call<'_>, to: u64, size: u64) -> Result {
    let cwd = c.task.process().context().cwd.clone();
    let mut path = cwd.directory_path()?;
    path.push(0);
    if path.len() as u64 > size {
        return Err(Errno::ERANGE);
    }
    c.memory().write(to, &path)?;
    Ok(path.len() as u64)
}

fn change_directory(c: &Call<'_>, inode: Arc<Inode>) -> Result {
    if !inode.is_directory() {
        return Err(Errno::ENOTDIR);
    }
    c.task.process().context().cwd = inode;
    Ok(0)
}

pub(super) fn chdir(c: &mut Call<'_>, path: u64) -> Result {
    let inode = lookup(c, CWD, path, 0)?;
    change_directory(c, inode)
}

pub(super) fn fchdir(c: &mut Call<'_>, fd: u64) -> Result {
    let inode = base(c, fd)?;
    change_directory(c, inode)
}

pub(super) fn umask(c: &mut Call<'_>, mask: u64) -> Result {
    let mut context = c.task.process().context();
    Ok(core::mem::replace(&mut context.umask, mask as u32 & 0o777).into())
}

/// A path argument and the directory it is relative to.
fn path_argument(c: &Call<'_>, fd: u64, path: u64) -> Result<(Arc<Inode>, Vec<u8>)> {
    let path = c.memory().read_path(path)?;
    Ok((relative_base(c, fd, &path)?, path))
}

pub(super) fn mkdir(c: &mut Call<'_>, path: u64, mode: u64) -> Result {
    mkdirat(c, CWD, path, mode)
}

pub(super) fn mkdirat(c: &mut Call<'_>, fd: u64, path: u64, mode: u64) -> Result {
    let (base, path) = path_argument(c, fd, path)?;
    let mask = c.task.process().context().umask;
    files::tree().mkdir(&base, &path, (mode & MODE) as u32 & !mask)?;
    Ok(0)
}

pub(super) fn rmdir(c: &mut Call<'_>, path: u64) -> Result {
    unlinkat(c, CWD, path, REMOVEDIR)
}

pub(super) fn unlink(c: &mut Call<'_>, path: u64) -> Result {
    unlinkat(c, CWD, path, 0)
}

pub(super) fn unlinkat(c: &mut Call<'_>, fd: u64, path: u64, flags: u64) -> Result {
    let (base, path) = path_argument(c, fd, path)?;
    match flags {
        0 => files::tree().unlink(&base, &path)?,
        REMOVEDIR => files::tree().rmdir(&base, &path)?,
        _ => return Err(Errno::EINVAL),
    }
    Ok(0)
}

pub(super) fn rename(c: &mut Call<'_>, old: u64, new: u64) -> Result {
    renameat2(c, CWD, old, CWD, new, 0)
}

pub(super) fn renameat(c: &mut Call<'_>, old_fd: u64, old: u64, new_fd: u64, new: u64) -> Result {
    renameat2(c, old_fd, old, new_fd, new, 0)
}

pub(super) fn renameat2(
    c: &mut Call<'_>,
    old_fd: u64,
    old: u64,
    new_fd: u64,
    new: u64,
    flags: u64,
) -> Result {
    let flags = u32::try_from(flags)
        .ok()
        .and_then(RenameFlags::from_bits)
        .ok_or(Errno::EINVAL)?;
    let (old_base, old) = path_argument(c, old_fd, old)?;
    let (new_base, new) = path_argument(c, new_fd, new)?;
    files::tree().rename(&old_base, &old, &new_base, &new, flags)?;
    Ok(0)
}

pub(super) fn link(c: &mut Call<'_>, old: u64, new: u64) -> Result {
    linkat(c, CWD, old, CWD, new, 0)
}

pub(super) fn linkat(
    c: &mut Call<'_>,
    old_fd: u64,
    old: u64,
    new_fd: u64,
    new: u64,
    flags: u64,
) -> Result {
    if flags & !(EMPTY_PATH | SYMLINK_FOLLOW) != 0 {
        return Err(Errno::EINVAL);
    }
    // Unlike elsewhere, links are followed only when asked for.
    let follow = if flags & SYMLINK_FOLLOW != 0 {
        0
    } else {
        NOFOLLOW
    };
    let inode = lookup(c, old_fd, old, flags & EMPTY_PATH | follow)?;
    let (base, path) = path_argument(c, new_fd, new)?;
    files::tree().link(&inode, &base, &path)?;
    Ok(0)
}

pub(super) fn symlink(c: &mut Call<'_>, target: u64, path: u64) -> Result {
    symlinkat(c, target, CWD, path)
}

pub(super) fn symlinkat(c: &mut Call<'_>, target: u64, fd: u64, path: u64) -> Result {
    let target = c.memory().read_path(target)?;
    let (base, path) = path_argument(c, fd, path)?;
    files::tree().symlink(&target, &base, &path)?;
    Ok(0)
}

pub(super) fn readlink(c: &mut Call<'_>, path: u64, to: u64, size: u64) -> Result {
    readlinkat(c, CWD, path, to, size)
}

pub(super) fn readlinkat(c: &mut Call<'_>, fd: u64, path: u64, to: u64, size: u64) -> Result {
    if size as i32 <= 0 {
        return Err(Errno::EINVAL);
    }
    let target = lookup(c, fd, path, NOFOLLOW | EMPTY_PATH)?.readlink()?;
    let count = target.len().min(size as usize);
    c.memory().write(to, &target[..count])?;
    Ok(count as u64)
}

pub(super) fn truncate(c: &mut Call<'_>, path: u64, size: u64) -> Result {
    let inode = lookup(c, CWD, path, 0)?;
    files::tree().truncate(&inode, size as i64)?;
    Ok(0)
}

fn set_permissions(inode: &Inode, mode: u64) -> Result {
    files::tree().set_permissions(inode, (mode & MODE) as u32);
    Ok(0)
}

pub(super) fn chmod(c: &mut Call<'_>, path: u64, mode: u64) -> Result {
    fchmodat(c, CWD, path, mode)
}

pub(super) fn fchmodat(c: &mut Call<'_>, fd: u64, path: u64, mode: u64) -> Result {
    set_permissions(&*lookup(c, fd, path, 0)?, mode)
}

pub(super) fn fchmod(c: &mut Call<'_>, fd: u64, mode: u64) -> Result {
    match c.file(fd)?.file().inode() {
        Some(inode) => set_permissions(inode, mode),
        None => Ok(0),
    }
}

fn set_owner(inode: &Inode, uid: u64, gid: u64) -> Result {
    let id = |id: u64| Some(id as u32).filter(|&id| id != u32::MAX);
    files::tree().set_owner(inode, id(uid), id(gid));
    Ok(0)
}

pub(super) fn chown(c: &mut Call<'_>, path: u64, uid: u64, gid: u64) -> Result {
    fchownat(c, CWD, path, uid, gid, 0)
}

pub(super) fn lchown(c: &mut Call<'_>, path: u64, uid: u64, gid: u64) -> Result {
    fchownat(c, CWD, path, uid, gid, NOFOLLOW)
}

pub(super) fn fchownat(
    c: &mut Call<'_>,
    fd: u64,
    path: u64,
    uid: u64,
    gid: u64,
    flags: u64,
) -> Result {
    set_owner(&*lookup(c, fd, path, flags)?, uid, gid)
}

pub(super) fn fchown(c: &mut Call<'_>, fd: u64, uid: u64, gid: u64) -> Result {
    match c.file(fd)?.file().inode() {
        Some(inode) => set_owner(inode, uid, gid),
        None => Ok(0),
    }
}

/// `UTIME_NOW` and `UTIME_OMIT` (utimensat(2)).
const UTIME_NOW: i64 = 0x3fff_ffff;
const UTIME_OMIT: i64 = 0x3fff_fffe;

fn time_change(time: &TimeSpec) -> Result<TimeChange> {
    match time.tv_nsec {
        UTIME_NOW => Ok(TimeChange::Now),
        UTIME_OMIT => Ok(TimeChange::Omit),
        nanoseconds @ 0..1_000_000_000 => Ok(TimeChange::At(Timespec {
            seconds: time.tv_sec,
            nanoseconds: nanoseconds as u32,
        })),
        _ => Err(Errno::EINVAL),
    }
}

pub(super) fn utimensat(c: &mut Call<'_>, fd: u64, path: u64, times: u64, flags: u64) -> Result {
    let inode = if path == 0 {
        base(c, fd)?
    } else {
        lookup(c, fd, path, flags)?
    };
    let (access, modification) = if times == 0 {
        (TimeChange::Now, TimeChange::Now)
    } else {
        (
            time_change(&c.read(times)?)?,
            time_change(&c.read(times + 16)?)?,
        )
    };
    files::tree().set_times(&inode, access, modification);
    Ok(0)
}

pub(super) fn utimes(c: &mut Call<'_>, path: u64, times: u64) -> Result {
    let inode = lookup(c, CWD, path, 0)?;
    let read = |at: u64| -> Result<TimeChange> {
        let time: TimeVal = c.read(at)?;
        let nanoseconds = u32::try_from(time.tv_usec)
            .ok()
            .and_then(|usec| usec.checked_mul(1000));
        let nanoseconds = nanoseconds
            .filter(|&n| n < 1_000_000_000)
            .ok_or(Errno::EINVAL)?;
        Ok(TimeChange::At(Timespec {
            seconds: time.tv_sec,
            nanoseconds,
        }))
    };
    let (access, modification) = match times {
        0 => (TimeChange::Now, TimeChange::Now),
        times => (read(times)?, read(times + 16)?),
    };
    files::tree().set_times(&inode, access, modification);
    Ok(0)
}

pub(super) fn utime(c: &mut Call<'_>, path: u64, times: u64) -> Result {
    let inode = lookup(c, CWD, path, 0)?;
    let set = |seconds| {
        TimeChange::At(Timespec {
            seconds,
            nanoseconds: 0,
        })
    };
    let (access, modification) = match times {
        0 => (TimeChange::Now, TimeChange::Now),
        times => {
            let times: Utimbuf = c.read(times)?;
            (set(times.actime), set(times.modtime))
        }
    };
    files::tree().set_times(&inode, access, modification);
    Ok(0)
}

pub(super) fn statfs(c: &mut Call<'_>, path: u64, to: u64) -> Result {
    lookup(c, CWD, path, 0)?;
    write_statfs(c, to)
}

pub(super) fn fstatfs(c: &mut Call<'_>, fd: u64, to: u64) -> Result {
    c.file(fd)?;
    write_statfs(c, to)
}

fn write_statfs(c: &Call<'_>, to: u64) -> Result {
    let size = files::tree().size();
    let result = StatFs {
        f_type: TMPFS_MAGIC,
        f_bsize: PAGE as i64,
        f_blocks: size.blocks as i64,
        f_bfree: size.free_blocks as i64,
        f_bavail: size.free_blocks as i64,
        f_namelen: 255,
        f_frsize: PAGE as i64,
        ..StatFs::default()
    };
    c.write(to, &result)?;
    Ok(0)
}
