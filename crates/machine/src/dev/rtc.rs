//! The battery-backed clock of a PC (Motorola MC146818, Intel ICH datasheets): wall-clock time to
//! the second.

use super::instructions::pause;
use super::io::Ports;
use super::registers::Registers;

// SAFETY: 0x70 and 0x71 are the clock's index and data ports on every PC; it has no access to
// memory.
const PORTS: Ports = unsafe { Ports::new(0x70, 2) };

const INDEX: usize = 0;
const DATA: usize = 1;
/// Bit of the index port that keeps non-maskable interrupts off while we read.
const NMI_OFF: u8 = 0x80;

const STATUS_A: u8 = 0x0a;
const STATUS_B: u8 = 0x0b;
const UPDATE_IN_PROGRESS: u8 = 0x80;
const IS_24_HOURS: u8 = 0x02;
const IS_BINARY: u8 = 0x04;
const PM: u8 = 0x80;
/// Reads of the status before giving up; an update takes at most 2 ms.
const PATIENCE: u32 = 20_000;
/// Attempts to read the same time twice.
const ATTEMPTS: u32 = 8;

/// Indices of second, minute, hour, day, month, year.
const FIELDS: [u8; 6] = [0x00, 0x02, 0x04, 0x07, 0x08, 0x09];

/// Seconds since 1970 (UTC); `None` when there is no clock or it shows no valid time. `century`
/// is the index of the century byte, where the FADT names one.
pub(super) fn unix_seconds(century: Option<u8>) -> Option<u64> {
    read(&PORTS, century)
}

fn read(ports: &impl Registers, century: Option<u8>) -> Option<u64> {
    let mut last = sample(ports, century)?;
    for _ in 0..ATTEMPTS {
        let next = sample(ports, century)?;
        if next == last {
            return next.unix_seconds();
        }
        last = next;
    }
    None
}

fn register(ports: &impl Registers, index: u8) -> u8 {
    ports.write8(INDEX, index | NMI_OFF);
    ports.read8(DATA)
}

fn sample(ports: &impl Registers, century: Option<u8>) -> Option<Sample> {
    settled(ports).then(|| Sample {
        fields: FIELDS.map(|index| register(ports, index)),
        century: century.map(|index| register(ports, index)),
        status: register(ports, STATUS_B),
    })
}

/// Waits until the clock is not in the middle of an update.
fn settled(ports: &impl Registers) -> bool {
    for _ in 0..PATIENCE {
        if register(ports, STATUS_A) & UPDATE_IN_PROGRESS == 0 {
            return true;
        }
        pause();
    }
    false
}

/// What the registers hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Sample {
    fields: [u8; 6],
    century: Option<u8>,
    status: u8,
}

impl Sample {
    fn decode(&self, value: u8) -> u64 {
        if self.status & IS_BINARY != 0 {
            value.into()
        } else {
            u64::from(value >> 4) * 10 + u64::from(value & 0x0f)
        }
    }

    fn hour(&self) -> u64 {
        let raw = self.fields[2];
        if self.status & IS_24_HOURS != 0 {
            return self.decode(raw);
        }
        let afternoon = if raw & PM != 0 { 12 } else { 0 };
        self.decode(raw & !PM) % 12 + afternoon
    }

    /// The full year. Without a believable century byte, years 70 to 99 are of the 20th century.
    fn year(&self) -> u64 {
        let year = self.decode(self.fields[5]);
        let century = self.century.map(|value| self.decode(value));
        match century.filter(|century| (19..=29).contains(century)) {
            Some(century) => century * 100 + year,
            None if year < 70 => 2000 + year,
            None => 1900 + year,
        }
    }

    fn unix_seconds(&self) -> Option<u64> {
        let [second, minute, _, day, month, _] = self.fields.map(|value| self.decode(value));
        let (year, hour) = (self.year(), self.hour());
        let valid = second <= 60
            && minute < 60
            && hour < 24
            && (1..=31).contains(&day)
            && (1..=12).contains(&month)
            && year >= 1970;
        valid.then(|| {
            ((days_before(year, month) + day - 1) * 24 + hour) * 3600 + minute * 60 + second
        })
    }
}

/// Days from 1970-01-01 to the first of a month in the Gregorian calendar.
fn days_before(year: u64, month: u64) -> u64 {
    const BEFORE_MONTH: [u64; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
    let is_leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let leap_days = |year: u64| year / 4 - year / 100 + year / 400;
    let this_year = u64::from(is_leap && month > 2);
    (year - 1970) * 365 + leap_days(year - 1) - leap_days(1969)
        + BEFORE_MONTH[month as usize - 1]
        + this_year
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use proptest::prelude::proptest;

    use super::super::registers::Registers;
    use super::{IS_24_HOURS, IS_BINARY, Sample, days_before, read};

    const BCD_24: u8 = IS_24_HOURS;

    fn sample(fields: [u8; 6], century: Option<u8>, status: u8) -> Option<u64> {
        Sample {
            fields,
            century,
            status,
        }
        .unix_seconds()
    }

    // Oracle: `date -u -d '…' +%s`.
    #[test]
    fn decodes_known_times() {
        let at = |fields, century, status| sample(fields, century, status);
        assert_eq!(
            at([0x59, 0x59, 0x23, 0x31, 0x12, 0x99], None, BCD_24),
            Some(946_684_799)
        );
        assert_eq!(
            at([0, 0, 0, 0x29, 2, 0x24], Some(0x20), BCD_24),
            Some(1_709_164_800)
        );
        assert_eq!(
            at([1, 2, 3, 1, 3, 24], Some(20), BCD_24 | IS_BINARY),
            Some(1_709_262_121)
        );
        assert_eq!(at([0, 0, 0, 1, 1, 0x70], Some(0x19), BCD_24), Some(0));
    }

    #[test]
    fn twelve_hours_have_noon_and_midnight() {
        let hour = |raw| sample([0, 0, raw, 1, 1, 0x70], None, 0).unwrap() / 3600;
        assert_eq!(
            [0x12, 0x01, 0x11, 0x92, 0x81, 0x91].map(hour),
            [0, 1, 11, 12, 13, 23]
        );
    }

    #[test]
    fn refuses_nonsense() {
        assert_eq!(sample([0xff; 6], Some(0xff), 0xff), None);
        assert_eq!(sample([0; 6], None, BCD_24), None);
    }

    #[test]
    fn an_absent_clock_has_no_time() {
        let ports = super::super::registers::fake::FakeRegisters::new(2);
        ports.set(1, &[0xff]);
        assert_eq!(read(&ports, Some(0x32)), None);
    }

    /// A clock whose seconds change after the first reading of them.
    struct Ticking {
        index: Cell<u8>,
        readings: Cell<u32>,
    }

    impl Registers for Ticking {
        fn read8(&self, _: usize) -> u8 {
            match self.index.get() {
                0x00 => {
                    self.readings.set(self.readings.get() + 1);
                    if self.readings.get() == 1 { 0x59 } else { 0x00 }
                }
                0x02 => u8::from(self.readings.get() > 1),
                0x07 | 0x08 => 1,
                0x09 => 0x70,
                0x0b => BCD_24,
                _ => 0,
            }
        }

        fn write8(&self, _: usize, value: u8) {
            self.index.set(value & 0x7f);
        }

        fn read16(&self, _: usize) -> u16 {
            unreachable!()
        }

        fn read32(&self, _: usize) -> u32 {
            unreachable!()
        }

        fn write16(&self, _: usize, _: u16) {
            unreachable!()
        }

        fn write32(&self, _: usize, _: u32) {
            unreachable!()
        }
    }

    #[test]
    fn reads_until_two_readings_agree() {
        let clock = Ticking {
            index: Cell::new(0),
            readings: Cell::new(0),
        };
        assert_eq!(read(&clock, None), Some(60));
        assert_eq!(clock.readings.get(), 3);
    }

    proptest! {
        #[test]
        fn months_follow_each_other(year in 1970u64..2900, month in 1u64..12) {
            let length = days_before(year, month + 1) - days_before(year, month);
            assert!((28..=31).contains(&length));
            assert_eq!(days_before(year + 1, 1) - days_before(year, 12), 31);
        }
    }
}
