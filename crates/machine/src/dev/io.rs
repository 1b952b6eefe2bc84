//! I/O ports: the only place with `in` and `out` instructions.

use core::arch::asm;

use super::registers::Registers;

/// A range of I/O ports that belongs to one device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ports {
    base: u16,
    count: u16,
}

impl Ports {
    /// The `count` ports from `base`.
    ///
    /// # Safety
    /// No value written to these ports may make a device or the CPU change memory that belongs to
    /// Rust code, other than through buffers handed to that device.
    pub(crate) const unsafe fn new(base: u16, count: u16) -> Self {
        Self { base, count }
    }

    fn port(self, offset: usize, width: usize) -> u16 {
        assert!(
            offset + width <= usize::from(self.count),
            "I/O port out of range"
        );
        self.base.wrapping_add(offset as u16)
    }
}

impl Registers for Ports {
    fn read8(&self, offset: usize) -> u8 {
        let port = self.port(offset, 1);
        let value: u8;
        // SAFETY: a port of this device; see `Ports::new`.
        unsafe {
            asm!("in al, dx", in("dx") port, out("al") value, options(nostack, preserves_flags));
        }
        value
    }

    fn read16(&self, offset: usize) -> u16 {
        let port = self.port(offset, 2);
        let value: u16;
        // SAFETY: a port of this device; see `Ports::new`.
        unsafe {
            asm!("in ax, dx", in("dx") port, out("ax") value, options(nostack, preserves_flags));
        }
        value
    }

    fn read32(&self, offset: usize) -> u32 {
        let port = self.port(offset, 4);
        let value: u32;
        // SAFETY: a port of this device; see `Ports::new`.
        unsafe {
            asm!("in eax, dx", in("dx") port, out("eax") value, options(nostack, preserves_flags));
        }
        value
    }

    fn write8(&self, offset: usize, value: u8) {
        let port = self.port(offset, 1);
        // SAFETY: a port of this device; see `Ports::new`.
        unsafe {
            asm!("out dx, al", in("dx") port, in("al") value, options(nostack, preserves_flags));
        }
    }

    fn write16(&self, offset: usize, value: u16) {
        let port = self.port(offset, 2);
        // SAFETY: a port of this device; see `Ports::new`.
        unsafe {
            asm!("out dx, ax", in("dx") port, in("ax") value, options(nostack, preserves_flags));
        }
    }

    fn write32(&self, offset: usize, value: u32) {
        let port = self.port(offset, 4);
        // SAFETY: a port of this device; see `Ports::new`.
        unsafe {
            asm!("out dx, eax", in("dx") port, in("eax") value, options(nostack, preserves_flags));
        }
    }
}
