//! The load averages of /proc/loadavg and sysinfo(2).
//!
//! Linux samples the number of runnable tasks every five seconds. There is no tick here, so the
//! samples are made up when somebody asks: for the time since the last question, each is the number of
//! processors that were in use on average. Tasks that waited for a processor do not count.

use spin::Mutex;

use crate::clock;
use crate::sched::busy_time;

/// Time between two samples (LOAD_FREQ of Linux).
const PERIOD: u64 = 5 * clock::SECOND;
/// Bits behind the point of the averages (FSHIFT of Linux).
pub(crate) const FRACTION_BITS: u32 = 11;
const ONE: u64 = 1 << FRACTION_BITS;
/// What is left of an average after one period: `1 / exp(5 s / N min)` for 1, 5 and 15 minutes
/// (EXP_1, EXP_5 and EXP_15 of Linux).
const DECAY: [u64; 3] = [1884, 2014, 2037];
/// Periods after which nothing is left of the oldest average.
const FORGOTTEN: u64 = 3600;

struct Load {
    /// When the last sample was due.
    sampled: u64,
    /// Processor time used until then.
    used: u64,
    averages: [u64; 3],
}

static LOAD: Mutex<Load> = Mutex::new(Load {
    sampled: 0,
    used: 0,
    averages: [0; 3],
});

/// The averages over 1, 5 and 15 minutes, as fixed-point numbers.
pub(crate) fn averages() -> [u64; 3] {
    let now = clock::now();
    let used = (0..machine::cpu::count()).map(busy_time).sum();
    let mut load = LOAD.lock();
    load.sample(now, used);
    load.averages
}

impl Load {
    fn sample(&mut self, now: u64, used: u64) {
        let elapsed = now.saturating_sub(self.sampled);
        let periods = (elapsed / PERIOD).min(FORGOTTEN);
        if periods == 0 {
            return;
        }
        let busy = used.saturating_sub(self.used);
        let active = busy / (elapsed / ONE);
        for (average, decay) in self.averages.iter_mut().zip(DECAY) {
            for _ in 0..periods {
                *average = (*average * decay + active * (ONE - decay)) / ONE;
            }
        }
        self.sampled = now;
        self.used = used;
    }
}
