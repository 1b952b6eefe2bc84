//! The kernel's own half of every address space.

use spin::Mutex;

use super::entries::Table;
use super::{DIRECT_MAP, Frame, HEAP_BASE, KERNEL_BASE, PAGE_SIZE, STACKS_BASE, phys_to_ptr};
use crate::boot::RawBoot;
use crate::cpu::features;

const GIB: u64 = 1 << 30;
const LARGE: u64 = 1 << 21;

// Bits of a page-table entry (Intel SDM volume 3, table 4-20).
pub(super) const PRESENT: u64 = 1;
pub(super) const WRITE: u64 = 1 << 1;
pub(super) const USER: u64 = 1 << 2;
const NO_CACHE: u64 = 1 << 4;
pub(super) const LARGE_PAGE: u64 = 1 << 7;
pub(super) const GLOBAL: u64 = 1 << 8;
pub(super) const NO_EXECUTE: u64 = 1 << 63;

/// Serialises changes to the kernel half.
static LOCK: Mutex<()> = Mutex::new(());

unsafe extern "C" {
    static boot_pml4: u8;
    static kernel_end: u8;
}

/// The top-level table the boot code made; all others copy its upper half.
pub(super) fn root() -> Table {
    let paddr = (&raw const boot_pml4) as u64 - KERNEL_BASE;
    // SAFETY: the boot code built a top-level table there and nothing frees it.
    unsafe { Table::at(paddr) }
}

/// Makes the page at `paddr` a top-level table that has the first GiB at its physical addresses
/// as well; returns its address and that of the kernel's own.
pub(crate) fn low_root(paddr: u64) -> (u64, u64) {
    // SAFETY: the caller owns the page, which lies below 1 MiB.
    let table = unsafe { Table::at(paddr) };
    for index in 0..512 {
        table.set(index, root().get(index));
    }
    table.set(0, root().get(top_index(DIRECT_MAP)));
    (paddr, (&raw const boot_pml4) as u64 - KERNEL_BASE)
}

const fn top_index(address: u64) -> usize {
    (address >> 39 & 0x1ff) as usize
}

/// Extends the direct map from the first GiB to all RAM and at least 4 GiB, and drops the
/// identity map. Returns the end of RAM.
///
/// # Safety
/// Called once, by the boot CPU, with the memory map of this machine.
pub(super) unsafe fn extend_direct_map(raw: &mut RawBoot) -> u64 {
    let ram_end = raw
        .ram()
        .map(|(start, size)| start + size)
        .max()
        .unwrap_or(0);
    let gibs = ram_end.max(4 * GIB).div_ceil(GIB).min(512);
    let low = root()
        .next(top_index(DIRECT_MAP))
        .expect("made by the entry code");
    if features().gigabyte_pages {
        for gib in 1..gibs {
            let flags = PRESENT | WRITE | LARGE_PAGE | GLOBAL | NO_EXECUTE;
            low.set(gib as usize, (gib * GIB) | flags);
        }
    } else {
        // SAFETY: passed on from the caller.
        unsafe { map_with_directories(raw, low, gibs) };
    }
    root().set(0, 0);
    ram_end.min(gibs * GIB)
}

/// The direct map in 2 MiB pages, for CPUs without 1 GiB pages: one directory for each GiB, in
/// unused memory behind the kernel image.
///
/// # Safety
/// As [`extend_direct_map`].
unsafe fn map_with_directories(raw: &mut RawBoot, low: Table, gibs: u64) {
    let mut next = raw.scratch(image_end(), (gibs - 1) * PAGE_SIZE as u64);
    for gib in 1..gibs {
        // SAFETY: scratch memory is unused RAM within the first GiB, one page for each directory.
        let directory = unsafe { Table::at(next) };
        for index in 0..512 {
            let flags = PRESENT | WRITE | LARGE_PAGE | GLOBAL | NO_EXECUTE;
            directory.set(index as usize, (gib * GIB + index * LARGE) | flags);
        }
        low.set(gib as usize, next | PRESENT | WRITE);
        next += PAGE_SIZE as u64;
    }
}

/// Physical start of the kernel image (link.ld).
pub(super) const IMAGE_START: u64 = 0x10_0000;

/// Has `directory` map the first GiB of the region at `base` (the direct map or the image).
pub(super) fn replace_first_gib(base: u64, directory: Table) {
    let low = root()
        .next(top_index(base))
        .expect("made by the entry code");
    low.set(
        (base >> 30 & 0x1ff) as usize,
        directory.paddr() | PRESENT | WRITE,
    );
}

/// Physical end of the kernel image, rounded up to a page.
pub(super) fn image_end() -> u64 {
    ((&raw const kernel_end) as u64 - KERNEL_BASE).next_multiple_of(PAGE_SIZE as u64)
}

/// Creates the second-level tables of every kernel region, so that the top-level entries never
/// change again and address spaces can copy them.
pub(super) fn prepare_shared_entries() {
    for address in [HEAP_BASE, STACKS_BASE, DIRECT_MAP + (1 << 39)] {
        root()
            .next_or_create(top_index(address), PRESENT | WRITE)
            .expect("memory at start-up");
    }
}

/// Maps new frames (content undefined) at `start` in the heap or stack region; returns how many
/// bytes were mapped, which is less than `size` when memory runs out, `None` for nothing.
pub(super) fn map_fresh(start: u64, size: usize) -> Option<usize> {
    let _guard = LOCK.lock();
    let mut mapped = 0;
    while mapped < size {
        let Some(frame) = Frame::zeroed() else { break };
        let flags = PRESENT | WRITE | GLOBAL | NO_EXECUTE;
        if map_page(start + mapped as u64, frame.paddr(), flags).is_none() {
            break;
        }
        core::mem::forget(frame);
        mapped += PAGE_SIZE;
    }
    (mapped > 0).then_some(mapped)
}

fn map_page(address: u64, paddr: u64, flags: u64) -> Option<()> {
    let mut table = root();
    for shift in [39, 30, 21] {
        table = table.next_or_create((address >> shift & 0x1ff) as usize, PRESENT | WRITE)?;
    }
    table.set((address >> 12 & 0x1ff) as usize, paddr | flags);
    Some(())
}

/// Uncached mapping of device memory; stays for good.
///
/// # Panics
/// If memory for page tables is out or the address is beyond 1 TiB.
pub(crate) fn map_mmio(paddr: u64, size: usize) -> *mut u8 {
    if paddr + size as u64 <= 4 * GIB {
        return phys_to_ptr(paddr);
    }
    assert!(paddr < 1 << 40, "device memory beyond 1 TiB");
    let _guard = LOCK.lock();
    let page = PAGE_SIZE as u64;
    let mut at = paddr / page * page;
    while at < paddr + size as u64 {
        let flags = PRESENT | WRITE | NO_CACHE | GLOBAL | NO_EXECUTE;
        map_page(DIRECT_MAP + at, at, flags).expect("memory for page tables");
        at += page;
    }
    phys_to_ptr(paddr)
}
