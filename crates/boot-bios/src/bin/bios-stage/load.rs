//! What the stage does, in order.

use boot_bios::memory::MemoryMap;
use boot_bios::rsdp;
use boot_contract::disk::{BlockList, CMDLINE_MAX, Extent, Protocol, Segment};
use boot_contract::multiboot::LOADER_MAGIC;

use crate::bios::{SMAP, block_list_bytes, copy_to, low_memory, query_memory, zero};
use crate::layout::CMDLINE;
use crate::stage_error::StageError;
use crate::{disk, multiboot, pvh};

/// A kernel ready to be entered.
pub(crate) struct Kernel {
    /// Physical address of its entry.
    pub(crate) entry: u32,
    /// Physical address of the hand-over block.
    pub(crate) ebx: u32,
    /// What its protocol wants in EAX.
    pub(crate) eax: u32,
}

/// Loads everything and builds the hand-over block.
pub(crate) fn load() -> Result<Kernel, StageError> {
    let list = BlockList::decode(&block_list_bytes()).map_err(StageError::BlockList)?;
    let map = memory_map()?;
    check_a20()?;
    let mut kernel_end = 0;
    for segment in list.segments() {
        kernel_end = load_segment(segment, &map)?.max(kernel_end);
    }
    let module = (
        load_module(list.module, &map, kernel_end)?,
        list.module.size,
    );
    load_cmdline(list.cmdline)?;
    let (ebx, eax) = match list.protocol {
        Protocol::Pvh => (pvh::write(module, &map, find_rsdp()), 0),
        Protocol::Multiboot => (multiboot::write(module, &map), LOADER_MAGIC),
    };
    Ok(Kernel {
        entry: list.entry,
        ebx,
        eax,
    })
}

fn memory_map() -> Result<MemoryMap, StageError> {
    let mut map = MemoryMap::default();
    let mut next = 0;
    loop {
        let (answer, range) = query_memory(next);
        // Some firmware marks the end by a carry instead of a zero.
        if answer.carry() || answer.eax != SMAP {
            break;
        }
        if range.size > 0 && !map.push(range) {
            return Err(StageError::MemoryMap);
        }
        next = answer.ebx;
        if next == 0 {
            break;
        }
    }
    if map.ranges().is_empty() {
        return Err(StageError::MemoryMap);
    }
    Ok(map)
}

/// With line 20 closed, the memory at 1 MiB is that at 0.
fn check_a20() -> Result<(), StageError> {
    const LOW: usize = 0x500;
    // SAFETY: free memory in every PC; nothing runs beside the stage.
    unsafe { copy_to(LOW as u64, b"A20?") };
    // SAFETY: memory at 1 MiB is free before the kernel is loaded.
    unsafe { copy_to(LOW as u64 + (1 << 20), b"open") };
    // SAFETY: nobody writes while it is compared.
    let low = unsafe { low_memory(LOW, 4) };
    if low == b"A20?" {
        Ok(())
    } else {
        Err(StageError::A20)
    }
}

/// Loads a segment and returns its end.
fn load_segment(segment: &Segment, map: &MemoryMap) -> Result<u64, StageError> {
    let start = u64::from(segment.paddr);
    let (file_size, size) = (u64::from(segment.file_size), u64::from(segment.mem_size));
    let end = start + size;
    if start < LOWEST || file_size > size || !map.is_ram(start, size) {
        return Err(StageError::KernelMemory { end });
    }
    // SAFETY: just checked to be RAM, and above all that the stage uses.
    unsafe { disk::load(segment.lba, u64::from(segment.skip), file_size, start) }?;
    // SAFETY: as above.
    unsafe { zero(start + file_size, size - file_size) };
    Ok(end)
}

/// The stage, the BIOS and their data lie below.
const LOWEST: u64 = 1 << 20;

/// Loads the module and returns its address.
fn load_module(module: Extent, map: &MemoryMap, kernel_end: u64) -> Result<u64, StageError> {
    let place = map.place(module.size, kernel_end.max(LOWEST));
    let address = place.ok_or(StageError::RootMemory { size: module.size })?;
    // SAFETY: RAM above the kernel, which is above all that the stage uses.
    unsafe { disk::load(module.lba, 0, module.size, address) }?;
    Ok(address)
}

fn load_cmdline(cmdline: Extent) -> Result<(), StageError> {
    if cmdline.size > CMDLINE_MAX as u64 {
        return Err(StageError::Cmdline { size: cmdline.size });
    }
    // SAFETY: its place in low memory has this much (layout.rs).
    unsafe { disk::load(cmdline.lba, 0, cmdline.size, CMDLINE as u64) }?;
    // SAFETY: as above, and one byte more.
    unsafe { zero(CMDLINE as u64 + cmdline.size, 1) };
    Ok(())
}

/// Address of the ACPI root pointer, 0 without ACPI: in the first KiB of the extended BIOS data
/// area or in the BIOS's read-only memory (ACPI 6.5 §5.2.5.1).
fn find_rsdp() -> u64 {
    const EBDA_SEGMENT: usize = 0x40e;
    // SAFETY: the BIOS data area, which the BIOS filled before.
    let segment = unsafe { low_memory(EBDA_SEGMENT, 2) };
    let ebda = segment
        .iter()
        .rev()
        .fold(0, |s, &byte| s << 8 | usize::from(byte))
        << 4;
    let areas = [(ebda, 1 << 10), (0xe_0000, 0x2_0000)];
    let found = areas
        .into_iter()
        .filter(|&(start, _)| start != 0)
        .find_map(|(start, size)| {
            // SAFETY: firmware memory below 1 MiB plus 64 KiB, not changed any more.
            let area = unsafe { low_memory(start, size) };
            rsdp::find(area).map(|offset| (start + offset) as u64)
        });
    found.unwrap_or(0)
}
