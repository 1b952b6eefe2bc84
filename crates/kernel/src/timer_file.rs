//! Timers as files (timerfd_create(2)).

use alloc::sync::{Arc, Weak};
use core::any::Any;

use spin::Mutex;
use vfs::{Errno, Events, File, FileKind, Sink, Stat, WaitQueue};

use crate::clock;
use crate::timers::{self, Alarm, TimerId};

/// A timer as a file: readable once it has expired.
pub(crate) struct TimerFile {
    this: Weak<Self>,
    realtime: bool,
    state: Mutex<State>,
    waiters: WaitQueue,
}

#[derive(Default)]
struct State {
    /// When it expires next, on [`clock::now`].
    deadline: Option<u64>,
    /// Time between expirations after the first; 0 for a single one.
    interval: u64,
    timer: Option<TimerId>,
    /// Expirations since the last read.
    expirations: u64,
}

impl TimerFile {
    /// An unset timer, whose absolute times are wall-clock times if `realtime`.
    pub(crate) fn new(realtime: bool) -> Arc<Self> {
        Arc::new_cyclic(|this| Self {
            this: Weak::clone(this),
            realtime,
            state: Mutex::new(State::default()),
            waiters: WaitQueue::new(),
        })
    }

    /// Sets the timer to expire at or after `value` nanoseconds, 0 to stop it, and every
    /// `interval` nanoseconds from then. Returns the setting before.
    pub(crate) fn set(&self, value: u64, interval: u64, absolute: bool) -> (u64, u64) {
        let before = self.setting();
        let offset = if self.realtime {
            clock::wall_offset()
        } else {
            0
        };
        let deadline = match (value, absolute) {
            (0, _) => None,
            (value, true) => Some(value.saturating_add_signed(-offset)),
            (value, false) => Some(clock::now().saturating_add(value)),
        };
        let mut state = self.state.lock();
        if let Some(timer) = state.timer.take() {
            timers::cancel(timer);
        }
        state.deadline = deadline;
        state.interval = interval;
        state.expirations = 0;
        self.arm(&mut state);
        before
    }

    fn arm(&self, state: &mut State) {
        let weak: Weak<dyn Alarm> = Weak::clone(&self.this) as _;
        state.timer = state.deadline.map(|deadline| timers::set(deadline, weak));
    }

    /// Time left until the next expiration (0 if unset) and the interval, in nanoseconds.
    pub(crate) fn setting(&self) -> (u64, u64) {
        let mut state = self.state.lock();
        state.advance(clock::now());
        let left = state
            .deadline
            .map_or(0, |at| at.saturating_sub(clock::now()).max(1));
        (left, state.interval)
    }
}

impl State {
    /// Counts the expirations up to `now` and moves the deadline on.
    fn advance(&mut self, now: u64) {
        let Some(deadline) = self.deadline.filter(|&deadline| deadline <= now) else {
            return;
        };
        match (now - deadline).checked_div(self.interval) {
            Some(further) => {
                self.expirations += 1 + further;
                let passed = (further + 1).saturating_mul(self.interval);
                self.deadline = Some(deadline.saturating_add(passed));
            }
            None => {
                self.expirations += 1;
                self.deadline = None;
            }
        }
    }
}

impl Alarm for TimerFile {
    fn expire(&self, now: u64) {
        {
            let mut state = self.state.lock();
            state.advance(now);
            // What went off may have been replaced meanwhile.
            if !state.timer.is_some_and(timers::is_set) {
                state.timer = None;
                // Else it is set again when read: a short interval that nobody looks at costs no
                // interrupts.
                if state.expirations == 0 {
                    self.arm(&mut state);
                }
            }
        }
        self.waiters.wake(Events::IN);
    }
}

impl Drop for TimerFile {
    fn drop(&mut self) {
        // Else it would keep memory until it goes off, which may be never.
        if let Some(timer) = self.state.get_mut().timer {
            timers::cancel(timer);
        }
    }
}

impl File for TimerFile {
    fn stat(&self) -> Stat {
        Stat::anonymous(FileKind::Anonymous)
    }

    fn read(&self, to: &mut dyn Sink) -> Result<usize, Errno> {
        if to.remaining() < 8 {
            return Err(Errno::EINVAL);
        }
        let mut state = self.state.lock();
        state.advance(clock::now());
        let count = core::mem::take(&mut state.expirations);
        if state.timer.is_none() {
            self.arm(&mut state);
        }
        match count {
            0 => Err(Errno::EAGAIN),
            count => to.put(&count.to_le_bytes()),
        }
    }

    fn poll(&self) -> Events {
        let expired = self.state.lock().expirations > 0;
        if expired { Events::IN } else { Events::empty() }
    }

    fn wait_queue(&self) -> Option<&WaitQueue> {
        Some(&self.waiters)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
