//! The page tables of a process.
//!
//! An entry that is not zero owns a reference to its [`Frame`]. A page that may not be accessed
//! at all (`PROT_NONE`) keeps its frame in an entry without the present bit.

use alloc::sync::Arc;
use core::ops::Range;
use core::sync::atomic::AtomicU64;

use super::entries::{ADDRESS, Table};
use super::kernel_table::{self, NO_EXECUTE, PRESENT, USER, WRITE};
use super::{Frame, PAGE_SIZE, USER_END, copy_bytes, phys_to_ptr};
use crate::cpu::tlb;

const PAGE: u64 = PAGE_SIZE as u64;
/// A bit the CPU ignores: the entry holds a frame although it may not be present.
const OCCUPIED: u64 = 1 << 9;
const KERNEL_HALF: Range<usize> = 256..512;

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
        self.table.paddr()
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        for index in self.table.used(0..KERNEL_HALF.start) {
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
        // SAFETY: the frame is new, and from now on a table.
        let table = unsafe { Table::at(paddr) };
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

    fn leaf_or_create(&self, address: u64) -> Result<Table, OutOfMemory> {
        let mut table = self.root.table;
        for shift in [39, 30, 21] {
            let index = (address >> shift & 0x1ff) as usize;
            table = table
                .next_or_create(index, PRESENT | WRITE | USER)
                .ok_or(OutOfMemory)?;
        }
        Ok(table)
    }

    /// Maps frames at those of `count` pages from `first` on that have none, until `supply` has no
    /// more (it is given the number of the page, from 0) or the table of the last level ends.
    /// Returns how many it mapped.
    ///
    /// # Errors
    /// When memory for tables is out.
    pub fn fill(
        &mut self,
        first: UserPage,
        count: u64,
        flags: PageFlags,
        mut supply: impl FnMut(u64) -> Option<Frame>,
    ) -> Result<usize, OutOfMemory> {
        let before = self.resident;
        let table = self.leaf_or_create(first.0)?;
        let start = (first.0 >> 12 & 0x1ff) as usize;
        for index in start..512.min(start + count as usize) {
            if table.get(index) == 0 {
                let Some(frame) = supply((index - start) as u64) else {
                    break;
                };
                table.set(index, frame.into_paddr() | flags.bits());
                self.resident += 1;
            }
        }
        Ok(self.resident - before)
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
        let table = self.leaf_or_create(page.0)?;
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
        let (mut mapped, mut known) = (0, false);
        self.root
            .table
            .for_each_entry(start..end, |table, index, entry, _| {
                mapped += 1;
                known |= entry & PRESENT != 0;
                table.set(index, entry & !PRESENT);
            });
        if known {
            tlb::flush(&self.root, start, end);
        }
        if mapped == 0 {
            return;
        }
        self.root
            .table
            .for_each_entry(start..end, |table, index, entry, _| {
                table.set(index, 0);
                // SAFETY: the entry owned this reference and was just cleared.
                drop(unsafe { Frame::from_paddr(entry & ADDRESS) });
            });
        self.resident -= mapped;
    }

    /// Changes what may be done with the mapped pages in `start..end`. Frames that others refer
    /// to become writable only when the mapping is `shared`: copy-on-write is the fault handler's.
    pub fn protect_range(&mut self, start: u64, end: u64, flags: PageFlags, shared: bool) {
        let (mut changed, mut lost) = (false, false);
        self.root
            .table
            .for_each_entry(start..end, |table, index, entry, _| {
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
        let (mut result, mut lost) = (Ok(()), false);
        self.root
            .table
            .for_each_leaf(start..end, |table, indices, base| {
                let mut used = table.used(indices).peekable();
                if used.peek().is_none() || result.is_err() {
                    return;
                }
                let Ok(copy) = child.leaf_or_create(base) else {
                    result = Err(OutOfMemory);
                    return;
                };
                for index in used {
                    let entry = table.get(index);
                    let new = if shared { entry } else { entry & !WRITE };
                    table.set(index, new);
                    lost |= loses_rights(entry, new);
                    share(new).into_paddr();
                    copy.set(index, new);
                    child.resident += 1;
                }
            });
        if lost {
            tlb::flush(&self.root, start, end);
        }
        result
    }

    /// Puts a copy of another table's entry at `address`, which must be unmapped here.
    fn adopt(&mut self, address: u64, entry: u64) -> Result<(), OutOfMemory> {
        let table = self.leaf_or_create(address)?;
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
        self.root
            .table
            .for_each_entry(from..from + size, |table, index, entry, address| {
                if result.is_ok() {
                    result = self.adopt(to + (address - from), entry);
                }
                if result.is_ok() {
                    table.set(index, 0);
                    self.resident -= 1;
                    // SAFETY: the entry owned this reference and was just cleared.
                    drop(unsafe { Frame::from_paddr(entry & ADDRESS) });
                }
            });
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
        for index in table.used(0..512) {
            if let Some(next) = table.next(index) {
                free_tables(next, levels - 1);
            }
        }
    }
    // SAFETY: unlinked by the caller, and so are all tables below.
    unsafe { table.free() };
}
