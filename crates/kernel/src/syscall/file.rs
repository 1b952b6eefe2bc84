//! Calls on file descriptors.

use alloc::sync::Arc;

use linux_abi::Errno;
use linux_abi::layout::Flock;
use linux_abi::raw::general as raw;
use linux_abi::raw::ioctl as request;
use vfs::{Events, LockOwner, OpenFile, OpenFlags, PipeEnd, RecordLock, Whence, pipe as new_pipe};

use super::{Call, Result};
use crate::memory::{UserSink, UserSlices};
use crate::tty::Tty;
use crate::{clock, files};

const CLOEXEC: u64 = raw::O_CLOEXEC as u64;
const NONBLOCK: u64 = raw::O_NONBLOCK as u64;
/// Flags of close_range(2) (linux/close_range.h); unsharing has no effect, as nothing is shared.
const CLOSE_RANGE_UNSHARE: u64 = 1 << 1;
const CLOSE_RANGE_CLOEXEC: u64 = 1 << 2;

pub(super) fn close(c: &mut Call<'_>, fd: u64) -> Result {
    close_descriptor(c, fd)
}

fn close_descriptor(c: &Call<'_>, fd: u64) -> Result {
    let file = c.task.process().files().close(fd as i32)?;
    linger(c, &file);
    files::closed(c.task.process(), file);
    Ok(0)
}

/// Waits as `SO_LINGER` wants it before the last descriptor of a socket goes (socket(7)).
fn linger(c: &Call<'_>, file: &Arc<OpenFile>) {
    // References on their way through another system call count as descriptors.
    let (Some(socket), 1) = (file.file().as_socket(), Arc::strong_count(file)) else {
        return;
    };
    if let (Some(queue), Some(limit)) = (file.file().wait_queue(), socket.linger()) {
        let limit = u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX);
        let deadline = clock::now().saturating_add(limit);
        // A signal or the time ends the wait; the rest is sent without a descriptor then.
        let _ = c.task.wait_on(queue, Some(deadline), || {
            file.file().poll().contains(Events::HUP).then_some(())
        });
    }
}

pub(super) fn close_range(c: &mut Call<'_>, first: u64, last: u64, flags: u64) -> Result {
    let (first, last) = (first as u32, last as u32);
    if first > last || flags & !(CLOSE_RANGE_CLOEXEC | CLOSE_RANGE_UNSHARE) != 0 {
        return Err(Errno::EINVAL);
    }
    if flags & CLOSE_RANGE_CLOEXEC != 0 {
        c.task
            .process()
            .files()
            .mark_range_close_on_exec(first..=last);
        return Ok(0);
    }
    let closed = c.task.process().files().close_range(first..=last);
    for file in closed {
        linger(c, &file);
        files::closed(c.task.process(), file);
    }
    Ok(0)
}

pub(super) fn dup(c: &mut Call<'_>, fd: u64) -> Result {
    duplicate_from(c, fd, 0, false)
}

fn duplicate_from(c: &Call<'_>, fd: u64, minimum: u64, close_on_exec: bool) -> Result {
    let mut table = c.task.process().files();
    let file = table.get(fd as i32)?.clone();
    let minimum = i32::try_from(minimum).map_err(|_| Errno::EINVAL)?;
    table
        .add_from(minimum, file, close_on_exec)
        .map(|fd| fd as u64)
}

pub(super) fn dup2(c: &mut Call<'_>, old: u64, new: u64) -> Result {
    if old as i32 == new as i32 {
        c.file(old)?;
        return Ok(u64::from(new as u32));
    }
    dup3(c, old, new, 0)
}

pub(super) fn dup3(c: &mut Call<'_>, old: u64, new: u64, flags: u64) -> Result {
    if old as i32 == new as i32 || flags & !CLOEXEC != 0 {
        return Err(Errno::EINVAL);
    }
    let close_on_exec = flags & CLOEXEC != 0;
    let replaced = c
        .task
        .process()
        .files()
        .duplicate_to(old as i32, new as i32, close_on_exec)?;
    if let Some(file) = replaced {
        files::closed(c.task.process(), file);
    }
    Ok(u64::from(new as u32))
}

pub(super) fn pipe(c: &mut Call<'_>, to: u64) -> Result {
    pipe2(c, to, 0)
}

pub(super) fn pipe2(c: &mut Call<'_>, to: u64, flags: u64) -> Result {
    if flags & !(CLOEXEC | NONBLOCK) != 0 {
        return Err(Errno::EINVAL);
    }
    let status = OpenFlags::from_bits_retain((flags & NONBLOCK) as u32);
    let (read, write) = new_pipe(status);
    add_pair(c, to, read, write, flags & CLOEXEC != 0)
}

/// Gives two files descriptors and stores them at `to`.
pub(super) fn add_pair(
    c: &Call<'_>,
    to: u64,
    first: Arc<OpenFile>,
    second: Arc<OpenFile>,
    close_on_exec: bool,
) -> Result {
    let mut table = c.task.process().files();
    let first = table.add(first, close_on_exec)?;
    let second = match table.add(second, close_on_exec) {
        Ok(fd) => fd,
        Err(error) => {
            let file = table.close(first);
            drop(table);
            drop(file);
            return Err(error);
        }
    };
    drop(table);
    let pair = u64::from(first as u32) | u64::from(second as u32) << 32;
    if let Err(error) = c.memory().write_u64(to, pair) {
        for fd in [first, second] {
            close_descriptor(c, fd as u64)?;
        }
        return Err(error);
    }
    Ok(0)
}

pub(super) fn memfd_create(c: &mut Call<'_>, name: u64, flags: u64) -> Result {
    let known = raw::MFD_CLOEXEC | raw::MFD_ALLOW_SEALING | raw::MFD_EXEC | raw::MFD_NOEXEC_SEAL;
    if flags & !u64::from(known) != 0 {
        return Err(Errno::EINVAL);
    }
    c.memory()
        .read_string(name, 250)
        .map_err(|error| match error {
            Errno::ENAMETOOLONG => Errno::EINVAL,
            error => error,
        })?;
    let file = files::tree().create_memory_file();
    let close_on_exec = flags & u64::from(raw::MFD_CLOEXEC) != 0;
    c.task
        .process()
        .files()
        .add(file, close_on_exec)
        .map(|fd| fd as u64)
}

pub(super) fn lseek(c: &mut Call<'_>, fd: u64, offset: u64, whence: u64) -> Result {
    let whence = match whence as u32 {
        raw::SEEK_SET => Whence::Start,
        raw::SEEK_CUR => Whence::Current,
        raw::SEEK_END => Whence::End,
        raw::SEEK_DATA => Whence::Data,
        raw::SEEK_HOLE => Whence::Hole,
        _ => return Err(Errno::EINVAL),
    };
    c.file(fd)?.seek(offset as i64, whence)
}

pub(super) fn ftruncate(c: &mut Call<'_>, fd: u64, size: u64) -> Result {
    c.file(fd)?.truncate(size as i64)?;
    Ok(0)
}

/// fallocate(2): allocation only; nothing is punched, collapsed or zeroed.
pub(super) fn fallocate(c: &mut Call<'_>, fd: u64, mode: u64, offset: u64, size: u64) -> Result {
    let file = c.file(fd)?;
    let keep_size = u64::from(raw::FALLOC_FL_KEEP_SIZE);
    if mode & !keep_size != 0 {
        return Err(Errno::EOPNOTSUPP);
    }
    file.allocate(offset as i64, size as i64, mode & keep_size != 0)?;
    Ok(0)
}

pub(super) fn fsync(c: &mut Call<'_>, fd: u64) -> Result {
    c.file(fd)?;
    Ok(0)
}

pub(super) fn fdatasync(c: &mut Call<'_>, fd: u64) -> Result {
    fsync(c, fd)
}

pub(super) fn sync(_: &mut Call<'_>) -> Result {
    Ok(0)
}

pub(super) fn fadvise64(
    c: &mut Call<'_>,
    fd: u64,
    _offset: u64,
    _size: u64,
    _advice: u64,
) -> Result {
    c.file(fd)?;
    Ok(0)
}

pub(super) fn getdents64(c: &mut Call<'_>, fd: u64, buffer: u64, size: u64) -> Result {
    let file = c.file(fd)?;
    let memory = c.memory();
    let slices = UserSlices::one(buffer, (size as u32).into());
    let mut sink = UserSink::new(&memory, slices);
    file.read_directory(&mut sink).map(|count| count as u64)
}

pub(super) fn fcntl(c: &mut Call<'_>, fd: u64, command: u64, arg: u64) -> Result {
    let process = c.task.process();
    match command as u32 {
        raw::F_DUPFD => duplicate_from(c, fd, arg, false),
        raw::F_DUPFD_CLOEXEC => duplicate_from(c, fd, arg, true),
        raw::F_GETFD => process.files().is_close_on_exec(fd as i32).map(u64::from),
        raw::F_SETFD => {
            process.files().set_close_on_exec(fd as i32, arg & 1 != 0)?;
            Ok(0)
        }
        raw::F_GETFL => Ok(c.file(fd)?.flags().bits().into()),
        raw::F_SETFL => {
            c.file(fd)?
                .set_status_flags(OpenFlags::from_bits_retain(arg as u32));
            Ok(0)
        }
        raw::F_GETLK | raw::F_OFD_GETLK => get_lock(c, fd, command as u32, arg),
        raw::F_SETLK | raw::F_SETLKW | raw::F_OFD_SETLK | raw::F_OFD_SETLKW => {
            set_lock(c, fd, command as u32, arg)
        }
        raw::F_SETPIPE_SZ => {
            let size = usize::try_from(arg as u32).map_err(|_| Errno::EINVAL)?;
            let file = c.file(fd)?;
            pipe_end(&file)?.set_capacity(size).map(|size| size as u64)
        }
        raw::F_GETPIPE_SZ => {
            let file = c.file(fd)?;
            Ok(pipe_end(&file)?.capacity() as u64)
        }
        // Ownership for SIGIO, which is not sent.
        raw::F_GETOWN | raw::F_SETOWN => c.file(fd).map(|_| 0),
        _ => c.file(fd).and(Err(Errno::EINVAL)),
    }
}

fn pipe_end(file: &OpenFile) -> Result<&PipeEnd> {
    file.file().as_any().downcast_ref().ok_or(Errno::EBADF)
}

/// The lock that a `struct flock` describes; `None` for `F_UNLCK`.
fn record(c: &Call<'_>, file: &OpenFile, command: u32, lock: &Flock) -> Result<(RecordLock, bool)> {
    let base = match lock.l_whence as u32 {
        raw::SEEK_SET => 0,
        raw::SEEK_CUR => *file.position() as i64,
        raw::SEEK_END => file.file().stat().size as i64,
        _ => return Err(Errno::EINVAL),
    };
    let start = base.checked_add(lock.l_start).ok_or(Errno::EOVERFLOW)?;
    let (first, last) = match lock.l_len {
        0 => (start, i64::MAX),
        length if length > 0 => (
            start,
            start.checked_add(length - 1).ok_or(Errno::EOVERFLOW)?,
        ),
        length => (start + length, start - 1),
    };
    let open_file = matches!(
        command,
        raw::F_OFD_GETLK | raw::F_OFD_SETLK | raw::F_OFD_SETLKW
    );
    let owner = if open_file {
        file.lock_owner()
    } else {
        LockOwner::Process(c.task.process().pid().into())
    };
    let (exclusive, unlock) = match lock.l_type as u32 {
        raw::F_RDLCK => (false, false),
        raw::F_WRLCK => (true, false),
        raw::F_UNLCK => (false, true),
        _ => return Err(Errno::EINVAL),
    };
    let start = u64::try_from(first).map_err(|_| Errno::EINVAL)?;
    Ok((
        RecordLock {
            owner,
            exclusive,
            start,
            last: last as u64,
        },
        unlock,
    ))
}

fn get_lock(c: &Call<'_>, fd: u64, command: u32, address: u64) -> Result {
    let file = c.file(fd)?;
    let mut lock: Flock = c.read(address)?;
    let (wanted, _) = record(c, &file, command, &lock)?;
    let inode = file.file().inode().ok_or(Errno::EBADF)?;
    match inode.locks().conflicting_record(&wanted) {
        None => lock.l_type = raw::F_UNLCK as i16,
        Some(held) => {
            lock.l_type = if held.exclusive {
                raw::F_WRLCK
            } else {
                raw::F_RDLCK
            } as i16;
            lock.l_whence = 0;
            lock.l_start = held.start as i64;
            lock.l_len = if held.last == i64::MAX as u64 {
                0
            } else {
                (held.last - held.start + 1) as i64
            };
            lock.l_pid = match held.owner {
                LockOwner::Process(pid) => pid as i32,
                _ => -1,
            };
        }
    }
    c.write(address, &lock)?;
    Ok(0)
}

fn set_lock(c: &Call<'_>, fd: u64, command: u32, address: u64) -> Result {
    let file = c.file(fd)?;
    let lock: Flock = c.read(address)?;
    let (wanted, unlock) = record(c, &file, command, &lock)?;
    let inode = file.file().inode().ok_or(Errno::EBADF)?;
    let locks = inode.locks();
    let allowed = match lock.l_type as u32 {
        raw::F_RDLCK => file.is_readable(),
        raw::F_WRLCK => file.is_writable(),
        _ => true,
    };
    if !allowed {
        return Err(Errno::EBADF);
    }
    if unlock {
        locks.unlock_record(wanted.owner, wanted.start, wanted.last);
        return Ok(0);
    }
    let waits = matches!(command, raw::F_SETLKW | raw::F_OFD_SETLKW);
    let attempt = || match locks.lock_record(wanted) {
        Err(Errno::EAGAIN) if waits => None,
        result => Some(result),
    };
    c.task.wait_on(locks.wait_queue(), None, attempt)??;
    Ok(0)
}

pub(super) fn flock(c: &mut Call<'_>, fd: u64, operation: u64) -> Result {
    let file = c.file(fd)?;
    let inode = file.file().inode().ok_or(Errno::EINVAL)?;
    let locks = inode.locks();
    let waits = operation & u64::from(raw::LOCK_NB) == 0;
    let exclusive = match operation as u32 & !raw::LOCK_NB {
        raw::LOCK_SH => false,
        raw::LOCK_EX => true,
        raw::LOCK_UN => {
            locks.unlock_whole(file.lock_owner());
            return Ok(0);
        }
        _ => return Err(Errno::EINVAL),
    };
    let attempt = || match locks.lock_whole(file.lock_owner(), exclusive) {
        Err(Errno::EAGAIN) if waits => None,
        result => Some(result),
    };
    c.task.wait_on(locks.wait_queue(), None, attempt)??;
    Ok(0)
}

/// Whether a file is a terminal, for `ioctl`.
fn tty(file: &OpenFile) -> Option<&Tty> {
    file.file().as_any().downcast_ref()
}

pub(super) fn ioctl(c: &mut Call<'_>, fd: u64, code: u64, arg: u64) -> Result {
    let file = c.file(fd)?;
    match code as u32 {
        request::FIONBIO => {
            let on = c.memory().read_u32(arg)? != 0;
            let flags = file.flags().difference(OpenFlags::NONBLOCK);
            let wanted = if on {
                flags | OpenFlags::NONBLOCK
            } else {
                flags
            };
            file.set_status_flags(wanted);
            Ok(0)
        }
        request::FIOCLEX => fcntl(c, fd, raw::F_SETFD.into(), 1),
        request::FIONCLEX => fcntl(c, fd, raw::F_SETFD.into(), 0),
        request::FIONREAD => {
            c.memory().write_u32(arg, readable_bytes(&file)?)?;
            Ok(0)
        }
        _ => match tty(&file) {
            Some(tty) => tty.ioctl(&c.memory(), code as u32, arg),
            None if file.file().as_socket().is_some() => {
                super::socket::interface_ioctl(c, code, arg)
            }
            None => Err(Errno::ENOTTY),
        },
    }
}

fn readable_bytes(file: &OpenFile) -> Result<u32> {
    let count = if let Ok(pipe) = pipe_end(file) {
        pipe.queued()
    } else if let Some(tty) = tty(file) {
        tty.readable_bytes()
    } else if file.file().as_socket().is_some() {
        net::readable_bytes(file.file().as_ref()).ok_or(Errno::ENOTTY)?
    } else if file.file().is_seekable() {
        file.file().stat().size.saturating_sub(*file.position()) as usize
    } else {
        return Err(Errno::ENOTTY);
    };
    Ok(u32::try_from(count).unwrap_or(u32::MAX))
}
