//! The state of one UDP socket, and all of them.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use linux_abi::raw::net::SO_RCVBUF;
use smoltcp::time::Instant;
use smoltcp::wire::{IpAddress, IpEndpoint};
use vfs::Events;

use super::multicast::Membership;
use super::packet::Envelope;
use crate::address::Family;
use crate::inet::Inet;
use crate::link::LinkName;
use crate::options::{Options, SOL_SOCKET, Transport};
use crate::ports::{HashSeed, PortTable, Scope};
use crate::slab::{Id, Slab};

/// What a queued datagram counts besides its payload, so that empty ones are not free.
const DATAGRAM_OVERHEAD: usize = 256;

/// A received datagram.
pub(crate) struct Datagram {
    pub(crate) from: IpEndpoint,
    /// Which of our addresses it was sent to.
    pub(crate) to: IpAddress,
    pub(crate) hop_limit: u8,
    pub(crate) traffic_class: u8,
    /// When it came, in microseconds since 1970, if `SO_TIMESTAMP` asked for it.
    pub(crate) came_at: Option<u64>,
    pub(crate) payload: Vec<u8>,
}

/// A socket.
pub(crate) struct UdpState {
    pub(crate) inet: Inet,
    /// What connect(2) set: our address, and the other side.
    pub(crate) peer: Option<(IpAddress, IpEndpoint)>,
    /// `IP_MULTICAST_IF`: where datagrams to IPv4 groups leave.
    pub(crate) group_link: Option<LinkName>,
    pub(crate) read_shut: bool,
    pub(crate) write_shut: bool,
    queue: VecDeque<Datagram>,
    queued: usize,
}

impl UdpState {
    pub(crate) fn new(family: Family) -> Self {
        Self {
            inet: Inet::new(family, Options::new(Transport::Udp), Events::OUT),
            peer: None,
            group_link: None,
            read_shut: false,
            write_shut: false,
            queue: VecDeque::new(),
            queued: 0,
        }
    }

    /// Queues a datagram, or drops it when the receive buffer is full.
    pub(crate) fn push(&mut self, datagram: impl FnOnce() -> Datagram, length: usize) {
        let limit = self.inet.options.value(SOL_SOCKET, SO_RCVBUF) as usize;
        if self.queued + length + DATAGRAM_OVERHEAD <= limit {
            self.queued += length + DATAGRAM_OVERHEAD;
            self.queue.push_back(datagram());
        }
    }

    pub(crate) fn front(&self) -> Option<&Datagram> {
        self.queue.front()
    }

    pub(crate) fn pop(&mut self) {
        if let Some(datagram) = self.queue.pop_front() {
            self.queued -= datagram.payload.len() + DATAGRAM_OVERHEAD;
        }
    }

    /// poll(2).
    pub(crate) fn events(&self) -> Events {
        let mut events = Events::OUT;
        if !self.queue.is_empty() {
            events |= Events::IN;
        }
        if self.read_shut {
            events |= Events::IN | Events::RDHUP;
        }
        if self.read_shut && self.write_shut {
            events |= Events::HUP;
        }
        if self.inet.error.is_some() {
            events |= Events::ERR;
        }
        events
    }

    /// The local address as getsockname(2) shows it.
    pub(crate) fn local(&self) -> IpEndpoint {
        let mut local = self.inet.local();
        if let Some((address, _)) = self.peer {
            local.addr = address;
        }
        local
    }
}

/// A datagram that could not leave yet.
pub(crate) struct Parked {
    /// The payload after room for its header.
    pub(crate) datagram: Vec<u8>,
    pub(crate) envelope: Envelope,
    /// The socket it came from.
    pub(crate) owner: Id,
    /// When it is given up.
    pub(crate) expires_at: Instant,
}

/// All sockets, and what waits to be sent.
pub(crate) struct UdpTable {
    pub(crate) sockets: Slab<UdpState>,
    pub(crate) ports: PortTable,
    /// Multicast groups and the sockets that joined them.
    pub(crate) groups: Vec<Membership>,
    /// Datagrams that wait for a neighbour's address or a free device.
    pub(crate) parked: VecDeque<Parked>,
    /// When to try them again.
    pub(crate) retry_at: Option<Instant>,
}

impl UdpTable {
    pub(crate) fn new(seed: HashSeed) -> Self {
        Self {
            sockets: Slab::default(),
            ports: PortTable::new(seed),
            groups: Vec::new(),
            parked: VecDeque::new(),
            retry_at: None,
        }
    }

    /// The socket for a datagram from `remote` to `local`: one that listens to just that sender
    /// goes first, then one bound to just that address, then the one bound last.
    pub(crate) fn receiver(
        &self,
        link: LinkName,
        local: IpEndpoint,
        remote: IpEndpoint,
    ) -> Option<Id> {
        let bindings = self.ports.bindings(local.port).iter();
        bindings
            .filter(|binding| binding.hears(link, local.addr))
            .filter(|binding| binding.peer.is_none_or(|peer| peer == remote))
            .max_by_key(|binding| {
                (
                    binding.peer.is_some(),
                    matches!(binding.scope, Scope::One(_)),
                )
            })
            .map(|binding| binding.owner)
    }
}
