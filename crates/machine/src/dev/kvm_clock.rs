//! KVM's paravirtual clock (Linux: `Documentation/virt/kvm/x86/msr.rst`, `cpuid.rst`): it tells
//! the frequency of the TSC exactly, and the wall-clock time to the nanosecond.
//!
//! Each structure is asked for once, at start-up; afterwards the TSC alone is used.

const NANOSECONDS: u128 = 1_000_000_000;

/// Content of the system-time structure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SystemTime {
    /// TSC at the moment of `nanoseconds`.
    tsc: u64,
    /// Time since the machine started.
    nanoseconds: u64,
    /// Nanoseconds per (shifted) tick, times 2³².
    multiplier: u32,
    /// Ticks are shifted left (or right, if negative) before the multiplication.
    shift: i8,
}

/// Bytes of the system-time structure: version (u32), padding (u32), TSC (u64), time (u64),
/// multiplier (u32), shift (i8), flags (u8), padding.
pub(super) const SYSTEM_TIME_SIZE: usize = 32;

impl SystemTime {
    /// Reads the structure; `None` while the host writes it (odd version) or before it has.
    pub(super) fn parse(bytes: &[u8; SYSTEM_TIME_SIZE]) -> Option<Self> {
        let version = field32(bytes, 0);
        let time = Self {
            tsc: field64(bytes, 8),
            nanoseconds: field64(bytes, 16),
            multiplier: field32(bytes, 24),
            shift: bytes[28] as i8,
        };
        let valid = version != 0 && version.is_multiple_of(2) && time.multiplier != 0;
        (valid && time.shift.unsigned_abs() < 32).then_some(time)
    }

    /// Frequency of the TSC.
    pub(super) fn kilohertz(&self) -> u64 {
        let scaled = (1_000_000u128 << 64) / u128::from(self.multiplier);
        (scaled >> (32 + i32::from(self.shift))) as u64
    }

    /// Time since the machine started, when the TSC is `tsc`.
    fn at(&self, tsc: u64) -> u64 {
        let ticks = u128::from(tsc.saturating_sub(self.tsc));
        let shifted = if self.shift < 0 {
            ticks >> -self.shift
        } else {
            ticks << self.shift
        };
        self.nanoseconds + ((shifted * u128::from(self.multiplier)) >> 32) as u64
    }
}

/// Bytes of the wall-clock structure: version, seconds, nanoseconds (u32 each): when the machine
/// started.
pub(super) const WALL_CLOCK_SIZE: usize = 12;

/// Nanoseconds since 1970 when the TSC is `tsc`; `None` as in [`SystemTime::parse`].
pub(super) fn unix_nanoseconds(
    start: &[u8; WALL_CLOCK_SIZE],
    time: &SystemTime,
    tsc: u64,
) -> Option<u64> {
    let (version, seconds) = (field32(start, 0), field32(start, 4));
    let nanoseconds = u128::from(seconds) * NANOSECONDS + u128::from(field32(start, 8));
    let valid = version != 0 && version.is_multiple_of(2) && seconds != 0;
    valid.then(|| nanoseconds as u64 + time.at(tsc))
}

fn field32(bytes: &[u8], offset: usize) -> u32 {
    u32::from_le_bytes(core::array::from_fn(|index| bytes[offset + index]))
}

fn field64(bytes: &[u8], offset: usize) -> u64 {
    u64::from_le_bytes(core::array::from_fn(|index| bytes[offset + index]))
}

#[cfg(target_os = "none")]
pub(super) use hardware::ask;

#[cfg(target_os = "none")]
mod hardware {
    use super::super::instructions::{HYPERVISOR_BASE, cpuid, hypervisor};
    use super::{SYSTEM_TIME_SIZE, SystemTime, WALL_CLOCK_SIZE, unix_nanoseconds};
    use crate::cpu::{read_msr, timestamp, write_msr};
    use crate::mem::{dma_alloc, dma_free};

    const SIGNATURE: &[u8; 12] = b"KVMKVMKVM\0\0\0";
    /// KVM_FEATURE_CLOCKSOURCE2 in EAX of the leaf after the signature.
    const NEW_CLOCK: u32 = 1 << 3;
    const MSR_WALL_CLOCK_NEW: u32 = 0x4b56_4d00;
    const MSR_SYSTEM_TIME_NEW: u32 = 0x4b56_4d01;
    const ENABLE: u64 = 1;

    /// What KVM's clock says: the TSC's frequency in kHz, and nanoseconds since 1970 with the
    /// TSC at that moment, if it tells that too.
    pub(crate) struct Answer {
        pub(crate) kilohertz: u64,
        pub(crate) wall_clock: Option<(u64, u64)>,
    }

    /// Asks the clock; `None` when this is not KVM or the clock is off.
    pub(crate) fn ask() -> Option<Answer> {
        if hypervisor()? != *SIGNATURE || cpuid(HYPERVISOR_BASE + 1)?.eax & NEW_CLOCK == 0 {
            return None;
        }
        let time = SystemTime::parse(&system_time()?)?;
        let tsc = timestamp();
        let wall_clock = wall_clock().and_then(|start| unix_nanoseconds(&start, &time, tsc));
        let wall_clock = wall_clock.map(|now| (now, tsc));
        Some(Answer {
            kilohertz: time.kilohertz(),
            wall_clock,
        })
    }

    fn system_time() -> Option<[u8; SYSTEM_TIME_SIZE]> {
        // SAFETY: a register of the announced clock. While it is on, the host writes to the frame
        // it is told, which is turned off again before the frame is freed.
        with_frame(
            |paddr| unsafe { write_msr(MSR_SYSTEM_TIME_NEW, paddr | ENABLE) },
            || {
                // SAFETY: a register of the announced clock; 0 turns it off.
                unsafe { write_msr(MSR_SYSTEM_TIME_NEW, 0) };
                // SAFETY: as above; reading makes sure that the write has reached the host.
                unsafe { read_msr(MSR_SYSTEM_TIME_NEW) };
            },
        )
    }

    fn wall_clock() -> Option<[u8; WALL_CLOCK_SIZE]> {
        // SAFETY: a register of the announced clock; the host fills the frame once, at once.
        with_frame(
            |paddr| unsafe { write_msr(MSR_WALL_CLOCK_NEW, paddr) },
            || {},
        )
    }

    /// Lets `fill` have the host write to a frame, and returns the start of it.
    fn with_frame<const N: usize>(fill: impl Fn(u64), stop: impl Fn()) -> Option<[u8; N]> {
        let (paddr, frame) = dma_alloc(1)?;
        fill(paddr);
        stop();
        // SAFETY: the frame is ours, N is below its size, and the host has stopped writing.
        let bytes = unsafe { frame.cast::<[u8; N]>().as_ptr().read_volatile() };
        dma_free(paddr, 1);
        Some(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::{SystemTime, unix_nanoseconds};

    fn structure(version: u32, tsc: u64, time: u64, multiplier: u32, shift: i8) -> [u8; 32] {
        let mut bytes = [0; 32];
        bytes[..4].copy_from_slice(&version.to_le_bytes());
        bytes[8..16].copy_from_slice(&tsc.to_le_bytes());
        bytes[16..24].copy_from_slice(&time.to_le_bytes());
        bytes[24..28].copy_from_slice(&multiplier.to_le_bytes());
        bytes[28] = shift as u8;
        bytes
    }

    // 2.1 GHz as Linux's kvm_get_time_scale gives it: two ticks take 0.952… ns.
    const MULTIPLIER_2100_MHZ: u32 = 4_090_445_044;

    #[test]
    fn frequency_from_the_scale() {
        let khz = |multiplier, shift| {
            SystemTime::parse(&structure(2, 1, 0, multiplier, shift))
                .unwrap()
                .kilohertz()
        };
        assert!(khz(MULTIPLIER_2100_MHZ, -1).abs_diff(2_100_000) <= 1);
        assert!(khz(MULTIPLIER_2100_MHZ, 0).abs_diff(1_050_000) <= 1);
        assert_eq!(khz(1 << 31, 0), 2_000_000);
        assert_eq!(khz(1 << 31, 1), 1_000_000);
    }

    #[test]
    fn wall_clock_is_start_plus_uptime() {
        let time = SystemTime::parse(&structure(4, 1000, 5_000, 1 << 31, 0)).unwrap();
        let mut start = [0; 12];
        start[0] = 2;
        start[4..8].copy_from_slice(&1_700_000_000u32.to_le_bytes());
        start[8] = 7;
        let now = unix_nanoseconds(&start, &time, 1000 + 2_000);
        assert_eq!(now, Some(1_700_000_000_000_000_000 + 7 + 5_000 + 1_000));
    }

    #[test]
    fn unfinished_structures_are_refused() {
        assert_eq!(SystemTime::parse(&structure(0, 0, 0, 1, 0)), None);
        assert_eq!(SystemTime::parse(&structure(3, 0, 0, 1, 0)), None);
        assert_eq!(SystemTime::parse(&structure(2, 0, 0, 0, 0)), None);
        assert_eq!(SystemTime::parse(&structure(2, 0, 0, 1, 100)), None);
    }
}
