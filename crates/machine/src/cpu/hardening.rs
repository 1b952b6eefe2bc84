//! What keeps the kernel from being tricked by ring 3, where the CPU has it (Intel SDM volume 3
//! §2.5, CR4).

use core::arch::asm;

use spin::Once;

use super::features::features;
use super::read_msr;

/// Ring 3 may not ask where the kernel's tables are (SGDT, SIDT, SLDT, SMSW, STR).
const UMIP: u64 = 1 << 11;
/// The kernel may not execute pages of ring 3.
const SMEP: u64 = 1 << 20;
/// The kernel may not access pages of ring 3; it goes through the direct map, always.
const SMAP: u64 = 1 << 21;

/// Read-only pages are so for the kernel, too (CR0).
const WRITE_PROTECT: u64 = 1 << 16;
/// Pages can be made not executable (EFER).
const NO_EXECUTE: u64 = 1 << 11;
const MSR_EFER: u32 = 0xc000_0080;

/// What the first CPU has on.
static FIRST: Once<u64> = Once::new();

/// Turns on what this CPU has; to be called on each CPU.
///
/// # Panics
/// If the CPU does not end up with what the first one has: processes run on any.
pub(super) fn init() {
    let features = features();
    let wanted = [
        (features.umip, UMIP),
        (features.smep, SMEP),
        (features.smap, SMAP),
    ];
    let bits = wanted
        .iter()
        .filter(|(there, _)| *there)
        .fold(0, |bits, (_, bit)| bits | bit);
    let old: u64;
    // SAFETY: reads a register.
    unsafe { asm!("mov {}, cr4", out(reg) old, options(nomem, nostack, preserves_flags)) };
    // SAFETY: the CPU has these bits, and the kernel neither executes nor accesses pages of
    // ring 3 (`mem::phys_to_ptr` is how it reaches memory of processes).
    unsafe { asm!("mov cr4, {}", in(reg) old | bits, options(nostack, preserves_flags)) };
    let own = protections();
    let first = *FIRST.call_once(|| own);
    assert_eq!(own, first, "all CPUs have the same protections");
}

/// The protections that are on.
fn protections() -> u64 {
    let (cr0, cr4): (u64, u64);
    // SAFETY: reads a register.
    unsafe { asm!("mov {}, cr0", out(reg) cr0, options(nomem, nostack, preserves_flags)) };
    // SAFETY: reads a register.
    unsafe { asm!("mov {}, cr4", out(reg) cr4, options(nomem, nostack, preserves_flags)) };
    // SAFETY: every x86-64 CPU has this register.
    let efer = unsafe { read_msr(MSR_EFER) };
    // Of EFER above: the bit has the place of UMIP.
    (cr0 & WRITE_PROTECT) | (cr4 & (UMIP | SMEP | SMAP)) | (efer & NO_EXECUTE) << 32
}
