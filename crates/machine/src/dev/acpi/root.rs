//! The root pointer (ACPI 6.5 §5.2.5) and the list of tables it leads to (§5.2.7, §5.2.8).

use alloc::vec::Vec;

use super::{HEADER, Memory, read_table, read16, read32, read64, sums_to_zero};

const SIGNATURE: &[u8] = b"RSD PTR ";
/// Bytes of the root pointer's first version, and of its second.
const SIZE_1: usize = 20;
const SIZE_2: usize = 36;
/// Where a PC's firmware puts the root pointer, on a 16-byte boundary.
const BIOS_AREA: core::ops::Range<u64> = 0xe_0000..0x10_0000;
/// Address of the word with the segment of the extended BIOS data area, whose first KiB is the
/// other place.
const EBDA_POINTER: u64 = 0x40e;
/// Most tables looked at.
const MAX_TABLES: usize = 64;

/// All tables the root pointer leads to, apart from the DSDT; broken ones are left out.
pub(super) fn tables(memory: &impl Memory, rsdp: Option<u64>) -> Option<Vec<Vec<u8>>> {
    let given = rsdp.and_then(|paddr| root_table(memory, paddr));
    let (table, entry_size) = given.or_else(|| scan(memory))?;
    let entries = table[HEADER..].chunks_exact(entry_size).take(MAX_TABLES);
    let addresses = entries.map(|entry| match entry_size {
        8 => read64(entry, 0).unwrap_or(0),
        _ => read32(entry, 0).unwrap_or(0).into(),
    });
    Some(
        addresses
            .filter_map(|paddr| read_table(memory, paddr))
            .collect(),
    )
}

fn scan(memory: &impl Memory) -> Option<(Vec<u8>, usize)> {
    let mut segment = [0; 2];
    let ebda = if memory.read(EBDA_POINTER, &mut segment) {
        u64::from(read16(&segment, 0)?) << 4
    } else {
        0
    };
    let ebda = if ebda == 0 { 0..0 } else { ebda..ebda + 1024 };
    ebda.chain(BIOS_AREA)
        .step_by(16)
        .find_map(|paddr| root_table(memory, paddr))
}

/// The root table (XSDT or RSDT) with the size of its entries, if a root pointer is at `paddr`.
fn root_table(memory: &impl Memory, paddr: u64) -> Option<(Vec<u8>, usize)> {
    let mut pointer = [0; SIZE_2];
    let first = memory.read(paddr, &mut pointer[..SIZE_1])
        && pointer.starts_with(SIGNATURE)
        && sums_to_zero(&pointer[..SIZE_1]);
    if !first {
        return None;
    }
    let second = pointer[15] >= 2 && memory.read(paddr, &mut pointer) && sums_to_zero(&pointer);
    let extended = second.then(|| read64(&pointer, 24)).flatten();
    let extended = extended.and_then(|at| read_table(memory, at));
    match extended.filter(|table| table.starts_with(b"XSDT")) {
        Some(table) => Some((table, 8)),
        None => {
            let table = read_table(memory, read32(&pointer, 16)?.into())?;
            table.starts_with(b"RSDT").then_some((table, 4))
        }
    }
}
