//! Times as ISO 9660 writes them, all in UTC.

const DAY: u64 = 86400;

/// A time in its parts.
struct Date {
    year: u64,
    month: u64,
    day: u64,
    /// Seconds of the day.
    second: u64,
}

impl Date {
    /// From seconds since 1970: days are counted from 1 March of the year 0, so that leap days come
    /// last ("chrono-compatible low-level date algorithms", H. Hinnant, `civil_from_days`).
    fn new(mtime: u32) -> Self {
        let days = u64::from(mtime) / DAY + 719_468;
        let era = days / 146_097;
        let of_era = days % 146_097;
        let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year + year / 4 - year / 100);
        let month = (5 * of_year + 2) / 153;
        let day = of_year - (153 * month + 2) / 5 + 1;
        let month = if month < 10 { month + 3 } else { month - 9 };
        Self {
            year: era * 400 + year + u64::from(month <= 2),
            month,
            day,
            second: u64::from(mtime) % DAY,
        }
    }

    fn clock(&self) -> [u64; 3] {
        let second = self.second;
        [second / 3600, second / 60 % 60, second % 60]
    }
}

/// In seven bytes (ECMA-119 §9.1.5): u32 ends before the years since 1900 do.
pub(super) fn short(mtime: u32) -> [u8; 7] {
    let date = Date::new(mtime);
    let [hour, minute, second] = date.clock();
    [
        date.year - 1900,
        date.month,
        date.day,
        hour,
        minute,
        second,
        0,
    ]
    .map(|number| number as u8)
}

/// In digits (ECMA-119 §8.4.26.1).
pub(super) fn long(mtime: u32) -> [u8; 17] {
    let date = Date::new(mtime);
    let [hour, minute, second] = date.clock();
    let Date {
        year, month, day, ..
    } = date;
    let digits = format!("{year:04}{month:02}{day:02}{hour:02}{minute:02}{second:02}00");
    let mut bytes = [0; 17];
    for (slot, digit) in bytes.iter_mut().zip(digits.bytes()) {
        *slot = digit;
    }
    bytes
}

/// Seconds since 1970 of a time in seven bytes; `None` if it is none, or before.
pub(super) fn seconds(bytes: [u8; 7]) -> Option<u32> {
    let [year, month, day, hour, minute, second, offset] = bytes;
    let is_date = (70..).contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day);
    if !is_date || hour > 23 || minute > 59 || second > 59 || offset != 0 {
        return None;
    }
    let (year, month) = (
        u64::from(year) + 1900 - u64::from(month <= 2),
        u64::from(month),
    );
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + u64::from(day) - 1;
    let days = year * 365 + year / 4 - year / 100 + year / 400 + of_year - 719_468;
    let clock = u64::from(hour) * 3600 + u64::from(minute) * 60 + u64::from(second);
    u32::try_from(days * DAY + clock).ok()
}

#[cfg(test)]
mod tests {
    use super::{long, seconds, short};

    #[test]
    fn known_times() {
        assert_eq!(short(0), [70, 1, 1, 0, 0, 0, 0]);
        assert_eq!(short(951_827_696), [100, 2, 29, 12, 34, 56, 0]);
        assert_eq!(short(u32::MAX), [206, 2, 7, 6, 28, 15, 0]);
        assert_eq!(&long(951_827_696), b"2000022912345600\0");
    }

    #[test]
    fn times_come_back() {
        for mtime in (0..=u32::MAX).step_by(9_876_543).chain([u32::MAX]) {
            assert_eq!(seconds(short(mtime)), Some(mtime));
        }
        assert_eq!(seconds([69, 1, 1, 0, 0, 0, 0]), None);
        assert_eq!(seconds([100, 13, 1, 0, 0, 0, 0]), None);
    }
}
