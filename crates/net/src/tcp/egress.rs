//! Sending, timers, and what follows when a connection's state changes.

use linux_abi::Errno;
use smoltcp::socket::tcp::State;
use smoltcp::time::Duration;

use super::block::{Block, Flow, Owner, Phase};
use super::settings::Probing;
use crate::core::Core;
use crate::neighbour::ABSENT_AFTER;
use crate::slab::Id;

/// When to look again at a connection that has something to send but did not: guards against
/// polling without end.
const RETRY: Duration = Duration::from_millis(10);

/// What a state may have changed by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// A segment came in.
    Segment,
    /// We sent, or a timer fired.
    Egress,
}

impl Core {
    /// Lets every connection on the list send.
    pub(crate) fn tcp_flush(&mut self) {
        while let Some(id) = self.tcp.dirty.pop_front() {
            if let Some(flow) = self.tcp.blocks.get_mut(id).and_then(Block::flow_mut) {
                flow.dirty = false;
            }
            self.tcp_egress(id, Probing::No);
        }
    }

    /// Looks at every connection whose timer has fired, and ends expired reservations.
    pub(crate) fn tcp_expire(&mut self) {
        while let Some(id) = self.tcp.timers.pop_due(self.now) {
            if let Some(flow) = self.tcp.blocks.get_mut(id).and_then(Block::flow_mut) {
                flow.timer = None;
                self.tcp_egress(id, Probing::Yes);
            }
        }
        while let Some(tuple) = self.tcp.time_wait.pop_due(self.now) {
            self.tcp.ports.remove_connection(tuple.0.port);
        }
    }

    fn tcp_egress(&mut self, id: Id, probing: Probing) {
        let Self {
            tcp,
            links,
            now,
            counters,
            blocked,
            ..
        } = self;
        let Some(flow) = tcp.blocks.get_mut(id).and_then(Block::flow_mut) else {
            return;
        };
        let Some(link) = links.get_mut(flow.link) else {
            return;
        };
        let before = flow.state();
        let tuning = flow.tuning;
        tuning.apply(flow, probing);
        if flow.abandon_at.is_some_and(|at| at <= *now) {
            flow.abandon_at = None;
            flow.tcp_mut().abort();
        }
        counters.connection_polls += 1;
        // There is no room for data that is not a probe.
        let is_probe = flow.is_window_closed;
        let (sent, wanted) = link.egress(*now, &mut flow.set, is_probe);
        if sent.exhausted && !core::mem::replace(&mut flow.dirty, true) {
            blocked.push(id);
        }
        if sent.any() {
            flow.unresolved_since = None;
        } else if sent.is_unresolved() {
            flow.unresolved_since.get_or_insert(*now);
            link.find_neighbour(*now, flow.remote.addr);
            if !core::mem::replace(&mut flow.unresolved, true) {
                tcp.unresolved.push(id);
            }
        }
        let wanted = wanted.map(|at| if at <= *now { *now + RETRY } else { at });
        let wanted = wanted.into_iter().chain(flow.abandon_at).min();
        tcp.timers.arm(id, &mut flow.timer, wanted);
        // Nothing follows from sending as such, as a rule.
        let state = flow.state();
        if state == before && state == State::Established && flow.owner == Owner::File {
            return;
        }
        if self.tcp_is_unreachable(id) {
            return self.tcp_abort_connect(id, Errno::EHOSTUNREACH);
        }
        self.tcp_advance(id, before, Cause::Egress);
    }

    /// Whether a connection attempt has waited too long for the neighbour's address.
    fn tcp_is_unreachable(&self, id: Id) -> bool {
        let flow = self.tcp.blocks.get(id).and_then(Block::flow);
        flow.is_some_and(|flow| {
            let limit = flow.unresolved_since.map(|since| since + ABSENT_AFTER);
            flow.state() == State::SynSent && limit.is_some_and(|limit| limit <= self.now)
        })
    }

    /// Ends a connection attempt without another packet.
    pub(crate) fn tcp_abort_connect(&mut self, id: Id, error: Errno) {
        if let Some(block) = self.tcp.blocks.get_mut(id) {
            block.inet.error = Some(error);
        }
        self.tcp_finish(id);
    }

    /// Draws the consequences of a state change.
    pub(crate) fn tcp_advance(&mut self, id: Id, before: State, cause: Cause) {
        let Some(flow) = self.tcp.blocks.get(id).and_then(Block::flow) else {
            return;
        };
        match flow.owner {
            Owner::Listener(listener) if !flow.established => {
                self.tcp_advance_handshake(id, listener);
            }
            Owner::Nobody => self.tcp_advance_orphan(id),
            Owner::Listener(_) | Owner::File => self.tcp_advance_owned(id, before, cause),
        }
        self.tcp_refresh(id);
    }

    fn tcp_advance_handshake(&mut self, id: Id, listener: Id) {
        let Some(flow) = self.tcp.blocks.get_mut(id).and_then(Block::flow_mut) else {
            return;
        };
        match flow.state() {
            State::SynReceived => {}
            State::Listen | State::Closed => {
                self.tcp_unqueue(id, listener, false);
                self.tcp_remove(id);
            }
            _ => {
                flow.established = true;
                self.tcp_handshake_done(id, listener);
            }
        }
    }

    fn tcp_advance_owned(&mut self, id: Id, before: State, cause: Cause) {
        let Some(block) = self.tcp.blocks.get_mut(id) else {
            return;
        };
        let Phase::Open(flow) = &mut block.phase else {
            return;
        };
        let state = flow.state();
        flow.established |= !matches!(state, State::SynSent | State::SynReceived | State::Closed);
        if state == State::Closed && before != State::Closed {
            block.inet.error = block.inet.error.or(end_error(before, cause));
        }
        if flow.is_spent() && flow.owner == Owner::File {
            self.tcp_finish(id);
        }
    }

    fn tcp_advance_orphan(&mut self, id: Id) {
        let Some(flow) = self.tcp.blocks.get_mut(id).and_then(Block::flow_mut) else {
            return;
        };
        if flow.is_over() {
            self.tcp_finish(id);
            self.tcp_remove(id);
        } else if flow.tcp().can_recv() && flow.state() != State::Closed {
            // Nobody will read it: say so (RFC 2525 §2.17).
            flow.tcp_mut().abort();
            self.tcp.mark_dirty(id);
        }
    }

    /// Publishes the readiness of a socket.
    pub(crate) fn tcp_refresh(&mut self, id: Id) {
        if let Some(block) = self.tcp.blocks.get(id) {
            self.wakes.update(&block.inet.readiness, block.events());
        }
    }
}

impl Flow {
    /// Whether smoltcp has nothing left to do for the connection.
    fn is_over(&self) -> bool {
        match self.state() {
            State::TimeWait => true,
            // The endpoint is forgotten once the reset is sent. A peer without a known hardware
            // address does not hear it.
            State::Closed => self.tcp().remote_endpoint().is_none() || self.unresolved,
            _ => false,
        }
    }

    /// Whether also everything received was read.
    pub(crate) fn is_spent(&self) -> bool {
        self.is_over() && !self.tcp().can_recv()
    }
}

/// The `SO_ERROR` of a connection that ended in state `before`.
fn end_error(before: State, cause: Cause) -> Option<Errno> {
    match (before, cause) {
        // The regular ends.
        (State::LastAck | State::TimeWait, Cause::Segment) | (State::TimeWait, _) => None,
        (State::SynSent | State::SynReceived, Cause::Segment) => Some(Errno::ECONNREFUSED),
        (State::CloseWait, Cause::Segment) => Some(Errno::EPIPE),
        (_, Cause::Segment) => Some(Errno::ECONNRESET),
        (_, Cause::Egress) => Some(Errno::ETIMEDOUT),
    }
}
