//! The one-shot timer of each CPU: by the TSC or by ticks of the local APIC, or the PIT where
//! there is no APIC.

use spin::Once;

use super::apic::{LocalApic, has_deadline, set_deadline};
use super::interrupt::{TIMER_VECTOR, local_apic};
use super::{clock, pit};
use crate::cpu::timestamp;

/// How long the APIC timer is compared with the TSC, in nanoseconds. It need not be precise:
/// whoever is woken looks at the TSC.
const SPAN: u64 = 200_000;

static TIMER: Once<Timer> = Once::new();

#[derive(Clone, Copy, Debug)]
enum Timer {
    /// The local APIC compares the TSC with a deadline.
    Deadline,
    /// The local APIC counts ticks, so many in a millisecond.
    Ticks { kilohertz: u64 },
    /// The PIT; one CPU only.
    Pit,
}

/// Chooses the timer, and sets that of the boot CPU up.
pub(super) fn init() {
    TIMER.call_once(|| match local_apic() {
        Some(_) if has_deadline() => Timer::Deadline,
        Some(apic) => {
            let kilohertz = clock::apic_timer_told().unwrap_or_else(|| measure(apic));
            Timer::Ticks { kilohertz }
        }
        None => Timer::Pit,
    });
    init_this_cpu();
}

/// Sets the timer of this CPU up. The CPU's local APIC must be on.
pub(crate) fn init_this_cpu() {
    if let Some(apic) = local_apic() {
        apic.set_timer_vector(TIMER_VECTOR, matches!(TIMER.get(), Some(Timer::Deadline)));
    }
    cancel();
}

fn measure(apic: &LocalApic) -> u64 {
    apic.run_masked();
    let start = timestamp();
    clock::spin(SPAN);
    let left = apic.timer_left();
    let nanoseconds = clock::ticks_to_nanoseconds(timestamp().wrapping_sub(start)).max(1);
    (u64::from(u32::MAX - left) * 1_000_000 / nanoseconds).max(1)
}

/// Lets this CPU's timer interrupt once, `nanoseconds` from now. It replaces what was set before.
/// The interrupt may come early, when the time is longer than the hardware can count (the PIT:
/// 54 ms; the APIC at 1 GHz: 4.2 s): look at the clock and set it again.
pub fn arm(nanoseconds: u64) {
    match TIMER.get() {
        Some(Timer::Deadline) => {
            set_deadline(
                timestamp()
                    .saturating_add(clock::nanoseconds_to_ticks(nanoseconds))
                    .max(1),
            );
        }
        Some(&Timer::Ticks { kilohertz }) => start_apic(ticks(nanoseconds, kilohertz * 1000)),
        Some(Timer::Pit) => pit::arm(ticks(nanoseconds, pit::HERTZ)),
        None => {}
    }
}

/// Stops this CPU's timer. An interrupt may already be on its way.
pub fn cancel() {
    match TIMER.get() {
        Some(Timer::Deadline) => set_deadline(0),
        Some(Timer::Ticks { .. }) => start_apic(0),
        Some(Timer::Pit) => pit::cancel(),
        None => {}
    }
}

fn start_apic(ticks: u64) {
    if let Some(apic) = local_apic() {
        apic.start_timer(u32::try_from(ticks).unwrap_or(u32::MAX));
    }
}

/// Ticks in a time, at least one.
fn ticks(nanoseconds: u64, hertz: u64) -> u64 {
    let ticks = u128::from(nanoseconds) * u128::from(hertz) / 1_000_000_000;
    u64::try_from(ticks).unwrap_or(u64::MAX).max(1)
}

/// What keeps the time: a word for the log.
pub fn timer_name() -> &'static str {
    match TIMER.get() {
        Some(Timer::Deadline) => "tsc-deadline",
        Some(Timer::Ticks { .. }) => "apic-timer",
        Some(Timer::Pit) => "pit",
        None => "none",
    }
}
