//! Bringing datagrams, and news about ours, to sockets.

use alloc::vec::Vec;
use core::net::Ipv4Addr;

use linux_abi::Errno;
use linux_abi::raw::net as uapi;
use smoltcp::socket::tcp::State;
use smoltcp::wire::{IpAddress, IpProtocol};

use super::state::Datagram;
use crate::core::Core;
use crate::demux::Arrival;
use crate::icmp::Unreachable;
use crate::ipv6::ALL_NODES;
use crate::link::LinkName;
use crate::options::{Options, SOL_IP, SOL_IPV6, SOL_SOCKET};
use crate::slab::Id;
use crate::tcp::block::Block;

impl Core {
    /// A datagram came in; whether a socket was there for it.
    pub(crate) fn udp_ingress(&mut self, link: LinkName, arrival: &Arrival<'_>) -> bool {
        let to = arrival.local.addr;
        if to.is_multicast() {
            return self.udp_deliver_to_group(link, arrival);
        }
        if self.is_broadcast(link, to) {
            let receivers = self.udp_receivers(link, arrival);
            return self.udp_push_to_all(&receivers, arrival);
        }
        self.is_own_address(link, to) && self.udp_deliver(link, arrival)
    }

    /// Gives a datagram to those who listen to its group.
    fn udp_deliver_to_group(&mut self, link: LinkName, arrival: &Arrival<'_>) -> bool {
        let group = arrival.local.addr;
        let members = self.group_members(link, group);
        if members.is_empty() && !is_everyones(group) {
            return false;
        }
        let mut receivers = self.udp_receivers(link, arrival);
        receivers.retain(|id| members.contains(id) || self.hears_all_groups(*id, group));
        self.udp_push_to_all(&receivers, arrival)
    }

    /// Whether a socket also hears groups that only others joined (ip(7), `IP_MULTICAST_ALL`).
    fn hears_all_groups(&self, id: Id, group: IpAddress) -> bool {
        let (level, name) = match group {
            IpAddress::Ipv4(_) => (SOL_IP, uapi::IP_MULTICAST_ALL),
            IpAddress::Ipv6(_) => (SOL_IPV6, uapi::IPV6_MULTICAST_ALL),
        };
        let socket = self.udp.sockets.get(id);
        socket.is_some_and(|socket| socket.inet.options.flag(level, name))
    }

    /// Every socket that is bound to a datagram's destination.
    fn udp_receivers(&self, link: LinkName, arrival: &Arrival<'_>) -> Vec<Id> {
        let bindings = self.udp.ports.bindings(arrival.local.port).iter();
        bindings
            .filter(|binding| binding.hears(link, arrival.local.addr))
            .filter(|binding| binding.peer.is_none_or(|peer| peer == arrival.remote))
            .map(|binding| binding.owner)
            .collect()
    }

    fn udp_push_to_all(&mut self, receivers: &[Id], arrival: &Arrival<'_>) -> bool {
        for id in receivers {
            self.udp_push(*id, arrival);
        }
        !receivers.is_empty()
    }

    /// Gives a datagram for one of our addresses to its socket; `false` if there is none.
    fn udp_deliver(&mut self, link: LinkName, arrival: &Arrival<'_>) -> bool {
        let receiver = self.udp.receiver(link, arrival.local, arrival.remote);
        if let Some(id) = receiver {
            self.udp_push(id, arrival);
        }
        receiver.is_some()
    }

    fn udp_push(&mut self, id: Id, arrival: &Arrival<'_>) {
        let Some(socket) = self.udp.sockets.get_mut(id) else {
            return;
        };
        let wants_time = socket.inet.options.flag(SOL_SOCKET, uapi::SO_TIMESTAMP_OLD);
        let datagram = || Datagram {
            came_at: wants_time.then(|| self.platform.wall_micros()),
            from: arrival.remote,
            to: arrival.local.addr,
            hop_limit: arrival.hop_limit,
            traffic_class: arrival.traffic_class,
            payload: arrival.payload.to_vec(),
        };
        socket.push(datagram, arrival.payload.len());
        self.udp_refresh(id);
    }

    /// Publishes the readiness of a socket.
    pub(crate) fn udp_refresh(&mut self, id: Id) {
        if let Some(socket) = self.udp.sockets.get(id) {
            self.wakes.update(&socket.inet.readiness, socket.events());
        }
    }

    /// Records an asynchronous error of a socket that is connected or wants to hear of all
    /// (ip(7), `IP_RECVERR`).
    pub(crate) fn udp_fail(&mut self, id: Id, error: Errno) {
        let wants_all = |options: &Options| {
            options.flag(SOL_IP, uapi::IP_RECVERR) || options.flag(SOL_IPV6, uapi::IPV6_RECVERR)
        };
        if let Some(socket) = self.udp.sockets.get_mut(id)
            && (socket.peer.is_some() || wants_all(&socket.inet.options))
        {
            socket.inet.error = Some(error);
            self.udp_refresh(id);
        }
    }

    /// A packet of ours did not arrive.
    pub(crate) fn unreachable_ingress(&mut self, link: LinkName, report: &Unreachable) {
        let error = report.error;
        match report.protocol {
            IpProtocol::Udp => {
                if let Some(id) = self.udp.receiver(link, report.local, report.remote) {
                    self.udp_fail(id, error);
                }
            }
            IpProtocol::Tcp => self.tcp_unreachable(report, error),
            _ => {}
        }
    }

    /// Ends an attempt to connect; established connections are not disturbed (RFC 5461).
    fn tcp_unreachable(&mut self, report: &Unreachable, error: Errno) {
        let tuple = (report.local, report.remote);
        let Some(id) = self.tcp.flows.get(&tuple).copied() else {
            return;
        };
        let flow = self.tcp.blocks.get(id).and_then(Block::flow);
        if flow.is_some_and(|flow| flow.state() == State::SynSent) {
            self.tcp_abort_connect(id, error);
        }
    }
}

/// Whether a group has every interface as its member.
fn is_everyones(group: IpAddress) -> bool {
    match group {
        IpAddress::Ipv4(group) => group == Ipv4Addr::new(224, 0, 0, 1),
        IpAddress::Ipv6(group) => group == ALL_NODES,
    }
}
