//! Stopping the other CPUs at the end of the machine, and what each was doing.

use core::hint::spin_loop;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::backtrace::callers_of;
use super::start::{count, number};
use super::user::UserFrame;
use super::{MAX_CPUS, halt_forever};
use crate::dev::interrupt as controller;
use crate::mem::USER_END;

/// Looks at a CPU before giving up on it: some hundred milliseconds. A busy host may not run it
/// at once.
const PATIENCE: u32 = 10_000_000;

/// Set when CPUs that get a non-maskable interrupt have to stop.
static STOPPING: AtomicBool = AtomicBool::new(false);

/// Where a CPU was stopped.
struct Place {
    stopped: AtomicBool,
    instruction: AtomicU64,
    frame: AtomicU64,
}

static PLACES: [Place; MAX_CPUS] = [const {
    Place {
        stopped: AtomicBool::new(false),
        instruction: AtomicU64::new(0),
        frame: AtomicU64::new(0),
    }
}; MAX_CPUS];

/// Stops all other CPUs, wherever they are. For the end of the machine.
pub fn stop_others() {
    if count() > 1
        && let Some(local) = controller::local_apic()
    {
        STOPPING.store(true, Ordering::SeqCst);
        local.stop_others();
    }
}

/// Whether this CPU is the first that got a non-maskable interrupt and nobody asked it to stop:
/// then somebody outside wants to know what the machine does. A machine may send one to each CPU.
pub(super) fn is_asked() -> bool {
    !STOPPING.swap(true, Ordering::SeqCst)
}

/// Stops this CPU for good; others can see where it was.
pub(super) fn stop_here(frame: &UserFrame) -> ! {
    let place = &PLACES[number()];
    place.instruction.store(frame.rip, Ordering::Relaxed);
    place.frame.store(frame.rbp(), Ordering::Relaxed);
    place.stopped.store(true, Ordering::Release);
    halt_forever()
}

/// What another CPU was doing when it was stopped.
#[derive(Clone, Copy, Debug)]
pub enum StoppedAt {
    /// It does not react.
    Nowhere,
    /// It ran a process, at this address.
    Ring3(u64),
    /// It ran the kernel.
    Kernel {
        /// Where.
        instruction: u64,
        /// The frame pointer there.
        frame: u64,
    },
}

/// Calls `report` with the number of each other CPU and what it was doing, after
/// [`stop_others`]. Waits a while for each to stop.
pub fn each_stopped(mut report: impl FnMut(usize, StoppedAt)) {
    for other in (0..count()).filter(|&other| other != number()) {
        report(other, place_of(other));
    }
}

fn place_of(other: usize) -> StoppedAt {
    let place = &PLACES[other];
    let mut patience = PATIENCE;
    while !place.stopped.load(Ordering::Acquire) {
        patience -= 1;
        if patience == 0 {
            return StoppedAt::Nowhere;
        }
        spin_loop();
    }
    match place.instruction.load(Ordering::Relaxed) {
        address if address < USER_END => StoppedAt::Ring3(address),
        instruction => StoppedAt::Kernel {
            instruction,
            frame: place.frame.load(Ordering::Relaxed),
        },
    }
}

impl StoppedAt {
    /// Calls `report` with the return address of each caller in the kernel, innermost first.
    pub fn callers(self, report: impl FnMut(u64)) {
        if let Self::Kernel { frame, .. } = self {
            callers_of(frame, report);
        }
    }
}
