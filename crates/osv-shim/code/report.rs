//! Events on QEMU's debug port. OSv runs programs in ring 0, where ports may be used; elsewhere, as
//! when the library is tested on Linux, nothing is reported.

use crate::events::{DEBUG_PORT, DEBUG_PORT_PRESENT, PREFIX};
use crate::libc::{CLOCK_MONOTONIC, Time, clock_gettime};
use core::arch::asm;

/// Reports an event now, if someone listens: its name, `key=value` fields, and a number that ends the
/// line.
pub fn event(text: &[&str], number: Option<u32>) {
    if !is_heard() {
        return;
    }
    say(PREFIX.as_bytes());
    say(b" ");
    decimal(now());
    for part in text {
        say(b" ");
        say(part.as_bytes());
    }
    if let Some(number) = number {
        decimal(number.into());
    }
    say(b"\n");
}

/// Nanoseconds since OSv started, which is soon after power-on.
fn now() -> u64 {
    let mut time = Time {
        seconds: 0,
        nanoseconds: 0,
    };
    // SAFETY: `time` is valid for writes for the duration of the call.
    unsafe { clock_gettime(CLOCK_MONOTONIC, &raw mut time) };
    (time.seconds as u64).wrapping_mul(1_000_000_000).wrapping_add(time.nanoseconds as u64)
}

/// Whether this runs as OSv runs programs.
pub fn in_ring_0() -> bool {
    let segment: u16;
    // SAFETY: reads a register; memory and flags stay as they are.
    unsafe { asm!("mov {0:x}, cs", out(reg) segment, options(nomem, nostack, preserves_flags)) };
    // The low two bits are the ring (Intel SDM, volume 3, "Segment Selectors").
    segment & 3 == 0
}

/// Whether ports may be used, and the debug port is there.
fn is_heard() -> bool {
    if !in_ring_0() {
        return false;
    }
    let found: u8;
    // SAFETY: in ring 0; a read of this port has no effect.
    unsafe {
        asm!("in al, dx", in("dx") DEBUG_PORT, out("al") found, options(nomem, nostack, preserves_flags));
    }
    found == DEBUG_PORT_PRESENT
}

fn say(bytes: &[u8]) {
    for &byte in bytes {
        // SAFETY: called in ring 0 only (`is_heard`); the port takes any byte.
        unsafe {
            asm!("out dx, al", in("dx") DEBUG_PORT, in("al") byte, options(nomem, nostack, preserves_flags));
        }
    }
}

fn decimal(number: u64) {
    if number >= 10 {
        decimal(number / 10);
    }
    say(&[b'0' + (number % 10) as u8]);
}
