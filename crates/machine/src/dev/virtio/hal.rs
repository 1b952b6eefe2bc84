//! What crate `virtio-drivers` needs from this kernel.

use core::ptr::NonNull;

use virtio_drivers::{BufferDirection, Hal, PhysAddr};

use crate::mem::{dma_alloc, dma_free, map_mmio, phys_to_ptr};

/// Memory for devices out of the frame pool; no IOMMU.
pub(crate) struct KernelHal;

// SAFETY: see each function.
unsafe impl Hal for KernelHal {
    // Frames of the pool: zeroed, aligned to pages, and nobody else's. 0 says that there are none.
    fn dma_alloc(pages: usize, _: BufferDirection) -> (PhysAddr, NonNull<u8>) {
        dma_alloc(pages).unwrap_or((0, NonNull::dangling()))
    }

    unsafe fn dma_dealloc(paddr: PhysAddr, _: NonNull<u8>, pages: usize) -> i32 {
        dma_free(paddr, pages);
        0
    }

    unsafe fn mmio_phys_to_virt(paddr: PhysAddr, size: usize) -> NonNull<u8> {
        NonNull::new(map_mmio(paddr, size)).unwrap_or(NonNull::dangling())
    }

    // Every buffer our drivers share is a part of memory from `dma_alloc`, which lies in the
    // direct map, where addresses differ from physical ones by a constant.
    unsafe fn share(buffer: NonNull<[u8]>, _: BufferDirection) -> PhysAddr {
        (buffer.addr().get() - phys_to_ptr(0).addr()) as PhysAddr
    }

    unsafe fn unshare(_: PhysAddr, _: NonNull<[u8]>, _: BufferDirection) {}
}
