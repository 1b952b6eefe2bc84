//! Which local ports are taken, and by whom.

use alloc::vec::Vec;

use hashbrown::HashMap;
use linux_abi::Errno;
use linux_abi::raw::net::{SO_REUSEADDR, SO_REUSEPORT};
use smoltcp::wire::{IpAddress, IpEndpoint};

use crate::inet::Inet;
use crate::link::LinkName;
use crate::options::SOL_SOCKET;
use crate::slab::Id;

/// First and one-past-last port for automatic choice, Linux's `ip_local_port_range`.
pub(crate) const EPHEMERAL: core::ops::Range<u16> = 32768..61000;

/// The random state of all hash maps: seeded once per stack, so that foreigners cannot aim for
/// collisions.
pub(crate) type HashSeed = foldhash::quality::SeedableRandomState;

/// The local addresses a socket is bound to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// All IPv4 addresses.
    Any4,
    /// All IPv6 addresses.
    Any6,
    /// All addresses.
    Any,
    /// One address.
    One(IpAddress),
}

impl Scope {
    pub(crate) fn covers(self, address: IpAddress) -> bool {
        match self {
            Self::Any => true,
            Self::Any4 => matches!(address, IpAddress::Ipv4(_)),
            Self::Any6 => matches!(address, IpAddress::Ipv6(_)),
            Self::One(own) => own == address,
        }
    }

    fn overlaps(self, other: Self) -> bool {
        match (self, other) {
            (Self::One(own), any) | (any, Self::One(own)) => any.covers(own),
            (Self::Any4, Self::Any6) | (Self::Any6, Self::Any4) => false,
            _ => true,
        }
    }
}

/// One socket's claim on a port.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Binding {
    pub(crate) owner: Id,
    pub(crate) scope: Scope,
    /// `SO_BINDTODEVICE`: the only interface that is heard.
    pub(crate) device: Option<LinkName>,
    /// `SO_REUSEADDR` at the time of bind(2).
    pub(crate) reuse: bool,
    /// `SO_REUSEPORT` at the time of bind(2).
    pub(crate) share: bool,
    /// TCP: whether the socket listens.
    pub(crate) listening: bool,
    /// UDP: the only sender that is heard.
    pub(crate) peer: Option<IpEndpoint>,
}

impl Binding {
    pub(crate) fn new(owner: Id, scope: Scope, inet: &Inet) -> Self {
        let flag = |name| inet.options.flag(SOL_SOCKET, name);
        Self {
            owner,
            scope,
            device: inet.device,
            reuse: flag(SO_REUSEADDR),
            share: flag(SO_REUSEPORT),
            listening: false,
            peer: None,
        }
    }

    /// Whether both sockets may have the port (socket(7), `SO_REUSEADDR` and `SO_REUSEPORT`).
    fn coexists(&self, other: &Self) -> bool {
        let reused = self.reuse && other.reuse && !other.listening;
        let apart = self
            .device
            .zip(other.device)
            .is_some_and(|(own, other)| own != other);
        reused || (self.share && other.share) || apart || !self.scope.overlaps(other.scope)
    }

    /// Whether packets to `address` that come in by `link` are for the socket.
    pub(crate) fn hears(&self, link: LinkName, address: IpAddress) -> bool {
        self.scope.covers(address) && self.device.is_none_or(|device| device == link)
    }
}

#[derive(Default)]
struct PortUse {
    bindings: Vec<Binding>,
    /// Connections (alive or in TIME-WAIT) with this local port and no binding of their own.
    connections: usize,
}

/// The ports of one transport protocol.
pub(crate) struct PortTable(HashMap<u16, PortUse, HashSeed>);

impl PortTable {
    pub(crate) fn new(seed: HashSeed) -> Self {
        Self(HashMap::with_hasher(seed))
    }

    pub(crate) fn bindings(&self, port: u16) -> &[Binding] {
        self.0.get(&port).map_or(&[], |entry| &entry.bindings)
    }

    /// Claims `port`, or any free one for port 0 (searching from a `random` one on).
    ///
    /// # Errors
    /// `EADDRINUSE` as for bind(2).
    pub(crate) fn claim(&mut self, port: u16, binding: Binding, random: u32) -> Result<u16, Errno> {
        let port = match port {
            0 => Self::choose(random, |port| !self.0.contains_key(&port)),
            port => Some(port).filter(|port| !self.conflicts(*port, &binding)),
        };
        let port = port.ok_or(Errno::EADDRINUSE)?;
        self.0.entry(port).or_default().bindings.push(binding);
        Ok(port)
    }

    fn conflicts(&self, port: u16, wanted: &Binding) -> bool {
        self.0.get(&port).is_some_and(|entry| {
            let in_use = entry.connections > 0 && !wanted.reuse && !wanted.share;
            in_use || entry.bindings.iter().any(|other| !wanted.coexists(other))
        })
    }

    /// Whether another listener has the addresses of `owner`, which `SO_REUSEADDR` alone does not
    /// allow.
    pub(crate) fn has_other_listener(&self, port: u16, owner: Id) -> bool {
        let bindings = self.bindings(port);
        let own = bindings.iter().find(|binding| binding.owner == owner);
        own.is_some_and(|own| {
            let mut others = bindings.iter().filter(|other| other.owner != owner);
            others.any(|other| other.listening && !own.coexists(other))
        })
    }

    /// Changes the binding of `owner`.
    pub(crate) fn update(&mut self, port: u16, owner: Id, change: impl FnOnce(&mut Binding)) {
        let entry = self.0.get_mut(&port);
        if let Some(binding) = entry.and_then(|entry| {
            entry
                .bindings
                .iter_mut()
                .find(|binding| binding.owner == owner)
        }) {
            change(binding);
        }
    }

    pub(crate) fn remove(&mut self, port: u16, owner: Id) {
        if let Some(entry) = self.0.get_mut(&port) {
            entry.bindings.retain(|binding| binding.owner != owner);
        }
        self.forget_if_unused(port);
    }

    pub(crate) fn add_connection(&mut self, port: u16) {
        self.0.entry(port).or_default().connections += 1;
    }

    pub(crate) fn remove_connection(&mut self, port: u16) {
        if let Some(entry) = self.0.get_mut(&port) {
            entry.connections = entry.connections.saturating_sub(1);
        }
        self.forget_if_unused(port);
    }

    fn forget_if_unused(&mut self, port: u16) {
        let unused = |entry: &PortUse| entry.bindings.is_empty() && entry.connections == 0;
        if self.0.get(&port).is_some_and(unused) {
            self.0.remove(&port);
        }
    }

    /// Tries the ephemeral ports once around from a random one until `usable` takes one.
    pub(crate) fn choose(random: u32, mut usable: impl FnMut(u16) -> bool) -> Option<u16> {
        let count = u32::from(EPHEMERAL.end - EPHEMERAL.start);
        (0..count)
            .map(|step| EPHEMERAL.start + ((random % count + step) % count) as u16)
            .find(|port| usable(*port))
    }

    /// How many ports are in use.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}
