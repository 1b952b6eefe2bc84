//! The hand-over by PVH: the block of low memory that our kernel finds through EBX.

use core::mem::{offset_of, size_of};
use core::ptr;

use boot_bios::memory::{MAX_RANGES, MemoryMap};
use boot_contract::start_info::{MAGIC, MemoryRange, Module, StartInfo};

use crate::layout::{CMDLINE, HAND_OVER};

/// All that the kernel is told, but for the command line.
#[repr(C)]
struct HandOver {
    start_info: StartInfo,
    root: Module,
    ranges: [MemoryRange; MAX_RANGES],
}

/// Writes the block and returns the address of the start info.
pub(crate) fn write(root: (u64, u64), map: &MemoryMap, rsdp: u64) -> u32 {
    let start_info = StartInfo {
        magic: MAGIC,
        version: 1,
        flags: 0,
        nr_modules: 1,
        modlist_paddr: (HAND_OVER + offset_of!(HandOver, root)) as u64,
        cmdline_paddr: CMDLINE as u64,
        rsdp_paddr: rsdp,
        memmap_paddr: (HAND_OVER + offset_of!(HandOver, ranges)) as u64,
        memmap_entries: map.ranges().len() as u32,
        reserved: 0,
    };
    let root = Module {
        paddr: root.0,
        size: root.1,
        cmdline_paddr: 0,
        reserved: 0,
    };
    let block = HandOver {
        start_info,
        root,
        ranges: map.table(),
    };
    let place = ptr::with_exposed_provenance_mut::<HandOver>(HAND_OVER);
    // SAFETY: the block's memory is mapped, aligned and used for nothing else (layout.rs).
    unsafe { place.write_volatile(block) };
    HAND_OVER as u32
}

const _: () = assert!(HAND_OVER + size_of::<HandOver>() <= CMDLINE);
