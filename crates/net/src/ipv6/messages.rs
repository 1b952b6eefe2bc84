//! Neighbour discovery packets that we send (RFC 4861 §4).

use alloc::vec;
use core::net::Ipv6Addr;

use smoltcp::iface::SocketSet;
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::time::Instant;
use smoltcp::wire::{
    EthernetAddress, EthernetFrame, EthernetProtocol, Icmpv6Packet, Icmpv6Repr, IpProtocol,
    Ipv6Packet, Ipv6Repr, NdiscNeighborFlags, NdiscRepr, RawHardwareAddress,
};

use super::{ALL_NODES, ALL_ROUTERS, group_mac, solicited_node};
use crate::link::Link;
use crate::phy::ETHERNET_HEADER;

/// Neighbour discovery is only believed from the same link (RFC 4861 §3.1).
const HOP_LIMIT: u8 = 255;

impl Link {
    /// Asks who has `target`.
    pub(crate) fn solicit_neighbour(&mut self, target: Ipv6Addr, own: Ipv6Addr) {
        let message = NdiscRepr::NeighborSolicit {
            target_addr: target,
            lladdr: Some(self.raw_mac()),
        };
        self.send_discovery(own, solicited_node(target), message);
    }

    /// Asks whether somebody else has `target`, which is to be ours (RFC 4862 §5.4.2).
    pub(super) fn probe_address(&mut self, target: Ipv6Addr) {
        let message = NdiscRepr::NeighborSolicit {
            target_addr: target,
            lladdr: None,
        };
        self.send_discovery(Ipv6Addr::UNSPECIFIED, solicited_node(target), message);
    }

    /// Tells everyone that `target` is ours.
    pub(super) fn claim_address(&mut self, target: Ipv6Addr) {
        let message = NdiscRepr::NeighborAdvert {
            flags: NdiscNeighborFlags::OVERRIDE,
            target_addr: target,
            lladdr: Some(self.raw_mac()),
        };
        self.send_discovery(target, ALL_NODES, message);
    }

    /// Asks routers to present themselves.
    pub(super) fn solicit_routers(&mut self, own: Ipv6Addr) {
        let lladdr = Some(self.raw_mac());
        let message = NdiscRepr::RouterSolicit { lladdr };
        self.send_discovery(own, ALL_ROUTERS, message);
    }

    /// Tells smoltcp where a neighbour is. From the advertisement itself it would learn where the
    /// sender is, and a host with several addresses may advertise one from another.
    pub(crate) fn teach(
        &mut self,
        now: Instant,
        neighbour: Ipv6Addr,
        mac: EthernetAddress,
        nobody: &mut SocketSet<'static>,
    ) {
        let message = NdiscRepr::NeighborAdvert {
            flags: NdiscNeighborFlags::OVERRIDE,
            target_addr: neighbour,
            lladdr: Some(mac.into()),
        };
        let packet = Discovery::new(neighbour, ALL_NODES, message);
        let mut frame = vec![0; packet.length()];
        packet.write(mac, &mut frame);
        self.ingress(now, &frame, nobody);
    }

    fn raw_mac(&self) -> RawHardwareAddress {
        EthernetAddress(self.mac()).into()
    }

    fn send_discovery(&mut self, from: Ipv6Addr, group: Ipv6Addr, message: NdiscRepr<'_>) {
        let mac = EthernetAddress(self.mac());
        let packet = Discovery::new(from, group, message);
        self.outlet
            .send(packet.length(), |buffer| packet.write(mac, buffer));
    }
}

/// A neighbour discovery message to a group.
struct Discovery<'a> {
    ip: Ipv6Repr,
    message: Icmpv6Repr<'a>,
}

impl<'a> Discovery<'a> {
    fn new(from: Ipv6Addr, group: Ipv6Addr, message: NdiscRepr<'a>) -> Self {
        let message = Icmpv6Repr::Ndisc(message);
        let ip = Ipv6Repr {
            src_addr: from,
            dst_addr: group,
            next_header: IpProtocol::Icmpv6,
            payload_len: message.buffer_len(),
            hop_limit: HOP_LIMIT,
        };
        Self { ip, message }
    }

    fn length(&self) -> usize {
        ETHERNET_HEADER + self.ip.buffer_len() + self.message.buffer_len()
    }

    /// Writes the frame that comes from `sender`.
    fn write(&self, sender: EthernetAddress, buffer: &mut [u8]) {
        let (from, group) = (self.ip.src_addr, self.ip.dst_addr);
        let mut frame = EthernetFrame::new_unchecked(buffer);
        frame.set_src_addr(sender);
        frame.set_dst_addr(group_mac(group));
        frame.set_ethertype(EthernetProtocol::Ipv6);
        let mut packet = Ipv6Packet::new_unchecked(frame.payload_mut());
        self.ip.emit(&mut packet);
        let mut icmp = Icmpv6Packet::new_unchecked(packet.payload_mut());
        let checksum = ChecksumCapabilities::default();
        self.message.emit(&from, &group, &mut icmp, &checksum);
    }
}
