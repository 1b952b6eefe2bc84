//! The ACPI tables (ACPI 6.5), parsed by hand: the root pointer, MADT, FADT, HPET and the two
//! objects of the byte code we need, `\_S5` and QEMU's event device.
//!
//! Everything here is pure parsing of foreign bytes: a table that is wrong is as good as absent.

mod aml;
mod fadt;
mod ged;
mod madt;
mod root;
#[cfg(test)]
mod tests;

use alloc::vec::Vec;

pub(crate) use fadt::{EventBlocks, Fadt, GenericAddress, SpaceId};
pub(crate) use ged::EventDevice;
#[cfg(test)]
pub(crate) use madt::IoApicEntry;
pub(crate) use madt::{Madt, SourceOverride};

/// Bytes of the header that all tables share (ACPI 6.5 §5.2.6).
const HEADER: usize = 36;
/// Largest table read; the largest in practice, a DSDT, has some hundred KiB.
const MAX_TABLE: usize = 4 << 20;

/// Physical memory, as far as tables can lie in it.
pub(crate) trait Memory {
    /// Copies memory at `paddr` to `out`; false if there is none that can be read.
    fn read(&self, paddr: u64, out: &mut [u8]) -> bool;
}

/// What the tables say.
#[derive(Debug, Default)]
pub(crate) struct Acpi {
    /// Processors and interrupt controllers.
    pub(crate) madt: Option<Madt>,
    /// Registers for power management.
    pub(crate) fadt: Option<Fadt>,
    /// Values of SLP_TYPa and SLP_TYPb that switch the machine off.
    pub(crate) soft_off: Option<(u8, u8)>,
    /// The event device of a hardware-reduced machine.
    pub(crate) events: Option<EventDevice>,
    /// Physical address of the HPET's registers.
    pub(crate) hpet: Option<u64>,
}

impl Acpi {
    /// Reads the tables; `rsdp` is where the boot stage found the root pointer, if it did.
    pub(crate) fn read(memory: &impl Memory, rsdp: Option<u64>) -> Option<Self> {
        let tables = root::tables(memory, rsdp)?;
        let fadt = find(&tables, b"FACP").and_then(Fadt::parse);
        let dsdt = fadt.as_ref().and_then(|fadt| read_table(memory, fadt.dsdt));
        let secondary = tables.iter().filter(|table| table.starts_with(b"SSDT"));
        let code: Vec<_> = dsdt.iter().chain(secondary).collect();
        Some(Self {
            madt: find(&tables, b"APIC").map(Madt::parse),
            soft_off: code.iter().find_map(|table| aml::soft_off(table)),
            events: code.iter().find_map(|table| EventDevice::find(table)),
            hpet: find(&tables, b"HPET").and_then(hpet_address),
            fadt,
        })
    }
}

fn find<'a>(tables: &'a [Vec<u8>], signature: &[u8; 4]) -> Option<&'a [u8]> {
    tables
        .iter()
        .find(|table| table.starts_with(signature))
        .map(Vec::as_slice)
}

/// The table at `paddr`, if its length is sane and its checksum right.
fn read_table(memory: &impl Memory, paddr: u64) -> Option<Vec<u8>> {
    let mut header = [0; HEADER];
    if paddr == 0 || !memory.read(paddr, &mut header) {
        return None;
    }
    let length = read32(&header, 4)? as usize;
    if !(HEADER..=MAX_TABLE).contains(&length) {
        return None;
    }
    let mut table = alloc::vec![0; length];
    (memory.read(paddr, &mut table) && sums_to_zero(&table)).then_some(table)
}

/// The rule of every ACPI structure: its bytes add up to zero.
fn sums_to_zero(bytes: &[u8]) -> bool {
    bytes.iter().fold(0u8, |sum, &byte| sum.wrapping_add(byte)) == 0
}

/// The address of the event timer block, a generic address at offset 40 (IA-PC HPET 1.0a §3.2.4).
fn hpet_address(table: &[u8]) -> Option<u64> {
    let address = GenericAddress::parse(table, 40)?;
    (address.space == SpaceId::Memory).then_some(address.address)
}

fn read16(bytes: &[u8], offset: usize) -> Option<u16> {
    Some(u16::from_le_bytes(
        bytes.get(offset..offset + 2)?.try_into().ok()?,
    ))
}

fn read32(bytes: &[u8], offset: usize) -> Option<u32> {
    Some(u32::from_le_bytes(
        bytes.get(offset..offset + 4)?.try_into().ok()?,
    ))
}

fn read64(bytes: &[u8], offset: usize) -> Option<u64> {
    Some(u64::from_le_bytes(
        bytes.get(offset..offset + 8)?.try_into().ok()?,
    ))
}
