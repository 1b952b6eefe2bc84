//! smoltcp's device interface over one given frame and one outlet.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec;
use alloc::vec::Vec;

use core::num::{NonZeroU16, NonZeroUsize};

use smoltcp::phy::{Checksum, ChecksumCapabilities, DeviceCapabilities, Medium};
use smoltcp::phy::{Device, PacketMeta, RxToken, TxToken};
use smoltcp::time::Instant;

use crate::offload;
use crate::platform::{Abilities, NetDevice, Offload};
use crate::tcp::probe;

/// Length of an Ethernet header.
pub(crate) const ETHERNET_HEADER: usize = 14;
/// Frames kept while the device's ring is full; more are dropped, as on a real queue.
const BACKLOG: usize = 64;
/// Frame buffers kept for reuse by the loopback queue.
const SPARE_BUFFERS: usize = 16;
/// IP packet size on the loopback interface. TCP segments of a quarter of the usual buffer keep
/// data flowing while acknowledgements are delayed; datagrams do not take this way.
const LOOPBACK_MTU: usize = 4136;
const ETHERTYPE_ARP: [u8; 2] = [0x08, 0x06];
const ETHERTYPE_IPV6: [u8; 2] = [0x86, 0xdd];
/// IPv6 next header 58, and its message type 135 (RFC 4861 §4.3).
const NEXT_HEADER_ICMPV6: u8 = 58;
const NEIGHBOUR_SOLICITATION: u8 = 135;

/// Where frames go.
pub(crate) enum Outlet {
    /// A device, and what it could not take yet.
    Device {
        device: Box<dyn NetDevice>,
        abilities: Abilities,
        backlog: VecDeque<(Vec<u8>, Offload)>,
        /// Frames have been handed over that the device may not have been told of.
        unflushed: bool,
    },
    /// Back to ourselves.
    Loopback {
        queue: VecDeque<Vec<u8>>,
        spare: Vec<Vec<u8>>,
    },
}

impl Outlet {
    pub(crate) fn device(device: Box<dyn NetDevice>) -> Self {
        Self::Device {
            abilities: device.abilities(),
            device,
            backlog: VecDeque::new(),
            unflushed: false,
        }
    }

    pub(crate) fn loopback() -> Self {
        Self::Loopback {
            queue: VecDeque::new(),
            spare: Vec::new(),
        }
    }

    /// Whether a frame sent now would have to wait.
    pub(crate) fn is_blocked(&self) -> bool {
        matches!(self, Self::Device { backlog, .. } if !backlog.is_empty())
    }

    /// Offers waiting frames to the device again; `false` if some still wait.
    pub(crate) fn retry(&mut self) -> bool {
        let Self::Device {
            device,
            backlog,
            unflushed,
            ..
        } = self
        else {
            return true;
        };
        while let Some((frame, offload)) = backlog.front() {
            let mut fill = |buffer: &mut [u8]| {
                buffer.copy_from_slice(frame);
                *offload
            };
            if !device.transmit(frame.len(), &mut fill) {
                return false;
            }
            *unflushed = true;
            backlog.pop_front();
        }
        true
    }

    /// Lets everything leave that has been handed over.
    pub(crate) fn flush(&mut self) {
        if let Self::Device {
            device, unflushed, ..
        } = self
            && core::mem::take(unflushed)
        {
            device.flush();
        }
    }

    /// Appends the next frame from the device to `frame`; whether the device vouches for its
    /// checksums, or `None` if there is no frame.
    pub(crate) fn receive(&mut self, frame: &mut Vec<u8>) -> Option<bool> {
        let Self::Device {
            device, unflushed, ..
        } = self
        else {
            return None;
        };
        let vouched = device.receive(&mut |bytes| frame.extend_from_slice(bytes));
        // The device is to have the frame's buffer back.
        *unflushed |= vouched.is_some();
        vouched
    }

    /// The next frame of the loopback queue.
    pub(crate) fn next_looped(&mut self) -> Option<Vec<u8>> {
        match self {
            Self::Loopback { queue, .. } => queue.pop_front(),
            Self::Device { .. } => None,
        }
    }

    /// Takes a loopback frame's buffer back for reuse.
    pub(crate) fn recycle(&mut self, frame: Vec<u8>) {
        if let Self::Loopback { spare, .. } = self
            && spare.len() < SPARE_BUFFERS
        {
            spare.push(frame);
        }
    }

    /// Sends a frame of `len` bytes that `fill` writes.
    pub(crate) fn send<R>(&mut self, len: usize, fill: impl FnOnce(&mut [u8]) -> R) -> R {
        self.send_cut(len, None, fill)
    }

    /// As [`send`](Self::send); if `payload` is given, the device cuts the frame's TCP packet into
    /// segments of that many bytes.
    fn send_cut<R>(
        &mut self,
        len: usize,
        payload: Option<NonZeroU16>,
        fill: impl FnOnce(&mut [u8]) -> R,
    ) -> R {
        match self {
            Self::Loopback { queue, spare } => {
                let mut frame = spare.pop().unwrap_or_default();
                frame.resize(len, 0);
                let result = fill(&mut frame);
                queue.push_back(frame);
                result
            }
            Self::Device {
                device,
                abilities,
                backlog,
                unflushed,
            } => {
                *unflushed = true;
                let completes = abilities.checksums;
                let fill = |frame: &mut [u8]| {
                    let result = fill(frame);
                    let offload = match completes {
                        true => offload::prepare(frame, payload),
                        false => Offload::default(),
                    };
                    (result, offload)
                };
                send_to_device(&mut **device, backlog, len, fill)
            }
        }
    }

    pub(crate) fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        match self {
            Self::Loopback { .. } => {
                capabilities.medium = Medium::Ip;
                capabilities.max_transmission_unit = LOOPBACK_MTU;
                capabilities.checksum = ChecksumCapabilities::ignored();
            }
            Self::Device {
                device, abilities, ..
            } => {
                capabilities.medium = Medium::Ethernet;
                capabilities.max_transmission_unit = device.mtu() + ETHERNET_HEADER;
                // Those of received frames are verified before smoltcp sees them (`demux`).
                let checksum = match abilities.checksums {
                    true => Checksum::None,
                    false => Checksum::Tx,
                };
                capabilities.checksum.tcp = checksum;
                capabilities.checksum.udp = checksum;
                let longest = NonZeroUsize::new(abilities.longest);
                let [v4, v6] = abilities.segments.map(|able| longest.filter(|_| able));
                capabilities.segmentation.tcpv4 = v4;
                capabilities.segmentation.tcpv6 = v6;
            }
        }
        capabilities
    }
}

fn send_to_device<R>(
    device: &mut dyn NetDevice,
    backlog: &mut VecDeque<(Vec<u8>, Offload)>,
    len: usize,
    fill: impl FnOnce(&mut [u8]) -> (R, Offload),
) -> R {
    let mut fill = Some(fill);
    let mut result = None;
    if backlog.is_empty() {
        device.transmit(len, &mut |buffer| {
            let filled = fill.take().map(|fill| fill(&mut buffer[..len]));
            let (filled, offload) = filled.unzip();
            result = filled;
            offload.unwrap_or_default()
        });
    }
    match (result, fill) {
        (Some(result), _) => result,
        (None, Some(fill)) => {
            let mut frame = vec![0; len];
            let (result, offload) = fill(&mut frame);
            if backlog.len() < BACKLOG {
                backlog.push_back((frame, offload));
            }
            result
        }
        // `fill` is only gone when it ran and left a result.
        (None, None) => unreachable!("a frame was filled without a result"),
    }
}

/// What one poll did with its outlet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sent {
    /// Transmissions smoltcp asked for.
    offered: u32,
    /// IP packets sent. Fewer than offered: a neighbour's address is not known yet.
    packets: u32,
    /// The device had no room.
    pub(crate) exhausted: bool,
}

impl Sent {
    /// Whether a packet has to wait for address resolution.
    pub(crate) fn is_unresolved(self) -> bool {
        self.offered > self.packets
    }

    /// Whether any IP packet left.
    pub(crate) fn any(self) -> bool {
        self.packets > 0
    }
}

/// A device that receives at most one frame and sends through `outlet`.
pub(crate) struct Phy<'a> {
    pub(crate) frame: Option<&'a [u8]>,
    pub(crate) outlet: &'a mut Outlet,
    pub(crate) sent: Sent,
    /// Data that is sent is a probe of a closed window.
    pub(crate) is_probe: bool,
}

impl<'a> Phy<'a> {
    pub(crate) fn new(outlet: &'a mut Outlet, frame: Option<&'a [u8]>) -> Self {
        Self {
            frame,
            outlet,
            sent: Sent::default(),
            is_probe: false,
        }
    }
}

impl<'a> Device for Phy<'a> {
    type RxToken<'t>
        = Frame<'a>
    where
        Self: 't;
    type TxToken<'t>
        = Sender<'t>
    where
        Self: 't;

    fn receive(&mut self, _now: Instant) -> Option<(Self::RxToken<'_>, Self::TxToken<'_>)> {
        let frame = Frame(self.frame.take()?);
        let sender = Sender {
            outlet: self.outlet,
            sent: &mut self.sent,
            payload: None,
            is_probe: false,
        };
        Some((frame, sender))
    }

    fn transmit(&mut self, _now: Instant) -> Option<Self::TxToken<'_>> {
        if self.outlet.is_blocked() {
            self.sent.exhausted = true;
            return None;
        }
        self.sent.offered += 1;
        Some(Sender {
            outlet: self.outlet,
            sent: &mut self.sent,
            payload: None,
            is_probe: self.is_probe,
        })
    }

    fn capabilities(&self) -> DeviceCapabilities {
        self.outlet.capabilities()
    }
}

/// The received frame.
pub(crate) struct Frame<'a>(&'a [u8]);

impl RxToken for Frame<'_> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(self.0)
    }
}

/// Whether a frame asks for a neighbour's address, instead of the packet that was to be sent.
fn is_question(frame: &[u8]) -> bool {
    match frame.get(12..14) {
        Some(ethertype) if ethertype == ETHERTYPE_ARP => true,
        Some(ethertype) if ethertype == ETHERTYPE_IPV6 => {
            frame.get(20) == Some(&NEXT_HEADER_ICMPV6)
                && frame.get(54) == Some(&NEIGHBOUR_SOLICITATION)
        }
        _ => false,
    }
}

/// Permission to send one frame.
pub(crate) struct Sender<'a> {
    outlet: &'a mut Outlet,
    sent: &'a mut Sent,
    /// Bytes of each segment that the device is to cut the packet into.
    payload: Option<NonZeroU16>,
    /// See [`Phy::is_probe`].
    is_probe: bool,
}

impl TxToken for Sender<'_> {
    fn set_meta(&mut self, meta: PacketMeta) {
        self.payload = meta.segmentation_offload_size;
    }

    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        let is_device = matches!(self.outlet, Outlet::Device { .. });
        let sent = self.sent;
        self.outlet.send_cut(len, self.payload, |buffer| {
            let result = f(buffer);
            if self.is_probe {
                let header = if is_device { ETHERNET_HEADER } else { 0 };
                probe::repeat_instead(buffer.get_mut(header..).unwrap_or_default());
            }
            sent.packets += u32::from(!is_device || !is_question(buffer));
            result
        })
    }
}
