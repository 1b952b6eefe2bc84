//! The ELF image of the clock functions that the kernel maps into every process (vdso(7)).
//!
//! The kernel maps a page with an encoded [`ClockPage`] and, right behind it, [`IMAGE`]; the
//! address of the image goes into the auxiliary vector as `AT_SYSINFO_EHDR`. The C library finds
//! there `__vdso_clock_gettime`, `__vdso_gettimeofday`, `__vdso_time`, `__vdso_clock_getres` and
//! `__vdso_getcpu`, version `LINUX_2.6`. The code is in `code/vdso.rs`; the build script compiles
//! and links it.
//!
//! ```text
//!  AT_SYSINFO_EHDR - 4096      AT_SYSINFO_EHDR
//!  | ClockPage, zeros          | ELF header … code |
//!  | read                      | read, execute     |
//! ```
#![no_std]

mod clock_page;

use core::mem::{offset_of, size_of};

pub use clock_page::{CLOCK_FROM_TSC, CPU_FROM_TSC_AUX, ClockPage};

/// Size of a page; the clock page lies this far before the image.
pub const PAGE: usize = 4096;

/// Offset of [`ClockPage::sequence`] in the page.
pub const SEQUENCE_OFFSET: usize = offset_of!(ClockPage, sequence);

#[repr(C, align(4096))]
struct PageAligned<T>(T);

static ALIGNED: PageAligned<[u8; include_bytes!(env!("VDSO_IMAGE")).len()]> =
    PageAligned(*include_bytes!(env!("VDSO_IMAGE")));

/// The shared object: whole pages, at a page boundary, to be mapped readable and executable.
pub static IMAGE: &[u8] = &ALIGNED.0;

const _: () = assert!(size_of::<ClockPage>() == ClockPage::SIZE);
const _: () = assert!(ALIGNED.0.len().is_multiple_of(PAGE) && ALIGNED.0.len() <= 2 * PAGE);

const NANOSECONDS: u128 = 1_000_000_000;

impl ClockPage {
    /// Size of the encoded page content; the rest of the page is zero.
    pub const SIZE: usize = 48;

    /// Shift of [`rate`](Self::rate): the error of `mult` stays below 2^-50 up to 60 GHz.
    const SHIFT: u32 = 56;

    /// `(mult, shift)` for a counter of `hertz` ticks each second; zero if there are none, and
    /// the greatest rate below 4 MHz, where no time-stamp counter runs.
    pub fn rate(hertz: u64) -> (u64, u32) {
        let mult = (NANOSECONDS << Self::SHIFT)
            .checked_div(u128::from(hertz))
            .unwrap_or(0);
        (u64::try_from(mult).unwrap_or(u64::MAX), Self::SHIFT)
    }

    /// The bytes at the start of the clock page.
    pub fn encode(&self) -> [u8; Self::SIZE] {
        let mut bytes = [0; Self::SIZE];
        let mut put = |offset: usize, value: &[u8]| {
            bytes[offset..offset + value.len()].copy_from_slice(value);
        };
        put(SEQUENCE_OFFSET, &self.sequence.to_le_bytes());
        put(offset_of!(Self, flags), &self.flags.to_le_bytes());
        put(offset_of!(Self, tsc_base), &self.tsc_base.to_le_bytes());
        put(offset_of!(Self, mult), &self.mult.to_le_bytes());
        put(offset_of!(Self, shift), &self.shift.to_le_bytes());
        put(
            offset_of!(Self, monotonic_base),
            &self.monotonic_base.to_le_bytes(),
        );
        put(
            offset_of!(Self, wall_offset),
            &self.wall_offset.to_le_bytes(),
        );
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::ClockPage;

    #[test]
    fn rates_are_exact_to_a_nanosecond_in_a_day() {
        let day = 86_400;
        for hertz in [1_000_000_000, 2_000_000_000, 2_399_987_654, 3_700_000_001] {
            let (mult, shift) = ClockPage::rate(hertz);
            let page = ClockPage {
                mult,
                shift,
                ..ClockPage::default()
            };
            let error = page.monotonic(hertz * day).abs_diff(day * 1_000_000_000);
            assert!(error <= 1, "{hertz} Hz: {error} ns");
        }
        assert_eq!(ClockPage::rate(0).0, 0);
        assert_eq!(ClockPage::rate(1).0, u64::MAX);
    }

    #[test]
    fn the_clock_starts_at_its_base_and_never_before() {
        let page = ClockPage {
            tsc_base: 1000,
            mult: 3,
            shift: 1,
            monotonic_base: 50,
            wall_offset: -20,
            ..ClockPage::default()
        };
        assert_eq!(
            [0, 1000, 1001, 1002].map(|tsc| page.monotonic(tsc)),
            [50, 50, 51, 53]
        );
        assert_eq!(page.realtime(1002), 33);
    }

    #[test]
    fn encoding_is_the_layout_in_memory() {
        let page = ClockPage {
            sequence: 1,
            flags: 2,
            tsc_base: 3,
            mult: 4,
            shift: 5,
            reserved: 0,
            monotonic_base: 6,
            wall_offset: -1,
        };
        let mut expected = [0; 48];
        for (offset, value) in [(0, 1), (4, 2), (8, 3), (16, 4), (24, 5), (32, 6)] {
            expected[offset] = value;
        }
        expected[40..].fill(0xff);
        assert_eq!(page.encode(), expected);
    }
}
