//! Measuring the frequency of a counter against a counter whose frequency is known.
//!
//! Both counters are read in pairs, at the beginning and at the end of a span. Reading the
//! reference takes time (a virtual machine leaves the guest for it), so a pair is only as good as
//! the time between the two readings of the fast counter around it: of several tries the tightest
//! is taken. With a span of 2 ms, a pair tight to 1 µs and a reference that ticks every 280 ns
//! (ACPI timer) the error is below 2 × (0.5 + 0.3) / 2000, about 0.08 %; with the HPET's 10 ns
//! about 0.05 %; with the PIT, three port accesses and 838 ns, about 0.2 %. Where the hypervisor
//! tells the frequency nothing is measured at all.

/// A counter of known frequency.
pub(super) struct Reference<R> {
    /// Reads it.
    pub(super) read: R,
    /// Its value wraps at this mask.
    pub(super) mask: u64,
    /// Ticks in a second.
    pub(super) hertz: u64,
}

/// How long to measure, in microseconds.
pub(super) const SPAN_MICROSECONDS: u64 = 2_000;
/// Pairs of readings at each end of the span, of which the tightest counts.
const TRIES: u32 = 8;
/// Equal readings of the reference in a row before deciding that it stands still.
const PATIENCE: u32 = 200_000;

/// One reading of both counters: (fast, reference).
type Pair = (u64, u64);

/// Frequency of the counter `fast` in kHz; `None` when the reference stands still.
pub(super) fn kilohertz<R: Fn() -> u64>(
    fast: impl Fn() -> u64,
    reference: &Reference<R>,
) -> Option<u64> {
    let start = pair(&fast, reference);
    let span = reference.hertz * SPAN_MICROSECONDS / 1_000_000;
    let passed = |now: u64| now.wrapping_sub(start.1) & reference.mask;
    let (mut last, mut patience) = (start.1, PATIENCE);
    while passed(last) < span {
        let now = (reference.read)();
        patience = if now == last { patience - 1 } else { PATIENCE };
        last = now;
        if patience == 0 {
            return None;
        }
    }
    let end = pair(&fast, reference);
    let ticks = u128::from(end.0.wrapping_sub(start.0));
    let hertz = ticks * u128::from(reference.hertz) / u128::from(passed(end.1).max(1));
    u64::try_from(hertz / 1000)
        .ok()
        .filter(|&kilohertz| kilohertz > 0)
}

/// The tightest of several readings of both counters.
fn pair<R: Fn() -> u64>(fast: &impl Fn() -> u64, reference: &Reference<R>) -> Pair {
    let read = |_| {
        let before = fast();
        let slow = (reference.read)();
        let width = fast().wrapping_sub(before);
        (width, (before + width / 2, slow))
    };
    let tightest = (0..TRIES).map(read).min_by_key(|&(width, _)| width);
    tightest.map_or((0, 0), |(_, pair)| pair)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use proptest::prelude::proptest;

    use super::{Reference, kilohertz};

    /// A machine whose time passes with each reading, in picoseconds; now and then the host
    /// takes the CPU away in the middle of a pair.
    struct Machine {
        now: Cell<u128>,
        readings: Cell<u32>,
    }

    impl Machine {
        fn counter(&self, hertz: u64, cost: u128) -> u64 {
            self.readings.set(self.readings.get() + 1);
            let stolen = if self.readings.get().is_multiple_of(7) {
                60_000_000
            } else {
                0
            };
            self.now.set(self.now.get() + cost + stolen);
            (self.now.get() * u128::from(hertz) / 1_000_000_000_000) as u64
        }
    }

    fn measured(real_khz: u64, hertz: u64, mask: u64, start: u128) -> Option<u64> {
        let machine = Machine {
            now: Cell::new(start),
            readings: Cell::new(0),
        };
        let reference = Reference {
            read: || machine.counter(hertz, 900_000) & mask,
            mask,
            hertz,
        };
        kilohertz(|| machine.counter(real_khz * 1000, 10_000), &reference)
    }

    proptest! {
        #[test]
        fn is_as_precise_as_promised(khz in 500_000u64..6_000_000, start in 0u128..1 << 70) {
            for (hertz, mask) in [(100_000_000, u64::MAX >> 32), (3_579_545, 0xff_ffff), (1_193_182, 0xffff)] {
                let found = measured(khz, hertz, mask, start).unwrap();
                assert!(found.abs_diff(khz) * 500 < khz, "{found} instead of {khz} kHz at {hertz} Hz");
            }
        }
    }

    #[test]
    fn a_standing_reference_gives_nothing() {
        let reference = Reference {
            read: || 7,
            mask: u64::MAX,
            hertz: 1_000_000,
        };
        assert_eq!(kilohertz(|| 1, &reference), None);
    }
}
