//! How threads and processes end, and how parents learn of it (exit(2), wait4(2)).

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::Ordering;

use linux_abi::Errno;
use linux_abi::layout::SigInfo;
use linux_abi::raw::general as raw;
use vfs::Events;

use super::process::WaitStatus;
use super::stop::{CONTINUED, STOPPED};
use super::{CpuTime, Process, SignalSet, SignalTarget, Task, send_signal, table};
use crate::{ending, files, futex};

/// Number of the first process, with which the machine ends.
pub(crate) const FIRST_PROCESS: u32 = 1;

/// Which children wait4(2) waits for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum WaitTarget {
    /// Any.
    Any,
    /// One by number.
    Process(u32),
    /// Those of a process group.
    Group(u32),
}

/// How to wait.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct WaitOptions {
    /// Report children that have ended.
    pub ended: bool,
    /// Report children that were stopped.
    pub stopped: bool,
    /// Report children that were continued.
    pub continued: bool,
    /// Return at once if there is nothing to report.
    pub no_hang: bool,
    /// Leave the report to be waited for again.
    pub keep: bool,
}

/// A child that has ended, stopped or continued.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Waited {
    /// Its number.
    pub pid: u32,
    /// Its status, encoded as for wait4(2).
    pub status: WaitStatus,
    /// Its processor time and that of its children.
    pub cpu_time: CpuTime,
}

/// exit(2): the calling thread ends, with `code` if it is the last one.
pub(crate) fn exit_thread(task: &Arc<Task>, code: u32) {
    if task.process().threads.lock().len() == 1 {
        task.process()
            .ending
            .lock()
            .get_or_insert((code & 0xff) << 8);
    }
    task.end();
}

/// exit_group(2): the process ends with `code`.
pub(crate) fn exit_process(task: &Arc<Task>, code: u32) {
    end_process(task.process(), (code & 0xff) << 8);
}

/// Ends all threads of a process; `status` is encoded as for wait4(2). The first call counts.
pub(super) fn end_process(process: &Process, status: WaitStatus) {
    process.ending.lock().get_or_insert(status);
    end_threads(process, |_| true);
}

/// Tells threads to end. All are told before the list of threads changes again, so that none can
/// start another one that goes on (see `clone`).
fn end_threads(process: &Process, which: impl Fn(&Arc<Task>) -> bool) {
    let told: Vec<Arc<Task>> = {
        let threads = process.threads.lock();
        let told = threads.iter().filter(|task| which(task));
        told.inspect(|task| task.tell_to_end()).cloned().collect()
    };
    for task in told {
        task.interrupt();
    }
}

/// Last things a thread does.
pub(super) fn finish(task: Arc<Task>) {
    release_thread_memory(&task);
    let process = Arc::clone(task.process());
    table::remove_task(&task);
    let last = {
        let mut threads = process.threads.lock();
        process.add_past_thread(&task);
        threads.retain(|other| !Arc::ptr_eq(other, &task));
        threads.is_empty()
    };
    if last {
        finish_process(&process);
    } else {
        process.retarget_signals(&task, SignalSet(!task.blocked().0));
        process.changed.wake(Events::all());
    }
}

/// Tells other threads that this one is gone: robust futexes, then the word of `CHILD_CLEARTID`.
pub(super) fn release_thread_memory(task: &Arc<Task>) {
    futex::release_robust(task);
    let address = task.clear_child_tid.swap(0, Ordering::Relaxed);
    if address != 0 && task.memory().write_u32(address, 0).is_ok() {
        let _ = futex::wake(task, address, false, 1, u32::MAX);
    }
}

fn finish_process(process: &Arc<Process>) {
    let status = *process.ending.lock().get_or_insert(0);
    if process.pid() == FIRST_PROCESS {
        ending::program_ended(status);
    }
    files::close_all(process);
    process.release_memory();
    let children = core::mem::take(&mut *process.children.lock());
    for child in children {
        child.orphan();
        if child.ended.load(Ordering::Acquire) {
            table::remove_process(child.pid());
        }
    }
    process.ended.store(true, Ordering::Release);
    process.release();
    match process.parent() {
        Some(parent) => notify_parent(process, &parent, status),
        None => table::remove_process(process.pid()),
    }
}

fn notify_parent(process: &Arc<Process>, parent: &Arc<Process>, status: WaitStatus) {
    if parent.ignores_children() {
        remove_child(parent, process);
    }
    if process.exit_signal != 0 {
        let info = child_info(process.pid(), process.exit_signal, status);
        send_signal(SignalTarget::Process(parent), info);
    }
    parent.changed.wake(Events::all());
}

/// What a parent learns of a child by `signal` or waitid(2); `status` is as for wait4(2).
pub(crate) fn child_info(pid: u32, signal: u32, status: WaitStatus) -> SigInfo {
    let (code, value) = match (status, status & 0x7f) {
        (CONTINUED, _) => (raw::CLD_CONTINUED, raw::SIGCONT),
        (_, STOPPED) => (raw::CLD_STOPPED, status >> 8),
        (_, 0) => (raw::CLD_EXITED, status >> 8),
        (_, killer) => (raw::CLD_KILLED, killer),
    };
    let mut info = SigInfo::of_child(code as i32, pid as i32, 0, value as i32);
    info.si_signo = signal as i32;
    info
}

pub(super) fn remove_child(parent: &Process, child: &Arc<Process>) {
    parent
        .children
        .lock()
        .retain(|other| !Arc::ptr_eq(other, child));
    table::remove_process(child.pid());
}

/// wait4(2), waitid(2): waits for a child to end, stop or continue. `Ok(None)` with `no_hang` and
/// nothing to report.
///
/// # Errors
/// `ECHILD` if there is no such child, `EINTR`.
pub(crate) fn wait_for_child(
    task: &Arc<Task>,
    target: WaitTarget,
    options: WaitOptions,
) -> Result<Option<Waited>, Errno> {
    let process = task.process();
    let collect = || match collect(process, target, options) {
        Ok(None) if !options.no_hang => None,
        result => Some(result),
    };
    task.wait_on(&process.changed, None, collect)?
}

/// Looks for a child with something to report.
fn collect(
    process: &Arc<Process>,
    target: WaitTarget,
    options: WaitOptions,
) -> Result<Option<Waited>, Errno> {
    let matches = |child: &Arc<Process>| match target {
        WaitTarget::Any => true,
        WaitTarget::Process(pid) => child.pid() == pid,
        WaitTarget::Group(group) => child.group() == group,
    };
    let found = {
        let children = process.children.lock();
        let mut candidates = children.iter().filter(|child| matches(child)).peekable();
        if candidates.peek().is_none() {
            return Err(Errno::ECHILD);
        }
        candidates.find_map(|child| Some((Arc::clone(child), report(child, options)?)))
    };
    let Some((child, status)) = found else {
        return Ok(None);
    };
    if !options.keep && child.ended.load(Ordering::Acquire) {
        process.add_past_child(&child);
        remove_child(process, &child);
    }
    Ok(Some(Waited {
        pid: child.pid(),
        status,
        cpu_time: child.cpu_time() + child.children_cpu_time(),
    }))
}

fn report(child: &Process, options: WaitOptions) -> Option<WaitStatus> {
    if child.ended.load(Ordering::Acquire) {
        let status = child.ending.lock().unwrap_or(0);
        return options.ended.then_some(status);
    }
    child.stop_report(options)
}

/// Ends all other threads of the process and waits until they are gone (for exec).
///
/// # Errors
/// `EINTR` if another thread was first, or the process ends.
pub(super) fn end_other_threads(task: &Arc<Task>) -> Result<(), Errno> {
    let process = task.process();
    // Told under the lock of the list: of two threads, the first to get there tells the other.
    end_threads(process, |other| {
        !task.is_ending() && !Arc::ptr_eq(other, task)
    });
    task.wait_uninterrupted(&process.changed, || process.threads.lock().len() == 1);
    match task.is_ending() {
        true => Err(Errno::EINTR),
        false => Ok(()),
    }
}
