//! What interrupts are about. They are served on the way to ring 3, when idle, and in the middle of
//! long system calls.

use machine::cpu::take_pending;
use machine::dev::{Irq, interrupt};

use crate::{ending, network, sched, timers, tty};

/// Serves everything that has arrived.
pub(crate) fn service() {
    let mut pending = take_pending();
    while pending != 0 {
        let bit = pending.trailing_zeros() as u8;
        pending &= pending - 1;
        match interrupt::source(interrupt::FIRST_VECTOR + bit) {
            Some(Irq::Timer) if timers::expire() => sched::slice_over(),
            Some(Irq::Timer) => {}
            Some(Irq::Network) => network::interrupt(),
            Some(Irq::Serial) => tty::receive(),
            Some(Irq::Wake) => sched::look_around(),
            Some(Irq::PowerButton) => ending::power_button(),
            None => {}
        }
    }
}
