//! Floating-point and vector registers. The kernel does not use them (soft-float target), so
//! they always hold the state of the current thread in ring 3.

use alloc::boxed::Box;
use core::arch::asm;
use core::slice;

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
    chunks: Box<[Chunk]>,
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
        let mut state = Self::zeroed();
        state.chunks[0].0[..2].copy_from_slice(&0x37fu16.to_le_bytes());
        state.chunks[0].0[MXCSR].copy_from_slice(&MXCSR_RESET.to_le_bytes());
        state
    }
}

impl FpuState {
    fn zeroed() -> Self {
        let count = area_size().div_ceil(64);
        let mut chunks = Box::new_uninit_slice(count);
        // SAFETY: all of the slice, which is new.
        unsafe { chunks.as_mut_ptr().write_bytes(0, count) };
        Self {
            // SAFETY: a chunk is bytes, for which zero is a value.
            chunks: unsafe { chunks.assume_init() },
        }
    }

    /// The current registers.
    pub fn current() -> Self {
        let mut state = Self::zeroed();
        state.save();
        state
    }

    /// Whether the saved form has the XSAVE header and the components behind it.
    pub fn is_extended() -> bool {
        features().xsave
    }

    /// Stores the current registers here.
    pub fn save(&mut self) {
        let area = self.chunks.as_mut_ptr();
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
        let area = self.chunks.as_ptr();
        if features().xsave {
            // SAFETY: the content came from XSAVE or was made valid by `from_process`.
            unsafe {
                asm!("xrstor64 [{}]", in(reg) area, in("eax") u32::MAX, in("edx") u32::MAX, options(nostack));
            }
        } else {
            // SAFETY: as above.
            unsafe { asm!("fxrstor64 [{}]", in(reg) area, options(nostack)) };
        }
    }

    /// The saved form, for a signal frame.
    pub fn as_bytes(&self) -> &[u8] {
        let start = self.chunks.as_ptr().cast::<u8>();
        // SAFETY: the chunks are one piece of memory of at least this size, and all bytes.
        unsafe { slice::from_raw_parts(start, area_size()) }
    }

    /// State from bytes that a process may have changed: whatever would fault is corrected.
    ///
    /// # Errors
    /// Those of `fill`, which is given the place for the bytes.
    pub fn from_process<E>(fill: impl FnOnce(&mut [u8]) -> Result<(), E>) -> Result<Self, E> {
        let mut state = Self::zeroed();
        let start = state.chunks.as_mut_ptr().cast::<u8>();
        // SAFETY: as in `as_bytes`, and `state` is not used until the slice is gone.
        fill(unsafe { slice::from_raw_parts_mut(start, area_size()) })?;
        state.sanitize();
        Ok(state)
    }

    fn sanitize(&mut self) {
        let field: [u8; 4] = self.chunks[0].0[MXCSR].try_into().unwrap_or_default();
        let mxcsr = u32::from_le_bytes(field) & MXCSR_MASK;
        self.chunks[0].0[MXCSR].copy_from_slice(&mxcsr.to_le_bytes());
        if let Some(header) = self.chunks.get_mut(HEADER.start / 64) {
            let field: [u8; 8] = header.0[..8].try_into().unwrap_or_default();
            let components = u64::from_le_bytes(field) & features().xstate_mask;
            header.0 = [0; 64];
            header.0[..8].copy_from_slice(&components.to_le_bytes());
        }
    }
}
