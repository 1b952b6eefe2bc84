//! Signal calls.

use alloc::sync::Arc;

use linux_abi::Errno;
use linux_abi::layout::{SigAction, SigInfo, StackT, TimeSpec};
use linux_abi::raw::general as raw;

use super::{Call, Result};
use crate::clock;
use crate::task::{
    AlternateStack, Process, SignalSet, SignalTarget, all_processes, find_process, find_task,
    restore_context, send_signal,
};
use crate::wait::Interruption;

/// Size of the kernel's signal set in bytes.
const SET_SIZE: u64 = 8;

fn check_number(signal: u64) -> Result<i32> {
    match signal as i32 {
        signal @ 1..=64 => Ok(signal),
        _ => Err(Errno::EINVAL),
    }
}

/// As [`check_number`], or `None` for 0: only look whether the target is there.
fn optional_number(signal: u64) -> Result<Option<i32>> {
    if signal as i32 == 0 {
        Ok(None)
    } else {
        check_number(signal).map(Some)
    }
}

pub(super) fn rt_sigaction(c: &mut Call<'_>, signal: u64, new: u64, old: u64, size: u64) -> Result {
    let signal = check_number(signal)?;
    if size != SET_SIZE {
        return Err(Errno::EINVAL);
    }
    let fixed = matches!(signal as u32, raw::SIGKILL | raw::SIGSTOP);
    if new != 0 && fixed {
        return Err(Errno::EINVAL);
    }
    let new = if new == 0 {
        None
    } else {
        Some(c.read::<SigAction>(new)?)
    };
    let before = c.task.process().signal_action(signal, new);
    if old != 0 {
        c.write(old, &before)?;
    }
    Ok(0)
}

pub(super) fn rt_sigprocmask(c: &mut Call<'_>, how: u64, new: u64, old: u64, size: u64) -> Result {
    if size != SET_SIZE {
        return Err(Errno::EINVAL);
    }
    let before = c.task.blocked();
    if new != 0 {
        let set = c.memory().read_u64(new)?;
        let set = match how as u32 {
            raw::SIG_BLOCK => before.0 | set,
            raw::SIG_UNBLOCK => before.0 & !set,
            raw::SIG_SETMASK => set,
            _ => return Err(Errno::EINVAL),
        };
        c.task.set_blocked(SignalSet(set));
    }
    if old != 0 {
        c.memory().write_u64(old, before.0)?;
    }
    Ok(0)
}

pub(super) fn rt_sigreturn(c: &mut Call<'_>) -> Result {
    if restore_context(c.task, c.context).is_err() {
        let info = SigInfo::of_kernel(raw::SIGSEGV as i32);
        send_signal(SignalTarget::Task(c.task), info);
    }
    Ok(c.context.registers().rax)
}

pub(super) fn rt_sigpending(c: &mut Call<'_>, to: u64, size: u64) -> Result {
    if size > SET_SIZE {
        return Err(Errno::EINVAL);
    }
    let waiting = c.task.pending_signals().0 & c.task.blocked().0;
    c.memory()
        .write(to, &waiting.to_le_bytes()[..size as usize])?;
    Ok(0)
}

pub(super) fn rt_sigsuspend(c: &mut Call<'_>, set: u64, size: u64) -> Result {
    if size != SET_SIZE {
        return Err(Errno::EINVAL);
    }
    let set = c.memory().read_u64(set)?;
    c.task.set_blocked_for_call(SignalSet(set));
    pause(c)
}

pub(super) fn pause(c: &mut Call<'_>) -> Result {
    let waited = c.task.wait_for::<()>(None, || None);
    waited.map(|()| 0).map_err(Errno::from)
}

pub(super) fn rt_sigtimedwait(
    c: &mut Call<'_>,
    set: u64,
    info: u64,
    timeout: u64,
    size: u64,
) -> Result {
    if size != SET_SIZE {
        return Err(Errno::EINVAL);
    }
    let wanted = SignalSet(c.memory().read_u64(set)?).blockable();
    let deadline = if timeout == 0 {
        None
    } else {
        let time = c
            .read::<TimeSpec>(timeout)?
            .nanoseconds()
            .ok_or(Errno::EINVAL)?;
        Some(clock::now().saturating_add(time))
    };
    // While it waits, the signals must wake the task although they are blocked.
    let blocked = c.task.blocked();
    c.task.set_blocked(SignalSet(blocked.0 & !wanted.0));
    let waited = c.task.wait_for(deadline, || c.task.take_signal(wanted));
    c.task.set_blocked(blocked);
    let received = match waited {
        Ok(received) => received,
        Err(Interruption::TimedOut) => return Err(Errno::EAGAIN),
        Err(Interruption::Signal) => return Err(Errno::EINTR),
    };
    if info != 0 {
        c.write(info, &received)?;
    }
    Ok(received.si_signo as u64)
}

pub(super) fn sigaltstack(c: &mut Call<'_>, new: u64, old: u64) -> Result {
    let before = c.task.alternate_stack_layout(c.context.stack());
    if new != 0 {
        let stack = c.read::<StackT>(new)?;
        if c.task.alternate_stack().holds(c.context.stack()) {
            return Err(Errno::EPERM);
        }
        c.task.set_alternate_stack(checked_stack(&stack)?);
    }
    if old != 0 {
        c.write(old, &before)?;
    }
    Ok(0)
}

fn checked_stack(stack: &StackT) -> Result<AlternateStack> {
    let flags = stack.ss_flags as u32 & !raw::SS_AUTODISARM;
    match flags {
        raw::SS_DISABLE => Ok(AlternateStack::default()),
        0 | raw::SS_ONSTACK if stack.ss_size < u64::from(raw::MINSIGSTKSZ) => Err(Errno::ENOMEM),
        0 | raw::SS_ONSTACK => Ok(AlternateStack {
            base: stack.ss_sp,
            size: stack.ss_size,
        }),
        _ => Err(Errno::EINVAL),
    }
}

/// The signal's information as the caller's own doing.
fn own_info(c: &Call<'_>, signal: i32, code: i32) -> SigInfo {
    SigInfo::sent_by(signal, code, c.task.process().pid() as i32, 0)
}

pub(super) fn kill(c: &mut Call<'_>, pid: u64, signal: u64) -> Result {
    let signal = optional_number(signal)?;
    let targets = targets(c, pid as i32)?;
    if let Some(signal) = signal {
        for process in &targets {
            let info = own_info(c, signal, raw::SI_USER as i32);
            send_signal(SignalTarget::Process(process), info);
        }
    }
    Ok(0)
}

fn targets(c: &Call<'_>, pid: i32) -> Result<alloc::vec::Vec<Arc<Process>>> {
    if pid > 0 {
        return Ok(alloc::vec![find_process(pid as u32).ok_or(Errno::ESRCH)?]);
    }
    let own = c.task.process();
    let group = if pid == 0 {
        own.group()
    } else {
        pid.unsigned_abs()
    };
    let mut all = all_processes();
    match pid {
        -1 => all.retain(|process| process.pid() != 1 && !Arc::ptr_eq(process, own)),
        _ => all.retain(|process| process.group() == group),
    }
    if all.is_empty() {
        Err(Errno::ESRCH)
    } else {
        Ok(all)
    }
}

pub(super) fn tgkill(c: &mut Call<'_>, pid: u64, tid: u64, signal: u64) -> Result {
    let signal = optional_number(signal)?;
    let task = find_task(tid as u32).ok_or(Errno::ESRCH)?;
    if task.process().pid() != pid as u32 {
        return Err(Errno::ESRCH);
    }
    if let Some(signal) = signal {
        let info = own_info(c, signal, raw::SI_TKILL);
        send_signal(SignalTarget::Task(&task), info);
    }
    Ok(0)
}

pub(super) fn tkill(c: &mut Call<'_>, tid: u64, signal: u64) -> Result {
    let task = find_task(tid as u32).ok_or(Errno::ESRCH)?;
    tgkill(c, task.process().pid().into(), tid, signal)
}

pub(super) fn rt_sigqueueinfo(c: &mut Call<'_>, pid: u64, signal: u64, info: u64) -> Result {
    let signal = check_number(signal)?;
    let mut info = c.read::<SigInfo>(info)?;
    let process = find_process(pid as u32).ok_or(Errno::ESRCH)?;
    // Only the kernel may claim codes of its own.
    if info.si_code >= 0 && !Arc::ptr_eq(&process, c.task.process()) {
        return Err(Errno::EPERM);
    }
    info.si_signo = signal;
    send_signal(SignalTarget::Process(&process), info);
    Ok(0)
}
