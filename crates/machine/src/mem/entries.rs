//! A page of page-table entries.

use core::ops::Range;

use super::kernel_table::PRESENT;
use super::{Frame, phys_to_ptr};

/// The bits of an entry that are a physical address.
pub(super) const ADDRESS: u64 = 0x000f_ffff_ffff_f000;
/// The address bits that tables of the first and of the last level translate start here.
const ROOT_SHIFT: u32 = 39;
const PAGE_SHIFT: u32 = 12;
/// Entries in a cache line.
const LINE: usize = 8;

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

    /// The index of the first entry in `range` that is not zero. Passes over a cache line's entries
    /// at once where it can: most tables are mostly empty.
    fn first_used(self, range: Range<usize>) -> Option<usize> {
        let mut index = range.start;
        while index < range.end {
            let line = index.is_multiple_of(LINE) && index + LINE <= range.end;
            if line && self.line_is_empty(index) {
                index += LINE;
            } else if self.get(index) != 0 {
                return Some(index);
            } else {
                index += 1;
            }
        }
        None
    }

    /// Whether the entries of the cache line that starts at `index` are all zero.
    fn line_is_empty(self, index: usize) -> bool {
        (index..index + LINE).fold(0, |bits, index| bits | self.get(index)) == 0
    }

    /// The indices in `range` whose entries are not zero. An entry may be changed once it was given.
    pub(super) fn used(self, mut range: Range<usize>) -> impl Iterator<Item = usize> {
        core::iter::from_fn(move || {
            let index = self.first_used(range.clone())?;
            range.start = index + 1;
            Some(index)
        })
    }

    /// Calls `f(table, index, entry, address)` for every mapped page in `addresses`. This table is
    /// the root.
    pub(super) fn for_each_entry(
        self,
        addresses: Range<u64>,
        mut f: impl FnMut(Self, usize, u64, u64),
    ) {
        self.for_each_leaf(addresses, |table, indices, base| {
            for index in table.used(indices) {
                let address = base + ((index as u64) << PAGE_SHIFT);
                f(table, index, table.get(index), address);
            }
        });
    }

    /// Calls `f(table, indices, address)` for every table of the last level that translates some of
    /// `addresses`: which of its entries do, and the address of its first entry. This table is the
    /// root.
    pub(super) fn for_each_leaf(
        self,
        addresses: Range<u64>,
        mut f: impl FnMut(Self, Range<usize>, u64),
    ) {
        self.leaves_below(ROOT_SHIFT, addresses, &mut f);
    }

    /// As [`for_each_leaf`](Self::for_each_leaf), where this table translates the bits from `shift`
    /// on.
    fn leaves_below(
        self,
        shift: u32,
        addresses: Range<u64>,
        f: &mut impl FnMut(Self, Range<usize>, u64),
    ) {
        let start = addresses.start >> (shift + 9) << (shift + 9);
        let first = (addresses.start - start) >> shift;
        let last = (addresses.end - start).div_ceil(1 << shift).min(512);
        let indices = first as usize..last as usize;
        if shift == PAGE_SHIFT {
            f(self, indices, start);
            return;
        }
        for index in self.used(indices) {
            let at = start + ((index as u64) << shift);
            if let Some(next) = self.next(index) {
                let below = at.max(addresses.start)..addresses.end.min(at + (1 << shift));
                next.leaves_below(shift - 9, below, f);
            }
        }
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
    pub(super) unsafe fn free(self) {
        // SAFETY: the table owns its frame's only reference; passed on from the caller.
        drop(unsafe { Frame::from_paddr(self.0) });
    }
}
