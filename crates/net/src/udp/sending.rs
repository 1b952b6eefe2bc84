//! Binding, connecting and sending.

use alloc::vec;
use core::num::NonZeroU8;

use linux_abi::Errno;
use linux_abi::raw::net as uapi;
use smoltcp::time::Duration;
use smoltcp::wire::{IpAddress, IpEndpoint};
use vfs::{SendMessage, SliceSource, Source};

use super::carrier::{Carrier, Envelope, Parked, fill};
use super::state::UdpState;
use crate::address::{AF_UNSPEC, family_of, parse_endpoint};
use crate::core::{Core, Route};
use crate::link::LinkName;
use crate::neighbour::ABSENT_AFTER;
use crate::options::{Options, SOL_IP, SOL_SOCKET};
use crate::ports::{Binding, Scope};
use crate::slab::Id;

/// IPv4 and UDP header.
const HEADERS: usize = 28;
/// The longest payload of a UDP datagram over IPv4.
const LONGEST: usize = 65_535 - HEADERS;
/// Datagrams that wait at the same time.
const PARKED_LIMIT: usize = 64;
/// How long a datagram waits for its neighbour's address.
const RESOLVE_TIMEOUT: Duration = ABSENT_AFTER;
/// Time between two tries.
const RETRY: Duration = Duration::from_secs(1);

impl Core {
    pub(crate) fn udp_bind(&mut self, id: Id, address: &[u8]) -> Result<(), Errno> {
        let socket = self.udp.sockets.get(id).ok_or(Errno::EBADF)?;
        let endpoint = parse_endpoint(socket.family, address)?;
        if socket.bound.is_some() {
            return Err(Errno::EINVAL);
        }
        let scope = match endpoint.addr {
            group if group.is_multicast() => Scope::One(group),
            address => self.scope(socket.family, &socket.options, address)?,
        };
        self.udp_claim(id, scope, endpoint.port)
    }

    fn udp_claim(&mut self, id: Id, scope: Scope, port: u16) -> Result<(), Errno> {
        let random = self.platform.random_u32();
        let socket = self.udp.sockets.get_mut(id).ok_or(Errno::EBADF)?;
        let binding = Binding::new(id, scope, &socket.options);
        let port = self.udp.ports.claim(port, binding, random)?;
        socket.bound = Some((scope, port));
        Ok(())
    }

    /// Gives the socket a port if it has none.
    fn udp_ensure_bound(&mut self, id: Id) -> Result<(), Errno> {
        let socket = self.udp.sockets.get(id).ok_or(Errno::EBADF)?;
        if socket.bound.is_some() {
            return Ok(());
        }
        self.udp_claim(id, self.any_scope(socket.family, &socket.options), 0)
    }

    pub(crate) fn udp_connect(&mut self, id: Id, address: &[u8]) -> Result<(), Errno> {
        if family_of(address)? == AF_UNSPEC {
            return self.udp_set_peer(id, None);
        }
        let socket = self.udp.sockets.get(id).ok_or(Errno::EBADF)?;
        let remote = parse_endpoint(socket.family, address)?;
        let route = self.udp_route(socket, remote.addr)?;
        self.udp_ensure_bound(id)?;
        let remote = IpEndpoint::new(route.remote, remote.port);
        self.udp_set_peer(id, Some((route.local, remote)))
    }

    fn udp_set_peer(&mut self, id: Id, peer: Option<(IpAddress, IpEndpoint)>) -> Result<(), Errno> {
        let socket = self.udp.sockets.get_mut(id).ok_or(Errno::EBADF)?;
        socket.peer = peer;
        if let Some((scope, port)) = socket.bound {
            self.udp.ports.update(port, id, |binding| {
                binding.scope = peer.map_or(scope, |(local, _)| Scope::One(local));
                binding.peer = peer.map(|(_, remote)| remote);
            });
        }
        Ok(())
    }

    fn udp_route(&self, socket: &UdpState, remote: IpAddress) -> Result<Route, Errno> {
        let bound = socket
            .bound_address()
            .filter(|address| !address.is_multicast());
        let route = self.route(remote, bound)?;
        let allowed = socket.options.flag(SOL_SOCKET, uapi::SO_BROADCAST);
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
        if let Some(error) = socket.error.take() {
            self.udp_refresh(id);
            return Err(error);
        }
        if socket.write_shut {
            return Err(Errno::EPIPE);
        }
        let socket = self.udp.sockets.get(id).ok_or(Errno::EBADF)?;
        let remote = match message.address {
            Some(address) => parse_endpoint(socket.family, address)?,
            None => socket.peer.ok_or(Errno::EDESTADDRREQ)?.1,
        };
        if remote.port == 0 {
            return Err(Errno::EINVAL);
        }
        let route = self.udp_route(socket, remote.addr)?;
        let hop_limit = hop_limit(&socket.options, route.remote);
        self.udp_ensure_bound(id)?;
        let bound = self.udp.sockets.get(id).and_then(|socket| socket.bound);
        let envelope = Envelope {
            local: route.local,
            port: bound.map_or(0, |(_, port)| port),
            remote: IpEndpoint::new(route.remote, remote.port),
            hop_limit,
        };
        match route.link {
            LinkName::Loopback => self.udp_send_to_self(id, &envelope, from),
            LinkName::Ethernet if self.loops_back(id, route.remote) => {
                self.udp_send_to_group(id, &envelope, from)
            }
            LinkName::Ethernet => self.udp_transmit(id, &envelope, from),
        }
    }

    /// Hands a datagram to a socket of this machine.
    fn udp_send_to_self(
        &mut self,
        id: Id,
        envelope: &Envelope,
        from: &mut dyn Source,
    ) -> Result<usize, Errno> {
        let length = from.remaining();
        if length > LONGEST {
            return Err(Errno::EMSGSIZE);
        }
        let mut payload = vec![0; length];
        fill(&mut payload, from)?;
        if !self.udp_deliver(&envelope.arrival(&payload)) {
            self.udp_fail(id, Errno::ECONNREFUSED);
        }
        Ok(length)
    }

    /// Whether a datagram to a group also goes to sockets of this machine.
    fn loops_back(&self, id: Id, remote: IpAddress) -> bool {
        let socket = self.udp.sockets.get(id);
        let wanted = |socket: &UdpState| socket.options.flag(SOL_IP, uapi::IP_MULTICAST_LOOP);
        remote.is_multicast() && self.is_joined(remote) && socket.is_some_and(wanted)
    }

    /// Sends a datagram to a multicast group, of which this machine is a member.
    fn udp_send_to_group(
        &mut self,
        id: Id,
        envelope: &Envelope,
        from: &mut dyn Source,
    ) -> Result<usize, Errno> {
        let mut payload = vec![0; from.remaining().min(LONGEST)];
        fill(&mut payload, from)?;
        let sent = self.udp_transmit(id, envelope, &mut SliceSource(&payload))?;
        self.udp_deliver_to_all(&envelope.arrival(&payload));
        Ok(sent)
    }

    fn udp_transmit(
        &mut self,
        id: Id,
        envelope: &Envelope,
        from: &mut dyn Source,
    ) -> Result<usize, Errno> {
        let Self {
            links, udp, now, ..
        } = self;
        let link = links.ethernet.as_mut().ok_or(Errno::ENETDOWN)?;
        let capacity = link.ip_mtu().saturating_sub(HEADERS);
        if from.remaining() > capacity {
            return Err(Errno::EMSGSIZE);
        }
        let spare = udp.carrier.take();
        let mut carrier = spare.unwrap_or_else(|| Carrier::new(capacity));
        let length = carrier.load(envelope, from)?;
        if link.egress(*now, &mut carrier.set).any() {
            udp.carrier = Some(carrier);
        } else if udp.parked.len() < PARKED_LIMIT {
            link.find_neighbour(*now, envelope.remote.addr);
            udp.parked.push_back(Parked {
                carrier,
                owner: id,
                remote: envelope.remote.addr,
                expires_at: *now + RESOLVE_TIMEOUT,
            });
            udp.retry_at.get_or_insert(*now + RETRY);
        }
        Ok(length)
    }

    /// Tries to send again what had to wait.
    pub(crate) fn udp_retry(&mut self) {
        for _ in 0..self.udp.parked.len() {
            let Self {
                links, udp, now, ..
            } = self;
            let (Some(mut parked), Some(link)) = (udp.parked.pop_front(), &mut links.ethernet)
            else {
                break;
            };
            if link.egress(*now, &mut parked.carrier.set).any() {
                udp.carrier = Some(parked.carrier);
            } else if parked.expires_at > *now {
                link.find_neighbour(*now, parked.remote);
                udp.parked.push_back(parked);
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
        if let Some((_, port)) = socket.and_then(|socket| socket.bound) {
            self.udp.ports.remove(port, id);
        }
    }
}

fn hop_limit(options: &Options, remote: IpAddress) -> Option<NonZeroU8> {
    let name = match remote.is_multicast() {
        true => uapi::IP_MULTICAST_TTL,
        false => uapi::IP_TTL,
    };
    let value = u8::try_from(options.value(SOL_IP, name)).ok();
    value.and_then(NonZeroU8::new)
}
