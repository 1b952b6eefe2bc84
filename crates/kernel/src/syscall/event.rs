//! epoll, eventfd and timerfd.

use alloc::sync::Arc;

use linux_abi::Errno;
use linux_abi::layout::{EpollEvent, ITimerSpec, Layout, TimeSpec};
use linux_abi::raw::general as raw;
use vfs::{Epoll, EpollOperation, EventFd, OpenFile, OpenFlags};

use super::poll::set_mask;
use super::{Call, Result};
use crate::clock;
use crate::timer_file::TimerFile;
use crate::wait::Interruption;

const CLOEXEC: u64 = raw::O_CLOEXEC as u64;
const NONBLOCK: u64 = raw::O_NONBLOCK as u64;
/// Most events delivered by one call, to bound its memory.
const MAX_EVENTS: usize = 4096;

fn add(c: &Call<'_>, file: Arc<OpenFile>, flags: u64) -> Result {
    c.task
        .process()
        .files()
        .add(file, flags & CLOEXEC != 0)
        .map(|fd| fd as u64)
}

fn read_write(flags: u64) -> OpenFlags {
    OpenFlags::RDWR | OpenFlags::from_bits_retain((flags & NONBLOCK) as u32)
}

pub(super) fn epoll_create(c: &mut Call<'_>, size: u64) -> Result {
    if size as i32 <= 0 {
        return Err(Errno::EINVAL);
    }
    epoll_create1(c, 0)
}

pub(super) fn epoll_create1(c: &mut Call<'_>, flags: u64) -> Result {
    if flags & !CLOEXEC != 0 {
        return Err(Errno::EINVAL);
    }
    add(c, Epoll::open(), flags)
}

fn with_epoll<T>(file: &OpenFile, f: impl FnOnce(&Epoll) -> Result<T>) -> Result<T> {
    f(file.file().as_any().downcast_ref().ok_or(Errno::EINVAL)?)
}

pub(super) fn epoll_ctl(c: &mut Call<'_>, epoll: u64, op: u64, fd: u64, event: u64) -> Result {
    let (epoll, target) = (c.file(epoll)?, c.file(fd)?);
    let event = match op as u32 {
        raw::EPOLL_CTL_DEL => EpollEvent::default(),
        _ => c.read::<EpollEvent>(event)?,
    };
    let operation = match op as u32 {
        raw::EPOLL_CTL_ADD => EpollOperation::Add,
        raw::EPOLL_CTL_DEL => EpollOperation::Delete,
        raw::EPOLL_CTL_MOD => EpollOperation::Modify,
        _ => return Err(Errno::EINVAL),
    };
    with_epoll(&epoll, |epoll| {
        epoll.control(operation, fd as i32, &target, event.events, event.data)
    })?;
    Ok(0)
}

fn wait(c: &Call<'_>, epoll: u64, events: u64, max: u64, deadline: Option<u64>) -> Result {
    let file = c.file(epoll)?;
    let max = match max as i32 {
        max if max > 0 => (max as usize).min(MAX_EVENTS),
        _ => return Err(Errno::EINVAL),
    };
    let collect = || {
        let ready = with_epoll(&file, |epoll| Ok(epoll.collect(max)));
        match ready {
            Ok(ready) if ready.is_empty() => None,
            ready => Some(ready),
        }
    };
    let queue = file.file().wait_queue().ok_or(Errno::EINVAL)?;
    let waited = if deadline == Some(0) {
        collect().ok_or(Interruption::TimedOut)
    } else {
        c.task.wait_on(queue, deadline, collect)
    };
    let ready = match waited {
        Ok(ready) => ready?,
        Err(Interruption::TimedOut) => return Ok(0),
        Err(Interruption::Signal) => return Err(Errno::EINTR),
    };
    for (index, &(bits, data)) in ready.iter().enumerate() {
        let at = events.wrapping_add((index * EpollEvent::SIZE) as u64);
        c.write(at, &EpollEvent { events: bits, data })?;
    }
    Ok(ready.len() as u64)
}

fn milliseconds(timeout: u64) -> Option<u64> {
    match timeout as i32 {
        0 => Some(0),
        timeout if timeout > 0 => Some(clock::now().saturating_add(timeout as u64 * 1_000_000)),
        _ => None,
    }
}

pub(super) fn epoll_wait(
    c: &mut Call<'_>,
    epoll: u64,
    events: u64,
    max: u64,
    timeout: u64,
) -> Result {
    wait(c, epoll, events, max, milliseconds(timeout))
}

pub(super) fn epoll_pwait(
    c: &mut Call<'_>,
    epoll: u64,
    events: u64,
    max: u64,
    timeout: u64,
    mask: u64,
    size: u64,
) -> Result {
    set_mask(c, mask, size)?;
    let result = wait(c, epoll, events, max, milliseconds(timeout));
    c.task.restore_blocked_after_call(&result);
    result
}

pub(super) fn epoll_pwait2(
    c: &mut Call<'_>,
    epoll: u64,
    events: u64,
    max: u64,
    timeout: u64,
    mask: u64,
    size: u64,
) -> Result {
    let deadline = match timeout {
        0 => None,
        address => match c
            .read::<TimeSpec>(address)?
            .nanoseconds()
            .ok_or(Errno::EINVAL)?
        {
            0 => Some(0),
            time => Some(clock::now().saturating_add(time)),
        },
    };
    set_mask(c, mask, size)?;
    let result = wait(c, epoll, events, max, deadline);
    c.task.restore_blocked_after_call(&result);
    result
}

pub(super) fn eventfd(c: &mut Call<'_>, initial: u64) -> Result {
    eventfd2(c, initial, 0)
}

pub(super) fn eventfd2(c: &mut Call<'_>, initial: u64, flags: u64) -> Result {
    let semaphore = u64::from(raw::EFD_SEMAPHORE);
    if flags & !(CLOEXEC | NONBLOCK | semaphore) != 0 {
        return Err(Errno::EINVAL);
    }
    let status = OpenFlags::from_bits_retain((flags & NONBLOCK) as u32);
    add(
        c,
        EventFd::open(initial as u32, flags & semaphore != 0, status),
        flags,
    )
}

pub(super) fn timerfd_create(c: &mut Call<'_>, clock: u64, flags: u64) -> Result {
    if flags & !(CLOEXEC | NONBLOCK) != 0 {
        return Err(Errno::EINVAL);
    }
    let realtime = match clock as u32 {
        raw::CLOCK_REALTIME | raw::CLOCK_REALTIME_ALARM => true,
        raw::CLOCK_MONOTONIC | raw::CLOCK_BOOTTIME | raw::CLOCK_BOOTTIME_ALARM => false,
        _ => return Err(Errno::EINVAL),
    };
    add(
        c,
        OpenFile::new(TimerFile::new(realtime), read_write(flags)),
        flags,
    )
}

fn with_timer<T>(file: &OpenFile, f: impl FnOnce(&TimerFile) -> T) -> Result<T> {
    file.file()
        .as_any()
        .downcast_ref()
        .map(f)
        .ok_or(Errno::EINVAL)
}

/// A timer's setting as `struct itimerspec`: time left and interval in nanoseconds.
fn specification((left, interval): (u64, u64)) -> ITimerSpec {
    ITimerSpec {
        it_interval: TimeSpec::from_nanoseconds(interval),
        it_value: TimeSpec::from_nanoseconds(left),
    }
}

pub(super) fn timerfd_settime(c: &mut Call<'_>, fd: u64, flags: u64, new: u64, old: u64) -> Result {
    let file = c.file(fd)?;
    let new: ITimerSpec = c.read(new)?;
    let value = new.it_value.nanoseconds().ok_or(Errno::EINVAL)?;
    let interval = new.it_interval.nanoseconds().ok_or(Errno::EINVAL)?;
    if flags & !u64::from(raw::TFD_TIMER_ABSTIME | raw::TFD_TIMER_CANCEL_ON_SET) != 0 {
        return Err(Errno::EINVAL);
    }
    let absolute = flags & u64::from(raw::TFD_TIMER_ABSTIME) != 0;
    let before = with_timer(&file, |timer| timer.set(value, interval, absolute))?;
    if old != 0 {
        c.write(old, &specification(before))?;
    }
    Ok(0)
}

pub(super) fn timerfd_gettime(c: &mut Call<'_>, fd: u64, to: u64) -> Result {
    let file = c.file(fd)?;
    let setting = with_timer(&file, TimerFile::setting)?;
    c.write(to, &specification(setting))?;
    Ok(0)
}
