//! Device registers behind one trait, so that drivers run against a fake on the host.

use super::io::Ports;
use super::mmio::Mmio;

/// A block of device registers; offsets count bytes from its start.
///
/// # Panics
/// Every method panics when the access does not lie inside the block or is not aligned: offsets
/// are constants of a driver, checked against the block's size when it is made.
pub(crate) trait Registers {
    /// Reads 8 bits.
    fn read8(&self, offset: usize) -> u8;
    /// Reads 16 bits.
    fn read16(&self, offset: usize) -> u16;
    /// Reads 32 bits.
    fn read32(&self, offset: usize) -> u32;
    /// Writes 8 bits.
    fn write8(&self, offset: usize, value: u8);
    /// Writes 16 bits.
    fn write16(&self, offset: usize, value: u16);
    /// Writes 32 bits.
    fn write32(&self, offset: usize, value: u32);
}

/// Registers that are either I/O ports or memory, as a PCI base address register decides.
#[derive(Debug)]
pub(crate) enum Window {
    /// In I/O space.
    Ports(Ports),
    /// In memory space.
    Memory(Mmio),
}

macro_rules! delegate {
    ($self:ident, $window:ident => $call:expr) => {
        match $self {
            Window::Ports($window) => $call,
            Window::Memory($window) => $call,
        }
    };
}

impl Registers for Window {
    fn read8(&self, offset: usize) -> u8 {
        delegate!(self, window => window.read8(offset))
    }

    fn read16(&self, offset: usize) -> u16 {
        delegate!(self, window => window.read16(offset))
    }

    fn read32(&self, offset: usize) -> u32 {
        delegate!(self, window => window.read32(offset))
    }

    fn write8(&self, offset: usize, value: u8) {
        delegate!(self, window => window.write8(offset, value));
    }

    fn write16(&self, offset: usize, value: u16) {
        delegate!(self, window => window.write16(offset, value));
    }

    fn write32(&self, offset: usize, value: u32) {
        delegate!(self, window => window.write32(offset, value));
    }
}

#[cfg(test)]
pub(crate) mod fake {
    //! Registers that are plain bytes and remember what was written.

    use std::cell::RefCell;
    use std::rc::Rc;
    use std::vec::Vec;

    use super::Registers;

    /// What was written: (offset, width in bytes, value).
    pub(crate) type Write = (usize, u8, u32);

    type Hook = Box<dyn Fn(&mut [u8], Write)>;

    /// A block of bytes with a log of writes and an optional reaction to them.
    pub(crate) struct FakeRegisters {
        bytes: RefCell<Vec<u8>>,
        log: RefCell<Vec<Write>>,
        hook: Option<Hook>,
    }

    impl FakeRegisters {
        pub(crate) fn new(size: usize) -> Self {
            let bytes = RefCell::new(vec![0; size]);
            Self {
                bytes,
                log: RefCell::default(),
                hook: None,
            }
        }

        /// Calls `hook` after each write with all bytes and the write.
        pub(crate) fn with_hook(mut self, hook: impl Fn(&mut [u8], Write) + 'static) -> Self {
            self.hook = Some(Box::new(hook));
            self
        }

        pub(crate) fn set(&self, offset: usize, bytes: &[u8]) {
            self.bytes.borrow_mut()[offset..offset + bytes.len()].copy_from_slice(bytes);
        }

        /// The writes so far; forgets them.
        pub(crate) fn writes(&self) -> Vec<Write> {
            self.log.take()
        }

        fn read<const N: usize>(&self, offset: usize) -> [u8; N] {
            self.bytes.borrow()[offset..offset + N].try_into().unwrap()
        }

        fn write(&self, offset: usize, bytes: &[u8], value: u32) {
            self.set(offset, bytes);
            let write = (offset, bytes.len() as u8, value);
            self.log.borrow_mut().push(write);
            if let Some(hook) = &self.hook {
                hook(&mut self.bytes.borrow_mut(), write);
            }
        }
    }

    impl Registers for FakeRegisters {
        fn read8(&self, offset: usize) -> u8 {
            self.read::<1>(offset)[0]
        }

        fn read16(&self, offset: usize) -> u16 {
            u16::from_le_bytes(self.read(offset))
        }

        fn read32(&self, offset: usize) -> u32 {
            u32::from_le_bytes(self.read(offset))
        }

        fn write8(&self, offset: usize, value: u8) {
            self.write(offset, &[value], value.into());
        }

        fn write16(&self, offset: usize, value: u16) {
            self.write(offset, &value.to_le_bytes(), value.into());
        }

        fn write32(&self, offset: usize, value: u32) {
            self.write(offset, &value.to_le_bytes(), value);
        }
    }

    /// Shared with the test that looks at it.
    impl Registers for Rc<FakeRegisters> {
        fn read8(&self, offset: usize) -> u8 {
            (**self).read8(offset)
        }

        fn read16(&self, offset: usize) -> u16 {
            (**self).read16(offset)
        }

        fn read32(&self, offset: usize) -> u32 {
            (**self).read32(offset)
        }

        fn write8(&self, offset: usize, value: u8) {
            (**self).write8(offset, value);
        }

        fn write16(&self, offset: usize, value: u16) {
            (**self).write16(offset, value);
        }

        fn write32(&self, offset: usize, value: u32) {
            (**self).write32(offset, value);
        }
    }
}
