//! Network card (virtio 1.2 §5.1).
//!
//! Frames are not copied here: the caller reads and writes them in place, behind the header.
//! Buffers are allocated once; every received one goes back to the device as soon as it has been
//! looked at, and sent ones are collected when the next frame is sent. Interrupts for sent frames
//! stay off, except after a transmission failed for want of a buffer.
//!
//! Where the device offers it, checksums are left to it, packets longer than a frame are left to it
//! to be cut, and such packets are received as well, spread over several buffers.

use virtio_drivers::transport::Transport;
use virtio_drivers::{Hal, Result};

use super::header::{Arrival, HEADER, Offload, SHORT_HEADER};
use super::ring::{Direction, EVENT_IDX};
use super::slots::{Shape, Slots};

/// Buffers for each queue.
pub(super) const BUFFERS: u16 = 128;
/// Bytes of a buffer; a device may fill 1526 without offloads (§5.1.6.3.1).
pub(super) const BUFFER_SIZE: usize = 2048;
/// Buffers for packets that the device cuts, and their size. They hold what TCP has to send at a
/// time, which is 16 KiB unless a program asks for larger buffers.
const LARGE_BUFFERS: u16 = 8;
const LARGE_BUFFER_SIZE: usize = 32 << 10;

const RECEIVE: u16 = 0;
const TRANSMIT: u16 = 1;

// Feature bits (§5.1.3, §6).
const CSUM: u64 = 1 << 0;
const GUEST_CSUM: u64 = 1 << 1;
const MTU: u64 = 1 << 3;
const MAC: u64 = 1 << 5;
const GUEST_TSO: u64 = 1 << 7 | 1 << 8;
const HOST_TSO4: u64 = 1 << 11;
const HOST_TSO6: u64 = 1 << 12;
const MRG_RXBUF: u64 = 1 << 15;
const ANY_LAYOUT: u64 = 1 << 27;
const VERSION_1: u64 = 1 << 32;

// Device configuration (§5.1.4).
const CONFIG_MAC: usize = 0;
const CONFIG_MTU: usize = 10;

/// Largest payload of a frame where the device names none, or a larger one.
const ETHERNET_MTU: usize = 1500;
/// Bytes of a frame beyond its payload: addresses, type, and a VLAN tag.
const ETHERNET_HEADER: usize = 18;

const _: () = assert!(ETHERNET_MTU + ETHERNET_HEADER + HEADER <= BUFFER_SIZE);

bitflags::bitflags! {
    #[derive(Debug)]
    struct Features: u64 {
        const _ = !0;
    }
}

/// What we take of what a device offers. Features that need others are not taken without them
/// (§5.1.3.1); large packets are only received where they may be spread over buffers.
fn choose(offered: u64) -> u64 {
    let mut chosen = CSUM | GUEST_CSUM | MTU | MAC | MRG_RXBUF | EVENT_IDX | ANY_LAYOUT | VERSION_1;
    if offered & CSUM != 0 {
        chosen |= HOST_TSO4 | HOST_TSO6;
    }
    if offered & GUEST_CSUM != 0 && offered & MRG_RXBUF != 0 {
        chosen |= GUEST_TSO;
    }
    offered & chosen
}

/// What a card can do with frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Abilities {
    /// Completes checksums of TCP and UDP.
    pub checksums: bool,
    /// Cuts TCP packets over IPv4, and over IPv6.
    pub segments: [bool; 2],
    /// Bytes of the longest such packet, with all headers.
    pub longest: usize,
}

/// The driver. The order of the fields matters: the transport resets the device before the
/// buffers are freed.
pub(crate) struct Net<H: Hal, T: Transport> {
    transport: T,
    received: Slots<H>,
    sent: Slots<H>,
    /// Bytes before each frame.
    header: usize,
    abilities: Abilities,
    mac: [u8; 6],
    mtu: usize,
    /// The device broke the rules; it is left alone.
    is_broken: bool,
}

impl<H: Hal, T: Transport> Net<H, T> {
    /// Starts the device; `ready` is called when its queues exist, before it goes live.
    ///
    /// # Errors
    /// When the device lacks queues, or memory is out.
    pub(crate) fn new(mut transport: T, ready: impl FnOnce(&mut T)) -> Result<Self> {
        let chosen = choose(transport.read_device_features());
        let features = transport
            .begin_init(Features::from_bits_retain(chosen))
            .bits();
        let header = header_size(features);
        let has_events = features & EVENT_IDX != 0;
        let abilities = abilities(features, header);
        let shape = |queue| shape(queue, features, header);
        let received = Slots::new(&mut transport, shape(RECEIVE), has_events)?;
        let sent = Slots::new(&mut transport, shape(TRANSMIT), has_events)?;
        let (mac, mtu) = (
            read_mac(&transport, features)?,
            read_mtu(&transport, features)?,
        );
        let mut net = Self {
            transport,
            received,
            sent,
            header,
            abilities,
            mac,
            mtu,
            is_broken: false,
        };
        ready(&mut net.transport);
        net.transport.finish_init();
        net.start_receiving();
        Ok(net)
    }

    fn start_receiving(&mut self) {
        while let Some(slot) = self.received.take(BUFFER_SIZE) {
            self.received.lend(slot);
        }
        self.received.ring().want_interrupts();
        self.flush();
    }

    /// Hardware address.
    pub(crate) fn mac(&self) -> [u8; 6] {
        self.mac
    }

    /// Largest payload of a frame, in bytes.
    pub(crate) fn mtu(&self) -> usize {
        self.mtu
    }

    /// What may be left to the device.
    pub(crate) fn abilities(&self) -> Abilities {
        self.abilities
    }

    /// Passes the parts of the next received packet to `part`; the answer is whether its checksums
    /// are known to be right. `None` when there is no packet: an interrupt tells when there is.
    pub(crate) fn receive(&mut self, mut part: impl FnMut(&[u8])) -> Option<bool> {
        let (slot, written) = self.next_received()?;
        let packet = &self.received.bytes(slot)[..written];
        let Some((header, frame)) = packet.split_at_checked(self.header) else {
            self.received.lend(slot);
            return Some(false);
        };
        let arrival = Arrival::parse(header);
        part(frame);
        self.received.lend(slot);
        for _ in 1..arrival.buffers {
            let Some((slot, written)) = self.next_received() else {
                // They arrive together (§5.1.6.4).
                self.is_broken = true;
                break;
            };
            part(&self.received.bytes(slot)[..written]);
            self.received.lend(slot);
        }
        Some(arrival.is_verified)
    }

    /// Has `fill` write a frame of `length` bytes and say what the device has to do with it;
    /// [`flush`](Self::flush) sends it. False when no buffer is free (an interrupt tells when one
    /// is) or the frame is too long; `fill` is not called then. The bytes to fill are those of an
    /// older frame.
    pub(crate) fn transmit(
        &mut self,
        length: usize,
        fill: impl FnOnce(&mut [u8]) -> Offload,
    ) -> bool {
        let end = self.header.saturating_add(length);
        if length == 0 || !self.can_send(end) {
            return false;
        }
        let Some(slot) = self.sent.take(end) else {
            return false;
        };
        let (header, frame) = self.sent.bytes(slot)[..end].split_at_mut(self.header);
        fill(frame).emit(header);
        self.sent.lend_part(slot, end);
        true
    }

    /// Tells the device of everything since the last time.
    pub(crate) fn flush(&mut self) {
        self.received.ring().notify(&mut self.transport);
        self.sent.ring().notify(&mut self.transport);
    }

    /// Tells the device that its interrupt has been seen.
    pub(crate) fn acknowledge_interrupt(&mut self) {
        self.transport.ack_interrupt();
    }

    /// Whether there is a buffer for so many bytes; if not, an interrupt tells when.
    fn can_send(&mut self, bytes: usize) -> bool {
        self.collect_sent();
        if !self.sent.has_free(bytes) {
            // The device may not know yet what it has to send.
            self.flush();
            self.sent.ring().want_interrupt();
            self.collect_sent();
        }
        !self.is_broken && self.sent.has_free(bytes)
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
        while !self.is_broken {
            match self.sent.reclaim() {
                Ok(Some((slot, _))) => self.sent.put(slot),
                Ok(None) => break,
                Err(_) => self.is_broken = true,
            }
        }
    }
}

/// A locally administered address for a device that names none.
const LOCAL_MAC: [u8; 6] = [0x02, 0, 0, 0, 0, 1];

/// Bytes of the header.
fn header_size(features: u64) -> usize {
    if features & (VERSION_1 | MRG_RXBUF) == 0 {
        SHORT_HEADER
    } else {
        HEADER
    }
}

fn abilities(features: u64, header: usize) -> Abilities {
    Abilities {
        checksums: features & CSUM != 0,
        segments: [HOST_TSO4, HOST_TSO6].map(|bit| features & bit != 0),
        longest: LARGE_BUFFER_SIZE - header,
    }
}

fn shape(queue: u16, features: u64, header: usize) -> Shape {
    let cuts = queue == TRANSMIT && features & (HOST_TSO4 | HOST_TSO6) != 0;
    // Legacy devices without ANY_LAYOUT want a descriptor for the header alone (§5.1.6.6).
    let is_split = features & (VERSION_1 | ANY_LAYOUT) == 0;
    Shape {
        queue,
        direction: match queue {
            RECEIVE => Direction::FromDevice,
            _ => Direction::ToDevice,
        },
        count: BUFFERS,
        size: BUFFER_SIZE,
        large_count: if cuts { LARGE_BUFFERS } else { 0 },
        large_size: LARGE_BUFFER_SIZE,
        split: if is_split { header } else { 0 },
    }
}

fn read_mac(transport: &impl Transport, features: u64) -> Result<[u8; 6]> {
    if features & MAC == 0 {
        return Ok(LOCAL_MAC);
    }
    transport.read_consistent(|| transport.read_config_space(CONFIG_MAC))
}

fn read_mtu(transport: &impl Transport, features: u64) -> Result<usize> {
    if features & MTU == 0 {
        return Ok(ETHERNET_MTU);
    }
    let offered: u16 = transport.read_config_space(CONFIG_MTU)?;
    Ok(usize::from(offered).min(ETHERNET_MTU))
}
