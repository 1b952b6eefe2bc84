//! Opening and closing: bind(2), connect(2), shutdown(2), close(2).

use core::time::Duration;

use linux_abi::Errno;
use smoltcp::socket::tcp::State;
use smoltcp::wire::IpEndpoint;
use vfs::Shutdown;

use super::block::{Block, Flow, Owner, Phase};
use super::settings::ORPHAN_TIMEOUT;
use crate::address::{parse_endpoint, zone};
use crate::core::Core;
use crate::link::LinkName;
use crate::ports::PortTable;
use crate::slab::Id;

impl Core {
    pub(crate) fn tcp_bind(&mut self, id: Id, address: &[u8]) -> Result<(), Errno> {
        let block = self.tcp.blocks.get(id).ok_or(Errno::EBADF)?;
        let endpoint = parse_endpoint(block.inet.family, address)?;
        if block.inet.bound.is_some() || !matches!(block.phase, Phase::Idle) {
            return Err(Errno::EINVAL);
        }
        self.check_zone(endpoint.addr, zone(address))?;
        let scope = self.scope(block.inet.family, &block.inet.options, endpoint.addr)?;
        self.tcp_claim(id, scope, endpoint.port)?;
        Ok(())
    }

    pub(crate) fn tcp_connect(&mut self, id: Id, address: &[u8]) -> Result<(), Errno> {
        let block = self.tcp.blocks.get_mut(id).ok_or(Errno::EBADF)?;
        let remote = block.inet.remote(address)?;
        match &mut block.phase {
            Phase::Idle => {}
            Phase::Listening(_) | Phase::Over { .. } => return Err(Errno::EISCONN),
            Phase::Open(flow) if flow.reported => return Err(Errno::EISCONN),
            Phase::Open(_) => return self.tcp_connect_result(id, Errno::EALREADY),
        }
        self.check_zone(remote.addr, zone(address))?;
        self.tcp_start_connect(id, remote)?;
        // On the loopback interface the handshake is over when this returns.
        self.settle();
        self.tcp_connect_result(id, Errno::EINPROGRESS)
    }

    /// The outcome of a connect(2) under way, or `pending`.
    fn tcp_connect_result(&mut self, id: Id, pending: Errno) -> Result<(), Errno> {
        let block = self.tcp.blocks.get_mut(id).ok_or(Errno::EBADF)?;
        if let Some(error) = block.inet.error.take() {
            self.tcp_refresh(id);
            return Err(error);
        }
        match block.flow_mut() {
            Some(flow) if flow.established => {
                flow.reported = true;
                Ok(())
            }
            _ => Err(pending),
        }
    }

    fn tcp_start_connect(&mut self, id: Id, remote: IpEndpoint) -> Result<(), Errno> {
        let block = self.tcp.blocks.get(id).ok_or(Errno::EBADF)?;
        let bound = block.inet.bound;
        let route = self.route(remote.addr, block.inet.bound_address(), block.inet.device)?;
        if !route.remote.is_unicast() || self.is_broadcast(route.link, route.remote) {
            return Err(Errno::ENETUNREACH);
        }
        if remote.port == 0 {
            return Err(Errno::ECONNREFUSED);
        }
        if self.tcp_memory_exhausted() {
            return Err(Errno::ENOBUFS);
        }
        let remote = IpEndpoint::new(route.remote, remote.port);
        let port = self.tcp_connect_port(bound.map(|(_, port)| port), route.local, remote)?;
        self.tcp_send_request(id, route.link, IpEndpoint::new(route.local, port), remote)
    }

    /// The local port of a new connection: the bound one, or one that makes the pair unique.
    fn tcp_connect_port(
        &self,
        bound: Option<u16>,
        local: smoltcp::wire::IpAddress,
        remote: IpEndpoint,
    ) -> Result<u16, Errno> {
        let is_new = |port| !self.tcp.is_taken(&(IpEndpoint::new(local, port), remote));
        match bound {
            Some(port) if is_new(port) => Ok(port),
            Some(_) => Err(Errno::EADDRNOTAVAIL),
            None => PortTable::choose(self.platform.random_u32(), |port| {
                self.tcp.ports.bindings(port).is_empty() && is_new(port)
            })
            .ok_or(Errno::EADDRNOTAVAIL),
        }
    }

    fn tcp_send_request(
        &mut self,
        id: Id,
        link: LinkName,
        local: IpEndpoint,
        remote: IpEndpoint,
    ) -> Result<(), Errno> {
        let scarce = self.tcp_memory_scarce();
        let block = self.tcp.blocks.get(id).ok_or(Errno::EBADF)?;
        let mut flow = Flow::new(
            link,
            (local, remote),
            Owner::File,
            &block.inet.options,
            scarce,
        );
        let state = self.links.get_mut(link).ok_or(Errno::ENETDOWN)?;
        let context = state.interface.context();
        let connected = flow.tcp_mut().connect(context, remote, local);
        connected.map_err(|_| Errno::EADDRNOTAVAIL)?;
        self.tcp_open(id, flow);
        self.tcp.mark_dirty(id);
        self.tcp_refresh(id);
        Ok(())
    }

    pub(crate) fn tcp_shutdown(&mut self, id: Id, how: Shutdown) -> Result<(), Errno> {
        let block = self.tcp.blocks.get_mut(id).ok_or(Errno::EBADF)?;
        if matches!(block.phase, Phase::Listening(_)) {
            if how != Shutdown::Write {
                self.tcp_stop_listening(id);
            }
            return Ok(());
        }
        let flow = block.flow_mut().filter(|flow| flow.established);
        let flow = flow.ok_or(Errno::ENOTCONN)?;
        flow.read_shut |= how != Shutdown::Write;
        if how != Shutdown::Read && !flow.write_shut {
            flow.write_shut = true;
            flow.tcp_mut().close();
            self.tcp.mark_dirty(id);
        }
        self.tcp_refresh(id);
        Ok(())
    }

    /// Begins to close as `SO_LINGER` wants it; how long close(2) waits for the end, if at all.
    pub(crate) fn tcp_linger(&mut self, id: Id) -> Option<Duration> {
        let block = self.tcp.blocks.get_mut(id)?;
        let linger = block.inet.options.linger();
        let flow = block.flow_mut()?;
        let waits = linger.on
            && linger.seconds > 0
            && flow.established
            && !flow.tcp().can_recv()
            && !flow.end_is_acknowledged();
        if !waits {
            return None;
        }
        flow.lingering = true;
        flow.tcp_mut().close();
        self.tcp.mark_dirty(id);
        self.tcp_refresh(id);
        Some(Duration::from_secs(linger.seconds.unsigned_abs().into()))
    }

    /// The descriptor is gone: what has to be sent is still sent, then the socket disappears.
    pub(crate) fn tcp_close(&mut self, id: Id) {
        let Some(block) = self.tcp.blocks.get(id) else {
            return;
        };
        match &block.phase {
            Phase::Idle | Phase::Over { .. } => self.tcp_remove(id),
            Phase::Listening(_) => {
                self.tcp_stop_listening(id);
                self.tcp_remove(id);
            }
            Phase::Open(flow) => {
                let linger = block.inet.options.linger();
                // Data nobody read: the other side must not believe it arrived (RFC 2525 §2.17).
                let reset = (linger.on && linger.seconds == 0)
                    || flow.tcp().can_recv()
                    || flow.state() == State::SynSent
                    || self.tcp.orphans >= self.config.orphans;
                self.tcp_orphan(id, reset);
            }
        }
    }

    /// Lets connection `id` end by itself, with a reset or in order.
    pub(crate) fn tcp_orphan(&mut self, id: Id, reset: bool) {
        let now = self.now;
        let Some(block) = self.tcp.blocks.get_mut(id) else {
            return;
        };
        let bound = block.inet.bound.take();
        let Some(flow) = block.flow_mut() else {
            return;
        };
        flow.owner = Owner::Nobody;
        flow.abandon_at = Some(now + ORPHAN_TIMEOUT);
        if reset {
            flow.tcp_mut().abort();
        } else {
            flow.tcp_mut().close();
        }
        self.tcp.orphans += 1;
        if let Some((_, port)) = bound {
            self.tcp.ports.remove(port, id);
        }
        self.tcp.mark_dirty(id);
    }

    /// Frees the connection of socket `id`; its addresses stay reserved if TCP wants that.
    pub(crate) fn tcp_finish(&mut self, id: Id) {
        let Some(block) = self.tcp.blocks.get_mut(id) else {
            return;
        };
        let Some((local, remote)) = block.endpoints() else {
            return;
        };
        let next = match block.flow() {
            Some(flow) if !flow.established => Phase::Idle,
            _ => Phase::Over { local, remote },
        };
        if let Phase::Open(flow) = core::mem::replace(&mut block.phase, next) {
            self.tcp_unindex(id, *flow);
        }
        self.tcp_refresh(id);
    }

    fn tcp_unindex(&mut self, id: Id, mut flow: Flow) {
        let tuple = (flow.local, flow.remote);
        self.tcp.flows.remove(&tuple);
        self.tcp.timers.disarm(id, &mut flow.timer);
        self.tcp.memory -= flow.memory;
        self.tcp.orphans -= usize::from(flow.owner == Owner::Nobody);
        if flow.state() == State::TimeWait && !self.tcp.time_wait.is_full() {
            self.tcp.time_wait.insert(self.now, tuple);
        } else {
            self.tcp.ports.remove_connection(tuple.0.port);
        }
    }

    /// Forgets socket `id`.
    pub(crate) fn tcp_remove(&mut self, id: Id) {
        self.tcp_finish(id);
        let Some(block) = self.tcp.blocks.remove(id) else {
            return;
        };
        if let Some((_, port)) = block.inet.bound {
            self.tcp.ports.remove(port, id);
        }
    }

    pub(crate) fn tcp_memory_exhausted(&self) -> bool {
        self.tcp.memory >= self.config.tcp_memory
    }

    pub(crate) fn tcp_memory_scarce(&self) -> bool {
        self.tcp.memory >= self.config.tcp_memory / 2
    }
}

impl Block {
    /// The local address as getsockname(2) shows it.
    pub(crate) fn local(&self) -> IpEndpoint {
        match self.endpoints() {
            Some((local, _)) => local,
            None => self.inet.local(),
        }
    }
}
