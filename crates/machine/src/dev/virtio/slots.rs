//! Buffers that are lent to a device, and which of them it has.
//!
//! Each slot has descriptors of its own, so that lending one again takes no more than naming it.

use alloc::vec;
use alloc::vec::Vec;

use virtio_drivers::transport::Transport;
use virtio_drivers::{Error, Hal, Result};

use super::dma::Dma;
use super::ring::{Direction, Ring};

/// How the buffers of a queue are cut.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    /// Index of the queue.
    pub(super) queue: u16,
    /// Who writes to the buffers.
    pub(super) direction: Direction,
    /// How many buffers at most, and the bytes of each.
    pub(super) count: u16,
    pub(super) size: usize,
    /// Larger ones besides, and the bytes of each.
    pub(super) large_count: u16,
    pub(super) large_size: usize,
    /// Where a buffer is split into two descriptors; 0: not at all.
    pub(super) split: usize,
}

/// A queue with its buffers.
///
/// The owner must reset the device before it drops this.
pub(super) struct Slots<H: Hal> {
    ring: Ring<H>,
    memory: Dma<H>,
    shape: Shape,
    /// Slots in all, and those of them that are not large.
    count: u16,
    small: u16,
    is_lent: Vec<bool>,
    free: Vec<u16>,
    free_large: Vec<u16>,
}

impl<H: Hal> Slots<H> {
    /// Sets the queue up; all buffers are free, and there are no interrupts.
    ///
    /// # Errors
    /// When the device has no such queue, or memory is out.
    pub(super) fn new(
        transport: &mut impl Transport,
        shape: Shape,
        has_events: bool,
    ) -> Result<Self> {
        let stride = shape.stride();
        let wanted = (shape.count + shape.large_count) * stride;
        let ring = Ring::new(
            transport,
            shape.queue,
            wanted.next_power_of_two(),
            has_events,
        )?;
        let room = ring.size() / stride;
        let large = shape.large_count.min(room / 2);
        let small = shape.count.min(room - large);
        if small == 0 {
            return Err(Error::InvalidParam);
        }
        let size = usize::from(small) * shape.size + usize::from(large) * shape.large_size;
        let count = small + large;
        let mut slots = Self {
            ring,
            memory: Dma::new(size)?,
            shape,
            count,
            small,
            is_lent: vec![false; count.into()],
            free: (0..small).rev().collect(),
            free_large: (small..count).rev().collect(),
        };
        (0..count).for_each(|slot| slots.describe(slot, slots.size_of(slot)));
        Ok(slots)
    }

    /// The queue, to notify the device and to ask for interrupts.
    pub(super) fn ring(&mut self) -> &mut Ring<H> {
        &mut self.ring
    }

    /// Bytes of a slot.
    pub(super) fn size_of(&self, slot: u16) -> usize {
        if slot < self.small {
            self.shape.size
        } else {
            self.shape.large_size
        }
    }

    fn offset_of(&self, slot: u16) -> usize {
        let small = usize::from(slot.min(self.small));
        let large = usize::from(slot.saturating_sub(self.small));
        small * self.shape.size + large * self.shape.large_size
    }

    /// The bytes of a slot that is not lent.
    ///
    /// # Panics
    /// It is lent, or there is none.
    pub(super) fn bytes(&mut self, slot: u16) -> &mut [u8] {
        assert!(!self.is_lent[usize::from(slot)], "the device has it");
        self.memory.bytes(self.offset_of(slot), self.size_of(slot))
    }

    /// Takes a free slot for `length` bytes.
    pub(super) fn take(&mut self, length: usize) -> Option<u16> {
        if length <= self.shape.size {
            return self.free.pop();
        }
        let fits = length <= self.shape.large_size;
        fits.then(|| self.free_large.pop()).flatten()
    }

    /// Whether a slot for `length` bytes is free.
    pub(super) fn has_free(&self, length: usize) -> bool {
        if length <= self.shape.size {
            return !self.free.is_empty();
        }
        length <= self.shape.large_size && !self.free_large.is_empty()
    }

    /// Puts a slot back that nobody uses any more.
    pub(super) fn put(&mut self, slot: u16) {
        if slot < self.small {
            self.free.push(slot);
        } else {
            self.free_large.push(slot);
        }
    }

    /// Lends a slot to the device, all of it.
    pub(super) fn lend(&mut self, slot: u16) {
        self.is_lent[usize::from(slot)] = true;
        self.ring.offer(slot * self.shape.stride());
    }

    /// Lends the first `length` bytes of a slot to the device.
    pub(super) fn lend_part(&mut self, slot: u16, length: usize) {
        self.describe(slot, length);
        self.lend(slot);
    }

    fn describe(&mut self, slot: u16, length: usize) {
        let (direction, split) = (self.shape.direction, self.shape.split);
        let address = self.memory.address(self.offset_of(slot));
        if split == 0 {
            return self
                .ring
                .describe(slot, address, length as u32, direction, None);
        }
        let (head, tail) = (2 * slot, 2 * slot + 1);
        self.ring
            .describe(head, address, split as u32, direction, Some(tail));
        let rest = (length - split) as u32;
        self.ring
            .describe(tail, address + split as u64, rest, direction, None);
    }

    /// The next slot that the device is done with, and how many bytes it wrote. The slot is the
    /// caller's then: to be lent again, or put back.
    ///
    /// # Errors
    /// When the device returns what it does not have.
    pub(super) fn reclaim(&mut self) -> Result<Option<(u16, usize)>> {
        let Some((head, written)) = self.ring.take_used() else {
            return Ok(None);
        };
        let stride = u32::from(self.shape.stride());
        let slot = (head / stride) as u16;
        let is_ours = head % stride == 0 && head / stride < self.count.into();
        if !is_ours || !core::mem::take(&mut self.is_lent[usize::from(slot)]) {
            return Err(Error::WrongToken);
        }
        Ok(Some((slot, (written as usize).min(self.size_of(slot)))))
    }
}

impl Shape {
    /// Descriptors of a slot.
    fn stride(&self) -> u16 {
        1 + u16::from(self.split > 0)
    }
}
