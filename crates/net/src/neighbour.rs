//! Neighbours' hardware addresses: what we know, and asking for more (RFC 826, RFC 4861 §7.2).
//!
//! smoltcp keeps its own list for the packets it sends, but shows it to nobody, and allows itself
//! one question a second for all neighbours together, so that one absent host would keep all
//! others from being found. It learns from the answers to these questions.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::net::Ipv4Addr;

use smoltcp::time::{Duration, Instant};
use smoltcp::wire::{
    ArpOperation, ArpPacket, ArpRepr, EthernetAddress, EthernetFrame, EthernetProtocol, IpAddress,
    Ipv4Address,
};

use crate::ipv6::group_mac;
use crate::link::Link;
use crate::phy::ETHERNET_HEADER;

/// Time between two questions for the same neighbour.
const INTERVAL: Duration = Duration::from_secs(1);
/// How long a neighbour may take before it counts as absent (Linux: three questions).
pub(crate) const ABSENT_AFTER: Duration = Duration::from_secs(3);
/// How long an answer is good for, as in smoltcp.
const FRESH: Duration = Duration::from_secs(60);
/// Neighbours asked for at the same time; more are left to smoltcp.
const QUESTIONS: usize = 256;
/// Neighbours known at the same time.
const KNOWN: usize = 1024;

/// What a packet tells about the neighbour it is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sighting {
    pub(crate) address: IpAddress,
    pub(crate) mac: EthernetAddress,
    /// The address that the packet is about.
    pub(crate) target: IpAddress,
}

/// The neighbours of an interface.
#[derive(Default)]
pub(crate) struct Neighbours {
    /// Hardware addresses, and since when.
    known: BTreeMap<IpAddress, (EthernetAddress, Instant)>,
    /// The questions of the last second.
    asked: Vec<(IpAddress, Instant)>,
}

impl Neighbours {
    /// Whether to ask for `neighbour` now.
    fn may_ask(&mut self, neighbour: IpAddress, now: Instant) -> bool {
        self.asked.retain(|(_, at)| *at + INTERVAL > now);
        let asked = self.asked.iter().any(|(other, _)| *other == neighbour);
        if asked || self.asked.len() >= QUESTIONS {
            return false;
        }
        self.asked.push((neighbour, now));
        true
    }

    /// The neighbour's hardware address, and whether it is time to ask again.
    fn lookup(&self, neighbour: IpAddress, now: Instant) -> Option<(EthernetAddress, bool)> {
        let (mac, since) = self.known.get(&neighbour)?;
        let usable = *since + FRESH + ABSENT_AFTER > now;
        usable.then_some((*mac, *since + FRESH <= now))
    }

    /// Notes a neighbour that we want to know: one we asked for, or who asked for us.
    pub(crate) fn learn(&mut self, now: Instant, sighting: &Sighting, asks_us: bool) {
        let address = sighting.address;
        let wanted = asks_us
            || self.known.contains_key(&address)
            || self.asked.iter().any(|(asked, _)| *asked == address);
        if !wanted {
            return;
        }
        if self.known.len() >= KNOWN {
            let stale = |since: Instant| since + FRESH + ABSENT_AFTER <= now;
            self.known.retain(|_, (_, since)| !stale(*since));
        }
        if self.known.len() < KNOWN || self.known.contains_key(&address) {
            self.known.insert(address, (sighting.mac, now));
        }
    }
}

impl Link {
    /// The hardware address that packets to `remote` go to; asks for it if it is not known.
    pub(crate) fn hardware_address(
        &mut self,
        now: Instant,
        remote: IpAddress,
    ) -> Option<EthernetAddress> {
        if self.is_broadcast(remote) {
            return Some(EthernetAddress::BROADCAST);
        }
        match remote {
            IpAddress::Ipv4(group) if group.is_multicast() => return Some(group_mac4(group)),
            IpAddress::Ipv6(group) if group.is_multicast() => return Some(group_mac(group)),
            _ => {}
        }
        let hop = self.next_hop(remote)?;
        let found = self.neighbours.lookup(hop, now);
        if found.is_none_or(|(_, ask_again)| ask_again) {
            self.find_neighbour(now, remote);
        }
        found.map(|(mac, _)| mac)
    }

    /// Asks for the hardware address of whoever takes packets to `remote`.
    pub(crate) fn find_neighbour(&mut self, now: Instant, remote: IpAddress) {
        let Some(neighbour) = self.next_hop(remote) else {
            return;
        };
        if self.outlet.is_blocked() || !self.neighbours.may_ask(neighbour, now) {
            return;
        }
        match neighbour {
            IpAddress::Ipv4(neighbour) => {
                if let Some(own) = self.interface.get_source_address_ipv4(&neighbour) {
                    self.ask(neighbour, own);
                }
            }
            IpAddress::Ipv6(neighbour) => {
                let own = self.interface.get_source_address_ipv6(&neighbour);
                self.solicit_neighbour(neighbour, own);
            }
        }
    }

    /// The neighbour on the way to `remote`.
    fn next_hop(&self, remote: IpAddress) -> Option<IpAddress> {
        let mut own = self.interface.ip_addrs().iter();
        if own.any(|cidr| cidr.contains_addr(&remote)) {
            return Some(remote);
        }
        let routes = self.interface.routes();
        let route = match remote {
            IpAddress::Ipv4(_) => routes.get_default_ipv4_route(),
            IpAddress::Ipv6(_) => routes.get_default_ipv6_route(),
        };
        route.map(|route| route.via_router)
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

/// The hardware address of an IPv4 group (RFC 1112 §6.4).
fn group_mac4(group: Ipv4Address) -> EthernetAddress {
    let [_, a, b, c] = group.octets();
    EthernetAddress([0x01, 0x00, 0x5e, a & 0x7f, b, c])
}
