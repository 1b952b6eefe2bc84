//! The PVH start-info block (xen: public/arch-x86/hvm/start_info.h; docs/misc/pvh.pandoc).
//!
//! At entry EBX holds its physical address; the CPU is in 32-bit protected mode, flat, without
//! paging. All fields are little-endian, all addresses physical.

use core::mem::{offset_of, size_of};

/// `magic` of every start-info block ("xEn3" with the top bit of 'E' set).
pub const MAGIC: u32 = 0x336e_c578;

/// Type of the ELF note that names the PVH entry point (XEN_ELFNOTE_PHYS32_ENTRY).
pub const NOTE_PHYS32_ENTRY: u32 = 18;

/// The head of the block, version 1.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct StartInfo {
    /// [`MAGIC`].
    pub magic: u32,
    /// 1: the memory map is there.
    pub version: u32,
    /// `SIF_*` flags, 0 here.
    pub flags: u32,
    /// Number of [`Module`]s; the first is the root archive.
    pub nr_modules: u32,
    /// Address of the module list.
    pub modlist_paddr: u64,
    /// Address of the NUL-terminated command line, or 0.
    pub cmdline_paddr: u64,
    /// Address of the ACPI RSDP, or 0.
    pub rsdp_paddr: u64,
    /// Address of the memory map.
    pub memmap_paddr: u64,
    /// Number of [`MemoryRange`]s.
    pub memmap_entries: u32,
    /// 0.
    pub reserved: u32,
}

/// One module.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Module {
    /// Address of the content.
    pub paddr: u64,
    /// Size in bytes.
    pub size: u64,
    /// Address of a NUL-terminated command line, or 0.
    pub cmdline_paddr: u64,
    /// 0.
    pub reserved: u64,
}

/// One range of the memory map; the types are those of E820.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct MemoryRange {
    /// First address.
    pub addr: u64,
    /// Size in bytes.
    pub size: u64,
    /// 1 is usable RAM.
    pub kind: u32,
    /// 0.
    pub reserved: u32,
}

/// [`MemoryRange::kind`] of usable RAM.
pub const MEMORY_RAM: u32 = 1;

const _: () = assert!(size_of::<StartInfo>() == 56);
const _: () = assert!(offset_of!(StartInfo, rsdp_paddr) == 32);
const _: () = assert!(offset_of!(StartInfo, memmap_entries) == 48);
const _: () = assert!(size_of::<Module>() == 32);
const _: () = assert!(size_of::<MemoryRange>() == 24);
