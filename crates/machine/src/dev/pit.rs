//! The 8254 interval timer (Intel 8254 datasheet): a reference for calibration, and the timer
//! where there is no local APIC.

use super::io::Ports;
use super::registers::Registers;

/// Ticks in a second: a third of the NTSC colour subcarrier of 315/88 MHz.
pub(super) const HERTZ: u64 = 1_193_182;

// SAFETY: counters and control word of every PC's timer; it has no access to memory.
const COUNTERS: Ports = unsafe { Ports::new(0x40, 4) };
// SAFETY: the system control port B; it has no access to memory.
const SYSTEM_CONTROL: Ports = unsafe { Ports::new(0x61, 1) };

const CONTROL: usize = 3;
const COUNTER_0: usize = 0;
const COUNTER_2: usize = 2;
/// Counter 0, low then high byte, mode 0 (interrupt on terminal count), binary.
const ONE_SHOT: u8 = 0x30;
/// Counter 2, low then high byte, mode 2 (rate generator), binary.
const FREE_RUNNING: u8 = 0xb4;
/// Latch the count of counter 2.
const LATCH_2: u8 = 0x80;
const GATE_2: u8 = 0x01;
const SPEAKER: u8 = 0x02;

/// Longest time that [`arm`] can wait, in ticks.
const MOST_TICKS: u64 = 0xffff;

/// Raises IRQ 0 once after `ticks`, or earlier if that is too long.
pub(super) fn arm(ticks: u64) {
    arm_on(&COUNTERS, ticks);
}

/// Stops the timer: a control word without a count holds the output low.
pub(super) fn cancel() {
    COUNTERS.write8(CONTROL, ONE_SHOT);
}

fn arm_on(counters: &impl Registers, ticks: u64) {
    let [low, high] = (ticks.clamp(1, MOST_TICKS) as u16).to_le_bytes();
    counters.write8(CONTROL, ONE_SHOT);
    counters.write8(COUNTER_0, low);
    counters.write8(COUNTER_0, high);
}

/// Starts counter 2 from 65,536 downward, again and again; false when there is no timer.
pub(super) fn start_free_running() -> bool {
    let control = SYSTEM_CONTROL.read8(0);
    SYSTEM_CONTROL.write8(0, control & !SPEAKER | GATE_2);
    COUNTERS.write8(CONTROL, FREE_RUNNING);
    COUNTERS.write8(COUNTER_2, 0);
    COUNTERS.write8(COUNTER_2, 0);
    let first = free_running();
    (0..1000).any(|_| free_running() != first)
}

/// Ticks since some moment, modulo 65,536.
pub(super) fn free_running() -> u64 {
    COUNTERS.write8(CONTROL, LATCH_2);
    let bytes = [COUNTERS.read8(COUNTER_2), COUNTERS.read8(COUNTER_2)];
    0u16.wrapping_sub(u16::from_le_bytes(bytes)).into()
}

#[cfg(test)]
mod tests {
    use super::super::registers::fake::FakeRegisters;
    use super::arm_on;

    #[test]
    fn arms_within_sixteen_bits() {
        let counters = FakeRegisters::new(4);
        for (ticks, low, high) in [(0x1234, 0x34, 0x12), (0, 1, 0), (1 << 20, 0xff, 0xff)] {
            arm_on(&counters, ticks);
            assert_eq!(counters.writes(), [(3, 1, 0x30), (0, 1, low), (0, 1, high)]);
        }
    }
}
