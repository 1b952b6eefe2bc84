//! Reads from a frame what decides who gets it.

use core::net::Ipv4Addr;

use smoltcp::wire::{
    ArpOperation, ArpPacket, EthernetFrame, EthernetProtocol, Icmpv4DstUnreachable, Icmpv4Message,
    Icmpv4Packet, IpAddress, IpEndpoint, IpProtocol, IpVersion, Ipv4Packet, Ipv6Packet, TcpPacket,
    TcpSeqNumber, UdpPacket,
};

use crate::link::LinkName;

/// UDP port a DHCP client receives at.
const DHCP_CLIENT_PORT: u16 = 68;

/// What a frame carries. "Local" is the destination, which is our side.
#[derive(Debug)]
pub(crate) enum Traffic<'a> {
    Tcp(Segment),
    Udp(Arrival<'a>),
    /// A message for the DHCP client.
    Dhcp,
    /// ICMP says that a packet of ours could not be delivered.
    Unreachable(Unreachable),
    /// An ARP answer: a neighbour's address may be known now.
    Arp,
    /// Something smoltcp answers by itself, or drops.
    Other,
}

/// The parts of a TCP segment that decide where it goes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Segment {
    pub(crate) local: IpEndpoint,
    pub(crate) remote: IpEndpoint,
    pub(crate) syn: bool,
    pub(crate) ack: bool,
    pub(crate) fin: bool,
    pub(crate) rst: bool,
    pub(crate) sequence: TcpSeqNumber,
    pub(crate) acknowledged: TcpSeqNumber,
    /// Sequence numbers taken: payload, SYN and FIN.
    pub(crate) length: usize,
}

/// A UDP datagram.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrival<'a> {
    pub(crate) local: IpEndpoint,
    pub(crate) remote: IpEndpoint,
    pub(crate) hop_limit: u8,
    pub(crate) traffic_class: u8,
    pub(crate) payload: &'a [u8],
}

/// An ICMP "destination unreachable" about a packet of ours.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unreachable {
    pub(crate) protocol: IpProtocol,
    /// Who sent the packet: us.
    pub(crate) local: IpEndpoint,
    /// Whom it did not reach.
    pub(crate) remote: IpEndpoint,
    pub(crate) reason: Icmpv4DstUnreachable,
}

/// Reads a frame of `link`. `check` says whether UDP checksums have to be verified here.
pub(crate) fn classify(link: LinkName, frame: &[u8], check: bool) -> Traffic<'_> {
    let traffic = match link {
        LinkName::Loopback => classify_ip(frame, check),
        LinkName::Ethernet => classify_ethernet(frame, check),
    };
    traffic.unwrap_or(Traffic::Other)
}

fn classify_ethernet(frame: &[u8], check: bool) -> Option<Traffic<'_>> {
    let frame = EthernetFrame::new_checked(frame).ok()?;
    match frame.ethertype() {
        EthernetProtocol::Ipv4 => classify_ip(frame.payload(), check),
        EthernetProtocol::Arp => {
            let arp = ArpPacket::new_checked(frame.payload()).ok()?;
            (arp.operation() == ArpOperation::Reply || arp.operation() == ArpOperation::Request)
                .then_some(Traffic::Arp)
        }
        _ => None,
    }
}

fn classify_ip(packet: &[u8], check: bool) -> Option<Traffic<'_>> {
    // `of_packet` expects at least one byte.
    packet.first()?;
    match IpVersion::of_packet(packet).ok()? {
        IpVersion::Ipv4 => classify_ipv4(packet, check),
        IpVersion::Ipv6 => {
            let packet = Ipv6Packet::new_checked(packet).ok()?;
            let (from, to) = (packet.src_addr().into(), packet.dst_addr().into());
            match packet.next_header() {
                IpProtocol::Tcp => segment(from, to, packet.payload()),
                _ => None,
            }
        }
    }
}

fn classify_ipv4(bytes: &[u8], check: bool) -> Option<Traffic<'_>> {
    let packet = Ipv4Packet::new_checked(bytes).ok()?;
    if packet.more_frags() || packet.frag_offset() != 0 {
        return None;
    }
    let (from, to) = (packet.src_addr(), packet.dst_addr());
    match packet.next_header() {
        IpProtocol::Tcp => segment(from.into(), to.into(), packet.payload()),
        IpProtocol::Udp => {
            let valid = !check || packet.verify_checksum();
            valid.then(|| arrival(&packet, check)).flatten()
        }
        IpProtocol::Icmp => unreachable(packet.payload()),
        _ => None,
    }
}

fn segment<'a>(from: IpAddress, to: IpAddress, payload: &[u8]) -> Option<Traffic<'a>> {
    let tcp = TcpPacket::new_checked(payload).ok()?;
    Some(Traffic::Tcp(Segment {
        local: IpEndpoint::new(to, tcp.dst_port()),
        remote: IpEndpoint::new(from, tcp.src_port()),
        syn: tcp.syn(),
        ack: tcp.ack(),
        fin: tcp.fin(),
        rst: tcp.rst(),
        sequence: tcp.seq_number(),
        acknowledged: tcp.ack_number(),
        length: tcp.segment_len(),
    }))
}

fn arrival<'a>(packet: &Ipv4Packet<&'a [u8]>, check: bool) -> Option<Traffic<'a>> {
    let udp = UdpPacket::new_checked(packet.payload()).ok()?;
    let (from, to) = (packet.src_addr().into(), packet.dst_addr().into());
    if check && !udp.verify_checksum(&from, &to) {
        return None;
    }
    if udp.dst_port() == DHCP_CLIENT_PORT {
        return Some(Traffic::Dhcp);
    }
    Some(Traffic::Udp(Arrival {
        local: IpEndpoint::new(to, udp.dst_port()),
        remote: IpEndpoint::new(from, udp.src_port()),
        hop_limit: packet.hop_limit(),
        traffic_class: packet.dscp() << 2 | packet.ecn(),
        payload: udp.payload(),
    }))
}

/// Reads an ICMP error and the addresses in the packet it quotes (RFC 792: IP header and eight
/// bytes, which hold the ports).
fn unreachable<'a>(payload: &[u8]) -> Option<Traffic<'a>> {
    let icmp = Icmpv4Packet::new_checked(payload).ok()?;
    if icmp.msg_type() != Icmpv4Message::DstUnreachable || !icmp.verify_checksum() {
        return None;
    }
    let quoted = icmp.data();
    let header_length = usize::from(*quoted.first()? & 0xf) * 4;
    let address = |at: usize| -> Option<Ipv4Addr> {
        let octets: [u8; 4] = quoted.get(at..at + 4)?.try_into().ok()?;
        Some(octets.into())
    };
    let port = |at: usize| -> Option<u16> {
        let bytes = quoted.get(header_length + at..header_length + at + 2)?;
        Some(u16::from_be_bytes(bytes.try_into().ok()?))
    };
    Some(Traffic::Unreachable(Unreachable {
        protocol: IpProtocol::from(*quoted.get(9)?),
        local: IpEndpoint::new(address(12)?.into(), port(0)?),
        remote: IpEndpoint::new(address(16)?.into(), port(2)?),
        reason: Icmpv4DstUnreachable::from(icmp.msg_code()),
    }))
}
