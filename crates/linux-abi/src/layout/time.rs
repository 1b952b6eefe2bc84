//! Times and timers.

use super::layout;
use crate::raw;

layout! {
    /// `struct timespec`, clock_gettime(2).
    struct TimeSpec[16, like raw::general::__kernel_timespec] {
        tv_sec: i64 = 0,
        tv_nsec: i64 = 8,
    }

    /// `struct timeval`, gettimeofday(2).
    struct TimeVal[16, like raw::general::timeval] {
        tv_sec: i64 = 0,
        tv_usec: i64 = 8,
    }

    /// `struct timezone`, gettimeofday(2).
    struct TimeZone[8, like raw::general::timezone] {
        tz_minuteswest: i32 = 0,
        tz_dsttime: i32 = 4,
    }

    /// `struct itimerspec`, timerfd_settime(2).
    struct ITimerSpec[32, like raw::general::itimerspec] {
        it_interval: TimeSpec = 0,
        it_value: TimeSpec = 16,
    }

    /// `struct tms`, times(2); the unit is 1/100 s (`USER_HZ`).
    struct Tms[32] {
        tms_utime: i64 = 0,
        tms_stime: i64 = 8,
        tms_cutime: i64 = 16,
        tms_cstime: i64 = 24,
    }
}

const NANOSECONDS: u64 = 1_000_000_000;

impl TimeSpec {
    /// The time that lies `nanoseconds` after zero.
    pub const fn from_nanoseconds(nanoseconds: u64) -> Self {
        Self {
            tv_sec: (nanoseconds / NANOSECONDS) as i64,
            tv_nsec: (nanoseconds % NANOSECONDS) as i64,
        }
    }

    /// Nanoseconds since zero, at most `u64::MAX`; `None` where Linux answers `EINVAL`:
    /// negative seconds or nanoseconds outside one second.
    pub fn nanoseconds(&self) -> Option<u64> {
        let seconds = u64::try_from(self.tv_sec).ok()?;
        let rest = u64::try_from(self.tv_nsec).ok()?;
        (rest < NANOSECONDS).then(|| seconds.saturating_mul(NANOSECONDS).saturating_add(rest))
    }
}

impl TimeVal {
    /// The time that lies `nanoseconds` after zero, rounded down to microseconds.
    pub const fn from_nanoseconds(nanoseconds: u64) -> Self {
        Self {
            tv_sec: (nanoseconds / NANOSECONDS) as i64,
            tv_usec: (nanoseconds % NANOSECONDS / 1000) as i64,
        }
    }

    /// Nanoseconds since zero, at most `u64::MAX`; `None` where Linux answers `EINVAL`.
    pub fn nanoseconds(&self) -> Option<u64> {
        let tv_nsec = self.tv_usec.checked_mul(1000)?;
        TimeSpec {
            tv_sec: self.tv_sec,
            tv_nsec,
        }
        .nanoseconds()
    }
}
