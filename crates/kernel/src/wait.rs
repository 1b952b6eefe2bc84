//! Blocking: a task waits until something wakes it, a deadline passes or a signal arrives.

use alloc::sync::{Arc, Weak};

use linux_abi::Errno;
use spin::Mutex;
use vfs::{Events, WaitQueue, Waiter};

use crate::task::Task;
use crate::timers::{self, Alarm};
use crate::{clock, interrupts, sched};

/// A task's wake-up state.
#[derive(Default)]
pub(crate) struct WakeState(Mutex<Wakeup>);

#[derive(Default)]
struct Wakeup {
    /// Something happened since the task last looked.
    woken: bool,
    /// The task is in no run queue, waiting for `woken`.
    blocked: bool,
}

impl WakeState {
    /// Whether the task is blocked, for a dying kernel: also if that cannot be told.
    pub(crate) fn may_be_blocked(&self) -> bool {
        self.0.try_lock().is_none_or(|state| state.blocked)
    }
}

/// Why a wait ended without its condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interruption {
    /// The deadline passed.
    TimedOut,
    /// A signal wants to be handled.
    Signal,
}

impl From<Interruption> for Errno {
    fn from(interruption: Interruption) -> Self {
        match interruption {
            Interruption::TimedOut => Self::ETIMEDOUT,
            Interruption::Signal => Self::EINTR,
        }
    }
}

impl Waiter for Task {
    fn wake(&self, _events: Events) {
        self.wake_up();
    }
}

impl Alarm for Task {
    fn expire(&self, _now: u64) {
        self.wake_up();
    }
}

impl Task {
    /// Makes the task look at its condition again; runnable if it was blocked.
    pub(crate) fn wake_up(&self) {
        let Some(this) = self.this() else { return };
        let mut state = self.wake_state().0.lock();
        state.woken = true;
        if core::mem::take(&mut state.blocked) {
            sched::enqueue(this);
        }
    }

    /// As [`wake_up`](Self::wake_up); a task in ring 3 on another CPU is brought into the kernel.
    pub(crate) fn interrupt(&self) {
        self.wake_up();
        sched::kick(self);
    }

    /// Blocks until [`wake_up`](Self::wake_up); returns at once if it was called since last time.
    /// May return without cause, so callers check their condition in a loop.
    fn sleep(self: &Arc<Self>) {
        {
            let mut state = self.wake_state().0.lock();
            if core::mem::take(&mut state.woken) {
                return;
            }
            state.blocked = true;
        }
        sched::block(self);
        self.wake_state().0.lock().woken = false;
    }

    /// In the middle of long work, with no lock held: serves interrupts, and lets others run if it
    /// is their turn.
    ///
    /// # Errors
    /// If a signal wants to be handled: then the work should end early.
    pub(crate) fn pause(self: &Arc<Self>) -> Result<(), Interruption> {
        machine::cpu::let_interrupts_in();
        interrupts::service();
        sched::give_way_if_due(self);
        match self.has_signal() {
            true => Err(Interruption::Signal),
            false => Ok(()),
        }
    }

    /// Blocks until `ready` gives a value. `ready` is called again after each wake-up; whoever
    /// makes it true has to wake the task.
    ///
    /// # Errors
    /// If `deadline` (in terms of [`clock::now`]) passes or a signal arrives before.
    pub(crate) fn wait_for<T>(
        self: &Arc<Self>,
        deadline: Option<u64>,
        mut ready: impl FnMut() -> Option<T>,
    ) -> Result<T, Interruption> {
        let mut timer = None;
        let result = loop {
            if let Some(value) = ready() {
                break Ok(value);
            }
            if self.has_signal() {
                break Err(Interruption::Signal);
            }
            if deadline.is_some_and(|deadline| clock::now() >= deadline) {
                break Err(Interruption::TimedOut);
            }
            // Again if it went off early, by the clock of another CPU.
            if let Some(deadline) = deadline.filter(|_| !timer.is_some_and(timers::is_set)) {
                let weak: Weak<dyn Alarm> = Arc::downgrade(self) as _;
                timer = Some(timers::set(deadline, weak));
            }
            self.sleep();
        };
        if let Some(timer) = timer {
            timers::cancel(timer);
        }
        result
    }

    /// Blocks until `ready`, woken by `queue`. Signals wait; only the thread's own end cuts it
    /// short.
    pub(crate) fn wait_uninterrupted(
        self: &Arc<Self>,
        queue: &WaitQueue,
        ready: impl Fn() -> bool,
    ) {
        let weak: Weak<dyn Waiter> = Arc::downgrade(self) as _;
        queue.add(weak.clone());
        while !ready() && !self.is_ending() {
            self.sleep();
        }
        queue.remove(&weak);
    }

    /// As [`wait_for`](Self::wait_for), woken by `queue`.
    ///
    /// # Errors
    /// As there.
    pub(crate) fn wait_on<T>(
        self: &Arc<Self>,
        queue: &WaitQueue,
        deadline: Option<u64>,
        mut ready: impl FnMut() -> Option<T>,
    ) -> Result<T, Interruption> {
        if let Some(value) = ready() {
            return Ok(value);
        }
        let weak: Weak<dyn Waiter> = Arc::downgrade(self) as _;
        queue.add(weak.clone());
        let result = self.wait_for(deadline, ready);
        queue.remove(&weak);
        result
    }
}
