//! The I/O APIC (Intel 82093AA datasheet): wires device interrupts to vectors.

use super::super::registers::Registers;

/// Bytes of registers.
pub(crate) const REGISTERS: usize = 0x20;

// Registers: an index and a window.
const SELECT: usize = 0x00;
const WINDOW: usize = 0x10;

const VERSION: u32 = 0x01;
const TABLE: u32 = 0x10;

const MASKED: u32 = 1 << 16;
const LEVEL: u32 = 1 << 15;
const ACTIVE_LOW: u32 = 1 << 13;

/// An interrupt input of the system and how it signals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Input {
    /// Number among all inputs (ACPI's "global system interrupt").
    pub(crate) gsi: u32,
    /// Level-triggered rather than edge-triggered.
    pub(crate) level: bool,
    /// Active low rather than high.
    pub(crate) active_low: bool,
}

/// One I/O APIC.
pub(crate) struct IoApic<R> {
    registers: R,
    first_gsi: u32,
    inputs: u32,
}

impl<R: Registers> IoApic<R> {
    /// Takes an I/O APIC over and masks its inputs; `None` when nothing answers.
    pub(crate) fn new(registers: R, first_gsi: u32) -> Option<Self> {
        let mut apic = Self {
            registers,
            first_gsi,
            inputs: 0,
        };
        let version = apic.read(VERSION);
        if version == 0 || version == u32::MAX {
            return None;
        }
        apic.inputs = (version >> 16 & 0xff) + 1;
        for pin in 0..apic.inputs {
            apic.write(TABLE + 2 * pin, MASKED);
        }
        Some(apic)
    }

    /// Whether the input is one of this I/O APIC's.
    pub(crate) fn has(&self, gsi: u32) -> bool {
        (self.first_gsi..self.first_gsi + self.inputs).contains(&gsi)
    }

    /// Lets `input` interrupt the CPU with local APIC `target` (below 256) with `vector`.
    pub(crate) fn route(&mut self, input: Input, vector: u8, target: u32) {
        let level = if input.level { LEVEL } else { 0 };
        let polarity = if input.active_low { ACTIVE_LOW } else { 0 };
        let entry = TABLE + 2 * (input.gsi - self.first_gsi);
        self.write(entry, MASKED);
        self.write(entry + 1, target << 24);
        self.write(entry, u32::from(vector) | level | polarity);
    }

    /// Keeps an input from interrupting, or lets it again.
    pub(crate) fn set_masked(&mut self, gsi: u32, masked: bool) {
        let entry = TABLE + 2 * (gsi - self.first_gsi);
        let old = self.read(entry);
        self.write(entry, if masked { old | MASKED } else { old & !MASKED });
    }

    fn read(&self, register: u32) -> u32 {
        self.registers.write32(SELECT, register);
        self.registers.read32(WINDOW)
    }

    fn write(&mut self, register: u32, value: u32) {
        self.registers.write32(SELECT, register);
        self.registers.write32(WINDOW, value);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;

    use super::super::super::registers::fake::FakeRegisters;
    use super::{Input, IoApic, WINDOW};

    /// Registers with the indirection of a real I/O APIC: the hook keeps the table.
    fn device(version: u32) -> (FakeRegisters, Rc<RefCell<[u32; 64]>>) {
        let table = Rc::new(RefCell::new([0; 64]));
        table.borrow_mut()[1] = version;
        let inner = Rc::clone(&table);
        let registers = FakeRegisters::new(0x20).with_hook(move |bytes, (offset, _, value)| {
            let index = bytes[0] as usize;
            if offset == WINDOW {
                inner.borrow_mut()[index] = value;
            }
            bytes[WINDOW..WINDOW + 4].copy_from_slice(&inner.borrow()[index].to_le_bytes());
        });
        (registers, table)
    }

    #[test]
    fn starts_with_all_inputs_masked() {
        let (registers, table) = device(0x0017_0011);
        let apic = IoApic::new(registers, 24).unwrap();
        let table = table.borrow();
        assert!((0..24).all(|pin| table[16 + 2 * pin] == 1 << 16));
        assert_eq!(
            [23, 24, 47, 48].map(|gsi| apic.has(gsi)),
            [false, true, true, false]
        );
    }

    #[test]
    fn routes_and_masks_an_input() {
        let (registers, table) = device(0x0017_0020);
        let mut apic = IoApic::new(registers, 24).unwrap();
        apic.route(
            Input {
                gsi: 31,
                level: true,
                active_low: true,
            },
            0x31,
            3,
        );
        assert_eq!(table.borrow()[0x10 + 14..][..2], [0xa031, 3 << 24]);
        apic.set_masked(31, true);
        assert_eq!(table.borrow()[0x10 + 14], 0x1_a031);
        apic.set_masked(31, false);
        assert_eq!(table.borrow()[0x10 + 14], 0xa031);
        apic.route(
            Input {
                gsi: 24,
                level: false,
                active_low: false,
            },
            0x22,
            0,
        );
        assert_eq!(table.borrow()[0x10], 0x22);
    }

    #[test]
    fn nothing_there() {
        assert!(IoApic::new(device(u32::MAX).0, 0).is_none());
        assert!(IoApic::new(device(0).0, 0).is_none());
    }
}
