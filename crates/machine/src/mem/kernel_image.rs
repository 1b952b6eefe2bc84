//! Nothing of the kernel is writable and executable at once.
//!
//! The entry code maps the first GiB with everything allowed, for the direct map and for the
//! kernel image. Here both get tables of their own: the image page by page, code executable,
//! constants neither, data writable, the page below the boot stack not at all; the direct map not
//! executable.

use core::arch::asm;

use super::entries::Table;
use super::kernel_table::{self, GLOBAL, LARGE_PAGE, NO_EXECUTE, PRESENT, WRITE};
use super::{DIRECT_MAP, Frame, KERNEL_BASE, PAGE_SIZE};

const PAGE: u64 = PAGE_SIZE as u64;
const LARGE: u64 = 1 << 21;
/// End of conventional memory. Further CPUs start in it, with paging off and on.
const START_AREA: u64 = 0xa_0000;

unsafe extern "C" {
    static kernel_text_end: u8;
    static kernel_rodata_end: u8;
    static boot_stack_guard: u8;
}

/// Physical address of a symbol of the linker script.
fn physical(symbol: *const u8) -> u64 {
    symbol as u64 - KERNEL_BASE
}

/// Replaces the entry code's mappings of the first GiB.
///
/// # Safety
/// Called once, by the boot CPU, when frames can be had and before other CPUs run.
pub(super) unsafe fn protect() {
    let new_table = || {
        let paddr = Frame::zeroed().expect("memory at start-up").into_paddr();
        // SAFETY: a fresh frame, which is a page table from now on.
        unsafe { Table::at(paddr) }
    };
    let direct = directory_of_direct_map(new_table);
    let image = directory_of_image(new_table);
    kernel_table::replace_first_gib(DIRECT_MAP, direct);
    kernel_table::replace_first_gib(KERNEL_BASE, image);
    // SAFETY: reloading CR3 forgets the entry code's mappings, none of which is global.
    unsafe { asm!("mov {0}, cr3", "mov cr3, {0}", out(reg) _, options(nostack)) };
}

/// 2 MiB pages that are not executable, apart from where further CPUs start.
fn directory_of_direct_map(new_table: impl Fn() -> Table) -> Table {
    let directory = new_table();
    for index in 1..512 {
        let flags = PRESENT | WRITE | LARGE_PAGE | GLOBAL | NO_EXECUTE;
        directory.set(index, (index as u64 * LARGE) | flags);
    }
    let first = new_table();
    for index in 0..512 {
        let paddr = index as u64 * PAGE;
        let execute = if paddr < START_AREA { 0 } else { NO_EXECUTE };
        first.set(index, paddr | PRESENT | WRITE | GLOBAL | execute);
    }
    directory.set(0, first.paddr() | PRESENT | WRITE);
    directory
}

/// The kernel image and nothing else.
fn directory_of_image(new_table: impl Fn() -> Table) -> Table {
    let directory = new_table();
    let (start, end) = (kernel_table::IMAGE_START, kernel_table::image_end());
    for base in (0..end).step_by(LARGE as usize) {
        let table = new_table();
        for paddr in (base..end.min(base + LARGE)).step_by(PAGE_SIZE) {
            let is_guard = paddr == physical(&raw const boot_stack_guard);
            if paddr >= start && !is_guard {
                let index = (paddr - base) / PAGE;
                table.set(
                    index as usize,
                    paddr | PRESENT | GLOBAL | permissions(paddr),
                );
            }
        }
        directory.set((base / LARGE) as usize, table.paddr() | PRESENT | WRITE);
    }
    directory
}

/// What may be done with a page of the image, by its section.
fn permissions(paddr: u64) -> u64 {
    if paddr < physical(&raw const kernel_text_end) {
        0
    } else if paddr < physical(&raw const kernel_rodata_end) {
        NO_EXECUTE
    } else {
        WRITE | NO_EXECUTE
    }
}

/// Uses the stack up, for testing that it ends in a fault. `depth` only keeps the compiler from
/// seeing through it.
#[inline(never)]
pub fn overflow_stack(depth: u64) -> u64 {
    let mut frame = core::hint::black_box([depth; 64]);
    if core::hint::black_box(true) {
        frame[1] = overflow_stack(depth + 1);
    }
    core::hint::black_box(frame)[1]
}

/// Makes the CPU fault, by a write to the kernel's code: for testing that it does.
#[inline(never)]
pub fn write_to_own_code() {
    let code = (&raw const kernel_text_end).wrapping_sub(1).cast_mut();
    // SAFETY: a byte of padding behind the code: should the write succeed, it harms nothing.
    unsafe { code.write_volatile(0) };
}
