//! All TCP sockets, and the ways to find one.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use hashbrown::HashMap;
use smoltcp::wire::IpEndpoint;

use super::block::{Block, Owner};
use super::time_wait::TimeWait;
use crate::link::LinkName;
use crate::ports::{HashSeed, PortTable, Scope};
use crate::slab::{Id, Slab};
use crate::timers::Timers;

/// Local and remote address of a connection.
pub(crate) type Tuple = (IpEndpoint, IpEndpoint);

/// The sockets and their indexes.
pub(crate) struct TcpTable {
    pub(crate) blocks: Slab<Block>,
    pub(crate) flows: HashMap<Tuple, Id, HashSeed>,
    pub(crate) ports: PortTable,
    pub(crate) time_wait: TimeWait,
    pub(crate) timers: Timers,
    /// Connections that want to send.
    pub(crate) dirty: VecDeque<Id>,
    /// Connections that wait for a neighbour's address.
    pub(crate) unresolved: Vec<Id>,
    /// Connections without descriptor.
    pub(crate) orphans: usize,
    /// Bytes of all connections' buffers.
    pub(crate) memory: usize,
}

impl TcpTable {
    pub(crate) fn new(seed: HashSeed) -> Self {
        Self {
            blocks: Slab::default(),
            flows: HashMap::with_hasher(seed.clone()),
            ports: PortTable::new(seed.clone()),
            time_wait: TimeWait::new(seed),
            timers: Timers::default(),
            dirty: VecDeque::new(),
            unresolved: Vec::new(),
            orphans: 0,
            memory: 0,
        }
    }

    /// The listening socket for a connection; a socket bound to just that address goes before one
    /// bound to all. Sockets that share a port (`SO_REUSEPORT`) take turns by the remote port.
    pub(crate) fn listener_for(&self, link: LinkName, (local, remote): &Tuple) -> Option<Id> {
        let bindings = self.ports.bindings(local.port);
        let serving = |exact: bool| {
            bindings.iter().filter(move |binding| {
                binding.listening
                    && binding.hears(link, local.addr)
                    && matches!(binding.scope, Scope::One(_)) == exact
            })
        };
        let exact = serving(true).next().is_some();
        let count = serving(exact).count().max(1);
        let turn = usize::from(remote.port) % count;
        serving(exact).nth(turn).map(|binding| binding.owner)
    }

    /// The connections that came in by listening socket `id` and were not accepted.
    pub(crate) fn children_of(&self, id: Id) -> Vec<Id> {
        let is_child = |block: &Block| {
            block
                .flow()
                .is_some_and(|flow| flow.owner == Owner::Listener(id))
        };
        let children = self.blocks.iter().filter(|(_, block)| is_child(block));
        children.map(|(child, _)| child).collect()
    }

    /// Puts a connection on the list of those that want to send.
    pub(crate) fn mark_dirty(&mut self, id: Id) {
        if let Some(flow) = self.blocks.get_mut(id).and_then(Block::flow_mut)
            && !flow.dirty
        {
            flow.dirty = true;
            self.dirty.push_back(id);
        }
    }

    /// A neighbour's address was learned: those who waited may send.
    pub(crate) fn mark_unresolved_dirty(&mut self) {
        for id in core::mem::take(&mut self.unresolved) {
            if let Some(flow) = self.blocks.get_mut(id).and_then(Block::flow_mut) {
                flow.unresolved = false;
                self.mark_dirty(id);
            }
        }
    }

    /// Whether a connection between these addresses exists or has only just ended.
    pub(crate) fn is_taken(&self, tuple: &Tuple) -> bool {
        self.flows.contains_key(tuple) || self.time_wait.contains(tuple)
    }
}
