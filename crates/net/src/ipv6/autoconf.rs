//! Stateless address autoconfiguration (RFC 4862): making addresses, looking for duplicates,
//! asking routers and believing what they advertise.

use alloc::vec::Vec;
use core::net::Ipv6Addr;

use smoltcp::time::{Duration, Instant};
use smoltcp::wire::{EthernetAddress, IpAddress, Ipv6Cidr};

use super::addresses::{Addresses, End, OwnAddress, State};
use super::advertisement::{self, Advertisement, Prefix};
use super::{LINK_LOCAL, SUBNET_BITS, interface_address};
use crate::config::Addressing6;
use crate::core::Core;
use crate::link::{Link, LinkName};
use crate::neighbour::Sighting;

/// How long others may take to say that an address is theirs (RFC 4861 §10, `RETRANS_TIMER`;
/// RFC 4862 §5.1 asks once).
const PROBE_TIME: Duration = Duration::from_secs(1);
/// Questions for routers, and the time between two (RFC 4861 §10).
const SOLICITATIONS: u8 = 3;
const SOLICITATION_INTERVAL: Duration = Duration::from_secs(4);
/// A validity that an advertisement may shorten only to this (RFC 4862 §5.5.3 e: two hours),
/// because advertisements can be forged.
const SHORTEST_VALIDITY: u32 = 2 * 60 * 60;
/// How many of each an advertiser can make us keep. The interface holds eight addresses, IPv4's
/// among them.
const ADDRESSES: usize = 6;
const ROUTERS: usize = 4;
const SERVERS: usize = 3;

/// IPv6 of the Ethernet interface.
pub(crate) struct Ipv6 {
    pub(crate) addresses: Addresses,
    /// Routers and name servers, from the configuration or from advertisements.
    pub(crate) routers: Vec<(Ipv6Addr, End)>,
    pub(crate) servers: Vec<(Ipv6Addr, End)>,
    /// Whether routers are asked and believed.
    automatic: bool,
    /// Questions left to ask routers.
    solicitations: u8,
    /// When to ask routers next.
    solicit_at: Option<Instant>,
    /// When [`Core::ipv6_expire`] has something to do.
    pub(crate) deadline: Option<Instant>,
}

impl Ipv6 {
    fn new(automatic: bool) -> Self {
        Self {
            addresses: Addresses::default(),
            routers: Vec::new(),
            servers: Vec::new(),
            automatic,
            solicitations: SOLICITATIONS,
            solicit_at: None,
            deadline: None,
        }
    }

    /// Adds an address once nobody else turns out to have it.
    fn add(&mut self, link: &mut Link, now: Instant, cidr: Ipv6Cidr, preferred: End, valid: End) {
        if self.addresses.len() >= ADDRESSES {
            return;
        }
        let until = now + PROBE_TIME;
        self.addresses.push(OwnAddress {
            cidr,
            state: State::Tentative { until },
            preferred,
            valid,
        });
        link.probe_address(cidr.address());
    }

    /// Takes up what a prefix of an advertisement means for our addresses (RFC 4862 §5.5.3).
    fn apply_prefix(&mut self, link: &mut Link, now: Instant, prefix: &Prefix) {
        let is_link_local = prefix.network.is_unicast_link_local();
        if !prefix.autonomous
            || is_link_local
            || prefix.network.is_multicast()
            || prefix.bits != SUBNET_BITS
            || prefix.preferred > prefix.valid
        {
            return;
        }
        let address = interface_address(prefix.network, link.mac());
        let (preferred, valid) = (
            End::after(now, prefix.preferred),
            End::after(now, prefix.valid),
        );
        match self.addresses.find(address) {
            Some(own) => {
                own.preferred = preferred;
                own.valid = renewed_validity(now, own.valid, prefix.valid);
            }
            None if prefix.valid > 0 => {
                // Without the flag, other addresses of the network are the router's business.
                let bits = if prefix.on_link { SUBNET_BITS } else { 128 };
                self.add(link, now, Ipv6Cidr::new(address, bits), preferred, valid);
            }
            None => {}
        }
    }

    fn apply(
        &mut self,
        link: &mut Link,
        now: Instant,
        router: Ipv6Addr,
        advertisement: &Advertisement,
    ) {
        self.solicit_at = None;
        let end = End::after(now, advertisement.router_lifetime.into());
        keep(&mut self.routers, ROUTERS, now, router, end);
        for (server, seconds) in &advertisement.servers {
            let end = End::after(now, *seconds);
            keep(&mut self.servers, SERVERS, now, *server, end);
        }
        for prefix in &advertisement.prefixes {
            self.apply_prefix(link, now, prefix);
        }
    }

    /// Does what is due.
    fn expire(&mut self, link: &mut Link, now: Instant) {
        let mut ready = Vec::new();
        self.addresses.expire(now, |address| ready.push(address));
        self.routers.retain(|(_, end)| !end.is_past(now));
        self.servers.retain(|(_, end)| !end.is_past(now));
        if self.automatic && ready.iter().any(Ipv6Addr::is_unicast_link_local) {
            self.solicit_at = Some(now);
        }
        if self.solicit_at.is_some_and(|at| at <= now) {
            self.solicit_routers(link, now);
        }
        self.rearm(now);
    }

    fn solicit_routers(&mut self, link: &mut Link, now: Instant) {
        let mut usable = self.addresses.usable().map(|own| own.cidr.address());
        if let Some(own) = usable.find(Ipv6Addr::is_unicast_link_local) {
            link.solicit_routers(own);
        }
        self.solicitations = self.solicitations.saturating_sub(1);
        self.solicit_at = (self.solicitations > 0).then(|| now + SOLICITATION_INTERVAL);
    }

    fn rearm(&mut self, now: Instant) {
        let ends = self.routers.iter().chain(&self.servers);
        let end = ends.filter_map(|(_, end)| end.upcoming(now)).min();
        let others = [self.addresses.deadline(now), self.solicit_at];
        self.deadline = others.into_iter().flatten().chain(end).min();
    }
}

/// The end of an address's validity after an advertisement of `seconds` more.
fn renewed_validity(now: Instant, current: End, seconds: u32) -> End {
    let shortest = End::after(now, SHORTEST_VALIDITY);
    let lasts = |end: End, other: End| match (end, other) {
        (End::Never, _) => true,
        (_, End::Never) => false,
        (End::At(end), End::At(other)) => end > other,
    };
    let wanted = End::after(now, seconds);
    match () {
        () if seconds > SHORTEST_VALIDITY || lasts(wanted, current) => wanted,
        () if lasts(current, shortest) => shortest,
        () => current,
    }
}

/// Notes that `address` serves until `end`; an end that is past removes it.
fn keep(list: &mut Vec<(Ipv6Addr, End)>, limit: usize, now: Instant, address: Ipv6Addr, end: End) {
    match list.iter().position(|(known, _)| *known == address) {
        Some(at) => list[at].1 = end,
        None if list.len() < limit => list.push((address, end)),
        None => {}
    }
    list.retain(|(_, end)| !end.is_past(now));
}

impl Core {
    /// Starts IPv6 on the Ethernet interface as configured.
    pub(crate) fn start_ipv6(&mut self) {
        let now = self.now;
        let (Some(link), addressing) = (&mut self.links.ethernet, &self.config.addressing6) else {
            return;
        };
        if *addressing == Addressing6::None {
            return;
        }
        let mut ipv6 = Ipv6::new(*addressing == Addressing6::Automatic);
        let own = interface_address(LINK_LOCAL, link.mac());
        let own = Ipv6Cidr::new(own, SUBNET_BITS);
        ipv6.add(link, now, own, End::Never, End::Never);
        if let Addressing6::Static {
            address,
            prefix,
            gateway,
        } = addressing
        {
            let cidr = Ipv6Cidr::new(*address, (*prefix).min(128));
            ipv6.add(link, now, cidr, End::Never, End::Never);
            ipv6.routers
                .extend(gateway.map(|router| (router, End::Never)));
        }
        ipv6.rearm(now);
        self.ipv6 = Some(ipv6);
    }

    /// Does what is due.
    pub(crate) fn ipv6_expire(&mut self) {
        let deadline = self.ipv6.as_ref().and_then(|ipv6| ipv6.deadline);
        if deadline.is_some_and(|at| at <= self.now) {
            self.ipv6_update(|_, _, _| {});
        }
    }

    /// Changes the configuration and puts it into effect.
    fn ipv6_update(&mut self, change: impl FnOnce(&mut Ipv6, &mut Link, Instant)) {
        let Self {
            ipv6, links, now, ..
        } = self;
        if let (Some(ipv6), Some(link)) = (ipv6, &mut links.ethernet) {
            change(ipv6, link, *now);
            ipv6.expire(link, *now);
            self.apply_addresses();
        }
    }

    /// A router presents itself.
    pub(crate) fn advertisement_ingress(&mut self, router: Ipv6Addr, message: &[u8]) {
        let believes = |ipv6: &Ipv6| ipv6.automatic;
        if !self.ipv6.as_ref().is_some_and(believes) {
            return;
        }
        let Some(advertisement) = advertisement::parse(message) else {
            return;
        };
        self.ipv6_update(|ipv6, link, now| {
            ipv6.apply(link, now, router, &advertisement);
            if let Some(mac) = advertisement.mac {
                let address = IpAddress::Ipv6(router);
                let sighting = Sighting {
                    address,
                    mac: EthernetAddress(mac),
                    target: address,
                };
                link.neighbours.learn(now, &sighting, true);
            }
        });
    }

    /// Somebody has, or is about to take, the address `target` (RFC 4862 §5.4.3 to §5.4.5).
    pub(crate) fn address_claimed(&mut self, target: Ipv6Addr, is_probe: bool) {
        let Self { ipv6, links, .. } = self;
        let (Some(ipv6), Some(link)) = (ipv6, links.get_mut(LinkName::Ethernet)) else {
            return;
        };
        let Some(own) = ipv6.addresses.find(target) else {
            return;
        };
        match own.state {
            State::Tentative { .. } => own.state = State::Duplicate,
            State::Usable if is_probe => link.claim_address(target),
            State::Usable | State::Duplicate => {}
        }
    }
}
