//! Single instructions that devices need: CPUID, PAUSE, RDRAND, RDSEED.

use core::arch::asm;
use core::arch::x86_64::{__cpuid_count, _mm_pause, CpuidResult};

/// First CPUID leaf of a hypervisor.
pub(crate) const HYPERVISOR_BASE: u32 = 0x4000_0000;

/// CPUID `leaf`, subleaf 0; `None` when the CPU does not have the leaf. (Past the last leaf a CPU
/// returns another leaf's content.)
pub(crate) fn cpuid(leaf: u32) -> Option<CpuidResult> {
    let has_hypervisor = || __cpuid_count(1, 0).ecx & 1 << 31 != 0;
    let range = leaf & 0xffff_0000;
    if range == HYPERVISOR_BASE && !has_hypervisor() {
        return None;
    }
    let last = __cpuid_count(range, 0).eax;
    (last >= leaf && last & 0xffff_0000 == range).then(|| __cpuid_count(leaf, 0))
}

/// The twelve bytes by which a hypervisor names itself.
pub(crate) fn hypervisor() -> Option<[u8; 12]> {
    let leaf = cpuid(HYPERVISOR_BASE)?;
    let mut name = [0; 12];
    for (chunk, word) in name.chunks_exact_mut(4).zip([leaf.ebx, leaf.ecx, leaf.edx]) {
        chunk.copy_from_slice(&word.to_le_bytes());
    }
    Some(name)
}

/// Tells the CPU that this is a waiting loop.
pub(crate) fn pause() {
    _mm_pause();
}

/// One attempt at RDRAND; `None` when the generator has nothing right now.
///
/// # Safety
/// CPUID must say that the CPU has RDRAND.
pub(crate) unsafe fn rdrand() -> Option<u64> {
    let (value, valid): (u64, u8);
    // SAFETY: the caller says that the instruction exists.
    unsafe {
        asm!("rdrand {}", "setc {}", out(reg) value, out(reg_byte) valid, options(nomem, nostack));
    }
    (valid == 1).then_some(value)
}

/// One attempt at RDSEED; `None` when the generator has nothing right now.
///
/// # Safety
/// CPUID must say that the CPU has RDSEED.
pub(crate) unsafe fn rdseed() -> Option<u64> {
    let (value, valid): (u64, u8);
    // SAFETY: the caller says that the instruction exists.
    unsafe {
        asm!("rdseed {}", "setc {}", out(reg) value, out(reg_byte) valid, options(nomem, nostack));
    }
    (valid == 1).then_some(value)
}
