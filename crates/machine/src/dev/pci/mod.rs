//! PCI (Local Bus Specification 3.0): finding devices and their registers. Addresses are left as
//! the firmware assigned them.

mod capability;
#[cfg(test)]
pub(crate) mod fake;
mod mechanism;
mod msix;
#[cfg(test)]
mod tests;

use alloc::vec::Vec;

#[cfg(test)]
pub(crate) use capability::Capability;
pub(crate) use capability::capabilities;
#[cfg(target_os = "none")]
pub(crate) use mechanism::Ports1;
pub(crate) use msix::{ENTRY, Msix};

// Offsets in the configuration space (§6.1).
const COMMAND: u8 = 0x04;
const CLASS: u8 = 0x08;
const HEADER_TYPE: u8 = 0x0c;
const BASE_ADDRESSES: u8 = 0x10;
const BUSES: u8 = 0x18;
const INTERRUPT_LINE: u8 = 0x3c;

const COMMAND_PORTS: u32 = 1 << 0;
const COMMAND_MEMORY: u32 = 1 << 1;
const COMMAND_BUS_MASTER: u32 = 1 << 2;
const COMMAND_NO_INTX: u32 = 1 << 10;

const ABSENT: u32 = u32::MAX;
const MULTIFUNCTION: u32 = 1 << 23;
/// Base class 6, subclass 4: a bridge to another PCI bus.
const CLASS_BRIDGE: u32 = 0x0604;

/// Where a function is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    /// Bus, 0 to 255.
    pub(crate) bus: u8,
    /// Device, 0 to 31.
    pub(crate) device: u8,
    /// Function, 0 to 7.
    pub(crate) function: u8,
}

/// Access to the configuration space of all functions.
pub(crate) trait ConfigSpace {
    /// Reads the 32 bits at `offset`, a multiple of 4; all ones where nothing is.
    fn read(&self, address: Address, offset: u8) -> u32;
    /// Writes the 32 bits at `offset`, a multiple of 4.
    fn write(&self, address: Address, offset: u8, value: u32);
}

/// A function that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Function {
    /// Where it is.
    pub(crate) address: Address,
    /// Who made it.
    pub(crate) vendor: u16,
    /// What it is.
    pub(crate) device: u16,
}

/// Where a base address register points to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BaseAddress {
    /// First I/O port.
    Ports(u16),
    /// Physical address.
    Memory(u64),
}

/// All functions on bus 0 and behind its bridges; none where there is no PCI.
pub(crate) fn functions(space: &impl ConfigSpace) -> Vec<Function> {
    let mut found = Vec::new();
    let mut seen = [false; 256];
    let mut buses = alloc::vec![0u8];
    while let Some(bus) = buses.pop() {
        if core::mem::replace(&mut seen[usize::from(bus)], true) {
            continue;
        }
        for device in 0..32 {
            scan_device(space, bus, device, &mut found, &mut buses);
        }
    }
    found
}

fn scan_device(
    space: &impl ConfigSpace,
    bus: u8,
    device: u8,
    found: &mut Vec<Function>,
    buses: &mut Vec<u8>,
) {
    let first = Address {
        bus,
        device,
        function: 0,
    };
    if space.read(first, 0) == ABSENT {
        return; // its header reads as all ones, too
    }
    let is_multifunction = space.read(first, HEADER_TYPE) & MULTIFUNCTION != 0;
    for function in 0..if is_multifunction { 8 } else { 1 } {
        let address = Address { function, ..first };
        let identity = space.read(address, 0);
        if identity == ABSENT || identity == 0 {
            continue;
        }
        let [vendor, device] = [identity as u16, (identity >> 16) as u16];
        found.push(Function {
            address,
            vendor,
            device,
        });
        if space.read(address, CLASS) >> 16 == CLASS_BRIDGE {
            buses.push((space.read(address, BUSES) >> 8) as u8);
        }
    }
}

/// Where base address register `index` points to; `None` if it is not assigned.
pub(crate) fn base_address(
    space: &impl ConfigSpace,
    address: Address,
    index: u8,
) -> Option<BaseAddress> {
    if index >= 6 {
        return None;
    }
    let low = space.read(address, BASE_ADDRESSES + 4 * index);
    if low & 1 != 0 {
        let port = u16::try_from(low & !3).ok()?;
        return (port != 0).then_some(BaseAddress::Ports(port));
    }
    let high = match low >> 1 & 3 {
        0 => 0,
        2 if index < 5 => space.read(address, BASE_ADDRESSES + 4 * index + 4),
        _ => return None,
    };
    let memory = u64::from(high) << 32 | u64::from(low & !0xf);
    (memory != 0).then_some(BaseAddress::Memory(memory))
}

/// Lets a function answer in both spaces and use memory on its own.
pub(crate) fn enable(space: &impl ConfigSpace, address: Address) {
    set_command(
        space,
        address,
        COMMAND_PORTS | COMMAND_MEMORY | COMMAND_BUS_MASTER,
        0,
    );
}

/// Silences the interrupt line of a function that signals by messages.
pub(crate) fn disable_line(space: &impl ConfigSpace, address: Address) {
    set_command(space, address, COMMAND_NO_INTX, 0);
}

/// Lets a function use its interrupt line.
pub(crate) fn enable_line(space: &impl ConfigSpace, address: Address) {
    set_command(space, address, 0, COMMAND_NO_INTX);
}

fn set_command(space: &impl ConfigSpace, address: Address, set: u32, clear: u32) {
    // The upper half is the status, whose bits are cleared by writing ones.
    let command = space.read(address, COMMAND) & 0xffff;
    space.write(address, COMMAND, (command | set) & !clear);
}

/// The ISA interrupt that firmware wired a function's line to.
pub(crate) fn interrupt_line(space: &impl ConfigSpace, address: Address) -> Option<u8> {
    let [line, pin, ..] = space.read(address, INTERRUPT_LINE).to_le_bytes();
    (pin != 0 && line < 16).then_some(line)
}
