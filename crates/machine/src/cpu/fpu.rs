//! Floating-point and vector registers. The kernel does not use them (soft-float target), so
//! they always hold the state of the current thread in ring 3.

use alloc::vec;
use alloc::vec::Vec;
use core::arch::asm;

use spin::Once;

use super::features::{features, xsave_size};

/// Size of the area that FXSAVE writes (Intel SDM volume 1, section 10.5).
const FXSAVE_SIZE: usize = 512;
/// Offset and reset value of MXCSR in it.
const MXCSR: core::ops::Range<usize> = 24..28;
const MXCSR_RESET: u32 = 0x1f80;
/// Bits of MXCSR that may be set.
const MXCSR_MASK: u32 = 0xffff;
const HEADER: core::ops::Range<usize> = 512..576;

static AREA_SIZE: Once<usize> = Once::new();

/// Saved registers; 64-byte aligned inside.
pub struct FpuState {
    bytes: Vec<Chunk>,
}

#[repr(C, align(64))]
#[derive(Clone, Copy)]
struct Chunk([u8; 64]);

/// Enables the registers on this CPU.
pub(super) fn init() {
    if features().xsave {
        // SAFETY: the CPU has XSAVE; sets CR4.OSXSAVE.
        unsafe {
            asm!("mov {0}, cr4", "or {0}, 0x40000", "mov cr4, {0}", out(reg) _, options(nostack));
        }
        let mask = features().xstate_mask;
        // SAFETY: all components in the mask are supported.
        unsafe {
            asm!("xsetbv", in("ecx") 0, in("eax") mask as u32, in("edx") (mask >> 32) as u32, options(nostack));
        }
    }
    AREA_SIZE.call_once(|| {
        if features().xsave {
            xsave_size()
        } else {
            FXSAVE_SIZE
        }
    });
}

fn area_size() -> usize {
    AREA_SIZE.get().copied().unwrap_or(FXSAVE_SIZE)
}

impl Default for FpuState {
    /// The state that a new program starts with.
    fn default() -> Self {
        let mut state = Self {
            bytes: vec![Chunk([0; 64]); area_size().div_ceil(64)],
        };
        state.bytes[0].0[..2].copy_from_slice(&0x37fu16.to_le_bytes());
        state.bytes[0].0[MXCSR].copy_from_slice(&MXCSR_RESET.to_le_bytes());
        state
    }
}

impl FpuState {
    /// The current registers.
    pub fn current() -> Self {
        let mut state = Self::default();
        state.save();
        state
    }

    /// Size of the saved form in bytes.
    pub fn size() -> usize {
        area_size()
    }

    /// Whether the saved form has the XSAVE header and the components behind it.
    pub fn is_extended() -> bool {
        features().xsave
    }

    /// Stores the current registers here.
    pub fn save(&mut self) {
        let area = self.bytes.as_mut_ptr();
        if features().xsave {
            // SAFETY: the area is 64-byte aligned and has the size that CPUID tells.
            unsafe {
                asm!("xsave64 [{}]", in(reg) area, in("eax") u32::MAX, in("edx") u32::MAX, options(nostack));
            }
        } else {
            // SAFETY: the area is aligned and has 512 bytes.
            unsafe { asm!("fxsave64 [{}]", in(reg) area, options(nostack)) };
        }
    }

    /// Makes this the current registers.
    pub fn restore(&self) {
        let area = self.bytes.as_ptr();
        if features().xsave {
            // SAFETY: the content came from XSAVE or was made valid by `from_bytes`.
            unsafe {
                asm!("xrstor64 [{}]", in(reg) area, in("eax") u32::MAX, in("edx") u32::MAX, options(nostack));
            }
        } else {
            // SAFETY: as above.
            unsafe { asm!("fxrstor64 [{}]", in(reg) area, options(nostack)) };
        }
    }

    /// The saved form, for a signal frame.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes: Vec<u8> = self.bytes.iter().flat_map(|chunk| chunk.0).collect();
        bytes.truncate(area_size());
        bytes
    }

    /// State from bytes that a process may have changed: whatever would fault is corrected.
    /// Bytes that are missing at the end leave their components in the initial state.
    pub fn from_bytes(bytes: &[u8]) -> Self {
        let mut state = Self::default();
        let size = area_size().min(bytes.len());
        for (chunk, source) in state.bytes.iter_mut().zip(bytes[..size].chunks(64)) {
            chunk.0[..source.len()].copy_from_slice(source);
        }
        state.sanitize();
        state
    }

    fn sanitize(&mut self) {
        let field: [u8; 4] = self.bytes[0].0[MXCSR].try_into().unwrap_or_default();
        let mxcsr = u32::from_le_bytes(field) & MXCSR_MASK;
        self.bytes[0].0[MXCSR].copy_from_slice(&mxcsr.to_le_bytes());
        if let Some(header) = self.bytes.get_mut(HEADER.start / 64) {
            let field: [u8; 8] = header.0[..8].try_into().unwrap_or_default();
            let components = u64::from_le_bytes(field) & features().xstate_mask;
            header.0 = [0; 64];
            header.0[..8].copy_from_slice(&components.to_le_bytes());
        }
    }
}
