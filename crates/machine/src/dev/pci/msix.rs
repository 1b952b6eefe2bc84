//! Message-signalled interrupts, the extended kind (PCI 3.0 §6.8.2).

use super::super::registers::Registers;
use super::{
    Address, BaseAddress, ConfigSpace, base_address, capabilities, disable_line, enable_line,
};

const ID: u8 = 0x11;
/// In the capability's first word: interrupts on, and all masked.
const ENABLE: u32 = 1 << 31;
const FUNCTION_MASK: u32 = 1 << 30;

/// Bytes of a table entry: address (u64), data (u32), control (u32).
pub(crate) const ENTRY: usize = 16;
const ENTRY_ADDRESS: usize = 0;
const ENTRY_ADDRESS_HIGH: usize = 4;
const ENTRY_DATA: usize = 8;
const ENTRY_CONTROL: usize = 12;

/// Where a local APIC takes messages (Intel SDM volume 3, §11.11.1).
const MESSAGE_ADDRESS: u32 = 0xfee0_0000;

/// The capability of one function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Msix {
    address: Address,
    offset: u8,
    /// Physical address of the table's first entry.
    pub(crate) table: u64,
}

impl Msix {
    /// The capability, if the function has it and its table is in memory.
    pub(crate) fn find(space: &impl ConfigSpace, address: Address) -> Option<Self> {
        let capability = capabilities(space, address).find(|capability| capability.id == ID)?;
        let location = space.read(address, capability.offset + 4);
        match base_address(space, address, (location & 7) as u8)? {
            BaseAddress::Memory(base) => Some(Self {
                address,
                offset: capability.offset,
                table: base + u64::from(location & !7),
            }),
            BaseAddress::Ports(_) => None,
        }
    }

    /// Makes the first entry of the table, `entry`, send `vector` to the local APIC `target`
    /// (below 256), and turns messages on.
    pub(crate) fn enable(
        &self,
        space: &impl ConfigSpace,
        entry: &impl Registers,
        vector: u8,
        target: u32,
    ) {
        let control = space.read(self.address, self.offset);
        space.write(self.address, self.offset, control | ENABLE | FUNCTION_MASK);
        entry.write32(ENTRY_ADDRESS, MESSAGE_ADDRESS | target << 12);
        entry.write32(ENTRY_ADDRESS_HIGH, 0);
        entry.write32(ENTRY_DATA, vector.into());
        entry.write32(ENTRY_CONTROL, 0);
        space.write(
            self.address,
            self.offset,
            (control | ENABLE) & !FUNCTION_MASK,
        );
        disable_line(space, self.address);
    }

    /// Goes back to the interrupt line.
    pub(crate) fn disable(&self, space: &impl ConfigSpace) {
        let control = space.read(self.address, self.offset);
        space.write(self.address, self.offset, control & !ENABLE);
        enable_line(space, self.address);
    }
}
