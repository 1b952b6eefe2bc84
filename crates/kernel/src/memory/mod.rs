//! The memory of a process: mappings ([`map`]), page faults ([`fault`]), and safe access to it
//! from system calls ([`user`]).

mod fault;
mod map;
mod page;
mod user;
mod vma;

pub(crate) use fault::Access;
pub(crate) use map::{MAPPING_RANDOM, Memory, Placement, STACK_RANDOM, random_distance};
pub(crate) use page::FramePages;
pub(crate) use user::{UserSink, UserSlices, UserSource};
pub(crate) use vma::{Backing, Protection, Vma};

/// Bytes in a page.
pub(crate) const PAGE: u64 = machine::mem::PAGE_SIZE as u64;

/// Rounds up to whole pages; `None` on overflow.
pub(crate) fn page_up(value: u64) -> Option<u64> {
    value.checked_next_multiple_of(PAGE)
}

/// Rounds down to a page.
pub(crate) fn page_down(value: u64) -> u64 {
    value / PAGE * PAGE
}
