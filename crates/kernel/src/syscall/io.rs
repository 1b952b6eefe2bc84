//! Reading and writing.

use alloc::sync::Arc;

use linux_abi::Errno;
use linux_abi::layout::{Layout, SigInfo, TimeVal};
use linux_abi::raw::general as raw;
use linux_abi::raw::net::{SO_RCVTIMEO_OLD, SO_SNDTIMEO_OLD, SOL_SOCKET};
use vfs::{FileKind, OpenFile, SliceSource, VecSink};

use super::{Call, Result};
use crate::clock;
use crate::memory::{UserSink, UserSlices, UserSource};
use crate::task::{SignalTarget, Task, send_signal};

/// When receiving from a file has to give up (`SO_RCVTIMEO`); only sockets have such a limit.
pub(super) fn receive_limit(file: &OpenFile) -> Option<u64> {
    time_limit(file, SO_RCVTIMEO_OLD)
}

/// As [`receive_limit`], of sending (`SO_SNDTIMEO`).
pub(super) fn send_limit(file: &OpenFile) -> Option<u64> {
    time_limit(file, SO_SNDTIMEO_OLD)
}

fn time_limit(file: &OpenFile, option: u32) -> Option<u64> {
    let socket = file.file().as_socket()?;
    let value = socket.option(SOL_SOCKET as i32, option as i32, TimeVal::SIZE);
    let time = TimeVal::decode(value.ok()?.first_chunk()?).nanoseconds()?;
    (time > 0).then(|| clock::now().saturating_add(time))
}

/// Runs `operation` until it does not say `EAGAIN`; blocks in between unless the file is
/// non-blocking, at most until `deadline`, which is only asked for then.
pub(super) fn blocking<T>(
    task: &Arc<Task>,
    file: &OpenFile,
    nonblocking: bool,
    deadline: impl FnOnce() -> Option<u64>,
    mut operation: impl FnMut() -> Result<T>,
) -> Result<T> {
    let first = operation();
    let again = matches!(first, Err(Errno::EAGAIN));
    if !again || nonblocking || file.is_nonblocking() {
        return first;
    }
    let Some(queue) = file.file().wait_queue() else {
        return first;
    };
    let waited = task.wait_on(queue, deadline(), || match operation() {
        Err(Errno::EAGAIN) => None,
        result => Some(result),
    });
    match waited {
        Ok(result) => result,
        // A receive or send time-out reads as `EAGAIN` (socket(7)).
        Err(crate::wait::Interruption::TimedOut) => Err(Errno::EAGAIN),
        Err(crate::wait::Interruption::Signal) => Err(Errno::EINTR),
    }
}

/// Raises SIGPIPE for writes to something that nobody reads.
pub(super) fn signal_broken_pipe<T>(c: &Call<'_>, result: Result<T>) -> Result<T> {
    if matches!(result, Err(Errno::EPIPE)) {
        send_signal(
            SignalTarget::Task(c.task),
            SigInfo::of_kernel(raw::SIGPIPE as i32),
        );
    }
    result
}

/// Bytes that are moved before interrupts, signals and other tasks get a chance.
const STEP: usize = 1 << 20;

/// Moves up to `total` bytes by `step`, which is given where to go on and how many to move. What
/// can block is asked once: it gives what it has.
fn in_steps(
    c: &Call<'_>,
    file: &OpenFile,
    total: usize,
    mut step: impl FnMut(usize, usize) -> Result<usize>,
) -> Result {
    let can_block = file.file().wait_queue().is_some();
    let mut done = 0;
    loop {
        let most = (total - done).min(STEP);
        match step(done, most) {
            Ok(count) => {
                done += count;
                if count < most || done == total || can_block || c.task.pause().is_err() {
                    return Ok(done as u64);
                }
            }
            Err(_) if done > 0 => return Ok(done as u64),
            Err(error) => return Err(error),
        }
    }
}

fn read_slices(c: &Call<'_>, fd: u64, slices: UserSlices) -> Result {
    let file = c.file(fd)?;
    let memory = c.memory();
    let mut sink = UserSink::new(&memory, slices);
    let limit = || receive_limit(&file);
    in_steps(c, &file, sink.total(), |_, most| {
        sink.limit(most);
        blocking(c.task, &file, false, limit, || file.read(&mut sink))
    })
}

/// Writes everything, as far as nothing fails; blocks as often as needed.
fn write_slices(c: &Call<'_>, fd: u64, slices: UserSlices) -> Result {
    let file = c.file(fd)?;
    let memory = c.memory();
    let mut source = UserSource::new(&memory, slices);
    let total = source.total();
    let is_terminal =
        file.file().stat().kind == FileKind::CharDevice && file.file().wait_queue().is_some();
    let takes_parts = file.is_nonblocking() && file.file().wait_queue().is_some() || is_terminal;
    let mut done = 0;
    loop {
        source.limit((total - done).min(STEP));
        let limit = || send_limit(&file);
        let wrote = blocking(c.task, &file, false, limit, || file.write(&mut source));
        match signal_broken_pipe(c, wrote) {
            // A non-blocking file takes what it can, and so does a slow terminal; others take
            // all. Counted, not asked of the source: a device may take bytes without looking.
            Ok(count) if count > 0 && done + count < total && !takes_parts => {
                done += count;
                if c.task.pause().is_err() {
                    return Ok(done as u64);
                }
            }
            Ok(count) => return Ok((done + count) as u64),
            Err(_) if done > 0 => return Ok(done as u64),
            Err(error) => return Err(error),
        }
    }
}

pub(super) fn read(c: &mut Call<'_>, fd: u64, buffer: u64, size: u64) -> Result {
    read_slices(c, fd, UserSlices::one(buffer, size))
}

pub(super) fn write(c: &mut Call<'_>, fd: u64, buffer: u64, size: u64) -> Result {
    write_slices(c, fd, UserSlices::one(buffer, size))
}

pub(super) fn readv(c: &mut Call<'_>, fd: u64, vector: u64, count: u64) -> Result {
    let slices = c.memory().read_iovecs(vector, count)?;
    read_slices(c, fd, slices)
}

pub(super) fn writev(c: &mut Call<'_>, fd: u64, vector: u64, count: u64) -> Result {
    let slices = c.memory().read_iovecs(vector, count)?;
    write_slices(c, fd, slices)
}

fn read_at(c: &Call<'_>, fd: u64, slices: UserSlices, offset: u64) -> Result {
    let file = c.file(fd)?;
    let offset = checked_offset(&file, offset)?;
    let memory = c.memory();
    let mut sink = UserSink::new(&memory, slices);
    in_steps(c, &file, sink.total(), |done, most| {
        sink.limit(most);
        file.read_at(offset + done as u64, &mut sink)
    })
}

fn write_at(c: &Call<'_>, fd: u64, slices: UserSlices, offset: u64) -> Result {
    let file = c.file(fd)?;
    let offset = checked_offset(&file, offset)?;
    let memory = c.memory();
    let mut source = UserSource::new(&memory, slices);
    in_steps(c, &file, source.total(), |done, most| {
        source.limit(most);
        file.write_at(offset + done as u64, &mut source)
    })
}

fn checked_offset(file: &OpenFile, offset: u64) -> Result {
    if !file.file().is_seekable() {
        return Err(Errno::ESPIPE);
    }
    if offset > i64::MAX as u64 {
        Err(Errno::EINVAL)
    } else {
        Ok(offset)
    }
}

pub(super) fn pread64(c: &mut Call<'_>, fd: u64, buffer: u64, size: u64, offset: u64) -> Result {
    read_at(c, fd, UserSlices::one(buffer, size), offset)
}

pub(super) fn pwrite64(c: &mut Call<'_>, fd: u64, buffer: u64, size: u64, offset: u64) -> Result {
    write_at(c, fd, UserSlices::one(buffer, size), offset)
}

// The offset of the vectored calls comes in two halves; on x86-64 the low one holds all of it.

pub(super) fn preadv(
    c: &mut Call<'_>,
    fd: u64,
    vector: u64,
    count: u64,
    low: u64,
    _: u64,
) -> Result {
    let slices = c.memory().read_iovecs(vector, count)?;
    read_at(c, fd, slices, low)
}

pub(super) fn pwritev(
    c: &mut Call<'_>,
    fd: u64,
    vector: u64,
    count: u64,
    low: u64,
    _: u64,
) -> Result {
    let slices = c.memory().read_iovecs(vector, count)?;
    write_at(c, fd, slices, low)
}

pub(super) fn preadv2(
    c: &mut Call<'_>,
    fd: u64,
    vector: u64,
    count: u64,
    low: u64,
    high: u64,
    flags: u64,
) -> Result {
    match (flags, low) {
        (0, u64::MAX) => readv(c, fd, vector, count),
        (0, _) => preadv(c, fd, vector, count, low, high),
        _ => Err(Errno::EOPNOTSUPP),
    }
}

pub(super) fn pwritev2(
    c: &mut Call<'_>,
    fd: u64,
    vector: u64,
    count: u64,
    low: u64,
    high: u64,
    flags: u64,
) -> Result {
    match (flags, low) {
        (0, u64::MAX) => writev(c, fd, vector, count),
        (0, _) => pwritev(c, fd, vector, count, low, high),
        _ => Err(Errno::EOPNOTSUPP),
    }
}

/// Most bytes moved by one sendfile(2).
const SENDFILE_MAX: u64 = 0x7fff_f000;
/// Bytes moved by sendfile(2) in one step.
const SENDFILE_CHUNK: usize = 64 * 1024;

pub(super) fn sendfile(c: &mut Call<'_>, to: u64, from: u64, offset: u64, count: u64) -> Result {
    let (target, source) = (c.file(to)?, c.file(from)?);
    if !source.is_readable() || !target.is_writable() {
        return Err(Errno::EBADF);
    }
    if !source.file().is_seekable() {
        return Err(Errno::EINVAL);
    }
    let mut position = match offset {
        0 => *source.position(),
        address => c.memory().read_u64(address)?,
    };
    let count = count.min(SENDFILE_MAX);
    let mut done = 0;
    let mut result = Ok(());
    while done < count && result.is_ok() {
        let mut sink = VecSink::new((count - done).min(SENDFILE_CHUNK as u64) as usize);
        if let Err(error) = source.file().read_at(position, &mut sink) {
            result = Err(error);
            break;
        }
        let bytes = sink.into_bytes();
        if bytes.is_empty() {
            break;
        }
        let mut rest = SliceSource(&bytes);
        let limit = || send_limit(&target);
        let wrote = blocking(c.task, &target, false, limit, || target.write(&mut rest));
        // Counted, not asked of the source: a device may take bytes without looking.
        let moved = *wrote.as_ref().unwrap_or(&0) as u64;
        (done, position) = (done + moved, position + moved);
        result = match wrote {
            Ok(_) => c.task.pause().map_err(Errno::from),
            Err(error) => Err(error),
        };
    }
    match offset {
        0 => *source.position() = position,
        address => c.memory().write_u64(address, position)?,
    }
    match result {
        Err(error) if done == 0 => signal_broken_pipe(c, Err(error)),
        _ => Ok(done),
    }
}
