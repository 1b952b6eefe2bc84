//! Processor time used by threads and processes (getrusage(2), clock_gettime(2), times(2)).
//!
//! A thread's clock runs from when it is switched to until it is switched from; ring 3 and the
//! kernel's work for it are not told apart.

use core::sync::atomic::{AtomicU64, Ordering};

use super::{Process, Task};
use crate::clock;

/// Set while the clock runs.
const RUNNING: u64 = 1 << 63;

/// A clock of processor time: of a thread, or of a processor. Only whoever runs starts and stops
/// it; all may read it, so that it is one word: the time used, or, with [`RUNNING`], the point in
/// time at which it would have started from 0.
pub(crate) struct CpuClock(AtomicU64);

impl CpuClock {
    /// A clock at 0 that does not run.
    pub(crate) const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// The clock runs from `now` on.
    pub(crate) fn start(&self, now: u64) {
        let start = now.saturating_sub(self.at(now));
        self.0.store(start | RUNNING, Ordering::Relaxed);
    }

    /// The clock stops at `now`.
    pub(crate) fn stop(&self, now: u64) {
        self.0.store(self.at(now), Ordering::Relaxed);
    }

    /// Nanoseconds used up to `now`.
    pub(crate) fn at(&self, now: u64) -> u64 {
        let word = self.0.load(Ordering::Relaxed);
        if word & RUNNING == 0 {
            word
        } else {
            now.saturating_sub(word & !RUNNING)
        }
    }

    /// Nanoseconds used up to now.
    pub(crate) fn now(&self) -> u64 {
        self.at(clock::now())
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
