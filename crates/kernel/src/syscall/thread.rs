//! Threads and their scheduling.

use alloc::sync::Arc;

use linux_abi::Errno;
use linux_abi::layout::{CloneArgs, Layout};
use linux_abi::raw::general as raw;
use linux_abi::raw::prctl;

use super::{Call, Result};
use crate::sched;
use crate::task::{CloneRequest, Task, clone_task, find_task};

/// Bits of clone(2)'s flags that hold the exit signal (`CSIGNAL`).
const EXIT_SIGNAL: u64 = 0xff;
/// arch_prctl(2) codes (asm/prctl.h).
const ARCH_SET_GS: u64 = 0x1001;
const ARCH_SET_FS: u64 = 0x1002;
const ARCH_GET_FS: u64 = 0x1003;
const ARCH_GET_GS: u64 = 0x1004;

pub(super) fn clone(
    c: &mut Call<'_>,
    flags: u64,
    stack: u64,
    parent_tid: u64,
    child_tid: u64,
    tls: u64,
) -> Result {
    let request = CloneRequest {
        flags: flags & 0xffff_ffff & !EXIT_SIGNAL,
        exit_signal: (flags & EXIT_SIGNAL) as u32,
        stack,
        tls,
        parent_tid,
        child_tid,
    };
    clone_task(c.task, c.context, &request).map(u64::from)
}

pub(super) fn clone3(c: &mut Call<'_>, args: u64, size: u64) -> Result {
    if size < CloneArgs::SIZE_V0 as u64 {
        return Err(Errno::EINVAL);
    }
    if size > crate::memory::PAGE {
        return Err(Errno::E2BIG);
    }
    let mut bytes = CloneArgs::ZEROED;
    let given = c.memory().read_bytes(args, size as usize)?;
    let known = given.len().min(CloneArgs::SIZE);
    bytes[..known].copy_from_slice(&given[..known]);
    if given[known..].iter().any(|&byte| byte != 0) {
        return Err(Errno::E2BIG);
    }
    let args = CloneArgs::decode(&bytes);
    if args.set_tid_size != 0 || args.exit_signal > 64 {
        return Err(Errno::EINVAL);
    }
    let request = CloneRequest {
        flags: args.flags,
        exit_signal: args.exit_signal as u32,
        // The stack is given by its lowest address here.
        stack: if args.stack == 0 {
            0
        } else {
            args.stack.wrapping_add(args.stack_size)
        },
        tls: args.tls,
        parent_tid: args.parent_tid,
        child_tid: args.child_tid,
    };
    clone_task(c.task, c.context, &request).map(u64::from)
}

pub(super) fn gettid(c: &mut Call<'_>) -> Result {
    Ok(c.task.tid().into())
}

pub(super) fn set_tid_address(c: &mut Call<'_>, address: u64) -> Result {
    c.task.set_clear_child_tid(address);
    Ok(c.task.tid().into())
}

pub(super) fn arch_prctl(c: &mut Call<'_>, code: u64, address: u64) -> Result {
    let thread = c.task.thread();
    let check = || {
        if address < machine::mem::USER_END {
            Ok(())
        } else {
            Err(Errno::EPERM)
        }
    };
    match code {
        ARCH_SET_FS => check().map(|()| thread.set_fs_base(address))?,
        ARCH_SET_GS => check().map(|()| thread.set_gs_base(address))?,
        ARCH_GET_FS => c.memory().write_u64(address, thread.fs_base())?,
        ARCH_GET_GS => c.memory().write_u64(address, thread.gs_base())?,
        _ => return Err(Errno::EINVAL),
    }
    Ok(0)
}

pub(super) fn prctl(c: &mut Call<'_>, option: u64, arg: u64, _: u64, _: u64, _: u64) -> Result {
    match option as u32 {
        prctl::PR_SET_NAME => {
            let name = c
                .memory()
                .read_string(arg, 16)
                .or_else(|error| match error {
                    Errno::ENAMETOOLONG => c.memory().read_bytes(arg, 15),
                    error => Err(error),
                })?;
            c.task.set_name(&name);
        }
        prctl::PR_GET_NAME => {
            let mut name = c.task.name();
            name.resize(16, 0);
            c.memory().write(arg, &name)?;
        }
        // Nothing dumps core, and there are no privileges to lose.
        prctl::PR_GET_DUMPABLE | prctl::PR_GET_KEEPCAPS | prctl::PR_GET_NO_NEW_PRIVS => {}
        prctl::PR_SET_DUMPABLE
        | prctl::PR_SET_PDEATHSIG
        | prctl::PR_SET_TIMERSLACK
        | prctl::PR_SET_KEEPCAPS
        | prctl::PR_SET_NO_NEW_PRIVS
        | prctl::PR_SET_THP_DISABLE => {}
        _ => return Err(Errno::EINVAL),
    }
    Ok(0)
}

pub(super) fn sched_yield(c: &mut Call<'_>) -> Result {
    sched::yield_now(c.task);
    Ok(0)
}

pub(super) fn sched_getaffinity(c: &mut Call<'_>, pid: u64, size: u64, mask: u64) -> Result {
    if size < 8 || !size.is_multiple_of(8) {
        return Err(Errno::EINVAL);
    }
    let task = task_or_own(c, pid)?;
    c.memory()
        .write_u64(mask, task.affinity() & sched::online())?;
    Ok(8)
}

pub(super) fn sched_setaffinity(c: &mut Call<'_>, pid: u64, size: u64, mask: u64) -> Result {
    let task = task_or_own(c, pid)?;
    let mut bytes = [0; 8];
    let size = size.min(8) as usize;
    c.memory().read(mask, &mut bytes[..size])?;
    let wanted = u64::from_le_bytes(bytes) & sched::online();
    if wanted == 0 {
        return Err(Errno::EINVAL);
    }
    task.set_affinity(wanted);
    Ok(0)
}

/// The thread with number `tid`; 0 is the caller.
fn task_or_own(c: &Call<'_>, tid: u64) -> Result<Arc<Task>> {
    match tid as u32 {
        0 => Ok(Arc::clone(c.task)),
        tid => find_task(tid).ok_or(Errno::ESRCH),
    }
}

pub(super) fn getcpu(c: &mut Call<'_>, cpu: u64, node: u64, _cache: u64) -> Result {
    let here = machine::cpu::number() as u32;
    for (address, value) in [(cpu, here), (node, 0)] {
        if address != 0 {
            c.memory().write_u32(address, value)?;
        }
    }
    Ok(0)
}

pub(super) fn sched_getscheduler(_: &mut Call<'_>, _pid: u64) -> Result {
    Ok(raw::SCHED_NORMAL.into())
}

pub(super) fn sched_setscheduler(_: &mut Call<'_>, _: u64, _: u64, _: u64) -> Result {
    Ok(0)
}

pub(super) fn sched_getparam(c: &mut Call<'_>, _pid: u64, parameter: u64) -> Result {
    c.memory().write_u32(parameter, 0)?;
    Ok(0)
}

pub(super) fn sched_setparam(_: &mut Call<'_>, _pid: u64, _parameter: u64) -> Result {
    Ok(0)
}

/// Highest static priority: 99 for the real-time policies, 0 for the others (sched(7)).
pub(super) fn sched_get_priority_max(_: &mut Call<'_>, policy: u64) -> Result {
    priority(policy, 99)
}

pub(super) fn sched_get_priority_min(_: &mut Call<'_>, policy: u64) -> Result {
    priority(policy, 1)
}

fn priority(policy: u64, realtime: u64) -> Result {
    match policy as u32 {
        raw::SCHED_FIFO | raw::SCHED_RR => Ok(realtime),
        raw::SCHED_NORMAL | raw::SCHED_BATCH | raw::SCHED_IDLE => Ok(0),
        _ => Err(Errno::EINVAL),
    }
}

/// rseq(2): refused the way a kernel without it does; the C library then goes without.
pub(super) fn rseq(_: &mut Call<'_>, _: u64, _: u64, _: u64, _: u64) -> Result {
    Err(Errno::ENOSYS)
}
