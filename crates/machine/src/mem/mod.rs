//! Physical frames, page tables and the kernel heap.
//!
//! ```text
//! 0x0000_0000_0000_1000 .. 0x0000_7fff_ffff_f000   the process (page tables in `table`)
//! 0xffff_8000_0000_0000 .. + size of memory        direct map of physical memory
//! 0xffff_c000_0000_0000 ..                         kernel heap (`heap`)
//! 0xffff_d000_0000_0000 ..                         kernel stacks (`stack`)
//! 0xffff_ffff_8000_0000 ..                         kernel image
//! ```
//! Lock order: heap, then kernel table, then frame pool.

mod entries;
mod frames;
mod heap;
mod kernel_image;
mod kernel_table;
mod stack;
mod table;
mod usage;

use core::arch::asm;
use core::ptr::NonNull;

pub use frames::{Frame, MemoryStatistics, statistics};
pub use kernel_image::{overflow_stack, write_to_own_code};
pub use table::{OutOfMemory, PageFlags, PageTable, Root, UserPage};
pub use usage::{KernelUsage, kernel_usage};

pub(crate) use kernel_table::{low_root, map_mmio};
pub(crate) use stack::KernelStack;

use spin::Once;

use crate::boot::RawBoot;

/// Bytes in a page and in a frame.
pub const PAGE_SIZE: usize = 4096;

/// First address past the part of the address space that processes use (x86-64 with four-level
/// tables, less one guard page, as Linux's TASK_SIZE_MAX).
pub const USER_END: u64 = 0x7fff_ffff_f000;

const DIRECT_MAP: u64 = 0xffff_8000_0000_0000;
const HEAP_BASE: u64 = 0xffff_c000_0000_0000;
const STACKS_BASE: u64 = 0xffff_d000_0000_0000;
const KERNEL_BASE: u64 = 0xffff_ffff_8000_0000;

/// Two unused pages of RAM below 1 MiB, for starting CPUs.
pub(crate) static LOW_PAGES: Once<u64> = Once::new();

/// Sets up frames, the direct map and the heap.
///
/// # Safety
/// Called once, on the boot CPU, before anything allocates; `raw` describes this machine.
pub(crate) unsafe fn init(raw: &mut RawBoot) {
    // SAFETY: passed on from the caller.
    let top = unsafe { kernel_table::extend_direct_map(raw) };
    // SAFETY: the direct map now covers all RAM; passed on from the caller.
    unsafe { frames::init(raw, top) };
    kernel_table::prepare_shared_entries();
    if let Some(pages) = raw.low_pages() {
        LOW_PAGES.call_once(|| pages);
    }
    // SAFETY: first and only call; frames can be had, and no other CPU runs.
    unsafe { kernel_image::protect() };
}

/// Address in the direct map of a physical address: all RAM, and everything below 4 GiB.
pub(crate) fn phys_to_ptr(paddr: u64) -> *mut u8 {
    (DIRECT_MAP + paddr) as *mut u8
}

/// Allocates `pages` physically contiguous zeroed frames for a device. They are never given back
/// to the pool on their own; see [`dma_free`].
pub(crate) fn dma_alloc(pages: usize) -> Option<(u64, NonNull<u8>)> {
    let paddr = frames::allocate_contiguous(pages)?;
    NonNull::new(phys_to_ptr(paddr)).map(|pointer| (paddr, pointer))
}

/// Gives frames of [`dma_alloc`] back.
pub(crate) fn dma_free(paddr: u64, pages: usize) {
    frames::free_contiguous(paddr, pages);
}

/// Copies bytes with string instructions: sound even when a process changes the memory meanwhile.
///
/// # Safety
/// `from` must be readable and `to` writable for `count` bytes; the ranges must not overlap.
pub(crate) unsafe fn copy_bytes(from: *const u8, to: *mut u8, count: usize) {
    let words = count / 8;
    let tail = count % 8;
    // SAFETY: copies `words * 8 + tail == count` bytes, which the caller allows.
    unsafe {
        asm!(
            "rep movsq",
            "mov rcx, {tail}",
            "rep movsb",
            tail = in(reg) tail,
            inout("rcx") words => _,
            inout("rsi") from => _,
            inout("rdi") to => _,
            options(nostack, preserves_flags),
        );
    }
}

/// Fills a frame's worth of memory with zeros.
///
/// # Safety
/// `page` must be writable for [`PAGE_SIZE`] bytes.
unsafe fn zero_page(page: *mut u8) {
    // SAFETY: writes 512 eight-byte words, which the caller allows.
    unsafe {
        asm!(
            "rep stosq",
            inout("rcx") PAGE_SIZE / 8 => _,
            inout("rdi") page => _,
            in("rax") 0u64,
            options(nostack, preserves_flags),
        );
    }
}
