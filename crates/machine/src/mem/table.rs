//! The page tables of a process.
//!
//! An entry that is not zero owns a reference to its [`Frame`]. A page that may not be accessed
//! at all (`PROT_NONE`) keeps its frame in an entry without the present bit.

use alloc::sync::Arc;
use core::sync::atomic::AtomicU64;

use super::kernel_table::{self, NO_EXECUTE, PRESENT, USER, WRITE};
use super::{Frame, PAGE_SIZE, USER_END, copy_bytes, phys_to_ptr};
use crate::cpu::tlb;

const PAGE: u64 = PAGE_SIZE as u64;
const ADDRESS: u64 = 0x000f_ffff_ffff_f000;
/// A bit the CPU ignores: the entry holds a frame although it may not be present.
const OCCUPIED: u64 = 1 << 9;
const KERNEL_HALF: core::ops::Range<usize> = 256..512;

/// Memory for page tables is out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfMemory;

/// A page-aligned address in the process half of the address space.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct UserPage(u64);

impl UserPage {
    /// The page that holds `address`; `None` outside the process half.
    pub fn containing(address: u64) -> Option<Self> {
        (address < USER_END).then_some(Self(address / PAGE * PAGE))
    }

    /// First address of the page.
    pub fn address(self) -> u64 {
        self.0
    }
}

/// What a process may do with a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageFlags {
    /// Reading.
    pub read: bool,
    /// Writing (implies reading, as on all x86).
    pub write: bool,
    /// Running code.
    pub execute: bool,
}

impl PageFlags {
    fn bits(self) -> u64 {
        let mut bits = OCCUPIED;
        if self.read || self.write || self.execute {
            bits |= PRESENT | USER;
        }
        if self.write {
            bits |= WRITE;
        }
        if !self.execute {
            bits |= NO_EXECUTE;
        }
        bits
    }
}

/// A page-table page.
#[derive(Clone, Copy)]
pub(super) struct Table(u64);

impl Table {
    /// # Safety
    /// `paddr` must be a frame that is (or from now on serves as) a page table.
    pub(super) unsafe fn at(paddr: u64) -> Self {
        Self(paddr)
    }

    /// Physical address of the table.
    pub(super) fn paddr(self) -> u64 {
        self.0
    }

    fn entry(self, index: usize) -> *mut u64 {
        phys_to_ptr(self.0).cast::<u64>().wrapping_add(index & 511)
    }

    pub(super) fn get(self, index: usize) -> u64 {
        // SAFETY: inside a page-table page, by the invariant of the type.
        unsafe { self.entry(index).read_volatile() }
    }

    pub(super) fn set(self, index: usize, value: u64) {
        // SAFETY: inside a page-table page, by the invariant of the type.
        unsafe { self.entry(index).write_volatile(value) };
    }

    /// The table one level down.
    pub(super) fn next(self, index: usize) -> Option<Self> {
        let entry = self.get(index);
        (entry & PRESENT != 0).then_some(Self(entry & ADDRESS))
    }

    pub(super) fn next_or_create(self, index: usize, flags: u64) -> Option<Self> {
        if let Some(table) = self.next(index) {
            return Some(table);
        }
        let paddr = Frame::zeroed()?.into_paddr();
        self.set(index, paddr | flags);
        Some(Self(paddr))
    }

    /// Frees this table's frame.
    ///
    /// # Safety
    /// Nothing may refer to the table any more.
    unsafe fn free(self) {
        // SAFETY: the table owns its frame's only reference; passed on from the caller.
        drop(unsafe { Frame::from_paddr(self.0) });
    }
}

/// The top-level table of an address space; what a CPU's CR3 refers to. Owns the tables below it,
/// because a CPU may walk them for as long as it has the root loaded.
pub struct Root {
    table: Table,
    /// Goes up whenever translations have become invalid.
    pub(crate) generation: AtomicU64,
    /// The CPUs that have it loaded, one bit each.
    pub(crate) cpus: AtomicU64,
}

impl Root {
    pub(crate) fn paddr(&self) -> u64 {
        self.table.0
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        for index in 0..KERNEL_HALF.start {
            if let Some(table) = self.table.next(index) {
                free_tables(table, 2);
            }
        }
        // SAFETY: CPUs hold an `Arc` while the root is loaded, so it is loaded nowhere.
        unsafe { self.table.free() };
    }
}

/// The page tables of one process, and references to all the frames they map.
pub struct PageTable {
    root: Arc<Root>,
    /// Number of mapped pages.
    resident: usize,
}

impl PageTable {
    /// An address space with nothing in the process half.
    ///
    /// # Errors
    /// When memory is out.
    pub fn new() -> Result<Self, OutOfMemory> {
        let paddr = Frame::zeroed().ok_or(OutOfMemory)?.into_paddr();
        let table = Table(paddr);
        for index in KERNEL_HALF {
            table.set(index, kernel_table::root().get(index));
        }
        Ok(Self {
            root: Arc::new(Root {
                table,
                generation: AtomicU64::new(0),
                cpus: AtomicU64::new(0),
            }),
            resident: 0,
        })
    }

    /// The top-level table, for activation on a CPU.
    pub fn root(&self) -> &Arc<Root> {
        &self.root
    }

    /// Number of mapped pages.
    pub fn resident_pages(&self) -> usize {
        self.resident
    }

    fn leaf(&self, address: u64) -> Option<Table> {
        let mut table = self.root.table;
        for shift in [39, 30, 21] {
            table = table.next((address >> shift & 0x1ff) as usize)?;
        }
        Some(table)
    }

    /// Maps `frame` at `page`, in place of whatever is there.
    ///
    /// # Errors
    /// When memory for tables is out; `frame` is dropped then.
    pub fn map(
        &mut self,
        page: UserPage,
        frame: Frame,
        flags: PageFlags,
    ) -> Result<(), OutOfMemory> {
        let mut table = self.root.table;
        for shift in [39, 30, 21] {
            let index = (page.0 >> shift & 0x1ff) as usize;
            table = table
                .next_or_create(index, PRESENT | WRITE | USER)
                .ok_or(OutOfMemory)?;
        }
        let index = (page.0 >> 12 & 0x1ff) as usize;
        let old = table.get(index);
        let new = frame.into_paddr() | flags.bits();
        table.set(index, new);
        if old == 0 {
            self.resident += 1;
        } else {
            self.flush(page.0, page.0 + PAGE, loses_rights(old, new));
            // SAFETY: the entry owned this reference and was just overwritten.
            drop(unsafe { Frame::from_paddr(old & ADDRESS) });
        }
        Ok(())
    }

    /// A reference to the frame mapped at `page`, and whether it is mapped writable.
    pub fn frame_at(&self, page: UserPage) -> Option<(Frame, bool)> {
        let entry = self.leaf(page.0)?.get((page.0 >> 12 & 0x1ff) as usize);
        (entry != 0).then(|| (share(entry), entry & WRITE != 0))
    }

    /// Whether anything is mapped at `page`.
    pub fn is_mapped(&self, page: UserPage) -> bool {
        self.leaf(page.0)
            .is_some_and(|table| table.get((page.0 >> 12 & 0x1ff) as usize) != 0)
    }

    /// Makes CPUs forget translations of `start..end`. Without `everywhere` only this one: others
    /// know too few rights and find out by a fault.
    fn flush(&self, start: u64, end: u64, everywhere: bool) {
        if everywhere {
            tlb::flush(&self.root, start, end);
        } else {
            tlb::flush_here(&self.root, start, end);
        }
    }

    /// Lets every CPU that runs the process pass a full memory barrier (membarrier(2)).
    pub fn synchronize(&self) {
        tlb::synchronize(&self.root);
    }

    /// Removes all pages in `start..end` (page-aligned) and drops their frames, which no CPU must
    /// know any more by then: first all become inaccessible, then they go.
    pub fn unmap_range(&mut self, start: u64, end: u64) {
        let mut known = false;
        for_each_entry(self.root.table, start, end, |table, index, entry, _| {
            known |= entry & PRESENT != 0;
            table.set(index, entry & !PRESENT);
        });
        if known {
            tlb::flush(&self.root, start, end);
        }
        let mut removed = 0;
        for_each_entry(self.root.table, start, end, |table, index, entry, _| {
            table.set(index, 0);
            removed += 1;
            // SAFETY: the entry owned this reference and was just cleared.
            drop(unsafe { Frame::from_paddr(entry & ADDRESS) });
        });
        self.resident -= removed;
    }

    /// Changes what may be done with the mapped pages in `start..end`. Frames that others refer
    /// to become writable only when the mapping is `shared`: copy-on-write is the fault handler's.
    pub fn protect_range(&mut self, start: u64, end: u64, flags: PageFlags, shared: bool) {
        let (mut changed, mut lost) = (false, false);
        for_each_entry(self.root.table, start, end, |table, index, entry, _| {
            let mut bits = flags.bits();
            if flags.write && !shared && !is_unique(entry) {
                bits &= !WRITE;
            }
            let new = entry & ADDRESS | bits;
            table.set(index, new);
            changed = true;
            lost |= loses_rights(entry, new);
        });
        if changed {
            self.flush(start, end, lost);
        }
    }

    /// Maps every page of `start..end` into `child` as well. Unless `shared`, both lose the right
    /// to write until a fault copies the frame.
    ///
    /// # Errors
    /// When memory for tables is out; what was mapped so far stays.
    pub fn fork_range(
        &mut self,
        child: &mut Self,
        start: u64,
        end: u64,
        shared: bool,
    ) -> Result<(), OutOfMemory> {
        let mut result = Ok(());
        for_each_entry(
            self.root.table,
            start,
            end,
            |table, index, entry, address| {
                let entry = if shared { entry } else { entry & !WRITE };
                table.set(index, entry);
                if result.is_ok() {
                    result = child.adopt(address, entry);
                }
            },
        );
        tlb::flush(&self.root, start, end);
        result
    }

    /// Puts a copy of another table's entry at `address`, which must be unmapped here.
    fn adopt(&mut self, address: u64, entry: u64) -> Result<(), OutOfMemory> {
        let mut table = self.root.table;
        for shift in [39, 30, 21] {
            let index = (address >> shift & 0x1ff) as usize;
            table = table
                .next_or_create(index, PRESENT | WRITE | USER)
                .ok_or(OutOfMemory)?;
        }
        share(entry).into_paddr();
        table.set((address >> 12 & 0x1ff) as usize, entry);
        self.resident += 1;
        Ok(())
    }

    /// Moves the pages of `from..from + size` to `to`, which must be unmapped (mremap).
    ///
    /// # Errors
    /// When memory for tables is out; pages moved so far stay moved.
    pub fn move_range(&mut self, from: u64, to: u64, size: u64) -> Result<(), OutOfMemory> {
        let mut result = Ok(());
        for_each_entry(
            self.root.table,
            from,
            from + size,
            |table, index, entry, address| {
                if result.is_ok() {
                    result = self.adopt(to + (address - from), entry);
                }
                if result.is_ok() {
                    table.set(index, 0);
                    self.resident -= 1;
                    // SAFETY: the entry owned this reference and was just cleared.
                    drop(unsafe { Frame::from_paddr(entry & ADDRESS) });
                }
            },
        );
        tlb::flush(&self.root, from, from + size);
        result
    }

    /// Copies from process memory at `address`, as far as pages are mapped readable; returns the
    /// number of bytes copied.
    pub fn copy_in(&self, address: u64, to: &mut [u8]) -> usize {
        self.copy(address, to.len(), PRESENT, |page, done, count| {
            // SAFETY: `page..+count` lies in one mapped frame; `to[done..]` has `count` bytes;
            // no Rust reference points into frames.
            unsafe { copy_bytes(page, to[done..done + count].as_mut_ptr(), count) };
        })
    }

    /// Copies to process memory at `address`, as far as pages are mapped writable; returns the
    /// number of bytes copied.
    pub fn copy_out(&self, address: u64, from: &[u8]) -> usize {
        self.copy(address, from.len(), PRESENT | WRITE, |page, done, count| {
            // SAFETY: as in `copy_in`.
            unsafe { copy_bytes(from[done..done + count].as_ptr(), page, count) };
        })
    }

    fn copy(
        &self,
        address: u64,
        size: usize,
        needed: u64,
        mut part: impl FnMut(*mut u8, usize, usize),
    ) -> usize {
        let mut done = 0;
        while done < size {
            let at = address.wrapping_add(done as u64);
            if at >= USER_END {
                break;
            }
            let Some(table) = self.leaf(at) else { break };
            let entry = table.get((at >> 12 & 0x1ff) as usize);
            if entry & needed != needed {
                break;
            }
            let offset = (at % PAGE) as usize;
            let count = (PAGE_SIZE - offset).min(size - done);
            part(phys_to_ptr((entry & ADDRESS) + offset as u64), done, count);
            done += count;
        }
        done
    }
}

/// Calls `f(table, index, entry, address)` for every mapped page in `start..end`.
fn for_each_entry(root: Table, start: u64, end: u64, mut f: impl FnMut(Table, usize, u64, u64)) {
    let mut address = start;
    'next: while address < end {
        let mut table = root;
        for shift in [39, 30, 21] {
            match table.next((address >> shift & 0x1ff) as usize) {
                Some(next) => table = next,
                None => {
                    address = ((address >> shift) + 1) << shift;
                    continue 'next;
                }
            }
        }
        let stop = (((address >> 21) + 1) << 21).min(end);
        while address < stop {
            let index = (address >> 12 & 0x1ff) as usize;
            let entry = table.get(index);
            if entry != 0 {
                f(table, index, entry, address);
            }
            address += PAGE;
        }
    }
}

/// Whether a CPU that still knows `old` could do what `new` does not allow, or elsewhere.
fn loses_rights(old: u64, new: u64) -> bool {
    let rights = |entry: u64| (entry ^ NO_EXECUTE) & (PRESENT | WRITE | USER | NO_EXECUTE);
    old & PRESENT != 0 && (old & ADDRESS != new & ADDRESS || rights(old) & !rights(new) != 0)
}

/// A new reference to the frame of an entry.
fn share(entry: u64) -> Frame {
    // SAFETY: the entry owns a reference; it is only looked at, and kept by `ManuallyDrop`.
    let owned = core::mem::ManuallyDrop::new(unsafe { Frame::from_paddr(entry & ADDRESS) });
    Frame::clone(&owned)
}

fn is_unique(entry: u64) -> bool {
    // SAFETY: as in `share`.
    let owned = core::mem::ManuallyDrop::new(unsafe { Frame::from_paddr(entry & ADDRESS) });
    owned.is_unique()
}

impl Drop for PageTable {
    fn drop(&mut self) {
        self.unmap_range(0, USER_END);
    }
}

/// Frees a table that maps no page any more, with `levels` levels of tables below it.
fn free_tables(table: Table, levels: u32) {
    if levels > 0 {
        for index in 0..512 {
            if let Some(next) = table.next(index) {
                free_tables(next, levels - 1);
            }
        }
    }
    // SAFETY: unlinked by the caller, and so are all tables below.
    unsafe { table.free() };
}
