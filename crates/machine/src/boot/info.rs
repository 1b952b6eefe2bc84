//! Reading the start-info block.

use core::ffi::CStr;
use core::slice;

use boot_contract::start_info::{MAGIC, MEMORY_RAM, MemoryRange, Module, StartInfo};

use crate::mem::phys_to_ptr;

/// Most memory ranges and modules that are looked at.
const MAX_RANGES: usize = 64;
const MAX_MODULES: usize = 4;

/// Where to look for unused pages below 1 MiB: not where firmware's data and boot sectors are, nor
/// where a PC's firmware keeps its extended data.
const LOW_PAGES_START: u64 = 0x8000;
const LOW_PAGES_END: u64 = 0x9_0000;

/// What the boot stage handed over, in safe types. Everything referenced stays in memory for good.
pub struct BootInfo {
    /// The command line, empty if there is none or it is not UTF-8.
    pub cmdline: &'static str,
    /// The root archive (first module), empty if there is none.
    pub root_archive: &'static [u8],
    /// Physical address of the ACPI root pointer, if the boot stage knows it.
    pub rsdp: Option<u64>,
}

/// The start-info block before the direct map is complete: plain numbers.
pub(crate) struct RawBoot {
    cmdline: u64,
    rsdp: u64,
    modules: [(u64, u64); MAX_MODULES],
    ranges: [(u64, u64); MAX_RANGES],
    scratch: (u64, u64),
}

impl RawBoot {
    /// Reads the block at physical address `start_info`.
    ///
    /// # Safety
    /// `start_info` and all it points to must be as the PVH protocol says, within the first GiB.
    pub(crate) unsafe fn read(start_info: u64) -> Self {
        // SAFETY: the caller says that a start-info block is there, mapped by the entry code.
        let head = unsafe { phys_to_ptr(start_info).cast::<StartInfo>().read_unaligned() };
        assert!(head.magic == MAGIC, "no PVH start-info block");
        let mut raw = Self {
            cmdline: head.cmdline_paddr,
            rsdp: head.rsdp_paddr,
            modules: [(0, 0); MAX_MODULES],
            ranges: [(0, 0); MAX_RANGES],
            scratch: (0, 0),
        };
        for (index, slot) in raw
            .modules
            .iter_mut()
            .take(head.nr_modules as usize)
            .enumerate()
        {
            let at = head.modlist_paddr + (index * size_of::<Module>()) as u64;
            // SAFETY: the list has `nr_modules` entries.
            let module = unsafe { phys_to_ptr(at).cast::<Module>().read_unaligned() };
            *slot = (module.paddr, module.size);
        }
        let mut filled = 0;
        for index in 0..head.memmap_entries as usize {
            let at = head.memmap_paddr + (index * size_of::<MemoryRange>()) as u64;
            // SAFETY: the map has `memmap_entries` entries.
            let range = unsafe { phys_to_ptr(at).cast::<MemoryRange>().read_unaligned() };
            if range.kind == MEMORY_RAM && filled < MAX_RANGES {
                raw.ranges[filled] = (range.addr, range.size);
                filled += 1;
            }
        }
        raw
    }

    /// Usable RAM as (address, size in bytes); unused entries have size 0.
    pub(crate) fn ram(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.ranges.iter().copied().filter(|&(_, size)| size > 0)
    }

    /// What must not be handed out as free memory, as (address, size in bytes).
    pub(crate) fn reserved(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        let modules = self.modules.iter().copied().filter(|&(_, size)| size > 0);
        // The command line may lie anywhere below 4 GiB; a page or two is enough for it.
        let cmdline = (self.cmdline != 0).then_some((self.cmdline, 8192));
        let scratch = (self.scratch.1 > 0).then_some(self.scratch);
        modules.chain(cmdline).chain(scratch)
    }

    /// The start of `size` bytes of RAM within the first GiB and not below `from` that nothing
    /// uses. It counts as reserved from then on.
    ///
    /// # Panics
    /// If there is no such memory.
    pub(crate) fn scratch(&mut self, from: u64, size: u64) -> u64 {
        let page = crate::mem::PAGE_SIZE as u64;
        let ends = self
            .reserved()
            .map(|(at, size)| (at + size).next_multiple_of(page));
        let fits = |start: u64| {
            let end = start + size;
            start >= from
                && end <= 1 << 30
                && self.ram().any(|(at, size)| at <= start && end <= at + size)
                && !self
                    .reserved()
                    .any(|(at, size)| at < end && start < at + size)
        };
        let start = ends.chain([from]).find(|&start| fits(start));
        self.scratch = (start.expect("unused memory in the first GiB"), size);
        self.scratch.0
    }

    /// Two pages of RAM below 1 MiB that nothing uses; `None` if there are none.
    pub(crate) fn low_pages(&self) -> Option<u64> {
        let size = 2 * crate::mem::PAGE_SIZE as u64;
        // Above what firmware uses (its vectors and data, and where boot sectors run).
        (LOW_PAGES_START..LOW_PAGES_END)
            .step_by(size as usize)
            .find(|&start| {
                let end = start + size;
                self.ram()
                    .any(|(at, length)| at <= start && end <= at + length)
                    && !self
                        .reserved()
                        .any(|(at, length)| at < end && start < at + length)
            })
    }

    /// The boot modules as (address, size in bytes).
    pub(crate) fn modules(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.modules.iter().copied().filter(|&(_, size)| size > 0)
    }

    /// Turns the numbers into references, once the direct map covers all RAM.
    pub(crate) fn into_info(self) -> BootInfo {
        let (archive, size) = self.modules[0];
        let root_archive: &'static [u8] = if size == 0 {
            &[]
        } else {
            // SAFETY: the module is in RAM, reserved for good, and nobody writes to it.
            unsafe { slice::from_raw_parts(phys_to_ptr(archive), size as usize) }
        };
        let cmdline = if self.cmdline == 0 {
            ""
        } else {
            // SAFETY: the boot stage put a NUL-terminated string there, in reserved memory.
            let text = unsafe { CStr::from_ptr(phys_to_ptr(self.cmdline).cast()) };
            text.to_str().unwrap_or_default()
        };
        BootInfo {
            cmdline,
            root_archive,
            rsdp: (self.rsdp != 0).then_some(self.rsdp),
        }
    }
}
