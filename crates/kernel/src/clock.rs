//! Time: nanoseconds since power-on from the time-stamp counter, and the wall clock beside it.
//!
//! The parameters are those that the vDSO reads in ring 3, and so is the arithmetic: a time read
//! there and one read here never disagree.

use machine::cpu::timestamp;
use spin::Once;
use vdso::{CLOCK_FROM_TSC, ClockPage};

/// Nanoseconds in a second.
pub(crate) const SECOND: u64 = 1_000_000_000;

static PARAMETERS: Once<ClockPage> = Once::new();

/// Sets the clock from the counter's frequency in kHz and the wall clock in seconds now.
pub(crate) fn init(tsc_khz: u64, unix_seconds: u64) {
    let (mult, shift) = ClockPage::rate(tsc_khz * 1000);
    let mut parameters = ClockPage {
        flags: CLOCK_FROM_TSC,
        mult,
        shift,
        ..ClockPage::default()
    };
    let now = parameters.monotonic(timestamp());
    parameters.wall_offset = (unix_seconds * SECOND).wrapping_sub(now) as i64;
    PARAMETERS.call_once(|| parameters);
}

/// What the vDSO needs to know.
pub(crate) fn parameters() -> ClockPage {
    PARAMETERS.get().copied().unwrap_or_default()
}

/// Nanoseconds since power-on (`CLOCK_MONOTONIC`); 0 before [`init`].
pub(crate) fn now() -> u64 {
    PARAMETERS
        .get()
        .map_or(0, |parameters| parameters.monotonic(timestamp()))
}

/// What so many ticks of the time-stamp counter are in nanoseconds.
pub(crate) fn of_ticks(ticks: u64) -> u64 {
    PARAMETERS.get().map_or(0, |parameters| {
        parameters.monotonic(parameters.tsc_base.wrapping_add(ticks)) - parameters.monotonic_base
    })
}

/// Nanoseconds since 1970 (`CLOCK_REALTIME`).
pub(crate) fn wall() -> u64 {
    now().wrapping_add_signed(wall_offset())
}

/// What to add to [`now`] for [`wall`].
pub(crate) fn wall_offset() -> i64 {
    parameters().wall_offset
}
