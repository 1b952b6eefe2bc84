//! Device registers in memory space.

use core::ptr::NonNull;

use super::registers::Registers;

/// End of the physical addresses that `mem` maps.
#[cfg(target_os = "none")]
const MAPPABLE: u64 = 1 << 40;

/// A mapped block of device registers.
#[derive(Debug)]
pub(crate) struct Mmio {
    base: NonNull<u8>,
    size: usize,
}

// SAFETY: the mapping is the same on every CPU and stays for good.
unsafe impl Send for Mmio {}
// SAFETY: every access is one volatile instruction; drivers order them with their own locks.
unsafe impl Sync for Mmio {}

impl Mmio {
    /// The `size` bytes of registers at `base`.
    ///
    /// # Safety
    /// The registers must be mapped for good, nothing but accesses through `Mmio` may use that
    /// memory, and no value written there may make the device change memory that belongs to Rust
    /// code, other than through buffers handed to it.
    pub(crate) const unsafe fn new(base: NonNull<u8>, size: usize) -> Self {
        Self { base, size }
    }

    /// Maps the `size` bytes of registers at physical address `paddr`; `None` when that is beyond
    /// what can be mapped.
    ///
    /// # Safety
    /// As [`new`](Self::new), for a device's registers at that address.
    #[cfg(target_os = "none")]
    pub(crate) unsafe fn map(paddr: u64, size: usize) -> Option<Self> {
        if paddr.checked_add(size as u64)? > MAPPABLE {
            return None;
        }
        let base = NonNull::new(crate::mem::map_mmio(paddr, size))?;
        // SAFETY: mapped just now for good; the rest is passed on from the caller.
        Some(unsafe { Self::new(base, size) })
    }

    fn at<T>(&self, offset: usize) -> *mut T {
        assert!(
            offset + size_of::<T>() <= self.size,
            "device register out of range"
        );
        let pointer = self.base.as_ptr().wrapping_add(offset).cast::<T>();
        assert!(pointer.is_aligned(), "misaligned device register");
        pointer
    }
}

impl Registers for Mmio {
    fn read8(&self, offset: usize) -> u8 {
        // SAFETY: inside the mapped block and aligned, both checked by `at`.
        unsafe { self.at::<u8>(offset).read_volatile() }
    }

    fn read16(&self, offset: usize) -> u16 {
        // SAFETY: inside the mapped block and aligned, both checked by `at`.
        unsafe { self.at::<u16>(offset).read_volatile() }
    }

    fn read32(&self, offset: usize) -> u32 {
        // SAFETY: inside the mapped block and aligned, both checked by `at`.
        unsafe { self.at::<u32>(offset).read_volatile() }
    }

    fn write8(&self, offset: usize, value: u8) {
        // SAFETY: inside the mapped block and aligned, both checked by `at`.
        unsafe { self.at::<u8>(offset).write_volatile(value) }
    }

    fn write16(&self, offset: usize, value: u16) {
        // SAFETY: inside the mapped block and aligned, both checked by `at`.
        unsafe { self.at::<u16>(offset).write_volatile(value) }
    }

    fn write32(&self, offset: usize, value: u32) {
        // SAFETY: inside the mapped block and aligned, both checked by `at`.
        unsafe { self.at::<u32>(offset).write_volatile(value) }
    }
}
