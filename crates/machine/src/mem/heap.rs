//! The kernel heap: `talc` over a region that grows by mapping frames at its end.

use core::alloc::Layout;
use core::ptr::NonNull;

use talc::base::Talc;
use talc::base::binning::Binning;
use talc::source::Source;

use super::{HEAP_BASE, PAGE_SIZE, kernel_table};

/// The heap grows by at least this much, to keep growing rare.
const GROWTH: usize = 64 * 1024;
/// Room for the allocator's own records besides a request.
const OVERHEAD: usize = 4096;

#[global_allocator]
static HEAP: talc::TalcLock<spin::Mutex<()>, Growing> = talc::TalcLock::new(Growing { end: None });

/// Bytes of the heap: all, and those in use.
pub(super) fn sizes() -> (usize, usize) {
    let counters = *HEAP.lock().counters();
    (counters.claimed_bytes, counters.allocated_bytes)
}

/// Maps frames at the end of the heap when the allocator runs dry.
#[derive(Debug)]
struct Growing {
    end: Option<NonNull<u8>>,
}

// SAFETY: the pointer is only an address in the heap region; the lock around the allocator
// serialises its use.
unsafe impl Send for Growing {}

// SAFETY: `acquire` uses the allocator it is given and nothing that allocates from the heap.
unsafe impl Source for Growing {
    fn acquire<B: Binning>(talc: &mut Talc<Self, B>, layout: Layout) -> Result<(), ()> {
        let wanted = layout
            .size()
            .saturating_add(layout.align())
            .saturating_add(OVERHEAD);
        let size = wanted.max(GROWTH).next_multiple_of(PAGE_SIZE);
        let start = talc.source.end.map_or(HEAP_BASE, |end| end.as_ptr() as u64);
        let size = kernel_table::map_fresh(start, size).ok_or(())?;
        let new_end = (start as usize + size) as *mut u8;
        talc.source.end = match talc.source.end {
            // SAFETY: the heap was claimed up to `end`, and the pages behind it are now mapped.
            Some(end) => Some(unsafe { talc.extend(end, new_end) }),
            // SAFETY: the region was just mapped and is used for nothing else.
            None => unsafe { talc.claim(start as *mut u8, size) },
        };
        // The end is where the next pages go, whatever part of the last chunk is usable.
        talc.source.end.map(|_| ()).ok_or(())
    }
}
