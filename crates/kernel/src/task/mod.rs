//! Tasks (threads) and processes: life, signals, programs.

mod clone;
mod exec;
mod exit;
mod process;
mod report;
mod run;
mod signal;
mod stop;
mod table;
mod usage;

use alloc::boxed::Box;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};

use linux_abi::Errno;
use machine::cpu::{FpuState, Thread, UserContext};
use spin::Mutex;

use crate::memory::Memory;
use crate::sched::{self, Turn};
use crate::wait::WakeState;

pub(crate) use clone::{CloneRequest, clone_task};
pub(crate) use exec::{Program, create_process};
pub(crate) use exit::{
    FIRST_PROCESS, WaitOptions, WaitTarget, child_info, exit_process, exit_thread, wait_for_child,
};
pub(crate) use process::{FileSystemContext, Process};
pub(crate) use report::print_threads;
pub(crate) use run::Interrupted;
pub(crate) use signal::{AlternateStack, SignalSet, SignalTarget, restore_context, send_signal};
pub(crate) use table::{all_processes, find_process, find_task};
pub(crate) use usage::{CpuClock, CpuTime};

use signal::TaskSignals;
use usage::UserClock;

/// A thread of a process.
pub(crate) struct Task {
    tid: AtomicU32,
    /// The number it was created with, by which the kernel thread names it (`current_tag`).
    tag: u32,
    this: Weak<Task>,
    process: Arc<Process>,
    thread: Arc<Thread>,
    wake_state: WakeState,
    /// The CPU that runs it, or ran it last.
    last_cpu: AtomicUsize,
    /// The CPUs that may run it, one bit each.
    affinity: AtomicU64,
    /// Number of the system call it made last.
    call: AtomicU64,
    /// When it goes first, see [`sched`].
    pub(crate) turn: Turn,
    /// Processor time used.
    pub(crate) cpu: CpuClock,
    /// The part of it in ring 3.
    in_ring_3: UserClock,
    signals: Mutex<TaskSignals>,
    /// The thread was told to end (exit_group, exec by another thread).
    ending: AtomicBool,
    /// Where to write 0 and wake a futex when the thread ends (set_tid_address(2)).
    clear_child_tid: AtomicU64,
    /// Head of the list of robust futexes (set_robust_list(2)).
    robust_list: AtomicU64,
    name: Mutex<Vec<u8>>,
}

impl Task {
    /// Creates a task that will start running `context`; the caller makes it runnable.
    ///
    /// # Errors
    /// `EAGAIN` when memory for a kernel stack is out (clone(2)).
    fn create(
        process: &Arc<Process>,
        tid: u32,
        context: UserContext,
        fpu: FpuState,
        signals: TaskSignals,
    ) -> Result<Arc<Self>, Errno> {
        let slot: Arc<Mutex<Option<Arc<Self>>>> = Arc::new(Mutex::new(None));
        let own = Arc::clone(&slot);
        let entry = Box::new(move || {
            let task = own.lock().take();
            if let Some(task) = task {
                run::run(task, context);
            }
        });
        let thread = Thread::new(entry, Some(fpu), tid).ok_or(Errno::EAGAIN)?;
        thread.set_address_space(process.memory().root());
        let task = Arc::new_cyclic(|this| Self {
            tid: AtomicU32::new(tid),
            tag: tid,
            this: Weak::clone(this),
            process: Arc::clone(process),
            thread,
            wake_state: WakeState::default(),
            last_cpu: AtomicUsize::new(machine::cpu::number()),
            affinity: AtomicU64::new(u64::MAX),
            call: AtomicU64::new(u64::MAX),
            turn: Turn::default(),
            cpu: CpuClock::new(),
            in_ring_3: UserClock::default(),
            signals: Mutex::new(signals),
            ending: AtomicBool::new(false),
            clear_child_tid: AtomicU64::new(0),
            robust_list: AtomicU64::new(0),
            name: Mutex::new(process.name()),
        });
        *slot.lock() = Some(Arc::clone(&task));
        process.add_thread(&task);
        table::add_task(&task);
        Ok(task)
    }

    /// Thread number (gettid(2)).
    pub(crate) fn tid(&self) -> u32 {
        self.tid.load(Ordering::Relaxed)
    }

    /// Gives the thread the number of its process, whose program it replaces (execve(2)).
    fn become_first(&self) {
        self.tid.store(self.process.pid(), Ordering::Relaxed);
        table::add_task(self);
    }

    /// The process it belongs to.
    pub(crate) fn process(&self) -> &Arc<Process> {
        &self.process
    }

    /// The memory of its process.
    pub(crate) fn memory(&self) -> Arc<Memory> {
        self.process.memory()
    }

    /// The kernel thread that runs it.
    pub(crate) fn thread(&self) -> &Arc<Thread> {
        &self.thread
    }

    pub(crate) fn this(&self) -> Option<Arc<Self>> {
        self.this.upgrade()
    }

    pub(crate) fn wake_state(&self) -> &WakeState {
        &self.wake_state
    }

    /// Notes which system call the thread makes.
    pub(crate) fn set_call(&self, number: u64) {
        self.call.store(number, Ordering::Relaxed);
    }

    /// The CPU that runs it, or ran it last.
    pub(crate) fn last_cpu(&self) -> usize {
        self.last_cpu.load(Ordering::Relaxed)
    }

    /// Notes the CPU that is about to run it.
    pub(crate) fn set_cpu(&self, number: usize) {
        self.last_cpu.store(number, Ordering::Relaxed);
    }

    /// The CPUs that may run it, one bit each; among them one that is there.
    pub(crate) fn affinity(&self) -> u64 {
        self.affinity.load(Ordering::Relaxed)
    }

    /// Sets the CPUs that may run it, at least one of them there.
    pub(crate) fn set_affinity(&self, mask: u64) {
        self.affinity.store(mask, Ordering::Relaxed);
        sched::kick(self);
    }

    /// Whether CPU `number` may run it.
    pub(crate) fn may_run_on(&self, number: usize) -> bool {
        self.affinity() >> number & 1 == 1
    }

    /// The name (`PR_GET_NAME`), at most 15 bytes.
    pub(crate) fn name(&self) -> Vec<u8> {
        self.name.lock().clone()
    }

    /// Sets the name, cut to 15 bytes.
    pub(crate) fn set_name(&self, name: &[u8]) {
        *self.name.lock() = name[..name.len().min(15)].to_vec();
    }

    /// set_tid_address(2).
    pub(crate) fn set_clear_child_tid(&self, address: u64) {
        self.clear_child_tid.store(address, Ordering::Relaxed);
    }

    /// set_robust_list(2).
    pub(crate) fn set_robust_list(&self, head: u64) {
        self.robust_list.store(head, Ordering::Relaxed);
    }

    /// get_robust_list(2).
    pub(crate) fn robust_list(&self) -> u64 {
        self.robust_list.load(Ordering::Relaxed)
    }

    /// Tells the thread to end at the next chance.
    fn end(&self) {
        self.tell_to_end();
        self.interrupt();
    }

    /// As [`end`](Self::end), without waking it up.
    fn tell_to_end(&self) {
        self.ending.store(true, Ordering::Relaxed);
    }

    /// Whether the thread has been told to end.
    pub(crate) fn is_ending(&self) -> bool {
        self.ending.load(Ordering::Relaxed)
    }
}
