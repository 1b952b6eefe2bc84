//! Asking for neighbours' hardware addresses.
//!
//! smoltcp asks too, but allows itself one question a second for all neighbours together, so that
//! one absent host would keep all others from being found. It does learn from the answers to
//! these questions.

use alloc::vec::Vec;
use core::net::Ipv4Addr;

use smoltcp::time::{Duration, Instant};
use smoltcp::wire::{
    ArpOperation, ArpPacket, ArpRepr, EthernetAddress, EthernetFrame, EthernetProtocol, IpAddress,
};

use crate::link::Link;
use crate::phy::ETHERNET_HEADER;

/// Time between two questions for the same neighbour.
const INTERVAL: Duration = Duration::from_secs(1);
/// How long a neighbour may take before it counts as absent (Linux: three questions).
pub(crate) const ABSENT_AFTER: Duration = Duration::from_secs(3);
/// Neighbours asked for at the same time; more are left to smoltcp.
const QUESTIONS: usize = 256;

/// The questions of the last second.
#[derive(Default)]
pub(crate) struct Questions(Vec<(Ipv4Addr, Instant)>);

impl Questions {
    /// Whether to ask for `neighbour` now.
    fn may_ask(&mut self, neighbour: Ipv4Addr, now: Instant) -> bool {
        self.0.retain(|(_, until)| *until > now);
        let asked = self.0.iter().any(|(other, _)| *other == neighbour);
        if asked || self.0.len() >= QUESTIONS {
            return false;
        }
        self.0.push((neighbour, now + INTERVAL));
        true
    }
}

impl Link {
    /// Asks for the hardware address of whoever takes packets to `remote`.
    pub(crate) fn find_neighbour(&mut self, now: Instant, remote: IpAddress) {
        let Some((neighbour, own)) = self.next_hop(remote) else {
            return;
        };
        if !self.outlet.is_blocked() && self.questions.may_ask(neighbour, now) {
            self.ask(neighbour, own);
        }
    }

    /// The neighbour on the way to `remote`, and our address towards it.
    fn next_hop(&self, remote: IpAddress) -> Option<(Ipv4Addr, Ipv4Addr)> {
        let mut own = self.interface.ip_addrs().iter();
        let hop = match own.any(|cidr| cidr.contains_addr(&remote)) {
            true => remote,
            false => self.interface.routes().get_default_ipv4_route()?.via_router,
        };
        let IpAddress::Ipv4(hop) = hop else {
            return None;
        };
        Some((hop, self.interface.get_source_address_ipv4(&hop)?))
    }

    fn ask(&mut self, neighbour: Ipv4Addr, own: Ipv4Addr) {
        let mac = EthernetAddress(self.mac());
        let question = ArpRepr::EthernetIpv4 {
            operation: ArpOperation::Request,
            source_hardware_addr: mac,
            source_protocol_addr: own,
            target_hardware_addr: EthernetAddress([0; 6]),
            target_protocol_addr: neighbour,
        };
        let length = ETHERNET_HEADER + question.buffer_len();
        self.outlet.send(length, |buffer| {
            let mut frame = EthernetFrame::new_unchecked(buffer);
            frame.set_dst_addr(EthernetAddress::BROADCAST);
            frame.set_src_addr(mac);
            frame.set_ethertype(EthernetProtocol::Arp);
            question.emit(&mut ArpPacket::new_unchecked(frame.payload_mut()));
        });
    }
}
