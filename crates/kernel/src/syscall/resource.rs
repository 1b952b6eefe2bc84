//! Limits, usage, and what the system is.

use linux_abi::Errno;
use linux_abi::layout::{RLimit, RUsage, SysInfo, TimeVal, Tms, UtsName, utsname_field};
use linux_abi::raw::general as raw;

use super::{Call, Result};
use crate::task::{CpuTime, all_processes};
use crate::{clock, host, load, random};

/// Release that programs see: high enough for every C library in use.
const LINUX_RELEASE: &str = "6.1.0-unibeam";
/// Limit of open files, soft and hard: about systemd's default hard limit. One program has the
/// machine to itself, and ERTS takes the soft limit as it finds it.
pub(crate) const OPEN_FILES: u64 = 65_536;

pub(super) fn uname(c: &mut Call<'_>, to: u64) -> Result {
    let name = UtsName {
        sysname: utsname_field("Linux"),
        nodename: utsname_field(&host::name()),
        release: utsname_field(LINUX_RELEASE),
        version: utsname_field("#1 SMP unibeam"),
        machine: utsname_field("x86_64"),
        domainname: utsname_field("(none)"),
    };
    c.write(to, &name)?;
    Ok(0)
}

pub(super) fn sethostname(c: &mut Call<'_>, name: u64, size: u64) -> Result {
    let size = usize::try_from(size)
        .ok()
        .filter(|&size| size <= 64)
        .ok_or(Errno::EINVAL)?;
    let name = c.memory().read_bytes(name, size)?;
    host::set_name(&alloc::string::String::from_utf8_lossy(&name));
    Ok(0)
}

pub(super) fn sysinfo(c: &mut Call<'_>, to: u64) -> Result {
    let memory = machine::mem::statistics();
    let info = SysInfo {
        uptime: (clock::now() / clock::SECOND) as i64,
        totalram: memory.total,
        freeram: memory.free,
        // Of 16 bits behind the point (SI_LOAD_SHIFT).
        loads: load::averages().map(|average| average << (16 - load::FRACTION_BITS)),
        procs: all_processes().len() as u16,
        mem_unit: 1,
        ..SysInfo::default()
    };
    c.write(to, &info)?;
    Ok(0)
}

fn limit(c: &Call<'_>, resource: u64) -> Result<RLimit> {
    let both = |value| RLimit {
        rlim_cur: value,
        rlim_max: value,
    };
    let unlimited = both(u64::MAX);
    match resource as u32 {
        raw::RLIMIT_STACK => Ok(RLimit {
            rlim_cur: 8 << 20,
            rlim_max: u64::MAX,
        }),
        raw::RLIMIT_NOFILE => {
            let current = c.task.process().files().limit() as u64;
            Ok(RLimit {
                rlim_cur: current,
                rlim_max: OPEN_FILES.max(current),
            })
        }
        raw::RLIMIT_CORE => Ok(both(0)),
        raw::RLIMIT_NPROC => Ok(both(32_768)),
        resource if resource < raw::RLIM_NLIMITS => Ok(unlimited),
        _ => Err(Errno::EINVAL),
    }
}

fn set_limit(c: &Call<'_>, resource: u64, new: &RLimit) -> Result<()> {
    if new.rlim_cur > new.rlim_max {
        return Err(Errno::EINVAL);
    }
    if resource as u32 == raw::RLIMIT_NOFILE {
        if new.rlim_cur > OPEN_FILES {
            return Err(Errno::EPERM);
        }
        c.task.process().files().set_limit(new.rlim_cur as usize);
    }
    Ok(())
}

pub(super) fn prlimit64(c: &mut Call<'_>, pid: u64, resource: u64, new: u64, old: u64) -> Result {
    if pid != 0 && pid != u64::from(c.task.process().pid()) {
        return Err(Errno::ESRCH);
    }
    let before = limit(c, resource)?;
    if new != 0 {
        set_limit(c, resource, &c.read(new)?)?;
    }
    if old != 0 {
        c.write(old, &before)?;
    }
    Ok(0)
}

pub(super) fn getrlimit(c: &mut Call<'_>, resource: u64, to: u64) -> Result {
    c.write(to, &limit(c, resource)?)?;
    Ok(0)
}

pub(super) fn setrlimit(c: &mut Call<'_>, resource: u64, from: u64) -> Result {
    limit(c, resource)?;
    set_limit(c, resource, &c.read(from)?)?;
    Ok(0)
}

/// getrusage(2).
pub(super) fn getrusage(c: &mut Call<'_>, who: u64, to: u64) -> Result {
    let process = c.task.process();
    let resident = || c.memory().lock().resident_pages();
    let usage = match who as i32 {
        RUSAGE_SELF => usage(process.cpu_time(), resident()),
        RUSAGE_THREAD => usage(c.task.cpu_time(), resident()),
        RUSAGE_CHILDREN => usage(process.children_cpu_time(), 0),
        _ => return Err(Errno::EINVAL),
    };
    c.write(to, &usage)?;
    Ok(0)
}

/// Whose usage getrusage(2) reports (sys/resource.h).
const RUSAGE_SELF: i32 = 0;
const RUSAGE_THREAD: i32 = 1;
const RUSAGE_CHILDREN: i32 = -1;

/// The usage report for processor time and memory in pages.
pub(super) fn usage(time: CpuTime, resident: usize) -> RUsage {
    RUsage {
        ru_utime: TimeVal::from_nanoseconds(time.user),
        ru_stime: TimeVal::from_nanoseconds(time.system()),
        ru_maxrss: resident as i64 * 4,
        ..RUsage::default()
    }
}

/// Nanoseconds in a tick of times(2) (`AT_CLKTCK` is 100 each second).
const TICK: u64 = clock::SECOND / 100;

pub(super) fn times(c: &mut Call<'_>, to: u64) -> Result {
    let process = c.task.process();
    let ticks = |time: u64| (time / TICK) as i64;
    if to != 0 {
        let (own, children) = (process.cpu_time(), process.children_cpu_time());
        let times = Tms {
            tms_utime: ticks(own.user),
            tms_stime: ticks(own.system()),
            tms_cutime: ticks(children.user),
            tms_cstime: ticks(children.system()),
        };
        c.write(to, &times)?;
    }
    Ok(clock::now() / TICK)
}

pub(super) fn getrandom(c: &mut Call<'_>, to: u64, size: u64, flags: u64) -> Result {
    // GRND_NONBLOCK, GRND_RANDOM and GRND_INSECURE.
    if flags > 7 {
        return Err(Errno::EINVAL);
    }
    let size = size.min(0x1ff_ffff);
    let mut done = 0;
    let memory = c.memory();
    while done < size {
        let mut chunk = [0; 256];
        let count = (size - done).min(256) as usize;
        random::fill(&mut chunk[..count]);
        memory.write(to.wrapping_add(done), &chunk[..count])?;
        done += count as u64;
        if done.is_multiple_of(crate::memory::PAGE) && c.task.pause().is_err() {
            return Ok(done);
        }
    }
    Ok(size)
}

/// personality(2): asks only; there is one personality.
pub(super) fn personality(_: &mut Call<'_>, persona: u64) -> Result {
    match persona as u32 {
        0 | u32::MAX => Ok(0),
        _ => Err(Errno::EINVAL),
    }
}
