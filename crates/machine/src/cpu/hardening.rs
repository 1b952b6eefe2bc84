//! What keeps the kernel from being tricked by ring 3, where the CPU has it (Intel SDM volume 3
//! §2.5, CR4).

use core::arch::asm;

use super::features::features;

/// Ring 3 may not ask where the kernel's tables are (SGDT, SIDT, SLDT, SMSW, STR).
const UMIP: u64 = 1 << 11;
/// The kernel may not execute pages of ring 3.
const SMEP: u64 = 1 << 20;
/// The kernel may not access pages of ring 3; it goes through the direct map, always.
const SMAP: u64 = 1 << 21;

/// Turns on what this CPU has; to be called on each CPU.
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
}
