//! Clocks and sleeping.

use linux_abi::Errno;
use linux_abi::layout::{TimeSpec, TimeVal, TimeZone};
use linux_abi::raw::general as raw;

use super::{Call, Result};
use crate::clock;
use crate::task::{find_process, find_task};
use crate::wait::Interruption;

/// Nanoseconds on a clock now.
fn read_clock(c: &Call<'_>, id: u64) -> Result<u64> {
    match id as u32 {
        raw::CLOCK_REALTIME | raw::CLOCK_REALTIME_COARSE | raw::CLOCK_TAI => Ok(clock::wall()),
        raw::CLOCK_MONOTONIC
        | raw::CLOCK_MONOTONIC_RAW
        | raw::CLOCK_MONOTONIC_COARSE
        | raw::CLOCK_BOOTTIME => Ok(clock::now()),
        raw::CLOCK_PROCESS_CPUTIME_ID => Ok(c.task.process().cpu_time().total),
        raw::CLOCK_THREAD_CPUTIME_ID => Ok(c.task.cpu.now()),
        id if id & CPU_CLOCK != 0 => read_cpu_clock(id),
        _ => Err(Errno::EINVAL),
    }
}

/// Set in the numbers of the clocks of given processes and threads, which hold the number of the
/// process or thread, inverted, and say which of both it is (linux/posix-timers.h).
const CPU_CLOCK: u32 = 0x8000_0000;
const PER_THREAD: u32 = 4;

fn read_cpu_clock(id: u32) -> Result<u64> {
    let number = !((id as i32) >> 3) as u32;
    let time = if id & PER_THREAD != 0 {
        find_task(number).map(|task| task.cpu.now())
    } else {
        find_process(number).map(|process| process.cpu_time().total)
    };
    time.ok_or(Errno::EINVAL)
}

pub(super) fn clock_gettime(c: &mut Call<'_>, id: u64, to: u64) -> Result {
    let time = read_clock(c, id)?;
    c.write(to, &TimeSpec::from_nanoseconds(time))?;
    Ok(0)
}

pub(super) fn clock_getres(c: &mut Call<'_>, id: u64, to: u64) -> Result {
    read_clock(c, id)?;
    if to != 0 {
        c.write(to, &TimeSpec::from_nanoseconds(1))?;
    }
    Ok(0)
}

pub(super) fn gettimeofday(c: &mut Call<'_>, to: u64, zone: u64) -> Result {
    if to != 0 {
        c.write(to, &TimeVal::from_nanoseconds(clock::wall()))?;
    }
    if zone != 0 {
        c.write(zone, &TimeZone::default())?;
    }
    Ok(0)
}

pub(super) fn time(c: &mut Call<'_>, to: u64) -> Result {
    let seconds = clock::wall() / clock::SECOND;
    if to != 0 {
        c.memory().write_u64(to, seconds)?;
    }
    Ok(seconds)
}

pub(super) fn nanosleep(c: &mut Call<'_>, request: u64, left: u64) -> Result {
    let time = c
        .read::<TimeSpec>(request)?
        .nanoseconds()
        .ok_or(Errno::EINVAL)?;
    sleep_until(c, clock::now().saturating_add(time), left)
}

pub(super) fn clock_nanosleep(
    c: &mut Call<'_>,
    id: u64,
    flags: u64,
    request: u64,
    left: u64,
) -> Result {
    let time = c
        .read::<TimeSpec>(request)?
        .nanoseconds()
        .ok_or(Errno::EINVAL)?;
    let now = read_clock(c, id)?;
    if flags & u64::from(raw::TIMER_ABSTIME) == 0 {
        return sleep_until(c, clock::now().saturating_add(time), left);
    }
    sleep_until(c, clock::now().saturating_add(time.saturating_sub(now)), 0)
}

fn sleep_until(c: &Call<'_>, deadline: u64, left: u64) -> Result {
    match c.task.wait_for::<()>(Some(deadline), || None) {
        Ok(()) | Err(Interruption::TimedOut) => Ok(0),
        Err(Interruption::Signal) => {
            if left != 0 {
                let rest = deadline.saturating_sub(clock::now());
                c.write(left, &TimeSpec::from_nanoseconds(rest))?;
            }
            Err(Errno::EINTR)
        }
    }
}
