//! What the Ethernet interface is configured with, whoever said so, and putting it into effect.

use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr};

use smoltcp::wire::{IpCidr, Ipv4Cidr};

use crate::config::Addressing;
use crate::core::Core;
use crate::dhcp::Dhcp;
use crate::ipv6::autoconf::Ipv6;
use crate::link::Link;

/// The IPv4 configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Lease {
    pub(crate) address: Option<Ipv4Cidr>,
    pub(crate) gateway: Option<Ipv4Addr>,
    pub(crate) dns: Vec<Ipv4Addr>,
    pub(crate) server: Option<Ipv4Addr>,
}

impl Core {
    /// Gives the Ethernet interface its addresses, or starts to ask for them.
    pub(crate) fn start_addressing(&mut self) {
        if self.links.ethernet.is_none() {
            return;
        }
        match self.config.addressing {
            Addressing::None => {}
            Addressing::Dhcp => self.dhcp = Some(Dhcp::new(&self.config.hostname)),
            Addressing::Static {
                address,
                prefix,
                gateway,
            } => {
                self.lease = Lease {
                    address: Some(Ipv4Cidr::new(address, prefix.min(32))),
                    gateway,
                    ..Lease::default()
                };
            }
        }
        self.start_ipv6();
        self.apply_addresses();
    }

    /// Tells smoltcp and whoever watches what the configuration is now.
    pub(crate) fn apply_addresses(&mut self) {
        let Some(link) = &mut self.links.ethernet else {
            return;
        };
        set_addresses(link, &self.lease, self.ipv6.as_ref());
        set_routes(link, &self.lease, self.ipv6.as_ref());
        let addresses6 = self.ipv6.iter().flat_map(|ipv6| ipv6.addresses.usable());
        let status = crate::NetworkStatus {
            address: self
                .lease
                .address
                .map(|cidr| (cidr.address(), cidr.prefix_len())),
            gateway: self.lease.gateway,
            addresses6: addresses6
                .map(|own| (own.cidr.address(), own.cidr.prefix_len()))
                .collect(),
            gateway6: self.router6(),
            dns: self.name_servers(),
            dhcp_server: self.lease.server,
            generation: self.status.generation,
        };
        if status != self.status {
            self.status = status;
            self.status.generation += 1;
            self.wakes.announce(&self.status_readiness);
        }
        // Group membership follows the addresses.
        self.egress_nobody();
    }

    fn router6(&self) -> Option<core::net::Ipv6Addr> {
        let router = self.ipv6.as_ref()?.routers.first();
        router.map(|(router, _)| *router)
    }

    /// The configured name servers, else those that the network offers.
    fn name_servers(&self) -> Vec<IpAddr> {
        if !self.config.dns.is_empty() {
            return self.config.dns.clone();
        }
        let offered = self.lease.dns.iter().map(|server| IpAddr::V4(*server));
        let advertised = self.ipv6.iter().flat_map(|ipv6| &ipv6.servers);
        offered
            .chain(advertised.map(|(server, _)| IpAddr::V6(*server)))
            .collect()
    }
}

fn set_addresses(link: &mut Link, lease: &Lease, ipv6: Option<&Ipv6>) {
    let address = lease.address.filter(|cidr| {
        let address = cidr.address();
        !(address.is_multicast() || address.is_broadcast() || address.is_unspecified())
    });
    let addresses6 = ipv6.into_iter().flat_map(|ipv6| ipv6.addresses.usable());
    let wanted: Vec<IpCidr> = address
        .map(IpCidr::Ipv4)
        .into_iter()
        .chain(addresses6.map(|own| IpCidr::Ipv6(own.cidr)))
        .collect();
    // Setting them makes smoltcp forget its neighbours.
    if link.interface.ip_addrs() != wanted {
        link.interface.update_ip_addrs(|addresses| {
            addresses.clear();
            // More than the list holds are refused earlier.
            addresses.extend(wanted);
        });
    }
}

fn set_routes(link: &mut Link, lease: &Lease, ipv6: Option<&Ipv6>) {
    let routes = link.interface.routes_mut();
    routes.remove_default_ipv4_route();
    routes.remove_default_ipv6_route();
    let gateway = lease
        .gateway
        .filter(|gateway| !gateway.is_multicast() && !gateway.is_broadcast());
    if let Some(gateway) = gateway {
        // The table was just emptied.
        let _ = routes.add_default_ipv4_route(gateway);
    }
    if let Some((router, _)) = ipv6.and_then(|ipv6| ipv6.routers.first()) {
        let _ = routes.add_default_ipv6_route(*router);
    }
}
