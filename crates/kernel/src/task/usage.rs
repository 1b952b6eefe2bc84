//! Processor time used by threads and processes (getrusage(2), clock_gettime(2), times(2)).
//!
//! A thread's clock runs from when it is switched to until it is switched from. The part of it that
//! is spent in ring 3 is read from the time-stamp counter on the way in and out; the rest is the
//! kernel's.

use core::iter::Sum;
use core::ops::Add;
use core::sync::atomic::{AtomicU64, Ordering};

use machine::cpu::timestamp;

use super::{Process, Task};
use crate::clock;

/// Processor time in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct CpuTime {
    /// All of it.
    pub(crate) total: u64,
    /// In ring 3.
    pub(crate) user: u64,
}

impl CpuTime {
    /// In the kernel.
    pub(crate) fn system(self) -> u64 {
        self.total.saturating_sub(self.user)
    }
}

impl Add for CpuTime {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            total: self.total + other.total,
            user: self.user + other.user,
        }
    }
}

impl Sum for CpuTime {
    fn sum<I: Iterator<Item = Self>>(times: I) -> Self {
        times.fold(Self::default(), Self::add)
    }
}

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

/// The time of one thread in ring 3. Only the thread itself adds to it.
#[derive(Default)]
pub(crate) struct UserClock {
    /// Ticks of the time-stamp counter.
    ticks: AtomicU64,
}

impl UserClock {
    /// Counts what `run` takes.
    pub(super) fn count<R>(&self, run: impl FnOnce() -> R) -> R {
        let before = timestamp();
        let result = run();
        let ticks = timestamp().wrapping_sub(before);
        let so_far = self.ticks.load(Ordering::Relaxed);
        self.ticks.store(so_far + ticks, Ordering::Relaxed);
        result
    }
}

impl Task {
    /// Processor time used up to now; in ring 3, up to when the thread last left it.
    pub(crate) fn cpu_time(&self) -> CpuTime {
        CpuTime {
            total: self.cpu.now(),
            user: clock::of_ticks(self.in_ring_3.ticks.load(Ordering::Relaxed)),
        }
    }
}

/// A [`CpuTime`] that several may add to.
#[derive(Default)]
struct CpuSum {
    total: AtomicU64,
    user: AtomicU64,
}

impl CpuSum {
    fn add(&self, time: CpuTime) {
        self.total.fetch_add(time.total, Ordering::Relaxed);
        self.user.fetch_add(time.user, Ordering::Relaxed);
    }

    fn get(&self) -> CpuTime {
        CpuTime {
            total: self.total.load(Ordering::Relaxed),
            user: self.user.load(Ordering::Relaxed),
        }
    }
}

/// The processor time of a process besides that of its living threads.
#[derive(Default)]
pub(super) struct PastUsage {
    /// Of threads that have ended.
    threads: CpuSum,
    /// Of children that were waited for, with theirs.
    children: CpuSum,
}

impl Process {
    /// Processor time of all threads, past ones included.
    pub(crate) fn cpu_time(&self) -> CpuTime {
        // Under the lock a thread that ends counts in one of both sums.
        let threads = self.threads.lock();
        let living: CpuTime = threads.iter().map(|task| task.cpu_time()).sum();
        living + self.past.threads.get()
    }

    /// Processor time of the children that were waited for, and theirs.
    pub(crate) fn children_cpu_time(&self) -> CpuTime {
        self.past.children.get()
    }

    /// Takes over the time of a thread that ends; called with the list of threads locked.
    pub(super) fn add_past_thread(&self, task: &Task) {
        self.past.threads.add(task.cpu_time());
    }

    /// Takes over the time of a child that was waited for.
    pub(super) fn add_past_child(&self, child: &Process) {
        self.past
            .children
            .add(child.cpu_time() + child.children_cpu_time());
    }
}
