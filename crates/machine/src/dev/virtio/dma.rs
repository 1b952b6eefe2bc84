//! Memory that is shared with a device.

use core::marker::PhantomData;
use core::ptr::NonNull;

use virtio_drivers::{BufferDirection, Error, Hal, PAGE_SIZE, PhysAddr, Result};

/// Zeroed pages in one piece. The device may write to any of them at any time, so nothing is read
/// from them twice with the same result taken for granted.
pub(super) struct Dma<H: Hal> {
    paddr: PhysAddr,
    memory: NonNull<u8>,
    pages: usize,
    _hal: PhantomData<H>,
}

// SAFETY: the memory belongs to this value alone, whichever CPU it is on.
unsafe impl<H: Hal> Send for Dma<H> {}

impl<H: Hal> Dma<H> {
    /// At least `size` bytes.
    ///
    /// # Errors
    /// When there is no memory.
    pub(super) fn new(size: usize) -> Result<Self> {
        let pages = size.div_ceil(PAGE_SIZE).max(1);
        let (paddr, memory) = H::dma_alloc(pages, BufferDirection::Both);
        if paddr == 0 {
            return Err(Error::DmaError);
        }
        Ok(Self {
            paddr,
            memory,
            pages,
            _hal: PhantomData,
        })
    }

    /// What the device calls the byte at `offset`.
    pub(super) fn address(&self, offset: usize) -> PhysAddr {
        self.paddr + offset as PhysAddr
    }

    /// The place of a `T` at `offset`.
    ///
    /// # Panics
    /// It is not inside, or not aligned.
    pub(super) fn place<T>(&self, offset: usize) -> NonNull<T> {
        assert!(offset + size_of::<T>() <= self.pages * PAGE_SIZE, "outside");
        // SAFETY: inside the memory of this value.
        let place = unsafe { self.memory.byte_add(offset) }.cast::<T>();
        assert!(place.is_aligned(), "not aligned");
        place
    }

    /// Bytes that the device does not have at the moment.
    ///
    /// # Panics
    /// They are not inside.
    pub(super) fn bytes(&mut self, offset: usize, length: usize) -> &mut [u8] {
        assert!(offset + length <= self.pages * PAGE_SIZE, "outside");
        // SAFETY: inside the memory of this value.
        let start = unsafe { self.memory.byte_add(offset) };
        // SAFETY: initialised since it was allocated, borrowed for as long as the value is, and
        // any byte is a valid one should a broken device write to it nevertheless.
        unsafe { core::slice::from_raw_parts_mut(start.as_ptr(), length) }
    }
}

impl<H: Hal> Drop for Dma<H> {
    fn drop(&mut self) {
        // SAFETY: allocated by `new` with these very values; the drivers reset their device
        // before they drop its memory.
        unsafe { H::dma_dealloc(self.paddr, self.memory, self.pages) };
    }
}
