//! A split virtqueue (virtio 1.2 §2.7).
//!
//! ```text
//! descriptors   size × 16   address u64, length u32, flags u16, next u16
//! available     6 + 2 size  flags u16, index u16, size × head u16, used_event u16
//! used          6 + 8 size  flags u16, index u16, size × (head u32, length u32), avail_event u16
//! ```
//! The used ring starts on a page of its own, as legacy devices want it (§2.7.2).
//!
//! Nothing that decides what the driver does next is read back from the shared memory, except what
//! the device says in the used ring; its owner checks that.
//!
//! # Interrupts
//! An interrupt is asked for once, when the used ring is found empty, and not again before it is
//! found empty next time. With event indices (§2.7.10) a passed index asks for nothing any more;
//! without, the flag is set meanwhile. Some 65,536 entries later the index comes round and asks for
//! an interrupt too many, which does no harm.

use core::sync::atomic::{AtomicU16, Ordering, fence};

use virtio_drivers::transport::Transport;
use virtio_drivers::{Error, Hal, PAGE_SIZE, Result};

use super::dma::Dma;

/// Feature: event indices.
pub(super) const EVENT_IDX: u64 = 1 << 29;

const DESCRIPTOR: usize = 16;
/// Bytes of a ring's head: flags and index.
const HEAD: usize = 4;
/// Bytes of an entry in the available ring and in the used ring.
const AVAILABLE: usize = 2;
const USED: usize = 8;

const DESCRIPTOR_NEXT: u16 = 1;
const DESCRIPTOR_WRITE: u16 = 2;
/// Flag in the used ring: the device wants no notifications.
const NO_NOTIFY: u16 = 1;
/// Flag in the available ring: the driver wants no interrupts.
const NO_INTERRUPT: u16 = 1;

/// Who writes to a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    /// The driver writes, the device reads.
    ToDevice,
    /// The device writes, the driver reads.
    FromDevice,
}

/// The queue. Its owner keeps account of which descriptors the device has, and resets the device
/// before it drops the queue.
pub(super) struct Ring<H: Hal> {
    memory: Dma<H>,
    /// Offsets of the available ring and the used ring.
    available: usize,
    used: usize,
    queue: u16,
    size: u16,
    has_events: bool,
    /// Heads made available so far.
    offered: u16,
    /// Of these, the ones that the device was told of, or needed not to be.
    announced: u16,
    /// Used entries taken so far.
    taken: u16,
    wants_interrupts: bool,
    /// An interrupt has been asked for that did not come yet.
    is_armed: bool,
}

impl<H: Hal> Ring<H> {
    /// Sets queue `queue` up, without interrupts. It gets `wanted` descriptors if the device lets
    /// the driver choose: fewer where it has no more, and as many as it says if it is a legacy one.
    ///
    /// # Errors
    /// When the device has no such queue, or memory is out.
    pub(super) fn new(
        transport: &mut impl Transport,
        queue: u16,
        wanted: u16,
        has_events: bool,
    ) -> Result<Self> {
        let most = transport.max_queue_size(queue).min(1 << 15) as u16;
        let size = if transport.requires_legacy_layout() {
            most
        } else {
            wanted.min(most)
        };
        if !size.is_power_of_two() || transport.queue_used(queue) {
            return Err(Error::InvalidParam);
        }
        let (available, used) = places(size);
        let memory = Dma::new(used + HEAD + USED * usize::from(size) + 2)?;
        transport.queue_set(
            queue,
            size.into(),
            memory.address(0),
            memory.address(available),
            memory.address(used),
        );
        if !transport.queue_used(queue) {
            return Err(Error::InvalidParam);
        }
        let ring = Self {
            memory,
            available,
            used,
            queue,
            size,
            has_events,
            offered: 0,
            announced: 0,
            taken: 0,
            wants_interrupts: false,
            is_armed: false,
        };
        ring.word(available).store(NO_INTERRUPT, Ordering::Relaxed);
        Ok(ring)
    }

    /// How many descriptors there are.
    pub(super) fn size(&self) -> u16 {
        self.size
    }

    /// Describes a buffer, followed by that of descriptor `next`.
    ///
    /// # Panics
    /// There is no such descriptor.
    pub(super) fn describe(
        &mut self,
        index: u16,
        address: u64,
        length: u32,
        direction: Direction,
        next: Option<u16>,
    ) {
        assert!(index < self.size, "no such descriptor");
        let mut flags = match direction {
            Direction::ToDevice => 0,
            Direction::FromDevice => DESCRIPTOR_WRITE,
        };
        if next.is_some() {
            flags |= DESCRIPTOR_NEXT;
        }
        let low = u64::from(length) | u64::from(flags) << 32;
        let words = [address, low | u64::from(next.unwrap_or(0)) << 48];
        let place = self.memory.place(usize::from(index) * DESCRIPTOR);
        // SAFETY: a place inside the memory, aligned; the device does not have the descriptor.
        unsafe { place.write_volatile(words) };
    }

    /// Makes the chain that starts at descriptor `head` available;
    /// [`notify`](Self::notify) tells the device.
    pub(super) fn offer(&mut self, head: u16) {
        let slot = usize::from(self.offered % self.size);
        self.word(self.available + HEAD + AVAILABLE * slot)
            .store(head, Ordering::Relaxed);
        self.offered = self.offered.wrapping_add(1);
        // The device sees the entry before the index that covers it.
        self.word(self.available + 2)
            .store(self.offered, Ordering::Release);
    }

    /// Tells the device of what has been made available since last time, if it wants to know.
    pub(super) fn notify(&mut self, transport: &mut impl Transport) {
        if self.offered == self.announced {
            return;
        }
        // The device must see the index before we look whether it waits (§2.7.13.4.1).
        fence(Ordering::SeqCst);
        let is_wanted = if self.has_events {
            let event = self.word(self.used + HEAD + USED * usize::from(self.size));
            let event = event.load(Ordering::Relaxed);
            passes(event, self.announced, self.offered)
        } else {
            self.word(self.used).load(Ordering::Relaxed) & NO_NOTIFY == 0
        };
        self.announced = self.offered;
        if is_wanted {
            transport.notify(self.queue);
        }
    }

    /// The next chain that the device is done with: its head and the bytes written, both as the
    /// device says. If there is none and interrupts are wanted, one will come.
    pub(super) fn take_used(&mut self) -> Option<(u32, u32)> {
        loop {
            // What the index covers is seen after it.
            if self.word(self.used + 2).load(Ordering::Acquire) != self.taken {
                break;
            }
            if self.is_armed || !self.wants_interrupts {
                return None;
            }
            self.arm();
        }
        self.disarm();
        let slot = usize::from(self.taken % self.size);
        let place = self
            .memory
            .place::<[u32; 2]>(self.used + HEAD + USED * slot);
        // SAFETY: a place inside the memory, aligned.
        let [head, length] = unsafe { place.read_volatile() };
        self.taken = self.taken.wrapping_add(1);
        Some((head, length))
    }

    /// Wants an interrupt from now on whenever the device is done with something. What it is done
    /// with already raises none: look once more.
    pub(super) fn want_interrupts(&mut self) {
        self.wants_interrupts = true;
        self.arm();
    }

    /// Wants a single interrupt when the device is done with something. Look once more, as above.
    pub(super) fn want_interrupt(&mut self) {
        self.arm();
    }

    /// Asks for an interrupt at the next used entry.
    fn arm(&mut self) {
        self.is_armed = true;
        self.word(self.available).store(0, Ordering::Relaxed);
        self.word(self.available + HEAD + AVAILABLE * usize::from(self.size))
            .store(self.taken, Ordering::Relaxed);
        // The device must see this before the used ring is looked at again (§2.7.7).
        fence(Ordering::SeqCst);
    }

    fn disarm(&mut self) {
        if self.is_armed && !self.has_events {
            self.word(self.available)
                .store(NO_INTERRUPT, Ordering::Relaxed);
        }
        self.is_armed = false;
    }

    fn word(&self, offset: usize) -> &AtomicU16 {
        let place = self.memory.place::<AtomicU16>(offset);
        // SAFETY: initialised memory that lives as long as the ring; both sides only ever use
        // whole words of it.
        unsafe { place.as_ref() }
    }
}

/// Offsets of the available ring and the used ring.
fn places(size: u16) -> (usize, usize) {
    let size = usize::from(size);
    let available = DESCRIPTOR * size;
    let end = available + HEAD + AVAILABLE * size + 2;
    (available, end.next_multiple_of(PAGE_SIZE))
}

/// Whether an index that goes from `old` to `new` passes `event` (§2.7.7.2, `vring_need_event`).
fn passes(event: u16, old: u16, new: u16) -> bool {
    new.wrapping_sub(event).wrapping_sub(1) < new.wrapping_sub(old)
}

#[cfg(test)]
mod tests {
    use super::passes;

    #[test]
    fn an_index_passes_an_event_whatever_the_wrap() {
        for start in [0, 1, 0x7fff, 0x8000, 0xfffe, 0xffff_u16] {
            for (event, is_passed) in [(-1, false), (0, true), (2, true), (3, false)] {
                let event = start.wrapping_add_signed(event);
                assert_eq!(passes(event, start, start.wrapping_add(3)), is_passed);
            }
        }
    }
}
