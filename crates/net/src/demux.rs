//! Reads from a frame what decides who gets it.

use core::net::Ipv6Addr;

use smoltcp::wire::{
    ArpPacket, EthernetAddress, EthernetFrame, EthernetProtocol, Icmpv6Message, Icmpv6Packet,
    IpAddress, IpEndpoint, IpProtocol, IpVersion, Ipv4Address, Ipv4Packet, Ipv6FragmentHeader,
    Ipv6Packet, TcpPacket, TcpSeqNumber, UdpPacket,
};

use crate::fragment::{Fragment, Key};
use crate::icmp::{self, Unreachable};
use crate::link::LinkName;
use crate::neighbour::Sighting;
use crate::phy::ETHERNET_HEADER;

/// UDP port a DHCP client receives at.
const DHCP_CLIENT_PORT: u16 = 68;
/// Neighbour discovery is only believed from the same link (RFC 4861 §3.1).
const LINK_HOP_LIMIT: u8 = 255;
/// Length of an IPv6 fragment header (RFC 8200 §4.5).
const FRAGMENT_HEADER: usize = 8;

/// What a frame carries. "Local" is the destination, which is our side.
#[derive(Debug)]
pub(crate) enum Traffic<'a> {
    Tcp(Segment),
    Udp(Arrival<'a>),
    /// A message for the DHCP client.
    Dhcp,
    /// ICMP says that a packet of ours could not be delivered.
    Unreachable(Unreachable),
    /// ARP or neighbour discovery tells a neighbour's hardware address.
    Neighbour(Sighting),
    /// Somebody asks whether anyone has an address that it wants to take.
    Probe {
        sender: EthernetAddress,
        target: Ipv6Addr,
    },
    /// A router presents itself by an ICMPv6 message.
    Router {
        router: Ipv6Addr,
        message: &'a [u8],
    },
    /// A part of a packet.
    Fragment(Fragment<'a>),
    /// A TCP segment or UDP datagram with a wrong checksum.
    Damaged,
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
    /// The sender's window, not scaled.
    pub(crate) window: u16,
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

/// Reads a frame of `link`. `check` says whether the checksums of TCP and UDP have to be verified
/// here.
pub(crate) fn classify(link: LinkName, frame: &[u8], check: bool) -> Traffic<'_> {
    let traffic = match link {
        LinkName::Loopback => classify_ip(frame, check),
        LinkName::Ethernet => classify_ethernet(frame, check),
    };
    traffic.unwrap_or(Traffic::Other)
}

fn classify_ethernet(bytes: &[u8], check: bool) -> Option<Traffic<'_>> {
    let frame = EthernetFrame::new_checked(bytes).ok()?;
    match frame.ethertype() {
        EthernetProtocol::Ipv4 => classify_ipv4(bytes, ETHERNET_HEADER, check),
        EthernetProtocol::Ipv6 => classify_ipv6(bytes, ETHERNET_HEADER, check),
        EthernetProtocol::Arp => {
            let arp = ArpPacket::new_checked(frame.payload()).ok()?;
            let address = |octets: &[u8]| -> Option<Ipv4Address> {
                octets
                    .first_chunk()
                    .map(|octets| Ipv4Address::from(*octets))
            };
            sighting(
                address(arp.source_protocol_addr())?.into(),
                EthernetAddress(*arp.source_hardware_addr().first_chunk()?),
                address(arp.target_protocol_addr())?.into(),
            )
        }
        _ => None,
    }
}

fn classify_ip(packet: &[u8], check: bool) -> Option<Traffic<'_>> {
    // `of_packet` expects at least one byte.
    packet.first()?;
    match IpVersion::of_packet(packet).ok()? {
        IpVersion::Ipv4 => classify_ipv4(packet, 0, check),
        IpVersion::Ipv6 => classify_ipv6(packet, 0, check),
    }
}

/// Reads the IPv4 packet that starts at `start` of the frame.
fn classify_ipv4(frame: &[u8], start: usize, check: bool) -> Option<Traffic<'_>> {
    let packet = Ipv4Packet::new_checked(&frame[start..]).ok()?;
    let (from, to) = (packet.src_addr().into(), packet.dst_addr().into());
    if packet.more_frags() || packet.frag_offset() != 0 {
        let ip_header = usize::from(packet.header_len());
        return packet.verify_checksum().then(|| {
            Traffic::Fragment(Fragment {
                key: Key {
                    from,
                    to,
                    protocol: packet.next_header().into(),
                    identification: packet.ident().into(),
                },
                offset: packet.frag_offset().into(),
                more: packet.more_frags(),
                header: &frame[..start + ip_header],
                ip_header,
                data: packet.payload(),
            })
        });
    }
    match packet.next_header() {
        IpProtocol::Tcp => segment(from, to, packet.payload(), check),
        IpProtocol::Udp if check && !packet.verify_checksum() => None,
        IpProtocol::Udp => {
            let class = packet.dscp() << 2 | packet.ecn();
            arrival(
                from,
                to,
                (packet.hop_limit(), class),
                packet.payload(),
                check,
            )
        }
        IpProtocol::Icmp => icmp::read_v4(packet.payload()).map(Traffic::Unreachable),
        _ => None,
    }
}

/// Reads the IPv6 packet that starts at `start` of the frame.
fn classify_ipv6(frame: &[u8], start: usize, check: bool) -> Option<Traffic<'_>> {
    let packet = Ipv6Packet::new_checked(&frame[start..]).ok()?;
    let (from, to) = (packet.src_addr().into(), packet.dst_addr().into());
    match packet.next_header() {
        IpProtocol::Tcp => segment(from, to, packet.payload(), check),
        IpProtocol::Udp => {
            let about = (packet.hop_limit(), packet.traffic_class());
            arrival(from, to, about, packet.payload(), check)
        }
        IpProtocol::Icmpv6 => classify_icmpv6(frame, &packet),
        IpProtocol::Ipv6Frag => {
            let (header, data) = packet.payload().split_at_checked(FRAGMENT_HEADER)?;
            let fields = Ipv6FragmentHeader::new_checked(&header[2..]).ok()?;
            let ip_header = packet.header_len();
            Some(Traffic::Fragment(Fragment {
                key: Key {
                    from,
                    to,
                    protocol: header[0],
                    identification: fields.ident(),
                },
                offset: usize::from(fields.frag_offset()) * 8,
                more: fields.more_frags(),
                header: &frame[..start + ip_header],
                ip_header,
                data,
            }))
        }
        _ => None,
    }
}

fn classify_icmpv6<'a>(frame: &'a [u8], packet: &Ipv6Packet<&'a [u8]>) -> Option<Traffic<'a>> {
    let message = packet.payload();
    let icmp = Icmpv6Packet::new_checked(message).ok()?;
    if !icmp.verify_checksum(&packet.src_addr(), &packet.dst_addr()) {
        return None;
    }
    let from = packet.src_addr();
    match icmp.msg_type() {
        Icmpv6Message::DstUnreachable => icmp::read_v6(message).map(Traffic::Unreachable),
        _ if packet.hop_limit() != LINK_HOP_LIMIT => None,
        Icmpv6Message::RouterAdvert if from.is_unicast_link_local() => Some(Traffic::Router {
            router: from,
            message,
        }),
        Icmpv6Message::NeighborSolicit if from.is_unspecified() => Some(Traffic::Probe {
            sender: EthernetFrame::new_checked(frame).ok()?.src_addr(),
            target: icmp.target_addr(),
        }),
        Icmpv6Message::NeighborSolicit => {
            let mac = icmp::link_layer_address(message, icmp::SOURCE_ADDRESS)?;
            sighting(from.into(), mac, icmp.target_addr().into())
        }
        Icmpv6Message::NeighborAdvert => {
            let mac = icmp::link_layer_address(message, icmp::TARGET_ADDRESS)?;
            sighting(icmp.target_addr().into(), mac, icmp.target_addr().into())
        }
        _ => None,
    }
}

fn sighting<'a>(
    address: IpAddress,
    mac: EthernetAddress,
    target: IpAddress,
) -> Option<Traffic<'a>> {
    (address.is_unicast() && mac.is_unicast()).then_some(Traffic::Neighbour(Sighting {
        address,
        mac,
        target,
    }))
}

fn segment<'a>(from: IpAddress, to: IpAddress, payload: &[u8], check: bool) -> Option<Traffic<'a>> {
    let tcp = TcpPacket::new_checked(payload).ok()?;
    if check && !tcp.verify_checksum(&from, &to) {
        return Some(Traffic::Damaged);
    }
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
        window: tcp.window_len(),
    }))
}

fn arrival<'a>(
    from: IpAddress,
    to: IpAddress,
    (hop_limit, traffic_class): (u8, u8),
    payload: &'a [u8],
    check: bool,
) -> Option<Traffic<'a>> {
    let udp = UdpPacket::new_checked(payload).ok()?;
    // IPv6 knows no datagrams without a checksum (RFC 8200 §8.1).
    let is_sound = || match to {
        IpAddress::Ipv6(_) if udp.checksum() == 0 => false,
        _ => udp.verify_checksum(&from, &to),
    };
    if check && !is_sound() {
        return Some(Traffic::Damaged);
    }
    if udp.dst_port() == DHCP_CLIENT_PORT && matches!(to, IpAddress::Ipv4(_)) {
        return Some(Traffic::Dhcp);
    }
    Some(Traffic::Udp(Arrival {
        local: IpEndpoint::new(to, udp.dst_port()),
        remote: IpEndpoint::new(from, udp.src_port()),
        hop_limit,
        traffic_class,
        payload: udp.payload(),
    }))
}
