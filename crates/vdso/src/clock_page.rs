//! The page of clock parameters: written by the kernel, read by the functions of the image.
//!
//! This file is compiled twice, into this crate and into the image, so that both sides share
//! one description and one arithmetic.
//!
//! The reader takes `sequence`, the rest, then `sequence` again, and repeats if the two differ
//! or the first was odd. The writer therefore stores an odd number, the fields, and an even
//! number greater by one, in this order.

/// [`ClockPage::flags`]: the time may be computed from the time-stamp counter; without it every
/// function asks the kernel.
pub const CLOCK_FROM_TSC: u32 = 1;

/// [`ClockPage::flags`]: the register `TSC_AUX` of each CPU holds its number in bits 0 to 11 and
/// its node above, as on Linux; without it `getcpu` asks the kernel.
pub const CPU_FROM_TSC_AUX: u32 = 2;

/// How to turn the time-stamp counter into the time. All zero is valid: ask the kernel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct ClockPage {
    /// Odd while the fields change.
    pub sequence: u32,
    /// [`CLOCK_FROM_TSC`], [`CPU_FROM_TSC_AUX`].
    pub flags: u32,
    /// Counter value at `monotonic_base`.
    pub tsc_base: u64,
    /// Nanoseconds for each tick, times 2 to the power of `shift`.
    pub mult: u64,
    /// 0 to 63.
    pub shift: u32,
    /// 0.
    pub reserved: u32,
    /// `CLOCK_MONOTONIC` at `tsc_base`, in nanoseconds.
    pub monotonic_base: u64,
    /// `CLOCK_REALTIME` less `CLOCK_MONOTONIC`, in nanoseconds.
    pub wall_offset: i64,
}

impl ClockPage {
    /// `CLOCK_MONOTONIC` in nanoseconds at the counter value `tsc`.
    ///
    /// A counter that is behind `tsc_base` (another CPU's, by a few ticks) counts as equal.
    pub const fn monotonic(&self, tsc: u64) -> u64 {
        let ticks = tsc.saturating_sub(self.tsc_base);
        let scaled = (ticks as u128 * self.mult as u128) >> (self.shift & 63);
        self.monotonic_base.wrapping_add(scaled as u64)
    }

    /// `CLOCK_REALTIME` in nanoseconds since 1970 at the counter value `tsc`.
    pub const fn realtime(&self, tsc: u64) -> u64 {
        self.monotonic(tsc).wrapping_add_signed(self.wall_offset)
    }
}
