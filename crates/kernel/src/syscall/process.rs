//! Processes: starting, ending, waiting, and who they are. Everything runs as root.

use alloc::sync::Arc;
use alloc::vec::Vec;

use linux_abi::Errno;
use linux_abi::layout::SigInfo;
use linux_abi::raw::general as raw;

use super::{Call, Result, resource};
use crate::task::{
    CloneRequest, CpuTime, Process, Program, WaitOptions, WaitTarget, all_processes, child_info,
    clone_task, exit_process, exit_thread, find_process, wait_for_child,
};

/// Most arguments or environment strings of one call.
const STRINGS_MAX: usize = 65536;
/// Longest single string (MAX_ARG_STRLEN).
const STRING_MAX: usize = 131_072;
/// Most bytes of all strings together, before they are checked again against the stack.
const TOTAL_MAX: usize = 4 << 20;

pub(super) fn execve(c: &mut Call<'_>, path: u64, args: u64, env: u64) -> Result {
    let path = c.memory().read_path(path)?;
    let args = strings(c, args)?;
    let env = strings(c, env)?;
    c.task.exec(Program { path, args, env }, c.context)?;
    Ok(0)
}

/// A NULL-terminated array of strings.
fn strings(c: &Call<'_>, mut address: u64) -> Result<Vec<Vec<u8>>> {
    let memory = c.memory();
    let mut strings = Vec::new();
    let mut total = 0;
    while address != 0 {
        let string = memory.read_u64(address)?;
        if string == 0 {
            break;
        }
        let string = memory
            .read_string(string, STRING_MAX)
            .map_err(|error| match error {
                Errno::ENAMETOOLONG => Errno::E2BIG,
                error => error,
            })?;
        total += string.len();
        if strings.len() == STRINGS_MAX || total > TOTAL_MAX {
            return Err(Errno::E2BIG);
        }
        strings.push(string);
        address = address.wrapping_add(8);
    }
    Ok(strings)
}

pub(super) fn fork(c: &mut Call<'_>) -> Result {
    let request = CloneRequest {
        exit_signal: raw::SIGCHLD,
        ..CloneRequest::default()
    };
    clone_task(c.task, c.context, &request).map(u64::from)
}

pub(super) fn vfork(c: &mut Call<'_>) -> Result {
    let flags = u64::from(raw::CLONE_VM | raw::CLONE_VFORK);
    let request = CloneRequest {
        flags,
        exit_signal: raw::SIGCHLD,
        ..CloneRequest::default()
    };
    clone_task(c.task, c.context, &request).map(u64::from)
}

pub(super) fn exit(c: &mut Call<'_>, code: u64) -> Result {
    exit_thread(c.task, code as u32);
    Ok(0)
}

pub(super) fn exit_group(c: &mut Call<'_>, code: u64) -> Result {
    exit_process(c.task, code as u32);
    Ok(0)
}

pub(super) fn wait4(c: &mut Call<'_>, pid: u64, status: u64, options: u64, usage: u64) -> Result {
    let target = match pid as i32 {
        -1 => WaitTarget::Any,
        0 => WaitTarget::Group(c.task.process().group()),
        pid if pid > 0 => WaitTarget::Process(pid as u32),
        group => WaitTarget::Group(group.unsigned_abs()),
    };
    let bits = options as u32;
    let known = raw::WNOHANG | raw::WUNTRACED | raw::WCONTINUED;
    if bits & !(known | raw::__WNOTHREAD | raw::__WALL | raw::__WCLONE) != 0 {
        return Err(Errno::EINVAL);
    }
    let options = WaitOptions {
        ended: true,
        stopped: bits & raw::WUNTRACED != 0,
        continued: bits & raw::WCONTINUED != 0,
        no_hang: bits & raw::WNOHANG != 0,
        keep: false,
    };
    let Some(waited) = wait_for_child(c.task, target, options)? else {
        return Ok(0);
    };
    if status != 0 {
        c.memory().write_u32(status, waited.status)?;
    }
    if usage != 0 {
        c.write(usage, &resource::usage(waited.cpu_time, 0))?;
    }
    Ok(waited.pid.into())
}

pub(super) fn waitid(
    c: &mut Call<'_>,
    kind: u64,
    id: u64,
    info: u64,
    options: u64,
    usage: u64,
) -> Result {
    let target = match kind as u32 {
        raw::P_ALL => WaitTarget::Any,
        raw::P_PID => WaitTarget::Process(id as u32),
        raw::P_PGID if id == 0 => WaitTarget::Group(c.task.process().group()),
        raw::P_PGID => WaitTarget::Group(id as u32),
        _ => return Err(Errno::EINVAL),
    };
    let bits = options as u32;
    if bits & (raw::WEXITED | raw::WSTOPPED | raw::WCONTINUED) == 0 {
        return Err(Errno::EINVAL);
    }
    let options = WaitOptions {
        ended: bits & raw::WEXITED != 0,
        stopped: bits & raw::WSTOPPED != 0,
        continued: bits & raw::WCONTINUED != 0,
        no_hang: bits & raw::WNOHANG != 0,
        keep: bits & raw::WNOWAIT != 0,
    };
    let waited = wait_for_child(c.task, target, options)?;
    if info != 0 {
        let description = waited.map_or_else(SigInfo::default, |waited| {
            child_info(waited.pid, raw::SIGCHLD, waited.status)
        });
        c.write(info, &description)?;
    }
    if usage != 0 {
        let time = waited.map_or_else(CpuTime::default, |waited| waited.cpu_time);
        c.write(usage, &resource::usage(time, 0))?;
    }
    Ok(0)
}

pub(super) fn getpid(c: &mut Call<'_>) -> Result {
    Ok(c.task.process().pid().into())
}

pub(super) fn getppid(c: &mut Call<'_>) -> Result {
    Ok(c.task.process().parent_pid().into())
}

/// The process that a number means: 0 is the caller.
fn process_of(c: &Call<'_>, pid: u64) -> Result<Arc<Process>> {
    match pid as u32 {
        0 => Ok(Arc::clone(c.task.process())),
        pid => find_process(pid).ok_or(Errno::ESRCH),
    }
}

pub(super) fn getpgid(c: &mut Call<'_>, pid: u64) -> Result {
    Ok(process_of(c, pid)?.group().into())
}

pub(super) fn getpgrp(c: &mut Call<'_>) -> Result {
    Ok(c.task.process().group().into())
}

pub(super) fn setpgid(c: &mut Call<'_>, pid: u64, group: u64) -> Result {
    if (group as i32) < 0 {
        return Err(Errno::EINVAL);
    }
    let process = process_of(c, pid)?;
    let group = match group as u32 {
        0 => process.pid(),
        group => group,
    };
    check_new_group(c.task.process(), &process, group)?;
    process.set_group(group);
    Ok(0)
}

/// Whether `caller` may move `process` to `group` (setpgid(2), errors).
fn check_new_group(caller: &Arc<Process>, process: &Arc<Process>, group: u32) -> Result<()> {
    let session = caller.session();
    if !Arc::ptr_eq(caller, process) {
        let parent = process.parent();
        if !parent.is_some_and(|parent| Arc::ptr_eq(&parent, caller)) {
            return Err(Errno::ESRCH);
        }
        if process.has_exec() {
            return Err(Errno::EACCES);
        }
    }
    let exists = |other: &Arc<Process>| other.group() == group && other.session() == session;
    let leads = process.session() == process.pid();
    let known = group == process.pid() || all_processes().iter().any(exists);
    if leads || process.session() != session || !known {
        return Err(Errno::EPERM);
    }
    Ok(())
}

pub(super) fn getsid(c: &mut Call<'_>, pid: u64) -> Result {
    Ok(process_of(c, pid)?.session().into())
}

pub(super) fn setsid(c: &mut Call<'_>) -> Result {
    let process = c.task.process();
    if process.group() == process.pid() {
        return Err(Errno::EPERM);
    }
    process.start_session();
    Ok(process.pid().into())
}

pub(super) fn getuid(_: &mut Call<'_>) -> Result {
    Ok(0)
}

pub(super) fn geteuid(_: &mut Call<'_>) -> Result {
    Ok(0)
}

pub(super) fn getgid(_: &mut Call<'_>) -> Result {
    Ok(0)
}

pub(super) fn getegid(_: &mut Call<'_>) -> Result {
    Ok(0)
}

/// There is one user: becoming it succeeds, becoming anyone else is not possible.
fn become_root(ids: &[u64]) -> Result {
    let root_or_unchanged = |&id: &u64| matches!(id as i32, 0 | -1);
    if ids.iter().all(root_or_unchanged) {
        Ok(0)
    } else {
        Err(Errno::EPERM)
    }
}

pub(super) fn setuid(_: &mut Call<'_>, id: u64) -> Result {
    become_root(&[id])
}

pub(super) fn setgid(_: &mut Call<'_>, id: u64) -> Result {
    become_root(&[id])
}

pub(super) fn setreuid(_: &mut Call<'_>, real: u64, effective: u64) -> Result {
    become_root(&[real, effective])
}

pub(super) fn setregid(_: &mut Call<'_>, real: u64, effective: u64) -> Result {
    become_root(&[real, effective])
}

pub(super) fn setresuid(_: &mut Call<'_>, real: u64, effective: u64, saved: u64) -> Result {
    become_root(&[real, effective, saved])
}

pub(super) fn setresgid(_: &mut Call<'_>, real: u64, effective: u64, saved: u64) -> Result {
    become_root(&[real, effective, saved])
}

pub(super) fn getresuid(c: &mut Call<'_>, real: u64, effective: u64, saved: u64) -> Result {
    for address in [real, effective, saved] {
        c.memory().write_u32(address, 0)?;
    }
    Ok(0)
}

pub(super) fn getresgid(c: &mut Call<'_>, real: u64, effective: u64, saved: u64) -> Result {
    getresuid(c, real, effective, saved)
}

pub(super) fn getgroups(_: &mut Call<'_>, _size: u64, _list: u64) -> Result {
    Ok(0)
}

pub(super) fn setgroups(_: &mut Call<'_>, _size: u64, _list: u64) -> Result {
    Ok(0)
}

/// The system call returns 20 less the nice value, which is 0 (getpriority(2)).
pub(super) fn getpriority(_: &mut Call<'_>, _which: u64, _who: u64) -> Result {
    Ok(20)
}

pub(super) fn setpriority(_: &mut Call<'_>, _which: u64, _who: u64, _value: u64) -> Result {
    Ok(0)
}
