//! Binding, connecting and sending.

use alloc::vec::Vec;

use linux_abi::Errno;
use linux_abi::raw::net as uapi;
use smoltcp::time::Duration;
use smoltcp::wire::{IpAddress, IpEndpoint};
use vfs::{SendMessage, Source};

use super::ancillary::Wishes;
use super::packet::{Envelope, take};
use super::state::{Parked, UdpState};
use crate::address::{AF_UNSPEC, family_of, parse_endpoint, zone};
use crate::core::{Core, Route, loopback_like};
use crate::link::LinkName;
use crate::neighbour::ABSENT_AFTER;
use crate::options::{Options, SOL_IP, SOL_IPV6, SOL_SOCKET};
use crate::ports::{Binding, Scope};
use crate::slab::Id;

/// Datagrams that wait at the same time.
const PARKED_LIMIT: usize = 64;
/// How long a datagram waits for its neighbour's address.
const RESOLVE_TIMEOUT: Duration = ABSENT_AFTER;
/// Time between two tries.
const RETRY: Duration = Duration::from_secs(1);

impl Core {
    pub(crate) fn udp_bind(&mut self, id: Id, address: &[u8]) -> Result<(), Errno> {
        let socket = self.udp.sockets.get(id).ok_or(Errno::EBADF)?;
        let endpoint = parse_endpoint(socket.inet.family, address)?;
        if socket.inet.bound.is_some() {
            return Err(Errno::EINVAL);
        }
        let scope = match endpoint.addr {
            group if group.is_multicast() => Scope::One(group),
            own => {
                self.check_zone(own, zone(address))?;
                self.scope(socket.inet.family, &socket.inet.options, own)?
            }
        };
        self.udp_claim(id, scope, endpoint.port)
    }

    fn udp_claim(&mut self, id: Id, scope: Scope, port: u16) -> Result<(), Errno> {
        let random = self.platform.random_u32();
        let socket = self.udp.sockets.get_mut(id).ok_or(Errno::EBADF)?;
        let binding = Binding::new(id, scope, &socket.inet);
        let port = self.udp.ports.claim(port, binding, random)?;
        socket.inet.bound = Some((scope, port));
        Ok(())
    }

    /// Gives the socket a port if it has none.
    fn udp_ensure_bound(&mut self, id: Id) -> Result<(), Errno> {
        let socket = self.udp.sockets.get(id).ok_or(Errno::EBADF)?;
        if socket.inet.bound.is_some() {
            return Ok(());
        }
        self.udp_claim(
            id,
            self.any_scope(socket.inet.family, &socket.inet.options),
            0,
        )
    }

    pub(crate) fn udp_connect(&mut self, id: Id, address: &[u8]) -> Result<(), Errno> {
        if family_of(address)? == AF_UNSPEC {
            return self.udp_set_peer(id, None);
        }
        let socket = self.udp.sockets.get(id).ok_or(Errno::EBADF)?;
        let remote = socket.inet.remote(address)?;
        self.check_zone(remote.addr, zone(address))?;
        let route = self.udp_route(socket, None, remote.addr, zone(address))?;
        self.udp_ensure_bound(id)?;
        let remote = IpEndpoint::new(route.remote, remote.port);
        self.udp_set_peer(id, Some((route.local, remote)))
    }

    fn udp_set_peer(&mut self, id: Id, peer: Option<(IpAddress, IpEndpoint)>) -> Result<(), Errno> {
        let socket = self.udp.sockets.get_mut(id).ok_or(Errno::EBADF)?;
        socket.peer = peer;
        if let Some((scope, port)) = socket.inet.bound {
            self.udp.ports.update(port, id, |binding| {
                binding.scope = peer.map_or(scope, |(local, _)| Scope::One(local));
                binding.peer = peer.map(|(_, remote)| remote);
            });
        }
        Ok(())
    }

    /// Where datagrams to `remote` go, from `source` if there is a choice; `zone` is the
    /// destination's `sin6_scope_id`.
    fn udp_route(
        &self,
        socket: &UdpState,
        source: Option<IpAddress>,
        remote: IpAddress,
        zone: u32,
    ) -> Result<Route, Errno> {
        let bound = source
            .or(socket.inet.bound_address())
            .filter(|address| !address.is_multicast());
        if remote.is_multicast() && self.group_link(socket, remote, zone)? == LinkName::Loopback {
            return Ok(Route {
                link: LinkName::Loopback,
                local: bound.unwrap_or(loopback_like(remote)),
                remote,
            });
        }
        let route = self.route(remote, bound, socket.inet.device)?;
        let allowed = socket.inet.options.flag(SOL_SOCKET, uapi::SO_BROADCAST);
        if self.is_broadcast(route.link, route.remote) && !allowed {
            return Err(Errno::EACCES);
        }
        Ok(route)
    }

    pub(crate) fn udp_send(
        &mut self,
        id: Id,
        from: &mut dyn Source,
        message: &SendMessage<'_>,
    ) -> Result<usize, Errno> {
        let socket = self.udp.sockets.get_mut(id).ok_or(Errno::EBADF)?;
        if let Some(error) = socket.inet.error.take() {
            self.udp_refresh(id);
            return Err(error);
        }
        if socket.write_shut {
            return Err(Errno::EPIPE);
        }
        let outgoing = self.udp_address(id, message)?;
        self.udp_check_size(&outgoing, from.remaining())?;
        let length = from.remaining();
        self.udp_send_out(&outgoing, take(from)?);
        Ok(length)
    }

    /// Finds out where a datagram goes, and how.
    fn udp_address(&mut self, id: Id, message: &SendMessage<'_>) -> Result<Outgoing, Errno> {
        let socket = self.udp.sockets.get(id).ok_or(Errno::EBADF)?;
        let remote = match message.address {
            Some(address) => socket.inet.remote(address)?,
            None => socket.peer.ok_or(Errno::EDESTADDRREQ)?.1,
        };
        if remote.port == 0 {
            return Err(Errno::EINVAL);
        }
        let zone = message.address.map_or(0, zone);
        let wishes = Wishes::read(remote.addr, &message.control)?;
        let route = self.udp_route(socket, wishes.source, remote.addr, zone)?;
        self.udp_ensure_bound(id)?;
        let socket = self.udp.sockets.get(id).ok_or(Errno::EBADF)?;
        let port = socket.inet.bound.map_or(0, |(_, port)| port);
        let options = &socket.inet.options;
        let hop_limit = || hop_limit(options, route.remote);
        let traffic_class = || traffic_class(options, route.remote);
        Ok(Outgoing {
            owner: id,
            link: route.link,
            loops: self.is_broadcast(route.link, route.remote)
                || route.remote.is_multicast() && loops_back(options, route.remote),
            whole: must_stay_whole(options, route.remote),
            envelope: Envelope {
                local: IpEndpoint::new(route.local, port),
                remote: IpEndpoint::new(route.remote, remote.port),
                hop_limit: wishes.hop_limit.unwrap_or_else(hop_limit),
                traffic_class: wishes.traffic_class.unwrap_or_else(traffic_class),
            },
        })
    }

    fn udp_check_size(&self, outgoing: &Outgoing, length: usize) -> Result<(), Errno> {
        let envelope = &outgoing.envelope;
        let ethernet = self.links.ethernet.as_ref();
        let fits_one = match (outgoing.link, ethernet) {
            (LinkName::Ethernet, Some(link)) => length <= envelope.longest_whole(link.ip_mtu()),
            _ => true,
        };
        match length <= envelope.longest() && (fits_one || !outgoing.whole) {
            true => Ok(()),
            false => Err(Errno::EMSGSIZE),
        }
    }

    fn udp_send_out(&mut self, outgoing: &Outgoing, datagram: Vec<u8>) {
        let arrival = outgoing.envelope.arrival(&datagram);
        match outgoing.link {
            LinkName::Loopback => {
                let is_for_one = arrival.local.addr.is_unicast() && !outgoing.loops;
                if !self.udp_ingress(LinkName::Loopback, &arrival) && is_for_one {
                    self.udp_fail(outgoing.owner, Errno::ECONNREFUSED);
                }
            }
            LinkName::Ethernet => {
                if outgoing.loops {
                    self.udp_ingress(LinkName::Ethernet, &arrival);
                }
                self.udp_transmit(Parked {
                    datagram,
                    envelope: outgoing.envelope,
                    owner: outgoing.owner,
                    expires_at: self.now + RESOLVE_TIMEOUT,
                });
            }
        }
    }

    /// Sends a datagram now or as soon as it can leave.
    fn udp_transmit(&mut self, mut parked: Parked) {
        if !self.udp_try(&mut parked) && self.udp.parked.len() < PARKED_LIMIT {
            self.udp.retry_at.get_or_insert(self.now + RETRY);
            self.udp.parked.push_back(parked);
        }
    }

    /// Sends a datagram unless the device is busy or its neighbour's address is not known.
    fn udp_try(&mut self, parked: &mut Parked) -> bool {
        let Some(link) = &mut self.links.ethernet else {
            return true;
        };
        if link.outlet.is_blocked() {
            return false;
        }
        let envelope = parked.envelope;
        let Some(mac) = link.hardware_address(self.now, envelope.remote.addr) else {
            return false;
        };
        let identification = self.platform.random_u32();
        envelope.send(link, mac, &mut parked.datagram, identification);
        true
    }

    /// Tries to send again what had to wait.
    pub(crate) fn udp_retry(&mut self) {
        for _ in 0..self.udp.parked.len() {
            let Some(mut parked) = self.udp.parked.pop_front() else {
                break;
            };
            if self.udp_try(&mut parked) {
                continue;
            }
            if parked.expires_at > self.now {
                self.udp.parked.push_back(parked);
            } else {
                self.udp_fail(parked.owner, Errno::EHOSTUNREACH);
            }
        }
        let waiting = !self.udp.parked.is_empty();
        self.udp.retry_at = waiting.then(|| self.now + RETRY);
    }

    pub(crate) fn udp_expire(&mut self) {
        if self.udp.retry_at.is_some_and(|at| at <= self.now) {
            self.udp_retry();
        }
    }

    /// The descriptor is gone.
    pub(crate) fn udp_close(&mut self, id: Id) {
        self.udp_leave_all(id);
        let socket = self.udp.sockets.remove(id);
        if let Some((_, port)) = socket.and_then(|socket| socket.inet.bound) {
            self.udp.ports.remove(port, id);
        }
    }
}

/// A datagram that is about to leave.
struct Outgoing {
    owner: Id,
    link: LinkName,
    envelope: Envelope,
    /// Whether it is for many, those on this machine among them.
    loops: bool,
    /// Whether it may not be sent in parts.
    whole: bool,
}

/// The option of the family that `remote` belongs to.
fn option(options: &Options, remote: IpAddress, v4: u32, v6: u32) -> i32 {
    match remote {
        IpAddress::Ipv4(_) => options.value(SOL_IP, v4),
        IpAddress::Ipv6(_) => options.value(SOL_IPV6, v6),
    }
}

fn hop_limit(options: &Options, remote: IpAddress) -> u8 {
    let (v4, v6, default) = match remote.is_multicast() {
        true => (uapi::IP_MULTICAST_TTL, uapi::IPV6_MULTICAST_HOPS, 1),
        false => (uapi::IP_TTL, uapi::IPV6_UNICAST_HOPS, 64),
    };
    u8::try_from(option(options, remote, v4, v6)).unwrap_or(default)
}

fn traffic_class(options: &Options, remote: IpAddress) -> u8 {
    let value = option(options, remote, uapi::IP_TOS, uapi::IPV6_TCLASS);
    u8::try_from(value).unwrap_or(0)
}

fn loops_back(options: &Options, remote: IpAddress) -> bool {
    option(
        options,
        remote,
        uapi::IP_MULTICAST_LOOP,
        uapi::IPV6_MULTICAST_LOOP,
    ) != 0
}

/// Whether path MTU discovery is wanted in the strict sense (ip(7), `IP_MTU_DISCOVER`).
fn must_stay_whole(options: &Options, remote: IpAddress) -> bool {
    let mode = option(
        options,
        remote,
        uapi::IP_MTU_DISCOVER,
        uapi::IPV6_MTU_DISCOVER,
    ) as u32;
    mode == uapi::IP_PMTUDISC_DO || mode == uapi::IP_PMTUDISC_PROBE
}
