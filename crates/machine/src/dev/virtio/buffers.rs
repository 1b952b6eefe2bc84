//! Buffers that are shared with a device, and which of them are free.

use alloc::vec::Vec;
use core::marker::PhantomData;
use core::ptr::NonNull;

use virtio_drivers::{BufferDirection, Error, Hal, PAGE_SIZE, PhysAddr};

/// Equal buffers in one piece of memory.
pub(super) struct Buffers<H: Hal> {
    paddr: PhysAddr,
    memory: NonNull<u8>,
    pages: usize,
    size: usize,
    count: u16,
    free: Vec<u16>,
    _hal: PhantomData<H>,
}

// SAFETY: the memory belongs to this value alone, whichever CPU it is on.
unsafe impl<H: Hal> Send for Buffers<H> {}

impl<H: Hal> Buffers<H> {
    /// `count` zeroed buffers of `size` bytes, all free.
    ///
    /// # Errors
    /// When there is no memory.
    pub(super) fn new(count: u16, size: usize) -> Result<Self, Error> {
        let pages = (usize::from(count) * size).div_ceil(PAGE_SIZE);
        let (paddr, memory) = H::dma_alloc(pages, BufferDirection::Both);
        if paddr == 0 {
            return Err(Error::DmaError);
        }
        let free = (0..count).rev().collect();
        Ok(Self {
            paddr,
            memory,
            pages,
            size,
            count,
            free,
            _hal: PhantomData,
        })
    }

    /// The bytes of a buffer.
    pub(super) fn bytes(&mut self, index: u16) -> &mut [u8] {
        assert!(index < self.count, "no such buffer");
        let start = self
            .memory
            .as_ptr()
            .wrapping_add(usize::from(index) * self.size);
        // SAFETY: inside the memory of this value, initialised since it was allocated, and
        // borrowed for as long as the value is.
        unsafe { core::slice::from_raw_parts_mut(start, self.size) }
    }

    /// Takes a free buffer.
    pub(super) fn take(&mut self) -> Option<u16> {
        self.free.pop()
    }

    /// Puts a buffer back that nobody uses any more.
    pub(super) fn put(&mut self, index: u16) {
        self.free.push(index);
    }

    /// Whether a buffer is free.
    pub(super) fn has_free(&self) -> bool {
        !self.free.is_empty()
    }
}

impl<H: Hal> Drop for Buffers<H> {
    fn drop(&mut self) {
        // SAFETY: allocated by `new` with these very values; the drivers reset their device
        // before they drop its buffers.
        unsafe { H::dma_dealloc(self.paddr, self.memory, self.pages) };
    }
}
