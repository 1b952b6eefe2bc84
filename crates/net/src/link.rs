//! The two interfaces: a smoltcp interface and the outlet of its frames.

use alloc::boxed::Box;
use core::net::Ipv4Addr;

use smoltcp::iface::{Config, Interface, PollResult, SocketSet};
use smoltcp::time::Instant;
use smoltcp::wire::{EthernetAddress, HardwareAddress, IpAddress, IpCidr};

use crate::NetDevice;
use crate::neighbour::Neighbours;
use crate::phy::{Outlet, Phy, Sent};

/// Names an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LinkName {
    Loopback,
    Ethernet,
}

impl LinkName {
    const ALL: [Self; 2] = [Self::Loopback, Self::Ethernet];

    /// The interface's index, as programs see it.
    pub(crate) fn index(self) -> u32 {
        match self {
            Self::Loopback => 1,
            Self::Ethernet => 2,
        }
    }

    /// Its name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Loopback => "lo",
            Self::Ethernet => "eth0",
        }
    }

    pub(crate) fn of_index(index: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|link| link.index() == index)
    }

    pub(crate) fn of_name(name: &[u8]) -> Option<Self> {
        let mut all = Self::ALL.into_iter();
        all.find(|link| link.name().as_bytes() == name)
    }
}

/// One interface.
pub(crate) struct Link {
    pub(crate) interface: Interface,
    pub(crate) outlet: Outlet,
    pub(crate) neighbours: Neighbours,
}

impl Link {
    pub(crate) fn loopback(seed: u64, now: Instant) -> Box<Self> {
        let mut link = Self::new(HardwareAddress::Ip, Outlet::loopback(), seed, now);
        // Everything that is routed here is for us: 127.0.0.0/8, ::1 and our own addresses.
        link.interface.set_any_ip(true);
        link.interface.update_ip_addrs(|addresses| {
            // Two addresses fit a list of four.
            let _ = addresses.push(IpCidr::new(Ipv4Addr::LOCALHOST.into(), 8));
            let _ = addresses.push(IpCidr::new(core::net::Ipv6Addr::LOCALHOST.into(), 128));
        });
        link
    }

    pub(crate) fn ethernet(device: Box<dyn NetDevice>, seed: u64, now: Instant) -> Box<Self> {
        let mut mac = device.mac();
        // smoltcp insists on a unicast address; a device with another one is misconfigured.
        mac[0] &= !1;
        let address = HardwareAddress::Ethernet(EthernetAddress(mac));
        Self::new(address, Outlet::device(device), seed, now)
    }

    fn new(address: HardwareAddress, mut outlet: Outlet, seed: u64, now: Instant) -> Box<Self> {
        let mut config = Config::new(address);
        config.random_seed = seed;
        let interface = Interface::new(config, &mut Phy::new(&mut outlet, None), now);
        Box::new(Self {
            interface,
            outlet,
            neighbours: Neighbours::default(),
        })
    }

    /// Feeds one frame to the sockets of `set`; answers leave at once.
    pub(crate) fn ingress(&mut self, now: Instant, frame: &[u8], set: &mut SocketSet<'static>) {
        let mut phy = Phy::new(&mut self.outlet, Some(frame));
        self.interface.poll_ingress_single(now, &mut phy, set);
    }

    /// Sends what the sockets of `set` have to send; also tells when they want this again.
    /// `is_probe`: data among it is a probe of a closed window.
    pub(crate) fn egress(
        &mut self,
        now: Instant,
        set: &mut SocketSet<'static>,
        is_probe: bool,
    ) -> (Sent, Option<Instant>) {
        let mut phy = Phy::new(&mut self.outlet, None);
        phy.is_probe = is_probe;
        // Each round sends at most one packet per socket. Asking when is cheaper than trying.
        loop {
            let next = self.interface.poll_at(now, set);
            if next.is_none_or(|at| at > now)
                || self.interface.poll_egress(now, &mut phy, set) == PollResult::None
            {
                return (phy.sent, next);
            }
        }
    }

    /// Sends what concerns the interface rather than a socket.
    pub(crate) fn egress_own(&mut self, now: Instant, nobody: &mut SocketSet<'static>) {
        let mut phy = Phy::new(&mut self.outlet, None);
        while self.interface.poll_egress(now, &mut phy, nobody) != PollResult::None {}
    }

    /// The hardware address; zero on the loopback interface.
    pub(crate) fn mac(&self) -> [u8; 6] {
        match &self.outlet {
            Outlet::Device { device, .. } => device.mac(),
            Outlet::Loopback { .. } => [0; 6],
        }
    }

    /// The largest IP packet.
    pub(crate) fn ip_mtu(&self) -> usize {
        self.outlet.capabilities().ip_mtu()
    }

    pub(crate) fn has_address(&self, address: IpAddress) -> bool {
        let mut own = self.interface.ip_addrs().iter();
        own.any(|cidr| cidr.address() == address)
    }

    /// Whether `address` reaches everyone on the interface's network.
    pub(crate) fn is_broadcast(&self, address: IpAddress) -> bool {
        let IpAddress::Ipv4(address) = address else {
            return false;
        };
        address.is_broadcast()
            || self.interface.ip_addrs().iter().any(|cidr| match cidr {
                IpCidr::Ipv4(own) => own.broadcast() == Some(address),
                IpCidr::Ipv6(_) => false,
            })
    }

    /// Whether packets to `address` can leave here: same network, or a router is known.
    pub(crate) fn reaches(&self, address: IpAddress) -> bool {
        let own = self.interface.ip_addrs();
        let routes = self.interface.routes();
        let (has_own, routed) = match address {
            IpAddress::Ipv4(_) => (
                own.iter().any(|cidr| matches!(cidr, IpCidr::Ipv4(_))),
                routes.get_default_ipv4_route().is_some(),
            ),
            IpAddress::Ipv6(_) => (
                own.iter().any(|cidr| matches!(cidr, IpCidr::Ipv6(_))),
                routes.get_default_ipv6_route().is_some(),
            ),
        };
        let is_near = address.is_multicast()
            || address.is_broadcast()
            || own.iter().any(|cidr| cidr.contains_addr(&address));
        has_own && (routed || is_near)
    }
}
