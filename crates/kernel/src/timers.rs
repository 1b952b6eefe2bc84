//! Timers: a queue ordered by deadline over the one-shot timers of the CPUs. There is no tick.
//!
//! There is one queue for the machine. The CPU that sets a timer arms its own hardware, unless
//! some CPU's fires early enough anyway; whoever's fires serves all that is due and sees to it
//! that the next deadline is covered.

use alloc::collections::BTreeMap;
use alloc::sync::Weak;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};

use machine::cpu::{self, MAX_CPUS};
use spin::Mutex;

use crate::clock;

/// Something that wants to be told when a point in time has passed.
pub(crate) trait Alarm: Send + Sync {
    /// Called once, with the lock of the queue released.
    fn expire(&self, now: u64);
}

/// Names a timer for [`cancel`]; a deadline and a serial number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TimerId(u64, u64);

struct Queue {
    alarms: BTreeMap<TimerId, Weak<dyn Alarm>>,
    next_serial: u64,
}

static QUEUE: Mutex<Queue> = Mutex::new(Queue {
    alarms: BTreeMap::new(),
    next_serial: 0,
});

/// No point in time.
pub(crate) const NEVER: u64 = u64::MAX;

/// The timer of one CPU. Only that CPU changes it; `armed` goes up only under the queue's lock.
struct Hardware {
    /// When it will interrupt.
    armed: AtomicU64,
    /// When the running task has to give way to others; see [`set_slice`].
    slice_end: AtomicU64,
}

static HARDWARE: [Hardware; MAX_CPUS] = [const {
    Hardware {
        armed: AtomicU64::new(NEVER),
        slice_end: AtomicU64::new(NEVER),
    }
}; MAX_CPUS];

fn this_cpu() -> &'static Hardware {
    &HARDWARE[cpu::number()]
}

impl Hardware {
    /// Sets the hardware if `deadline` is earlier than what it is set to. A later deadline waits
    /// for the early interrupt: that is cheaper than setting the hardware twice.
    fn arm(&self, deadline: u64) {
        if deadline < self.armed.load(Ordering::Relaxed) {
            self.armed.store(deadline, Ordering::Relaxed);
            machine::dev::timer::arm(deadline.saturating_sub(clock::now()));
        }
    }
}

impl Queue {
    /// Sees to it that some CPU's hardware interrupts at the first deadline or before.
    fn cover(&self) {
        let Some((&TimerId(first, _), _)) = self.alarms.first_key_value() else {
            return;
        };
        let covered = |hardware: &Hardware| hardware.armed.load(Ordering::Relaxed) <= first;
        if !HARDWARE[..cpu::count()].iter().any(covered) {
            this_cpu().arm(first);
        }
    }
}

/// Calls `alarm` when [`clock::now`] reaches `deadline`.
pub(crate) fn set(deadline: u64, alarm: Weak<dyn Alarm>) -> TimerId {
    let mut queue = QUEUE.lock();
    let id = TimerId(deadline, queue.next_serial);
    queue.next_serial += 1;
    queue.alarms.insert(id, alarm);
    queue.cover();
    id
}

/// Whether a timer has neither expired nor been cancelled.
pub(crate) fn is_set(id: TimerId) -> bool {
    QUEUE.lock().alarms.contains_key(&id)
}

/// Forgets a timer; one that has expired is ignored.
pub(crate) fn cancel(id: TimerId) {
    let removed = QUEUE.lock().alarms.remove(&id);
    // What it held is dropped with the lock released.
    drop(removed);
}

/// Asks for an interrupt at `end` so that this CPU's task can be made to give way; does nothing
/// if one is asked for already.
pub(crate) fn set_slice(end: u64) {
    let hardware = this_cpu();
    if hardware.slice_end.load(Ordering::Relaxed) == NEVER {
        hardware.slice_end.store(end, Ordering::Relaxed);
        hardware.arm(end);
    }
}

/// Whether CPU `number` will look at its queue before long.
pub(crate) fn has_slice(number: usize) -> bool {
    HARDWARE[number].slice_end.load(Ordering::SeqCst) != NEVER
}

/// Handles the timer interrupt. Returns whether the slice of the running task is over.
pub(crate) fn expire() -> bool {
    let now = clock::now();
    let mut due = Vec::new();
    let hardware = this_cpu();
    {
        let mut queue = QUEUE.lock();
        hardware.armed.store(NEVER, Ordering::Relaxed);
        while let Some(entry) = queue.alarms.first_entry() {
            if entry.key().0 > now {
                break;
            }
            due.push(entry.remove());
        }
        queue.cover();
    }
    let slice_end = hardware.slice_end.load(Ordering::Relaxed);
    let slice_over = slice_end <= now;
    if slice_over {
        // Ordered before the look at the run queue, see `has_slice`.
        hardware.slice_end.swap(NEVER, Ordering::SeqCst);
    } else {
        hardware.arm(slice_end);
    }
    for alarm in due.iter().filter_map(Weak::upgrade) {
        alarm.expire(now);
    }
    slice_over
}
