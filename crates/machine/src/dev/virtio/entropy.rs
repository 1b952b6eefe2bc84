//! Source of random numbers (virtio 1.2 §5.4).

use alloc::boxed::Box;

use virtio_drivers::transport::Transport;
use virtio_drivers::{Hal, Result};

use super::super::instructions::pause;
use super::channel::{Channel, Direction, Shape};

const QUEUE: u16 = 0;
/// Bytes asked for at once.
const BUFFER_SIZE: usize = 64;
/// Looks at the queue before giving up; the host needs some 100 µs.
const PATIENCE: u32 = 50_000_000;

const SHAPE: Shape = Shape {
    queue: QUEUE,
    direction: Direction::FromDevice,
    buffers: 1,
    size: BUFFER_SIZE as u16,
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

/// Starts the device. Legacy devices fix the size of the queue, so it is taken as it is.
///
/// # Errors
/// When the size is none we know, or memory is out.
pub(crate) fn entropy<H, T>(mut transport: T) -> Result<Box<dyn Entropy>>
where
    H: Hal + 'static,
    T: Transport + Send + 'static,
{
    let size = transport.max_queue_size(QUEUE);
    match size {
        64 if transport.requires_legacy_layout() => start::<H, T, 64>(transport),
        128 if transport.requires_legacy_layout() => start::<H, T, 128>(transport),
        256 if transport.requires_legacy_layout() => start::<H, T, 256>(transport),
        _ => start::<H, T, 8>(transport),
    }
}

fn start<H, T, const SIZE: usize>(transport: T) -> Result<Box<dyn Entropy>>
where
    H: Hal + 'static,
    T: Transport + Send + 'static,
{
    Ok(Box::new(Device::<H, T, SIZE>::new(transport)?))
}

/// The order of the fields matters: the transport resets the device before the channel is freed.
struct Device<H: Hal, T: Transport, const SIZE: usize> {
    transport: T,
    channel: Channel<H, SIZE>,
}

impl<H: Hal, T: Transport, const SIZE: usize> Device<H, T, SIZE> {
    fn new(mut transport: T) -> Result<Self> {
        transport.begin_init(Features::VERSION_1);
        let channel = Channel::new(&mut transport, SHAPE)?;
        transport.finish_init();
        Ok(Self { transport, channel })
    }

    /// Asks the device for bytes and waits; returns how many are in the buffer. After a failure
    /// the only buffer stays with the device.
    fn request(&mut self) -> Option<(u16, usize)> {
        let buffer = self.channel.buffers().take()?;
        self.channel.lend(buffer, BUFFER_SIZE).ok()?;
        self.channel.notify(&mut self.transport);
        for _ in 0..PATIENCE {
            if let Some(done) = self.channel.reclaim().ok()? {
                return Some(done);
            }
            pause();
        }
        None
    }
}

impl<H: Hal, T: Transport + Send, const SIZE: usize> Entropy for Device<H, T, SIZE> {
    fn read(&mut self, out: &mut [u8]) -> usize {
        let Some((buffer, used)) = self.request() else {
            return 0;
        };
        let bytes = &mut self.channel.buffers().bytes(buffer)[..used];
        let count = used.min(out.len());
        out[..count].copy_from_slice(&bytes[..count]);
        bytes.fill(0);
        self.channel.buffers().put(buffer);
        count
    }
}
