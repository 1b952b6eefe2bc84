//! Processor time used by threads and processes (getrusage(2), clock_gettime(2), times(2)).
//!
//! A thread's clock runs from when it is switched to until it is switched from; ring 3 and the
//! kernel's work for it are not told apart.

use core::sync::atomic::{AtomicU64, Ordering};

use super::{Process, Task};
use crate::clock;

/// The value of `since` while the thread does not run.
const STOPPED: u64 = 0;

/// The processor time of one thread. Only the thread itself starts and stops it.
#[derive(Default)]
pub(crate) struct CpuClock {
    /// Nanoseconds before the thread was last switched to.
    used: AtomicU64,
    /// When it was.
    since: AtomicU64,
}

impl CpuClock {
    /// The thread has been switched to.
    pub(crate) fn start(&self) {
        self.since.store(clock::now(), Ordering::Relaxed);
    }

    /// The thread is about to be switched from.
    pub(crate) fn stop(&self) {
        self.used.store(self.now(), Ordering::Relaxed);
        self.since.store(STOPPED, Ordering::Relaxed);
    }

    /// Nanoseconds used up to now.
    pub(crate) fn now(&self) -> u64 {
        let running = match self.since.load(Ordering::Relaxed) {
            STOPPED => 0,
            since => clock::now().saturating_sub(since),
        };
        self.used.load(Ordering::Relaxed) + running
    }
}

/// The processor time of a process besides that of its living threads, in nanoseconds.
#[derive(Default)]
pub(super) struct PastUsage {
    /// Of threads that have ended.
    threads: AtomicU64,
    /// Of children that were waited for, with theirs.
    children: AtomicU64,
}

impl Process {
    /// Processor time of all threads, past ones included, in nanoseconds.
    pub(crate) fn cpu_time(&self) -> u64 {
        // Under the lock a thread that ends counts in one of both sums.
        let threads = self.threads.lock();
        let living: u64 = threads.iter().map(|task| task.cpu.now()).sum();
        living + self.past.threads.load(Ordering::Relaxed)
    }

    /// Processor time of the children that were waited for, and theirs, in nanoseconds.
    pub(crate) fn children_cpu_time(&self) -> u64 {
        self.past.children.load(Ordering::Relaxed)
    }

    /// Takes over the time of a thread that ends; called with the list of threads locked.
    pub(super) fn add_past_thread(&self, task: &Task) {
        self.past
            .threads
            .fetch_add(task.cpu.now(), Ordering::Relaxed);
    }

    /// Takes over the time of a child that was waited for.
    pub(super) fn add_past_child(&self, child: &Process) {
        let time = child.cpu_time() + child.children_cpu_time();
        self.past.children.fetch_add(time, Ordering::Relaxed);
    }
}
