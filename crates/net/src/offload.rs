//! What is left to a device that completes checksums and cuts TCP packets.

use core::num::NonZeroU16;

use smoltcp::wire::{EthernetFrame, EthernetProtocol, IpProtocol, Ipv4Packet, Ipv6Packet};
use smoltcp::wire::{TcpPacket, UdpPacket};

use crate::phy::ETHERNET_HEADER;
use crate::platform::{Checksum, Offload, Segments};

/// Where the checksum is in a TCP header (RFC 9293 §3.1) and in a UDP header (RFC 768).
const TCP_CHECKSUM: usize = 16;
const UDP_CHECKSUM: usize = 6;

/// The parts of a packet that the device has to know about.
struct Transport {
    protocol: IpProtocol,
    is_ipv6: bool,
    /// Where the transport header starts in the frame.
    start: usize,
    /// Sum of the addresses of the pseudo-header.
    addresses: u32,
}

/// Stores the sum of the pseudo-header in a TCP or UDP packet and says where the device goes on.
/// With `payload`, a TCP packet is cut into segments of that many bytes.
pub(crate) fn prepare(frame: &mut [u8], payload: Option<NonZeroU16>) -> Offload {
    prepare_transport(frame, payload).unwrap_or_default()
}

fn prepare_transport(frame: &mut [u8], payload: Option<NonZeroU16>) -> Option<Offload> {
    let found = Transport::find(frame)?;
    let transport = frame.get_mut(found.start..)?;
    let (offset, header) = match found.protocol {
        IpProtocol::Tcp => {
            let header = TcpPacket::new_checked(&*transport).ok()?.header_len();
            (TCP_CHECKSUM, usize::from(header))
        }
        IpProtocol::Udp => {
            UdpPacket::new_checked(&*transport).ok()?;
            (UDP_CHECKSUM, 0)
        }
        _ => return None,
    };
    let length = u32::try_from(transport.len()).ok()?;
    let sum = fold(found.addresses + u32::from(u8::from(found.protocol)) + length);
    transport[offset..offset + 2].copy_from_slice(&sum.to_be_bytes());
    let segments = payload.map(|payload| Segments {
        is_ipv6: found.is_ipv6,
        header: (found.start + header) as u16,
        payload: payload.get(),
    });
    Some(Offload {
        checksum: Some(Checksum {
            start: found.start as u16,
            offset: offset as u16,
        }),
        segments,
    })
}

impl Transport {
    /// Looks behind the headers of a frame that we have written; fragments have no transport.
    fn find(frame: &[u8]) -> Option<Self> {
        let frame = EthernetFrame::new_checked(frame).ok()?;
        match frame.ethertype() {
            EthernetProtocol::Ipv4 => {
                let packet = Ipv4Packet::new_checked(frame.payload()).ok()?;
                let is_whole = !packet.more_frags() && packet.frag_offset() == 0;
                is_whole.then(|| Self {
                    protocol: packet.next_header(),
                    is_ipv6: false,
                    start: ETHERNET_HEADER + usize::from(packet.header_len()),
                    addresses: sum(&packet.src_addr().octets()) + sum(&packet.dst_addr().octets()),
                })
            }
            EthernetProtocol::Ipv6 => {
                let packet = Ipv6Packet::new_checked(frame.payload()).ok()?;
                Some(Self {
                    protocol: packet.next_header(),
                    is_ipv6: true,
                    start: ETHERNET_HEADER + packet.header_len(),
                    addresses: sum(&packet.src_addr().octets()) + sum(&packet.dst_addr().octets()),
                })
            }
            _ => None,
        }
    }
}

/// Sum of big-endian words.
fn sum(bytes: &[u8]) -> u32 {
    let words = bytes.chunks_exact(2);
    words
        .map(|word| u32::from(u16::from_be_bytes([word[0], word[1]])))
        .sum()
}

/// The one's complement sum of both halves (RFC 1071).
fn fold(sum: u32) -> u16 {
    let once = (sum & 0xffff) + (sum >> 16);
    ((once & 0xffff) + (once >> 16)) as u16
}
