//! An allocator that has nothing: the stages allocate nothing, but `alloc` is linked because the
//! boot contract offers types that need it.
#![allow(unsafe_code, reason = "an allocator is an unsafe trait")]

use core::alloc::{GlobalAlloc, Layout};

/// Refuses every request.
#[derive(Debug)]
pub struct NoHeap;

// SAFETY: refusing every request is allowed, so no memory is ever freed.
unsafe impl GlobalAlloc for NoHeap {
    unsafe fn alloc(&self, _: Layout) -> *mut u8 {
        core::ptr::null_mut()
    }

    unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}
}
