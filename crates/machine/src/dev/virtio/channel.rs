//! A queue of one direction together with its buffers.

use core::sync::atomic::{Ordering, fence};

use virtio_drivers::queue::VirtQueue;
use virtio_drivers::transport::Transport;
use virtio_drivers::{Error, Hal, Result};

use super::buffers::Buffers;

/// Who writes to the buffers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    /// The driver writes, the device reads.
    ToDevice,
    /// The device writes, the driver reads.
    FromDevice,
}

/// What a channel is like.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    /// Index of the queue.
    pub(super) queue: u16,
    /// Who writes to the buffers.
    pub(super) direction: Direction,
    /// How many buffers; half the queue's size at most if they are split.
    pub(super) buffers: u16,
    /// Bytes of a buffer.
    pub(super) size: u16,
    /// Where a buffer is split into two descriptors; 0: not at all.
    pub(super) split: usize,
}

/// A queue with its buffers. Optional features of rings are not used: our requests are single
/// buffers, and plain flags can turn interrupts off, which event indices cannot.
///
/// The owner must reset the device before it drops the channel.
pub(super) struct Channel<H: Hal, const SIZE: usize> {
    queue: VirtQueue<H, SIZE>,
    buffers: Buffers<H>,
    /// By token: which buffer the device has under it, and how many of its bytes.
    lent: [Option<(u16, u16)>; SIZE],
    shape: Shape,
}

impl<H: Hal, const SIZE: usize> Channel<H, SIZE> {
    /// Sets the queue up, with interrupts off; all buffers are free.
    ///
    /// # Errors
    /// When the device has no queue of this size, or memory is out.
    pub(super) fn new(transport: &mut impl Transport, shape: Shape) -> Result<Self> {
        let mut queue = VirtQueue::new(transport, shape.queue, false, false)?;
        // A legacy device that insists on another size has not taken the queue.
        if !transport.queue_used(shape.queue) {
            return Err(Error::InvalidParam);
        }
        queue.set_dev_notify(false);
        let buffers = Buffers::new(shape.buffers, shape.size.into())?;
        Ok(Self {
            queue,
            buffers,
            lent: [None; SIZE],
            shape,
        })
    }

    /// The buffers, to take one that is free, fill it, and look at it.
    pub(super) fn buffers(&mut self) -> &mut Buffers<H> {
        &mut self.buffers
    }

    /// Lets the device interrupt when it is done with buffers, or not. Those it is done with
    /// before interrupts are on raise none: look once more.
    pub(super) fn set_interrupts_enabled(&mut self, enabled: bool) {
        self.queue.set_dev_notify(enabled);
        // The device must see the flag before the queue is looked at again (virtio 1.2 §2.7.7).
        fence(Ordering::SeqCst);
    }

    /// Lends the first `length` bytes of a buffer to the device; [`notify`](Self::notify) tells it.
    ///
    /// # Errors
    /// When the queue is full.
    pub(super) fn lend(&mut self, buffer: u16, length: usize) -> Result<()> {
        let bytes = &mut self.buffers.bytes(buffer)[..length];
        let (head, tail) = bytes.split_at_mut(self.shape.split);
        // Without a split the head is empty and left out.
        let first = usize::from(head.is_empty());
        let token = match self.shape.direction {
            // SAFETY: the buffer lives as long as the queue, and is not touched while it is lent.
            Direction::ToDevice => unsafe { self.queue.add(&[&*head, &*tail][first..], &mut []) },
            // SAFETY: the buffer lives as long as the queue, and is not touched while it is lent.
            Direction::FromDevice => unsafe { self.queue.add(&[], &mut [head, tail][first..]) },
        }?;
        self.lent[usize::from(token)] = Some((buffer, length as u16));
        Ok(())
    }

    /// Tells the device that buffers have been lent, if it waits for that.
    pub(super) fn notify(&mut self, transport: &mut impl Transport) {
        // The device must see the buffers before we look whether it waits (§2.7.13.4.1).
        fence(Ordering::SeqCst);
        if self.queue.should_notify() {
            transport.notify(self.shape.queue);
        }
    }

    /// The next buffer that the device is done with, and how many bytes it wrote; `None` when
    /// there is none. The buffer is the caller's then: to be lent again, or put back.
    ///
    /// # Errors
    /// When the device returns what it does not have.
    pub(super) fn reclaim(&mut self) -> Result<Option<(u16, usize)>> {
        let Some(token) = self.queue.peek_used() else {
            return Ok(None);
        };
        let slot = self.lent.get_mut(usize::from(token));
        let (buffer, length) = slot.and_then(Option::take).ok_or(Error::WrongToken)?;
        let bytes = &mut self.buffers.bytes(buffer)[..length.into()];
        let (head, tail) = bytes.split_at_mut(self.shape.split);
        let first = usize::from(head.is_empty());
        let used = match self.shape.direction {
            Direction::ToDevice => {
                // SAFETY: what was lent under this token.
                unsafe {
                    self.queue
                        .pop_used(token, &[&*head, &*tail][first..], &mut [])
                }
            }
            Direction::FromDevice => {
                // SAFETY: what was lent under this token.
                unsafe { self.queue.pop_used(token, &[], &mut [head, tail][first..]) }
            }
        }?;
        Ok(Some((buffer, (used as usize).min(length.into()))))
    }
}
