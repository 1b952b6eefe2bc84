//! clone(2), clone3(2), fork(2), vfork(2).

use alloc::sync::Arc;
use core::sync::atomic::Ordering;

use linux_abi::Errno;
use linux_abi::raw::general as raw;
use machine::cpu::{FpuState, UserContext};
use spin::Mutex;

use super::process::{Inheritance, SharedFiles};
use super::signal::TaskSignals;
use super::{AlternateStack, Process, Task, exit, table};
use crate::sched;

/// What clone(2) and clone3(2) ask for.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct CloneRequest {
    /// `CLONE_*`, without the exit signal.
    pub flags: u64,
    /// Signal to the parent when the child ends.
    pub exit_signal: u32,
    /// Stack pointer of the child; 0 keeps the parent's.
    pub stack: u64,
    /// Thread-local storage base, with `CLONE_SETTLS`.
    pub tls: u64,
    /// Where to store the number for the parent, with `CLONE_PARENT_SETTID`.
    pub parent_tid: u64,
    /// Where to store the number in the child's memory, with `CLONE_CHILD_SETTID`.
    pub child_tid: u64,
}

const VM: u64 = raw::CLONE_VM as u64;
const FS: u64 = raw::CLONE_FS as u64;
const FILES: u64 = raw::CLONE_FILES as u64;
const SIGHAND: u64 = raw::CLONE_SIGHAND as u64;
const VFORK: u64 = raw::CLONE_VFORK as u64;
const THREAD: u64 = raw::CLONE_THREAD as u64;
const SYSVSEM: u64 = raw::CLONE_SYSVSEM as u64;
const SETTLS: u64 = raw::CLONE_SETTLS as u64;
const PARENT_SETTID: u64 = raw::CLONE_PARENT_SETTID as u64;
const CHILD_CLEARTID: u64 = raw::CLONE_CHILD_CLEARTID as u64;
const CHILD_SETTID: u64 = raw::CLONE_CHILD_SETTID as u64;
const DETACHED: u64 = raw::CLONE_DETACHED as u64;
const CLEAR_SIGHAND: u64 = 0x1_0000_0000;
/// Number of the last signal (`_NSIG`).
const LAST_SIGNAL: u32 = 64;

const SUPPORTED: u64 = VM
    | FS
    | FILES
    | SIGHAND
    | VFORK
    | THREAD
    | SYSVSEM
    | SETTLS
    | PARENT_SETTID
    | CHILD_CLEARTID
    | CHILD_SETTID
    | DETACHED
    | CLEAR_SIGHAND;

impl CloneRequest {
    fn has(&self, flag: u64) -> bool {
        self.flags & flag != 0
    }

    fn check(&self) -> Result<(), Errno> {
        let thread_needs = SIGHAND | VM;
        let unknown = self.flags & !SUPPORTED != 0;
        let bad_thread = self.has(THREAD) && self.flags & thread_needs != thread_needs;
        // Sharing handlers without being a thread of the process is not supported.
        let bad_sharing = self.has(SIGHAND) && !self.has(THREAD);
        let bad_signal = self.exit_signal > LAST_SIGNAL;
        if unknown || bad_thread || bad_sharing || bad_signal {
            Err(Errno::EINVAL)
        } else {
            Ok(())
        }
    }
}

/// Creates a thread or process; returns its number to the parent.
///
/// # Errors
/// `EINVAL` for impossible or unsupported flags, `EAGAIN` and `ENOMEM` when resources are out.
pub(crate) fn clone_task(
    parent: &Arc<Task>,
    context: &UserContext,
    request: &CloneRequest,
) -> Result<u32, Errno> {
    request.check()?;
    let id = table::new_id().ok_or(Errno::EAGAIN)?;
    let process = if request.has(THREAD) {
        Arc::clone(parent.process())
    } else {
        fork_process(parent, id, request)?
    };
    let mut child_context = context.duplicate();
    child_context.registers_mut().rax = 0;
    if request.stack != 0 {
        child_context.set_stack(request.stack);
    }
    // A thread has no alternate stack; a process that has its own memory keeps it.
    let stack = if request.has(VM) && !request.has(VFORK) {
        AlternateStack::default()
    } else {
        parent.alternate_stack()
    };
    let signals = TaskSignals::inherit(parent.blocked(), stack);
    let child = Task::create(&process, id, child_context, FpuState::current(), signals)
        .inspect_err(|_| {
            if !request.has(THREAD) {
                drop(process.leave_files());
                exit::remove_child(parent.process(), &process);
            }
        })?;
    // Whoever ends all threads told those in the list: this one if it came later.
    if request.has(THREAD) && parent.is_ending() {
        child.tell_to_end();
    }
    child.set_name(&parent.name());
    set_up_child(parent, &child, request);
    sched::enqueue(Arc::clone(&child));
    if request.has(VFORK) {
        wait_for_release(parent, &process);
    }
    Ok(id)
}

/// A number that cannot be stored is no error, as in Linux: the child is there by then.
fn set_up_child(parent: &Arc<Task>, child: &Arc<Task>, request: &CloneRequest) {
    let tls = if request.has(SETTLS) {
        request.tls
    } else {
        parent.thread().fs_base()
    };
    child.set_affinity(parent.affinity());
    child.thread().set_fs_base(tls);
    child.thread().set_gs_base(parent.thread().gs_base());
    if request.has(CHILD_CLEARTID) {
        child.set_clear_child_tid(request.child_tid);
    }
    if request.has(CHILD_SETTID) {
        let _ = child.memory().write_u32(request.child_tid, child.tid());
    }
    if request.has(PARENT_SETTID) {
        let _ = parent.memory().write_u32(request.parent_tid, child.tid());
    }
}

fn fork_process(
    parent: &Arc<Task>,
    pid: u32,
    request: &CloneRequest,
) -> Result<Arc<Process>, Errno> {
    let old = parent.process();
    let memory = if request.has(VM) {
        old.memory()
    } else {
        old.memory().fork()?
    };
    let files = if request.has(FILES) {
        old.shared_files().share()
    } else {
        SharedFiles::new(old.files().clone())
    };
    let context = if request.has(FS) {
        Arc::clone(old.shared_context())
    } else {
        Arc::new(Mutex::new(old.context().clone()))
    };
    let mut signals = old.signals.lock().fork();
    if request.has(CLEAR_SIGHAND) {
        signals.reset_handlers();
    }
    let inheritance = Inheritance {
        memory,
        files,
        context,
        signals,
        info: old.info(),
        group: old.group(),
        session: old.session(),
        exit_signal: request.exit_signal,
    };
    let child = Process::create(pid, Arc::downgrade(old), inheritance);
    old.children.lock().push(Arc::clone(&child));
    Ok(child)
}

/// vfork(2): the parent waits until the child has its own memory or is gone. Signals wait, since
/// no handler may run while the child runs on this stack; only being killed ends the wait early.
fn wait_for_release(parent: &Arc<Task>, child: &Arc<Process>) {
    parent.wait_uninterrupted(&child.changed, || child.released.load(Ordering::Acquire));
}
