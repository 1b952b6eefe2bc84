//! What a reader gets, and when.

use linux_abi::raw::general as raw;

use super::LineDiscipline;

/// Nanoseconds in the unit of `VTIME`.
const DECISECOND: u64 = 100_000_000;

/// Whether a read can be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// With this many bytes at most; zero is the end of the file.
    Now(usize),
    /// When a byte has arrived.
    Later,
    /// When a byte has arrived, or at this time.
    Until(u64),
}

impl LineDiscipline {
    /// Whether a read of `wanted` bytes can be answered at time `now` (nanoseconds): with a line
    /// in canonical mode, else by `VMIN` and `VTIME`.
    pub fn readiness(&mut self, wanted: usize, now: u64) -> Readiness {
        if self.local(raw::ICANON) {
            let line = self.lines.front();
            return line.map_or(Readiness::Later, |&length| {
                Readiness::Now(length.min(wanted))
            });
        }
        let there = self.ready.len().min(wanted);
        let least = usize::from(self.settings.c_cc[raw::VMIN as usize]).min(wanted);
        let time = u64::from(self.settings.c_cc[raw::VTIME as usize]) * DECISECOND;
        if there >= least.max(usize::from(time > 0)) {
            return Readiness::Now(there);
        }
        if time == 0 || least > 0 && there == 0 {
            return Readiness::Later;
        }
        // With VMIN the time counts from byte to byte, else from the start of the read.
        let start = *self.waiting_since.get_or_insert(now);
        let start = if least > 0 { self.last_byte } else { start };
        if now >= start + time {
            return Readiness::Now(there);
        }
        Readiness::Until(start + time)
    }

    /// How many bytes are there to be read, without waiting (`FIONREAD`).
    pub fn readable_bytes(&self) -> usize {
        if self.local(raw::ICANON) {
            return self.lines.front().copied().unwrap_or(0);
        }
        self.ready.len()
    }

    /// Whether poll(2) finds something to read: a line, or `VMIN` bytes where no time counts.
    pub fn is_readable(&self) -> bool {
        if self.local(raw::ICANON) {
            return !self.lines.is_empty();
        }
        let timed = self.settings.c_cc[raw::VTIME as usize] > 0;
        let least = match self.settings.c_cc[raw::VMIN as usize] {
            least if !timed => usize::from(least).max(1),
            _ => 1,
        };
        self.ready.len() >= least
    }

    /// The next `count` bytes, which [`readiness`](Self::readiness) allowed; they stay until
    /// [`consume`](Self::consume).
    pub fn peek(&self, count: usize) -> impl Iterator<Item = u8> + '_ {
        self.ready.iter().take(count).copied()
    }

    /// Takes `count` bytes off that have been read. For zero, an end of file.
    pub fn consume(&mut self, count: usize) {
        self.ready.drain(..count.min(self.ready.len()));
        self.waiting_since = None;
        if let Some(line) = self.lines.front_mut() {
            *line = line.saturating_sub(count);
            if *line == 0 {
                self.lines.pop_front();
            }
        }
    }
}
