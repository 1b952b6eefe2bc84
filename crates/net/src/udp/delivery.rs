//! Bringing datagrams, and news about ours, to sockets.

use alloc::vec::Vec;

use linux_abi::Errno;
use smoltcp::socket::tcp::State;
use smoltcp::wire::{Icmpv4DstUnreachable, IpProtocol};

use super::state::Datagram;
use crate::core::Core;
use crate::demux::{Arrival, Unreachable};
use crate::link::LinkName;
use crate::slab::Id;
use crate::tcp::block::Block;

impl Core {
    /// A datagram came in; whether a socket was there for it.
    pub(crate) fn udp_ingress(&mut self, link: LinkName, arrival: &Arrival<'_>) -> bool {
        if self.is_own_address(link, arrival.local.addr) {
            return self.udp_deliver(arrival);
        }
        self.is_for_everyone(link, arrival) && self.udp_deliver_to_all(arrival)
    }

    /// Gives a datagram to every socket that is bound to its destination.
    pub(crate) fn udp_deliver_to_all(&mut self, arrival: &Arrival<'_>) -> bool {
        let bindings = self.udp.ports.bindings(arrival.local.port).iter();
        let receivers: Vec<Id> = bindings
            .filter(|binding| binding.scope.covers(arrival.local.addr))
            .filter(|binding| binding.peer.is_none_or(|peer| peer == arrival.remote))
            .map(|binding| binding.owner)
            .collect();
        for id in &receivers {
            self.udp_push(*id, arrival);
        }
        !receivers.is_empty()
    }

    fn is_for_everyone(&self, link: LinkName, arrival: &Arrival<'_>) -> bool {
        self.is_broadcast(link, arrival.local.addr) || self.is_joined(arrival.local.addr)
    }

    /// Gives a datagram for one of our addresses to its socket; `false` if there is none.
    pub(crate) fn udp_deliver(&mut self, arrival: &Arrival<'_>) -> bool {
        let receiver = self.udp.receiver(arrival.local, arrival.remote);
        if let Some(id) = receiver {
            self.udp_push(id, arrival);
        }
        receiver.is_some()
    }

    fn udp_push(&mut self, id: Id, arrival: &Arrival<'_>) {
        let Some(socket) = self.udp.sockets.get_mut(id) else {
            return;
        };
        let datagram = || Datagram {
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
            self.wakes.update(&socket.readiness, socket.events());
        }
    }

    /// Records an asynchronous error of a connected socket.
    pub(crate) fn udp_fail(&mut self, id: Id, error: Errno) {
        if let Some(socket) = self.udp.sockets.get_mut(id)
            && socket.peer.is_some()
        {
            socket.error = Some(error);
            self.udp_refresh(id);
        }
    }

    /// A packet of ours did not arrive.
    pub(crate) fn unreachable_ingress(&mut self, report: &Unreachable) {
        let Some(error) = errno(report.reason) else {
            return;
        };
        match report.protocol {
            IpProtocol::Udp => {
                if let Some(id) = self.udp.receiver(report.local, report.remote) {
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

/// The error for a reason (Linux: `icmp_err_convert`); `None` for those that are handled silently.
fn errno(reason: Icmpv4DstUnreachable) -> Option<Errno> {
    match reason {
        Icmpv4DstUnreachable::NetUnreachable | Icmpv4DstUnreachable::NetUnreachToS => {
            Some(Errno::ENETUNREACH)
        }
        Icmpv4DstUnreachable::PortUnreachable => Some(Errno::ECONNREFUSED),
        Icmpv4DstUnreachable::ProtoUnreachable => Some(Errno::ENOPROTOOPT),
        Icmpv4DstUnreachable::FragRequired => None,
        _ => Some(Errno::EHOSTUNREACH),
    }
}
