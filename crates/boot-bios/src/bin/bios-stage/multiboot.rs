//! The hand-over by Multiboot: the block of low memory that a foreign kernel finds through EBX.

use core::mem::{offset_of, size_of};
use core::ptr;

use boot_bios::memory::{MAX_RANGES, MemoryMap};
use boot_contract::multiboot::{
    HAS_CMDLINE, HAS_LOADER_NAME, HAS_MEMORY, HAS_MEMORY_MAP, HAS_MODULES, Info, MemoryRange,
    Module,
};
use boot_contract::start_info;

use crate::layout::{CMDLINE, HAND_OVER};

/// The loader's name.
const NAME: [u8; 8] = *b"unibeam\0";
/// The module's string.
const STRING: [u8; 12] = *b"config.json\0";

/// All that the kernel is told, but for the command line.
#[repr(C)]
struct HandOver {
    info: Info,
    module: Module,
    ranges: [MemoryRange; MAX_RANGES],
    name: [u8; NAME.len()],
    string: [u8; STRING.len()],
}

/// Writes the block and returns the address of the information.
pub(crate) fn write(module: (u64, u64), map: &MemoryMap) -> u32 {
    let address = |offset| (HAND_OVER + offset) as u32;
    let info = Info {
        flags: HAS_MEMORY | HAS_CMDLINE | HAS_MODULES | HAS_MEMORY_MAP | HAS_LOADER_NAME,
        mem_lower: kib_from(map, 0),
        mem_upper: kib_from(map, 1 << 20),
        cmdline: CMDLINE as u32,
        mods_count: u32::from(module.1 > 0),
        mods_addr: address(offset_of!(HandOver, module)),
        mmap_length: (map.ranges().len() * size_of::<MemoryRange>()) as u32,
        mmap_addr: address(offset_of!(HandOver, ranges)),
        boot_loader_name: address(offset_of!(HandOver, name)),
        ..Info::default()
    };
    let block = HandOver {
        info,
        module: Module {
            start: module.0 as u32,
            end: (module.0 + module.1) as u32,
            string: address(offset_of!(HandOver, string)),
            reserved: 0,
        },
        ranges: map.table().map(range),
        name: NAME,
        string: STRING,
    };
    let place = ptr::with_exposed_provenance_mut::<HandOver>(HAND_OVER);
    // SAFETY: the block's memory is mapped, aligned and used for nothing else (layout.rs).
    unsafe { place.write_volatile(block) };
    HAND_OVER as u32
}

fn kib_from(map: &MemoryMap, start: u64) -> u32 {
    (map.ram_from(start) >> 10) as u32
}

fn range(range: start_info::MemoryRange) -> MemoryRange {
    let halves = |value: u64| [value as u32, (value >> 32) as u32];
    MemoryRange {
        size: MemoryRange::SIZE,
        addr: halves(range.addr),
        length: halves(range.size),
        kind: range.kind,
    }
}

const _: () = assert!(HAND_OVER + size_of::<HandOver>() <= CMDLINE);
