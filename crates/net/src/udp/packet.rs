//! Writing datagrams into frames, in as many parts as they need.

use alloc::vec::Vec;

use linux_abi::Errno;
use smoltcp::wire::{
    EthernetAddress, EthernetFrame, EthernetProtocol, IpAddress, IpEndpoint, IpProtocol,
    Ipv4Address, Ipv4Packet, Ipv6Address, Ipv6FragmentHeader, Ipv6Packet, UdpPacket,
};
use vfs::Source;

use crate::demux::Arrival;
use crate::link::Link;
use crate::phy::ETHERNET_HEADER;

/// Length of a UDP header.
const UDP_HEADER: usize = 8;
/// Lengths of IP headers, and of the header of a part of an IPv6 packet.
const IPV4_HEADER: usize = 20;
const IPV6_HEADER: usize = 40;
const FRAGMENT_HEADER: usize = 8;
/// The longest IPv4 packet, and the longest payload of an IPv6 packet.
const LONGEST: usize = 65_535;

/// Who sends to whom, and how.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Envelope {
    pub(crate) local: IpEndpoint,
    pub(crate) remote: IpEndpoint,
    pub(crate) hop_limit: u8,
    pub(crate) traffic_class: u8,
}

/// One part of a packet; the whole if there is only one.
#[derive(Clone, Copy)]
struct Part {
    offset: usize,
    more: bool,
    /// Shared by all parts of a packet.
    identification: u32,
}

impl Part {
    fn is_whole(self) -> bool {
        self.offset == 0 && !self.more
    }
}

impl Envelope {
    /// What [`take`] took, as its receiver on this machine sees it.
    pub(crate) fn arrival<'a>(&self, datagram: &'a [u8]) -> Arrival<'a> {
        Arrival {
            local: self.remote,
            remote: self.local,
            hop_limit: self.hop_limit,
            traffic_class: self.traffic_class,
            payload: &datagram[UDP_HEADER..],
        }
    }

    fn ip_header(&self) -> usize {
        match self.remote.addr {
            IpAddress::Ipv4(_) => IPV4_HEADER,
            IpAddress::Ipv6(_) => IPV6_HEADER,
        }
    }

    /// The longest payload of a datagram.
    pub(crate) fn longest(&self) -> usize {
        match self.remote.addr {
            IpAddress::Ipv4(_) => LONGEST - IPV4_HEADER - UDP_HEADER,
            IpAddress::Ipv6(_) => LONGEST - UDP_HEADER,
        }
    }

    /// The longest payload that fits one packet of `mtu` bytes.
    pub(crate) fn longest_whole(&self, mtu: usize) -> usize {
        mtu.saturating_sub(self.ip_header() + UDP_HEADER)
    }

    /// Sends what [`take`] took to a neighbour; `identification` is for its parts, if it needs
    /// several.
    pub(crate) fn send(
        &self,
        link: &mut Link,
        to: EthernetAddress,
        datagram: &mut [u8],
        identification: u32,
    ) {
        let room = link.ip_mtu().saturating_sub(self.ip_header());
        // A device that completes checksums cannot do so for parts.
        let is_whole = datagram.len() <= room;
        let completes = !link.outlet.capabilities().checksum.udp.tx();
        self.write_header(datagram, !(is_whole && completes));
        let step = match datagram.len() <= room {
            true => datagram.len(),
            false => self.part_room(room),
        };
        let mut offset = 0;
        while offset < datagram.len() {
            let end = (offset + step).min(datagram.len());
            let part = Part {
                offset,
                more: end < datagram.len(),
                identification,
            };
            self.send_part(link, to, part, &datagram[offset..end]);
            offset = end;
        }
    }

    /// The most bytes of a part, a multiple of eight.
    fn part_room(&self, room: usize) -> usize {
        let room = match self.remote.addr {
            IpAddress::Ipv4(_) => room,
            IpAddress::Ipv6(_) => room.saturating_sub(FRAGMENT_HEADER),
        };
        (room / 8 * 8).max(8)
    }

    fn write_header(&self, datagram: &mut [u8], checksum: bool) {
        let length = datagram.len() as u16;
        let mut udp = UdpPacket::new_unchecked(datagram);
        udp.set_src_port(self.local.port);
        udp.set_dst_port(self.remote.port);
        udp.set_len(length);
        udp.set_checksum(0);
        if checksum {
            udp.fill_checksum(&self.local.addr, &self.remote.addr);
        }
    }

    fn send_part(&self, link: &mut Link, to: EthernetAddress, part: Part, data: &[u8]) {
        let from = EthernetAddress(link.mac());
        let extension = match self.remote.addr {
            IpAddress::Ipv6(_) if !part.is_whole() => FRAGMENT_HEADER,
            _ => 0,
        };
        let length = ETHERNET_HEADER + self.ip_header() + extension + data.len();
        link.outlet.send(length, |buffer| {
            let mut frame = EthernetFrame::new_unchecked(buffer);
            frame.set_src_addr(from);
            frame.set_dst_addr(to);
            match (self.local.addr, self.remote.addr) {
                (IpAddress::Ipv4(from), IpAddress::Ipv4(to)) => {
                    frame.set_ethertype(EthernetProtocol::Ipv4);
                    self.write_v4(frame.payload_mut(), (from, to), part, data);
                }
                (IpAddress::Ipv6(from), IpAddress::Ipv6(to)) => {
                    frame.set_ethertype(EthernetProtocol::Ipv6);
                    self.write_v6(frame.payload_mut(), (from, to), part, data);
                }
                _ => unreachable!("a route joins addresses of one family"),
            }
        });
    }

    fn write_v4(
        &self,
        buffer: &mut [u8],
        (from, to): (Ipv4Address, Ipv4Address),
        part: Part,
        data: &[u8],
    ) {
        let length = buffer.len() as u16;
        let mut packet = Ipv4Packet::new_unchecked(buffer);
        packet.set_version(4);
        packet.set_header_len(IPV4_HEADER as u8);
        packet.set_dscp(self.traffic_class >> 2);
        packet.set_ecn(self.traffic_class & 3);
        packet.set_total_len(length);
        packet.set_ident(part.identification as u16);
        packet.clear_flags();
        packet.set_dont_frag(part.is_whole());
        packet.set_more_frags(part.more);
        packet.set_frag_offset(part.offset as u16);
        packet.set_hop_limit(self.hop_limit);
        packet.set_next_header(IpProtocol::Udp);
        packet.set_src_addr(from);
        packet.set_dst_addr(to);
        packet.fill_checksum();
        packet.payload_mut().copy_from_slice(data);
    }

    fn write_v6(
        &self,
        buffer: &mut [u8],
        (from, to): (Ipv6Address, Ipv6Address),
        part: Part,
        data: &[u8],
    ) {
        let length = (buffer.len() - IPV6_HEADER) as u16;
        let mut packet = Ipv6Packet::new_unchecked(buffer);
        packet.set_version(6);
        packet.set_traffic_class(self.traffic_class);
        packet.set_flow_label(0);
        packet.set_payload_len(length);
        packet.set_hop_limit(self.hop_limit);
        packet.set_src_addr(from);
        packet.set_dst_addr(to);
        if part.is_whole() {
            packet.set_next_header(IpProtocol::Udp);
            return packet.payload_mut().copy_from_slice(data);
        }
        packet.set_next_header(IpProtocol::Ipv6Frag);
        let (extension, rest) = packet.payload_mut().split_at_mut(FRAGMENT_HEADER);
        extension[..2].copy_from_slice(&[IpProtocol::Udp.into(), 0]);
        let mut fragment = Ipv6FragmentHeader::new_unchecked(&mut extension[2..]);
        fragment.set_frag_offset((part.offset / 8) as u16);
        fragment.set_more_frags(part.more);
        fragment.clear_reserved();
        fragment.set_ident(part.identification);
        rest.copy_from_slice(data);
    }
}

/// Takes a datagram's payload from its sender and leaves room for its header.
pub(super) fn take(from: &mut dyn Source) -> Result<Vec<u8>, Errno> {
    let mut datagram = alloc::vec![0; UDP_HEADER + from.remaining()];
    let mut filled = UDP_HEADER;
    while filled < datagram.len() {
        match from.take(&mut datagram[filled..])? {
            0 => return Err(Errno::EFAULT),
            count => filled += count,
        }
    }
    Ok(datagram)
}
