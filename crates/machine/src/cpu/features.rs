//! What this CPU can do (CPUID, Intel SDM volume 2A).

use core::arch::x86_64::{__cpuid, __cpuid_count};

use spin::Once;

/// The optional abilities that the kernel makes use of.
#[derive(Clone, Copy, Debug)]
pub struct CpuFeatures {
    /// 1 GiB pages.
    pub gigabyte_pages: bool,
    /// XSAVE and friends.
    pub xsave: bool,
    /// State components of XCR0 that are supported and that the kernel switches.
    pub xstate_mask: u64,
    /// Supervisor-mode execution prevention.
    pub smep: bool,
    /// Supervisor-mode access prevention.
    pub smap: bool,
    /// User-mode instruction prevention.
    pub umip: bool,
    /// The EDX word of leaf 1, for `AT_HWCAP`.
    pub hwcap: u32,
}

/// x87, SSE, AVX and the three parts of AVX-512; not PKRU, MPX or AMX.
const XSTATE_WANTED: u64 = 0xe7;

static FEATURES: Once<CpuFeatures> = Once::new();

/// The abilities of the boot CPU; all CPUs of a machine are alike.
pub fn features() -> &'static CpuFeatures {
    FEATURES.call_once(detect)
}

fn detect() -> CpuFeatures {
    let highest = __cpuid(0).eax;
    let basic = __cpuid(1);
    let extended = if highest >= 7 {
        __cpuid_count(7, 0)
    } else {
        __cpuid(0x8000_0000)
    };
    let has_seven = highest >= 7;
    let highest_extended = __cpuid(0x8000_0000).eax;
    let gigabyte_pages = highest_extended >= 0x8000_0001 && __cpuid(0x8000_0001).edx >> 26 & 1 == 1;
    let xsave = basic.ecx >> 26 & 1 == 1 && highest >= 0xd;
    let xstate_mask = if xsave {
        let leaf = __cpuid_count(0xd, 0);
        (u64::from(leaf.edx) << 32 | u64::from(leaf.eax)) & XSTATE_WANTED
    } else {
        3
    };
    CpuFeatures {
        gigabyte_pages,
        xsave,
        xstate_mask,
        smep: has_seven && extended.ebx >> 7 & 1 == 1,
        smap: has_seven && extended.ebx >> 20 & 1 == 1,
        umip: has_seven && extended.ecx >> 2 & 1 == 1,
        hwcap: basic.edx,
    }
}

/// Bytes that XSAVE needs for the components that are enabled in XCR0 now.
pub(super) fn xsave_size() -> usize {
    __cpuid_count(0xd, 0).ebx as usize
}
