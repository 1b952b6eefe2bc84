//! The state behind the stack's lock, and how work moves through it.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::net::{Ipv4Addr, Ipv6Addr};

use linux_abi::Errno;
use linux_abi::raw::net as uapi;
use smoltcp::iface::SocketSet;
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::IpAddress;

use crate::address::Family;
use crate::addressing::Lease;
use crate::demux::{self, Traffic};
use crate::dhcp::Dhcp;
use crate::fragment::Reassembly;
use crate::ipv6::autoconf::Ipv6;
use crate::ipv6::needs_scope;
use crate::link::{Link, LinkName};
use crate::neighbour::Sighting;
use crate::options::{Options, SOL_IP, SOL_IPV6};
use crate::platform::{NetDevice, Platform};
use crate::ports::{HashSeed, Scope};
use crate::readiness::{Readiness, Wakes};
use crate::slab::Id;
use crate::stack::Counters;
use crate::tcp::table::TcpTable;
use crate::udp::state::UdpTable;
use crate::{Config, NetworkStatus};

/// Frames taken in before answers are sent.
const BATCH: usize = 64;
/// How much too early the platform's timer may fire.
const TIMER_SLACK: Duration = Duration::from_millis(1);
/// When to offer frames to a full device again if it does not call for them.
const DEVICE_RETRY: Duration = Duration::from_millis(1);

/// The stack's state.
pub(crate) struct Core {
    pub(crate) now: Instant,
    pub(crate) platform: Arc<dyn Platform>,
    pub(crate) config: Config,
    pub(crate) links: Links,
    pub(crate) tcp: TcpTable,
    pub(crate) udp: UdpTable,
    /// TCP connections that met a full device.
    pub(crate) blocked: Vec<Id>,
    pub(crate) wakes: Wakes,
    pub(crate) dhcp: Option<Dhcp>,
    /// The IPv4 configuration in effect.
    pub(crate) lease: Lease,
    pub(crate) ipv6: Option<Ipv6>,
    reassembly: Reassembly,
    pub(crate) status: NetworkStatus,
    pub(crate) status_readiness: Arc<Readiness>,
    pub(crate) counters: Counters,
    /// For frames that concern no socket.
    nobody: SocketSet<'static>,
    /// The frame being looked at.
    frame: Vec<u8>,
    /// The deadline the platform was told.
    deadline: Option<Instant>,
    /// The platform's timer may have fired for it, so that the platform has to be told again.
    timer_fired: bool,
}

/// The interfaces; boxed because they are large, and kernel stacks are small.
pub(crate) struct Links {
    pub(crate) loopback: Box<Link>,
    pub(crate) ethernet: Option<Box<Link>>,
}

impl Links {
    pub(crate) fn get_mut(&mut self, name: LinkName) -> Option<&mut Link> {
        match name {
            LinkName::Loopback => Some(&mut self.loopback),
            LinkName::Ethernet => self.ethernet.as_deref_mut(),
        }
    }

    pub(crate) fn get(&self, name: LinkName) -> Option<&Link> {
        match name {
            LinkName::Loopback => Some(&self.loopback),
            LinkName::Ethernet => self.ethernet.as_deref(),
        }
    }
}

/// Where packets to an address go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Route {
    pub(crate) link: LinkName,
    /// Our address on the way.
    pub(crate) local: IpAddress,
    /// The destination; the unspecified address means this host.
    pub(crate) remote: IpAddress,
}

impl Core {
    pub(crate) fn new(
        device: Option<Box<dyn NetDevice>>,
        platform: Arc<dyn Platform>,
        config: Config,
    ) -> Self {
        let random = || u64::from(platform.random_u32()) << 32 | u64::from(platform.random_u32());
        static SHARED_SEED: foldhash::SharedSeed =
            foldhash::SharedSeed::from_u64(0x0075_6e69_6265_616d);
        let seed = HashSeed::with_seed(random(), &SHARED_SEED);
        let now = instant(platform.now_micros());
        let links = Links {
            loopback: Link::loopback(random(), now),
            ethernet: device.map(|device| Link::ethernet(device, random(), now)),
        };
        let mut core = Self {
            now,
            config,
            links,
            tcp: TcpTable::new(seed.clone()),
            udp: UdpTable::new(seed),
            blocked: Vec::new(),
            wakes: Wakes::default(),
            dhcp: None,
            lease: Lease::default(),
            ipv6: None,
            reassembly: Reassembly::default(),
            status: NetworkStatus::default(),
            status_readiness: Readiness::new(vfs::Events::empty()),
            counters: Counters::default(),
            nobody: SocketSet::new(vec![]),
            frame: Vec::new(),
            deadline: None,
            timer_fired: false,
            platform,
        };
        core.start_addressing();
        core
    }

    pub(crate) fn update_clock(&mut self) {
        self.now = instant(self.platform.now_micros());
    }

    /// Takes in everything the device has, and does what is due.
    pub(crate) fn poll(&mut self) {
        if self.deadline.is_some_and(|at| at <= self.now + TIMER_SLACK) {
            self.timer_fired = true;
        }
        self.flush_device();
        self.tcp_expire();
        self.udp_expire();
        self.dhcp_expire();
        self.ipv6_expire();
        while self.receive_batch() {
            self.settle();
        }
    }

    /// Takes in frames up to the limit of a batch; whether there may be more.
    fn receive_batch(&mut self) -> bool {
        (0..BATCH).all(|_| self.receive_frame())
    }

    /// Does everything that follows from what was done: sending, and receiving from ourselves.
    pub(crate) fn settle(&mut self) {
        loop {
            self.tcp_flush();
            let Some(frame) = self.links.loopback.outlet.next_looped() else {
                return;
            };
            self.ingress(LinkName::Loopback, &frame, false);
            self.links.loopback.outlet.recycle(frame);
        }
    }

    /// Lets everything leave that was sent, and tells the platform when to call again.
    pub(crate) fn finish(&mut self) {
        if let Some(link) = &mut self.links.ethernet {
            link.outlet.flush();
        }
        self.rearm();
    }

    fn rearm(&mut self) {
        let retry = (!self.blocked.is_empty()).then(|| self.now + DEVICE_RETRY);
        let dhcp = self.dhcp.as_ref().and_then(|dhcp| dhcp.deadline);
        let deadlines = [
            self.tcp.timers.next(),
            self.tcp.time_wait.next(),
            self.udp.retry_at,
            dhcp,
            self.ipv6.as_ref().and_then(|ipv6| ipv6.deadline),
            retry,
        ];
        let mut next: Option<Instant> = None;
        for at in deadlines {
            next = match (next, at) {
                (Some(next), Some(at)) => Some(next.min(at)),
                (next, at) => next.or(at),
            };
        }
        let fired = core::mem::take(&mut self.timer_fired);
        if fired || next != self.deadline {
            self.deadline = next;
            let micros = next.map(|at| u64::try_from(at.total_micros()).unwrap_or(0));
            self.platform.set_deadline(micros);
        }
    }

    fn receive_frame(&mut self) -> bool {
        let mut frame = core::mem::take(&mut self.frame);
        frame.clear();
        let ethernet = self.links.ethernet.as_mut();
        let vouched = ethernet.and_then(|link| link.outlet.receive(&mut frame));
        if let Some(vouched) = vouched {
            self.ingress(LinkName::Ethernet, &frame, !vouched);
        }
        self.frame = frame;
        vouched.is_some()
    }

    /// Offers what waits for the device again.
    fn flush_device(&mut self) {
        let Some(link) = &mut self.links.ethernet else {
            return;
        };
        let was_blocked = link.outlet.is_blocked();
        if link.outlet.retry() {
            // They are marked as waiting to send already.
            self.tcp.dirty.extend(self.blocked.drain(..));
            if was_blocked {
                self.udp_retry();
            }
        }
    }

    /// Takes a frame in. `check`: nobody vouches for its checksums.
    fn ingress(&mut self, link: LinkName, frame: &[u8], check: bool) {
        self.counters.frames += 1;
        let traffic = demux::classify(link, frame, check);
        if link == LinkName::Ethernet && self.is_forged(&traffic) {
            return;
        }
        match traffic {
            Traffic::Tcp(segment) => self.tcp_ingress(link, frame, &segment),
            Traffic::Udp(arrival) => {
                // Nobody complains about what was for many (RFC 1122 §3.2.2, RFC 4443 §2.4 e).
                if !self.udp_ingress(link, &arrival) && arrival.local.addr.is_unicast() {
                    self.unmatched(link, frame);
                }
            }
            Traffic::Unreachable(report) => self.unreachable_ingress(link, &report),
            Traffic::Dhcp if link == LinkName::Ethernet => self.dhcp_ingress(frame),
            Traffic::Neighbour(sighting) => self.neighbour_ingress(frame, &sighting),
            Traffic::Probe { sender, target } => {
                if Some(sender.0) != self.mac() {
                    self.address_claimed(target, true);
                }
            }
            Traffic::Router { router, message } => self.advertisement_ingress(router, message),
            Traffic::Fragment(fragment) => {
                if self.is_for_us(link, fragment.key.to)
                    && let Some(frame) = self.reassembly.add(self.now, &fragment)
                {
                    self.ingress(link, &frame, link == LinkName::Ethernet);
                }
            }
            Traffic::Damaged => {}
            Traffic::Dhcp | Traffic::Other => self.unmatched(link, frame),
        }
    }

    /// A neighbour's hardware address was told: those who wait for it may send.
    fn neighbour_ingress(&mut self, frame: &[u8], sighting: &Sighting) {
        if Some(sighting.mac.0) == self.mac() {
            return;
        }
        let asks_us = self.is_ethernet_address(sighting.target);
        if let Some(link) = &mut self.links.ethernet {
            link.neighbours.learn(self.now, sighting, asks_us);
        }
        if let IpAddress::Ipv6(target) = sighting.target
            && sighting.address == sighting.target
        {
            self.address_claimed(target, false);
            if let Some(link) = &mut self.links.ethernet {
                link.teach(self.now, target, sighting.mac, &mut self.nobody);
            }
        }
        self.unmatched(LinkName::Ethernet, frame);
        self.tcp.mark_unresolved_dirty();
        self.udp_retry();
        self.dhcp_neighbour_found();
    }

    /// The hardware address of the Ethernet interface.
    fn mac(&self) -> Option<[u8; 6]> {
        self.links.ethernet.as_ref().map(|link| link.mac())
    }

    /// Whether packets to `address` that come in by `link` may concern a socket.
    fn is_for_us(&self, link: LinkName, address: IpAddress) -> bool {
        address.is_multicast()
            || self.is_own_address(link, address)
            || self.is_broadcast(link, address)
    }

    /// Whether a packet from the wire claims to come from this machine.
    fn is_forged(&self, traffic: &Traffic<'_>) -> bool {
        let sender = match traffic {
            Traffic::Tcp(segment) => segment.remote.addr,
            Traffic::Udp(arrival) => arrival.remote.addr,
            _ => return false,
        };
        is_loopback(sender) || self.is_ethernet_address(sender)
    }

    /// Lets smoltcp answer a frame that concerns no socket.
    pub(crate) fn unmatched(&mut self, link: LinkName, frame: &[u8]) {
        if let Some(link) = self.links.get_mut(link) {
            link.ingress(self.now, frame, &mut self.nobody);
        }
    }

    /// Lets smoltcp send what concerns no socket.
    pub(crate) fn egress_nobody(&mut self) {
        if let Some(link) = &mut self.links.ethernet {
            link.egress_own(self.now, &mut self.nobody);
        }
    }

    /// Whether `address` is ours, on packets that come in by `link`.
    pub(crate) fn is_own_address(&self, link: LinkName, address: IpAddress) -> bool {
        match link {
            LinkName::Loopback => true,
            LinkName::Ethernet => self.is_ethernet_address(address),
        }
    }

    fn is_ethernet_address(&self, address: IpAddress) -> bool {
        let ethernet = self.links.ethernet.as_ref();
        ethernet.is_some_and(|link| link.has_address(address))
    }

    pub(crate) fn is_broadcast(&self, link: LinkName, address: IpAddress) -> bool {
        self.links
            .get(link)
            .is_some_and(|link| link.is_broadcast(address))
    }

    /// Where packets to `remote` go, from the bound address if there is one, and by the interface
    /// that the socket is bound to (`SO_BINDTODEVICE`).
    pub(crate) fn route(
        &self,
        remote: IpAddress,
        bound: Option<IpAddress>,
        device: Option<LinkName>,
    ) -> Result<Route, Errno> {
        let remote = match remote {
            IpAddress::Ipv4(address) if address.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
            IpAddress::Ipv6(address) if address.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
            address => address,
        };
        let (link, source) = self.link_to(remote, bound).ok_or(Errno::ENETUNREACH)?;
        if device.is_some_and(|device| device != link) {
            return Err(Errno::ENETUNREACH);
        }
        let local = bound.unwrap_or(source);
        let same_family = matches!(
            (local, remote),
            (IpAddress::Ipv4(_), IpAddress::Ipv4(_)) | (IpAddress::Ipv6(_), IpAddress::Ipv6(_))
        );
        if !same_family {
            return Err(Errno::ENETUNREACH);
        }
        if link == LinkName::Ethernet && !self.is_ethernet_address(local) {
            return Err(Errno::EINVAL);
        }
        Ok(Route {
            link,
            local,
            remote,
        })
    }

    /// The interface that reaches `remote`, and our address there.
    fn link_to(
        &self,
        remote: IpAddress,
        bound: Option<IpAddress>,
    ) -> Option<(LinkName, IpAddress)> {
        if is_loopback(remote) {
            return Some((LinkName::Loopback, loopback_like(remote)));
        }
        if self.is_ethernet_address(remote) {
            return Some((LinkName::Loopback, remote));
        }
        let ethernet = self.links.ethernet.as_ref()?;
        let source = match (bound, remote) {
            (Some(bound), _) => bound,
            (None, IpAddress::Ipv4(remote)) => {
                ethernet.interface.get_source_address_ipv4(&remote)?.into()
            }
            (None, IpAddress::Ipv6(remote)) => {
                let addresses = &self.ipv6.as_ref()?.addresses;
                addresses.source_for(self.now, remote)?.into()
            }
        };
        ethernet
            .reaches(remote)
            .then_some((LinkName::Ethernet, source))
    }

    /// Checks the `sin6_scope_id` that comes with `address` to bind(2) or connect(2): link-local
    /// addresses need one (Linux: `EINVAL`), and it has to be that of an interface.
    pub(crate) fn check_zone(&self, address: IpAddress, zone: u32) -> Result<(), Errno> {
        let IpAddress::Ipv6(address) = address else {
            return Ok(());
        };
        if !needs_scope(address) {
            return Ok(());
        }
        match (zone, LinkName::of_index(zone)) {
            (0, _) => Err(Errno::EINVAL),
            (_, Some(LinkName::Ethernet)) if self.links.ethernet.is_some() => Ok(()),
            (_, Some(LinkName::Loopback)) => Err(Errno::EADDRNOTAVAIL),
            _ => Err(Errno::ENODEV),
        }
    }

    /// The local addresses bind(2) means by `address`.
    pub(crate) fn scope(
        &self,
        family: Family,
        options: &Options,
        address: IpAddress,
    ) -> Result<Scope, Errno> {
        match address {
            IpAddress::Ipv4(v4) if v4.is_unspecified() => Ok(Scope::Any4),
            IpAddress::Ipv6(v6) if v6.is_unspecified() => Ok(self.any_scope(family, options)),
            _ if is_loopback(address)
                || self.is_ethernet_address(address)
                || options.flag(SOL_IP, uapi::IP_FREEBIND) =>
            {
                Ok(Scope::One(address))
            }
            _ => Err(Errno::EADDRNOTAVAIL),
        }
    }

    /// All local addresses a socket of `family` serves.
    pub(crate) fn any_scope(&self, family: Family, options: &Options) -> Scope {
        match family {
            Family::Inet => Scope::Any4,
            Family::Inet6 if options.flag(SOL_IPV6, uapi::IPV6_V6ONLY) => Scope::Any6,
            Family::Inet6 => Scope::Any,
        }
    }
}

/// The loopback address that packets to `remote` come from.
pub(crate) fn loopback_like(remote: IpAddress) -> IpAddress {
    match remote {
        IpAddress::Ipv4(_) => Ipv4Addr::LOCALHOST.into(),
        IpAddress::Ipv6(_) => Ipv6Addr::LOCALHOST.into(),
    }
}

/// Whether `address` is reached through the loopback interface whatever ours are.
pub(crate) fn is_loopback(address: IpAddress) -> bool {
    match address {
        IpAddress::Ipv4(v4) => v4.is_loopback(),
        IpAddress::Ipv6(v6) => v6.is_loopback(),
    }
}

fn instant(micros: u64) -> Instant {
    Instant::from_micros(i64::try_from(micros).unwrap_or(i64::MAX))
}
