//! Who called whom, from the chain of frame pointers (the kernel is built with them).

use core::arch::asm;

/// Most callers that are looked at.
const MAX_FRAMES: usize = 32;
/// Lowest address of kernel memory.
const KERNEL_HALF: u64 = 0xffff_8000_0000_0000;

/// Calls `report` with the return address of each caller, innermost first. For a dying kernel:
/// it reads memory that may be damaged, but only kernel addresses in one growing chain.
pub fn backtrace(report: impl FnMut(u64)) {
    let frame: u64;
    // SAFETY: reads a register.
    unsafe { asm!("mov {}, rbp", out(reg) frame, options(nomem, nostack)) };
    callers_of(frame, report);
}

/// As [`backtrace`], from the frame pointer `frame` of a thread that does not run.
pub(super) fn callers_of(mut frame: u64, mut report: impl FnMut(u64)) {
    for _ in 0..MAX_FRAMES {
        if frame < KERNEL_HALF || !frame.is_multiple_of(8) {
            return;
        }
        // SAFETY: a frame pointer, as far as that can be known when the kernel is dying: in the
        // kernel half and aligned. A fault here is caught by the second-panic check.
        let [next, caller] = unsafe { (frame as *const [u64; 2]).read_volatile() };
        if caller == 0 {
            return;
        }
        report(caller);
        if next <= frame {
            return;
        }
        frame = next;
    }
}
