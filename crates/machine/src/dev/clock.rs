//! Time: the TSC, its frequency, and what the wall clock showed at start-up.

use spin::Once;

use super::acpi::Acpi;
use super::calibration::{Reference, kilohertz};
use super::instructions::{HYPERVISOR_BASE, cpuid};
use super::io::Ports;
use super::mmio::Mmio;
use super::registers::Registers;
use super::{kvm_clock, pit, rtc};
use crate::cpu::timestamp;

/// The leaf with the TSC's and the APIC timer's frequency in kHz, in EAX and EBX (VMware, and KVM
/// where the TSC is known to be stable).
const FREQUENCIES: u32 = HYPERVISOR_BASE + 0x10;
/// The leaf with the TSC's ratio to the crystal (Intel SDM volume 3, §20.7.3).
const CRYSTAL: u32 = 0x15;

/// Ticks of the ACPI power-management timer in a second (ACPI 6.5 §4.8.3.3).
const ACPI_TIMER_HERTZ: u64 = 3_579_545;

// The event timer's registers (IA-PC HPET 1.0a §2.3).
const HPET_SIZE: usize = 0x400;
const HPET_PERIOD: usize = 0x04;
const HPET_CONFIGURATION: usize = 0x10;
const HPET_COUNTER: usize = 0xf0;
const HPET_ENABLE: u32 = 1;
/// Longest legal period, in femtoseconds.
const HPET_SLOWEST: u64 = 100_000_000;

/// Frequency assumed when nothing in the machine tells or measures it.
const GUESS_KILOHERTZ: u64 = 1_000_000;

static CLOCK: Once<Clock> = Once::new();

/// What start-up found out.
struct Clock {
    kilohertz: u64,
    source: &'static str,
    /// Nanoseconds since 1970, and the TSC at that moment.
    wall: Option<(u64, u64)>,
}

/// Finds out the TSC's frequency and the wall-clock time. Takes some 2 ms where it has to measure.
pub(super) fn init(acpi: Option<&Acpi>) {
    CLOCK.call_once(|| {
        let paravirtual = kvm_clock::ask();
        let (kilohertz, source) = paravirtual
            .as_ref()
            .map(|answer| (answer.kilohertz, "kvmclock"))
            .or_else(told)
            .or_else(|| measured(acpi))
            .unwrap_or((GUESS_KILOHERTZ, "guess"));
        let wall = paravirtual.and_then(|answer| answer.wall_clock);
        Clock {
            kilohertz,
            source,
            wall: wall.or_else(|| from_rtc(acpi)),
        }
    });
}

/// Frequency of the TSC in kHz.
pub fn tsc_khz() -> u64 {
    CLOCK.get().map_or(GUESS_KILOHERTZ, |clock| clock.kilohertz)
}

/// Where the frequency comes from: a word for the log.
pub fn tsc_source() -> &'static str {
    CLOCK.get().map_or("guess", |clock| clock.source)
}

/// Nanoseconds that `ticks` of the TSC take.
pub fn ticks_to_nanoseconds(ticks: u64) -> u64 {
    (u128::from(ticks) * 1_000_000 / u128::from(tsc_khz())) as u64
}

/// Ticks of the TSC in a time, at most 2⁶⁴ - 1.
pub(super) fn nanoseconds_to_ticks(nanoseconds: u64) -> u64 {
    let ticks = u128::from(nanoseconds) * u128::from(tsc_khz()) / 1_000_000;
    u64::try_from(ticks).unwrap_or(u64::MAX)
}

/// Nanoseconds since 1970 (UTC) right now: the machine's clock at start-up plus the TSC since.
/// `None` when the machine has no clock. Without KVM's clock it is right to about a second.
pub fn wall_clock_unix_nanoseconds() -> Option<u64> {
    let (nanoseconds, tsc) = CLOCK.get()?.wall?;
    Some(nanoseconds + ticks_to_nanoseconds(timestamp().wrapping_sub(tsc)))
}

/// Seconds since 1970 (UTC) right now; see [`wall_clock_unix_nanoseconds`].
pub fn wall_clock_unix_seconds() -> Option<u64> {
    wall_clock_unix_nanoseconds().map(|nanoseconds| nanoseconds / 1_000_000_000)
}

/// Frequency of the local APIC's timer in kHz, if the hypervisor tells.
pub(super) fn apic_timer_told() -> Option<u64> {
    Some(cpuid(FREQUENCIES)?.ebx.into()).filter(|&kilohertz: &u64| kilohertz != 0)
}

/// Waits.
pub(crate) fn spin(nanoseconds: u64) {
    let (start, ticks) = (timestamp(), nanoseconds_to_ticks(nanoseconds));
    while timestamp().wrapping_sub(start) < ticks {
        super::instructions::pause();
    }
}

/// The frequency as the hypervisor or the CPU tells it.
fn told() -> Option<(u64, &'static str)> {
    let by_hypervisor = cpuid(FREQUENCIES).map(|leaf| u64::from(leaf.eax));
    if let Some(kilohertz) = by_hypervisor.filter(|&kilohertz| kilohertz != 0) {
        return Some((kilohertz, "hypervisor"));
    }
    let leaf = cpuid(CRYSTAL)?;
    let (below, above, hertz) = (leaf.eax.into(), leaf.ebx.into(), leaf.ecx.into());
    crystal_kilohertz(below, above, hertz).map(|kilohertz| (kilohertz, "crystal"))
}

fn crystal_kilohertz(denominator: u64, numerator: u64, hertz: u64) -> Option<u64> {
    let kilohertz = (hertz * numerator).checked_div(denominator)? / 1000;
    (kilohertz != 0).then_some(kilohertz)
}

fn measured(acpi: Option<&Acpi>) -> Option<(u64, &'static str)> {
    let by = |found: Option<u64>, name| found.map(|kilohertz| (kilohertz, name));
    by(acpi.and_then(|acpi| by_hpet(acpi.hpet?)), "hpet")
        .or_else(|| {
            by(
                acpi.and_then(|acpi| by_acpi_timer(acpi.fadt.as_ref()?.timer?)),
                "acpi-timer",
            )
        })
        .or_else(|| by(by_pit(), "pit"))
}

fn by_hpet(address: u64) -> Option<u64> {
    // SAFETY: the HPET table says that the timer's registers are there; only the main counter is
    // turned on, which changes no memory.
    let hpet = unsafe { Mmio::map(address, HPET_SIZE) }?;
    let period = u64::from(hpet.read32(HPET_PERIOD));
    if period == 0 || period > HPET_SLOWEST {
        return None;
    }
    hpet.write32(
        HPET_CONFIGURATION,
        hpet.read32(HPET_CONFIGURATION) | HPET_ENABLE,
    );
    let read = || u64::from(hpet.read32(HPET_COUNTER));
    let hertz = 1_000_000_000_000_000 / period;
    kilohertz(
        timestamp,
        &Reference {
            read,
            mask: u32::MAX.into(),
            hertz,
        },
    )
}

fn by_acpi_timer((port, is_32_bit): (u16, bool)) -> Option<u64> {
    // SAFETY: the FADT says that this is the timer, a counter that can only be read.
    let ports = unsafe { Ports::new(port, 4) };
    let mask = if is_32_bit {
        u32::MAX.into()
    } else {
        0xff_ffff
    };
    let read = || u64::from(ports.read32(0)) & mask;
    kilohertz(
        timestamp,
        &Reference {
            read,
            mask,
            hertz: ACPI_TIMER_HERTZ,
        },
    )
}

fn by_pit() -> Option<u64> {
    if !pit::start_free_running() {
        return None;
    }
    let reference = Reference {
        read: pit::free_running,
        mask: 0xffff,
        hertz: pit::HERTZ,
    };
    kilohertz(timestamp, &reference)
}

fn from_rtc(acpi: Option<&Acpi>) -> Option<(u64, u64)> {
    let century = acpi.and_then(|acpi| acpi.fadt.as_ref()?.century);
    let seconds = rtc::unix_seconds(century)?;
    Some((seconds * 1_000_000_000, timestamp()))
}
