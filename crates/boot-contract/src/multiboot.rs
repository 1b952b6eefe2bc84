//! Multiboot 1 (Multiboot Specification 0.6.96), which foreign kernels like rumprun's speak.
//!
//! At entry EAX is [`LOADER_MAGIC`] and EBX the physical address of an [`Info`]; the CPU is in
//! 32-bit protected mode, flat, without paging (§3.2). All fields are little-endian, all addresses
//! physical.

use core::mem::{offset_of, size_of};

/// First field of the header in the kernel's file (§3.1.1).
pub const HEADER_MAGIC: u32 = 0x1bad_b002;
/// The header lies in this many first bytes of the file (§3.1).
pub const HEADER_SEARCH: usize = 8192;
/// The header starts at a multiple of this in the file (§3.1).
pub const HEADER_ALIGNMENT: usize = 4;
/// In the header's flags: modules start with a page (§3.1.2).
pub const PAGE_ALIGN: u32 = 1 << 0;
/// In the header's flags: the kernel wants to know the memory (§3.1.2).
pub const MEMORY_INFO: u32 = 1 << 1;
/// In the header's flags: the header says what is loaded to where (§3.1.2, "a.out kludge").
pub const ADDRESSES: u32 = 1 << 16;
/// In the header's flags: those that a loader must know or refuse the kernel (§3.1.2).
pub const MUST_KNOW: u32 = 0xffff;

/// In EAX at entry (§3.2).
pub const LOADER_MAGIC: u32 = 0x2bad_b002;
/// [`Info::flags`]: `mem_lower` and `mem_upper` are there.
pub const HAS_MEMORY: u32 = 1 << 0;
/// [`Info::flags`]: `cmdline` is there.
pub const HAS_CMDLINE: u32 = 1 << 2;
/// [`Info::flags`]: `mods_count` and `mods_addr` are there.
pub const HAS_MODULES: u32 = 1 << 3;
/// [`Info::flags`]: `mmap_length` and `mmap_addr` are there.
pub const HAS_MEMORY_MAP: u32 = 1 << 6;
/// [`Info::flags`]: `boot_loader_name` is there.
pub const HAS_LOADER_NAME: u32 = 1 << 9;

/// What the kernel is told (§3.3).
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Info {
    /// Which fields are there, `HAS_*`.
    pub flags: u32,
    /// KiB of usable RAM from address 0 on.
    pub mem_lower: u32,
    /// KiB of usable RAM from 1 MiB on, in one piece.
    pub mem_upper: u32,
    /// The BIOS drive and partition; not given here.
    pub boot_device: u32,
    /// Address of the NUL-terminated command line.
    pub cmdline: u32,
    /// Number of [`Module`]s.
    pub mods_count: u32,
    /// Address of the first.
    pub mods_addr: u32,
    /// Symbols; not given here.
    pub syms: [u32; 4],
    /// Bytes of the memory map.
    pub mmap_length: u32,
    /// Address of its first [`MemoryRange`].
    pub mmap_addr: u32,
    /// Drives and the BIOS's table; not given here.
    pub drives: [u32; 3],
    /// Address of the loader's NUL-terminated name.
    pub boot_loader_name: u32,
    /// APM, VBE and frame buffer; not given here.
    pub rest: [u32; 12],
}

/// One module (§3.3).
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Module {
    /// Address of its first byte.
    pub start: u32,
    /// Address after its last byte.
    pub end: u32,
    /// Address of a NUL-terminated string.
    pub string: u32,
    /// 0.
    pub reserved: u32,
}

/// One range of the memory map (§3.3).
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct MemoryRange {
    /// Bytes of the fields that follow.
    pub size: u32,
    /// First address, low half first.
    pub addr: [u32; 2],
    /// Size in bytes, low half first.
    pub length: [u32; 2],
    /// 1 is usable RAM; the others are those of E820.
    pub kind: u32,
}

impl MemoryRange {
    /// [`MemoryRange::size`] of every range.
    pub const SIZE: u32 = (size_of::<Self>() - size_of::<u32>()) as u32;
}

const _: () = assert!(size_of::<Info>() == 116);
const _: () = assert!(offset_of!(Info, mmap_length) == 44);
const _: () = assert!(offset_of!(Info, boot_loader_name) == 64);
const _: () = assert!(size_of::<Module>() == 16);
const _: () = assert!(MemoryRange::SIZE == 20);
