//! The pool of physical frames, and [`Frame`], a counted reference to one of them.

use core::slice;
use core::sync::atomic::{AtomicU32, Ordering};

use spin::{Mutex, Once};

use super::{KERNEL_BASE, PAGE_SIZE, copy_bytes, phys_to_ptr, zero_page};
use crate::boot::RawBoot;

const PAGE: u64 = PAGE_SIZE as u64;
/// Memory below this stays with the firmware and the CPU start-up code.
const LOW_MEMORY_END: u64 = 0x10_0000;
const MAX_REGIONS: usize = 64;

/// One piece of never-used memory: frames are taken from the front, contiguous runs from the end.
#[derive(Clone, Copy)]
struct Region {
    next: u64,
    end: u64,
}

struct Pool {
    /// Physical address of the first recycled frame, whose first word links to the next; 0 ends.
    recycled: u64,
    regions: [Region; MAX_REGIONS],
    region_count: usize,
    total: usize,
    free: usize,
}

static POOL: Mutex<Pool> = Mutex::new(Pool {
    recycled: 0,
    regions: [Region { next: 0, end: 0 }; MAX_REGIONS],
    region_count: 0,
    total: 0,
    free: 0,
});

/// Reference counts by frame number.
static COUNTS: Once<&'static [AtomicU32]> = Once::new();

/// How much memory there is.
#[derive(Clone, Copy, Debug)]
pub struct MemoryStatistics {
    /// Bytes the pool started with.
    pub total: u64,
    /// Bytes free now.
    pub free: u64,
}

/// Size of the pool and what is left of it.
pub fn statistics() -> MemoryStatistics {
    let pool = POOL.lock();
    MemoryStatistics {
        total: pool.total as u64 * PAGE,
        free: pool.free as u64 * PAGE,
    }
}

unsafe extern "C" {
    static kernel_end: u8;
}

/// Takes over all RAM that nothing else uses.
///
/// # Safety
/// Called once; `raw` describes this machine and the direct map covers RAM up to `top`.
pub(super) unsafe fn init(raw: &RawBoot, top: u64) {
    let mut pool = POOL.lock();
    let image_end = (&raw const kernel_end) as u64 - KERNEL_BASE;
    for (start, size) in raw.ram() {
        pool.add_range(start, start + size, image_end, raw);
    }
    let frames = (top / PAGE) as usize;
    let table_pages = (frames * size_of::<AtomicU32>()).div_ceil(PAGE_SIZE);
    let table = pool
        .take_contiguous(table_pages)
        .map_or(core::ptr::null_mut(), phys_to_ptr);
    assert!(
        !table.is_null(),
        "not enough memory for the table of frames"
    );
    // SAFETY: the table was just allocated, is page-aligned and large enough; zero is a valid
    // counter (`take_contiguous` zeroes).
    let counts = unsafe { slice::from_raw_parts(table.cast::<AtomicU32>(), frames) };
    COUNTS.call_once(|| counts);
    pool.total = pool.free;
    // Frames of boot modules can be mapped into processes; the kernel's own reference keeps them.
    for (start, size) in raw.modules() {
        for number in start / PAGE..(start + size).div_ceil(PAGE) {
            if let Some(count) = counts.get(number as usize) {
                count.store(1, Ordering::Relaxed);
            }
        }
    }
}

impl Pool {
    /// Adds the parts of `start..end` that are not reserved.
    fn add_range(&mut self, start: u64, end: u64, image_end: u64, raw: &RawBoot) {
        let start = start.max(LOW_MEMORY_END).next_multiple_of(PAGE);
        let end = end / PAGE * PAGE;
        if start >= end {
            return;
        }
        let image = (LOW_MEMORY_END, image_end - LOW_MEMORY_END);
        let blocker = raw
            .reserved()
            .chain(core::iter::once(image))
            .map(|(at, size)| (at / PAGE * PAGE, (at + size).next_multiple_of(PAGE)))
            .find(|&(from, to)| from < end && to > start);
        match blocker {
            Some((from, to)) => {
                self.add_range(start, from.max(start), image_end, raw);
                self.add_range(to.min(end), end, image_end, raw);
            }
            None => self.add_region(start, end),
        }
    }

    fn add_region(&mut self, start: u64, end: u64) {
        if self.region_count < MAX_REGIONS {
            self.regions[self.region_count] = Region { next: start, end };
            self.region_count += 1;
            self.free += ((end - start) / PAGE) as usize;
        }
    }

    /// Takes one frame, content undefined.
    fn take(&mut self) -> Option<u64> {
        let paddr = if self.recycled != 0 {
            let paddr = self.recycled;
            // SAFETY: a recycled frame is ours and holds the link in its first word.
            self.recycled = unsafe { phys_to_ptr(paddr).cast::<u64>().read() };
            paddr
        } else {
            let region = self.regions[..self.region_count]
                .iter_mut()
                .find(|region| region.next < region.end)?;
            region.next += PAGE;
            region.next - PAGE
        };
        self.free -= 1;
        Some(paddr)
    }

    fn give_back(&mut self, paddr: u64) {
        // SAFETY: the frame's last reference is gone, so nobody else reads or writes it.
        unsafe { phys_to_ptr(paddr).cast::<u64>().write(self.recycled) };
        self.recycled = paddr;
        self.free += 1;
    }

    /// Takes zeroed contiguous frames, below 4 GiB if possible.
    fn take_contiguous(&mut self, pages: usize) -> Option<u64> {
        let size = pages as u64 * PAGE;
        let region = self.regions[..self.region_count]
            .iter_mut()
            .find(|region| region.end.saturating_sub(region.next) >= size)?;
        region.end -= size;
        let paddr = region.end;
        self.free -= pages;
        for page in 0..pages as u64 {
            // SAFETY: the frames were just taken from the pool.
            unsafe { zero_page(phys_to_ptr(paddr + page * PAGE)) };
        }
        Some(paddr)
    }
}

/// See [`dma_alloc`](super::dma_alloc).
pub(super) fn allocate_contiguous(pages: usize) -> Option<u64> {
    POOL.lock().take_contiguous(pages)
}

/// See [`dma_free`](super::dma_free).
pub(super) fn free_contiguous(paddr: u64, pages: usize) {
    let mut pool = POOL.lock();
    for page in 0..pages as u64 {
        pool.give_back(paddr + page * PAGE);
    }
}

/// A counted reference to one physical frame. Cloning shares the frame; it returns to the pool
/// with the last reference. Page tables own a reference for each frame they map.
#[derive(PartialEq, Eq)]
pub struct Frame {
    number: u32,
}

impl Frame {
    /// A frame filled with zeros; `None` when memory is out.
    pub fn zeroed() -> Option<Self> {
        let frame = Self::undefined()?;
        // SAFETY: the frame is new, nobody else refers to it.
        unsafe { zero_page(frame.pointer()) };
        Some(frame)
    }

    /// A frame with the content of this one.
    pub fn duplicate(&self) -> Option<Self> {
        let copy = Self::undefined()?;
        // SAFETY: both are whole frames, and `copy` is new, so they do not overlap.
        unsafe { copy_bytes(self.pointer(), copy.pointer(), PAGE_SIZE) };
        Some(copy)
    }

    /// The frame of page-aligned bytes inside a boot module, to map them where they are.
    pub fn of_boot_module(page: &'static [u8]) -> Option<Self> {
        let paddr = (page.as_ptr() as u64).checked_sub(super::DIRECT_MAP)?;
        if page.len() < PAGE_SIZE || !paddr.is_multiple_of(PAGE) {
            return None;
        }
        let number = u32::try_from(paddr / PAGE).ok()?;
        // Only frames of boot modules have a count here that no `Frame` accounts for, and
        // `&'static` bytes in the direct map come from nowhere else.
        let count = counts().get(number as usize)?;
        count
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |c| {
                (c > 0).then_some(c + 1)
            })
            .ok()?;
        Some(Self { number })
    }

    fn undefined() -> Option<Self> {
        let paddr = POOL.lock().take()?;
        let number = (paddr / PAGE) as u32;
        counts()[number as usize].store(1, Ordering::Relaxed);
        Some(Self { number })
    }

    /// Whether this is the only reference.
    pub fn is_unique(&self) -> bool {
        self.references() == 1
    }

    /// How many references there are, this one included.
    pub fn references(&self) -> u32 {
        counts()[self.number as usize].load(Ordering::Acquire)
    }

    /// Copies from the frame, starting at byte `offset`.
    ///
    /// # Panics
    /// If the range leaves the frame.
    pub fn read(&self, offset: usize, to: &mut [u8]) {
        assert!(
            offset <= PAGE_SIZE && to.len() <= PAGE_SIZE - offset,
            "read past a frame"
        );
        // SAFETY: the range is inside the frame, which this reference keeps; `to` is disjoint,
        // because no Rust reference points into frames.
        unsafe {
            copy_bytes(
                self.pointer().wrapping_add(offset),
                to.as_mut_ptr(),
                to.len(),
            )
        };
    }

    /// Copies into the frame, starting at byte `offset`.
    ///
    /// # Panics
    /// If the range leaves the frame.
    pub fn write(&self, offset: usize, from: &[u8]) {
        assert!(
            offset <= PAGE_SIZE && from.len() <= PAGE_SIZE - offset,
            "write past a frame"
        );
        // SAFETY: as in `read`.
        unsafe {
            copy_bytes(
                from.as_ptr(),
                self.pointer().wrapping_add(offset),
                from.len(),
            )
        };
    }

    /// The 32-bit word at byte `offset`, for the futex calls.
    ///
    /// # Panics
    /// If the word is not aligned or leaves the frame.
    pub fn atomic_u32(&self, offset: usize) -> &AtomicU32 {
        assert!(
            offset.is_multiple_of(4) && offset < PAGE_SIZE,
            "unaligned word"
        );
        // SAFETY: aligned, inside the frame, kept by `self`; processes access the same word with
        // machine instructions only, for which atomics are the model.
        unsafe { AtomicU32::from_ptr(self.pointer().wrapping_add(offset).cast()) }
    }

    /// A number that is the same for two references to the same frame.
    pub fn number(&self) -> u64 {
        self.number.into()
    }

    pub(super) fn paddr(&self) -> u64 {
        u64::from(self.number) * PAGE
    }

    pub(super) fn pointer(&self) -> *mut u8 {
        phys_to_ptr(self.paddr())
    }

    /// Gives up the reference without counting down: it now lives in a page-table entry.
    pub(super) fn into_paddr(self) -> u64 {
        let paddr = self.paddr();
        core::mem::forget(self);
        paddr
    }

    /// Takes back a reference given to [`into_paddr`](Self::into_paddr).
    ///
    /// # Safety
    /// There must be such a reference, and it must be gone from where it was kept.
    pub(super) unsafe fn from_paddr(paddr: u64) -> Self {
        Self {
            number: (paddr / PAGE) as u32,
        }
    }
}

fn counts() -> &'static [AtomicU32] {
    COUNTS.get().copied().unwrap_or_default()
}

impl Clone for Frame {
    fn clone(&self) -> Self {
        counts()[self.number as usize].fetch_add(1, Ordering::Relaxed);
        Self {
            number: self.number,
        }
    }
}

impl Drop for Frame {
    fn drop(&mut self) {
        if counts()[self.number as usize].fetch_sub(1, Ordering::AcqRel) == 1 {
            POOL.lock().give_back(self.paddr());
        }
    }
}
