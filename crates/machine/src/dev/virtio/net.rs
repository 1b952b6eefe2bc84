//! Network card (virtio 1.2 §5.1).
//!
//! One buffer holds the header and the frame, so a packet is never copied here: the caller reads
//! and writes frames in place. Buffers are allocated once, and every received buffer goes back to
//! the device as soon as its frame has been looked at.
//!
//! Interrupts for sent frames stay off, except after a transmission failed for want of a buffer;
//! sent buffers are collected when the next frame is sent.

use alloc::boxed::Box;

use virtio_drivers::transport::Transport;
use virtio_drivers::{Hal, Result};

use super::channel::{Channel, Direction, Shape};

/// Descriptors in each queue. Legacy devices fix the number; theirs is 256.
pub(super) const QUEUE_SIZE: usize = 256;
/// Buffers for each queue, of two descriptors at worst.
const BUFFERS: u16 = 128;
/// Bytes of a buffer; a device may fill 1526 (§5.1.6.3.1).
const BUFFER_SIZE: usize = 2048;

const RECEIVE: u16 = 0;
const TRANSMIT: u16 = 1;

// Feature bits (§5.1.3, §6).
const MTU: u64 = 1 << 3;
const MAC: u64 = 1 << 5;
const ANY_LAYOUT: u64 = 1 << 27;
const VERSION_1: u64 = 1 << 32;
const SUPPORTED: Features = Features::from_bits_retain(MTU | MAC | ANY_LAYOUT | VERSION_1);

// Device configuration (§5.1.4).
const CONFIG_MAC: usize = 0;
const CONFIG_MTU: usize = 10;

/// Bytes of the header before each frame, and without VERSION_1 (§5.1.6).
const HEADER: usize = 12;
const LEGACY_HEADER: usize = 10;

/// Largest payload of a frame where the device names none, or a larger one.
const ETHERNET_MTU: usize = 1500;
/// Bytes of a frame beyond its payload: addresses, type, and a VLAN tag.
const ETHERNET_HEADER: usize = 18;

bitflags::bitflags! {
    #[derive(Debug)]
    struct Features: u64 {
        const _ = !0;
    }
}

/// The driver. The order of the fields matters: the transport resets the device before the
/// channels are freed.
pub(crate) struct Net<H: Hal, T: Transport> {
    transport: T,
    received: Box<Channel<H, QUEUE_SIZE>>,
    sent: Box<Channel<H, QUEUE_SIZE>>,
    /// Bytes before each frame.
    header: usize,
    mac: [u8; 6],
    mtu: usize,
    /// The device broke the rules; it is left alone.
    is_broken: bool,
}

impl<H: Hal, T: Transport> Net<H, T> {
    /// Starts the device; `ready` is called when its queues exist, before it goes live.
    ///
    /// # Errors
    /// When the device lacks queues of the right size, or memory is out.
    pub(crate) fn new(mut transport: T, ready: impl FnOnce(&mut T)) -> Result<Self> {
        let features = transport.begin_init(SUPPORTED).bits();
        let layout = Layout::of(features);
        let received = layout.channel(&mut transport, RECEIVE, Direction::FromDevice)?;
        let sent = layout.channel(&mut transport, TRANSMIT, Direction::ToDevice)?;
        let (mac, mtu) = (
            read_mac(&transport, features)?,
            read_mtu(&transport, features)?,
        );
        let header = layout.header;
        let mut net = Self {
            transport,
            received,
            sent,
            header,
            mac,
            mtu,
            is_broken: false,
        };
        ready(&mut net.transport);
        net.transport.finish_init();
        while let Some(buffer) = net.received.buffers().take() {
            net.received.lend(buffer, BUFFER_SIZE)?;
        }
        net.received.notify(&mut net.transport);
        net.set_interrupts_enabled(true);
        Ok(net)
    }

    /// Hardware address.
    pub(crate) fn mac(&self) -> [u8; 6] {
        self.mac
    }

    /// Largest payload of a frame, in bytes.
    pub(crate) fn mtu(&self) -> usize {
        self.mtu
    }

    /// Passes the next received frame to `consume`; false when there is none.
    pub(crate) fn receive(&mut self, consume: impl FnOnce(&[u8])) -> bool {
        let Some((buffer, used)) = self.next_received() else {
            return false;
        };
        let frame = self.received.buffers().bytes(buffer).get(self.header..used);
        consume(frame.unwrap_or_default());
        self.is_broken |= self.received.lend(buffer, BUFFER_SIZE).is_err();
        self.received.notify(&mut self.transport);
        true
    }

    /// Has `fill` write a frame of `length` bytes and sends it. False when no buffer is free (an
    /// interrupt tells when one is) or the frame is too long; `fill` is not called then. The
    /// bytes to fill are those of an older frame.
    pub(crate) fn transmit(&mut self, length: usize, fill: impl FnOnce(&mut [u8])) -> bool {
        let fits = (1..=BUFFER_SIZE - self.header).contains(&length);
        if !fits || !self.can_transmit() {
            return false;
        }
        let Some(buffer) = self.sent.buffers().take() else {
            return false;
        };
        let end = self.header + length;
        // The header stays as it was allocated: all zeros, no offloads.
        fill(&mut self.sent.buffers().bytes(buffer)[self.header..end]);
        self.is_broken |= self.sent.lend(buffer, end).is_err();
        self.sent.notify(&mut self.transport);
        !self.is_broken
    }

    /// Whether [`transmit`](Self::transmit) would find a buffer; if not, an interrupt tells when.
    pub(crate) fn can_transmit(&mut self) -> bool {
        self.collect_sent();
        if !self.sent.buffers().has_free() {
            self.sent.set_interrupts_enabled(true);
            self.collect_sent();
        }
        !self.is_broken && self.sent.buffers().has_free()
    }

    /// Tells the device that its interrupt has been seen.
    pub(crate) fn acknowledge_interrupt(&mut self) {
        self.transport.ack_interrupt();
    }

    /// Lets the device interrupt for received frames, or not. Frames that came before interrupts
    /// are turned on raise none: look once more.
    pub(crate) fn set_interrupts_enabled(&mut self, enabled: bool) {
        self.received.set_interrupts_enabled(enabled);
    }

    fn next_received(&mut self) -> Option<(u16, usize)> {
        if self.is_broken {
            return None;
        }
        let next = self.received.reclaim();
        self.is_broken = next.is_err();
        next.ok().flatten()
    }

    /// Takes back all transmit buffers that the device is done with.
    fn collect_sent(&mut self) {
        let mut collected = false;
        while !self.is_broken {
            match self.sent.reclaim() {
                Ok(Some((buffer, _))) => self.sent.buffers().put(buffer),
                Ok(None) => break,
                Err(_) => self.is_broken = true,
            }
            collected = true;
        }
        if collected {
            self.sent.set_interrupts_enabled(false);
        }
    }
}

/// A locally administered address for a device that names none.
const LOCAL_MAC: [u8; 6] = [0x02, 0, 0, 0, 0, 1];

/// How header and frame lie in a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Layout {
    /// Bytes of the header.
    header: usize,
    /// The header needs a descriptor of its own (§5.1.6.6, legacy devices without ANY_LAYOUT).
    is_split: bool,
}

impl Layout {
    fn of(features: u64) -> Self {
        let is_modern = features & VERSION_1 != 0;
        Self {
            header: if is_modern { HEADER } else { LEGACY_HEADER },
            is_split: !is_modern && features & ANY_LAYOUT == 0,
        }
    }

    fn channel<H: Hal>(
        self,
        transport: &mut impl Transport,
        queue: u16,
        direction: Direction,
    ) -> Result<Box<Channel<H, QUEUE_SIZE>>> {
        let split = if self.is_split { self.header } else { 0 };
        let size = BUFFER_SIZE as u16;
        let shape = Shape {
            queue,
            direction,
            buffers: BUFFERS,
            size,
            split,
        };
        Ok(Box::new(Channel::new(transport, shape)?))
    }
}

fn read_mac(transport: &impl Transport, features: u64) -> Result<[u8; 6]> {
    if features & MAC == 0 {
        return Ok(LOCAL_MAC);
    }
    transport.read_consistent(|| transport.read_config_space(CONFIG_MAC))
}

fn read_mtu(transport: &impl Transport, features: u64) -> Result<usize> {
    const _: () = assert!(ETHERNET_MTU + ETHERNET_HEADER + HEADER <= BUFFER_SIZE);
    if features & MTU == 0 {
        return Ok(ETHERNET_MTU);
    }
    let offered: u16 = transport.read_config_space(CONFIG_MTU)?;
    Ok(usize::from(offered).min(ETHERNET_MTU))
}
