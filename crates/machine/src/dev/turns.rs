//! Turns on a device that even a dying kernel has to be able to use.

use core::sync::atomic::{AtomicBool, Ordering};

use super::instructions::pause;

/// Attempts before going ahead out of turn. Whoever has the turn may have been stopped for good;
/// a turn takes some milliseconds on a real serial line.
const PATIENCE: u32 = 10_000_000;

/// A lock that gives up waiting.
#[derive(Debug)]
pub(super) struct Turns(AtomicBool);

impl Turns {
    pub(super) const fn new() -> Self {
        Self(AtomicBool::new(false))
    }

    /// Runs `work` while nobody else does, or after a long wait anyway.
    pub(super) fn take(&self, work: impl FnOnce()) {
        let mut patience = PATIENCE;
        while self.0.swap(true, Ordering::Acquire) && patience > 0 {
            patience -= 1;
            pause();
        }
        work();
        self.0.store(false, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::{Ordering, Turns};

    #[test]
    fn a_turn_that_never_ends_does_not_stop_others() {
        let turns = Turns::new();
        turns.0.store(true, Ordering::Relaxed);
        let mut ran = false;
        turns.take(|| ran = true);
        assert!(ran);
    }

    #[test]
    fn one_at_a_time() {
        let turns = Turns::new();
        let count = std::cell::UnsafeCell::new(0u32);
        struct Shared<'a>(&'a Turns, &'a std::cell::UnsafeCell<u32>);
        // SAFETY: the cell is only touched inside turns.
        unsafe impl Sync for Shared<'_> {}
        let shared = Shared(&turns, &count);
        let shared = &shared;
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(move || {
                    for _ in 0..1000 {
                        // SAFETY: nobody else is in a turn.
                        shared.0.take(|| unsafe { *shared.1.get() += 1 });
                    }
                });
            }
        });
        assert_eq!(count.into_inner(), 4000);
    }
}
