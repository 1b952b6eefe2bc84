//! Source of random numbers (virtio 1.2 §5.4).

use alloc::boxed::Box;

use virtio_drivers::transport::Transport;
use virtio_drivers::{Hal, Result};

use super::super::instructions::pause;
use super::ring::Direction;
use super::slots::{Shape, Slots};

const QUEUE: u16 = 0;
/// Bytes asked for at once.
const BUFFER_SIZE: usize = 64;
/// Looks at the queue before giving up; the host needs some 100 µs.
const PATIENCE: u32 = 50_000_000;

const SHAPE: Shape = Shape {
    queue: QUEUE,
    direction: Direction::FromDevice,
    count: 1,
    size: BUFFER_SIZE,
    large_count: 0,
    large_size: 0,
    split: 0,
};

bitflags::bitflags! {
    #[derive(Debug)]
    struct Features: u64 {
        const VERSION_1 = 1 << 32;
    }
}

/// A device that gives random bytes.
pub(crate) trait Entropy: Send {
    /// Fills the beginning of `out` with random bytes; returns how many. 0 means that the device
    /// has failed for good.
    fn read(&mut self, out: &mut [u8]) -> usize;
}

/// Starts the device.
///
/// # Errors
/// When the device has no queue, or memory is out.
pub(crate) fn entropy<H, T>(transport: T) -> Result<Box<dyn Entropy>>
where
    H: Hal + 'static,
    T: Transport + Send + 'static,
{
    Ok(Box::new(Device::<H, T>::new(transport)?))
}

/// The order of the fields matters: the transport resets the device before the buffer is freed.
struct Device<H: Hal, T: Transport> {
    transport: T,
    slots: Slots<H>,
}

impl<H: Hal, T: Transport> Device<H, T> {
    fn new(mut transport: T) -> Result<Self> {
        transport.begin_init(Features::VERSION_1);
        let slots = Slots::new(&mut transport, SHAPE, false)?;
        transport.finish_init();
        Ok(Self { transport, slots })
    }

    /// Asks the device for bytes and waits; returns how many are in the buffer. After a failure
    /// the only buffer stays with the device.
    fn request(&mut self) -> Option<(u16, usize)> {
        let slot = self.slots.take(BUFFER_SIZE)?;
        self.slots.lend(slot);
        self.slots.ring().notify(&mut self.transport);
        for _ in 0..PATIENCE {
            if let Some(done) = self.slots.reclaim().ok()? {
                return Some(done);
            }
            pause();
        }
        None
    }
}

impl<H: Hal, T: Transport + Send> Entropy for Device<H, T> {
    fn read(&mut self, out: &mut [u8]) -> usize {
        let Some((slot, used)) = self.request() else {
            return 0;
        };
        let bytes = &mut self.slots.bytes(slot)[..used];
        let count = used.min(out.len());
        out[..count].copy_from_slice(&bytes[..count]);
        bytes.fill(0);
        self.slots.put(slot);
        count
    }
}
