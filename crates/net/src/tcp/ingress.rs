//! From a segment to the one connection it is for.

use alloc::boxed::Box;

use smoltcp::socket::tcp::State;

use super::block::{Block, Flow, Owner, Phase};
use super::egress::Cause;
use super::table::Tuple;
use super::time_wait;
use crate::core::Core;
use crate::demux::Segment;
use crate::link::LinkName;
use crate::slab::Id;

impl Core {
    pub(crate) fn tcp_ingress(&mut self, link: LinkName, frame: &[u8], segment: &Segment) {
        let tuple = (segment.local, segment.remote);
        if let Some(id) = self.tcp.flows.get(&tuple).copied()
            && !self.tcp_replaces_time_wait(id, segment)
        {
            return self.tcp_deliver(id, link, frame, segment);
        }
        if self.tcp.time_wait.contains(&tuple) {
            if !segment.is_request() {
                return self.tcp_answer_time_wait(link, frame, segment);
            }
            self.tcp_release_time_wait(&tuple);
        }
        if segment.is_request()
            && self.is_own_address(link, segment.local.addr)
            && let Some(listener) = self.tcp.listener_for(link, &tuple)
        {
            return self.tcp_request(listener, link, frame, tuple);
        }
        self.unmatched(link, frame);
    }

    fn tcp_deliver(&mut self, id: Id, link: LinkName, frame: &[u8], segment: &Segment) {
        let flow = self.tcp.blocks.get(id).and_then(Block::flow);
        let Some((owner, established)) = flow
            .filter(|flow| flow.link == link)
            .map(|flow| (flow.owner, flow.established))
        else {
            return;
        };
        if let Owner::Listener(listener) = owner
            && !established
            && !segment.rst
            && self.tcp_backlog_full(listener)
        {
            return;
        }
        if !self.tcp_is_useless_repeat(id, segment) {
            self.tcp_feed(id, frame, segment);
        }
    }

    /// Whether a segment only repeats an acknowledgement while nothing but our FIN is on its way.
    /// smoltcp 0.14 must not see it: the third one makes it stop its timer for a fast retransmit
    /// that never happens without data, and the FIN would be lost for good.
    fn tcp_is_useless_repeat(&mut self, id: Id, segment: &Segment) -> bool {
        let Some(flow) = self.tcp.blocks.get_mut(id).and_then(Block::flow_mut) else {
            return false;
        };
        let is_repeat =
            flow.acknowledged.replace(segment.acknowledged) == Some(segment.acknowledged);
        is_repeat
            && segment.length == 0
            && !segment.rst
            && matches!(
                flow.state(),
                State::FinWait1 | State::Closing | State::LastAck
            )
            && flow.tcp().send_queue() == 0
    }

    fn tcp_feed(&mut self, id: Id, frame: &[u8], segment: &Segment) {
        let Self {
            tcp,
            links,
            now,
            counters,
            ..
        } = self;
        let Some(flow) = tcp.blocks.get_mut(id).and_then(Block::flow_mut) else {
            return;
        };
        let Some(link) = links.get_mut(flow.link) else {
            return;
        };
        let before = flow.state();
        counters.connection_polls += 1;
        flow.is_window_closed = segment.window == 0;
        let tuning = flow.tuning;
        tuning.hear(flow);
        link.ingress(*now, frame, &mut flow.set);
        if flow.state() == State::TimeWait && before != State::TimeWait && segment.fin {
            // The connection may be gone before smoltcp sends its acknowledgement.
            time_wait::acknowledge(&mut link.outlet, frame, segment);
        }
        tcp.mark_dirty(id);
        self.tcp_advance(id, before, Cause::Segment);
    }

    /// A connection request for a listening socket.
    fn tcp_request(&mut self, listener: Id, link: LinkName, frame: &[u8], tuple: Tuple) {
        if !self.tcp_takes_requests(listener) || self.tcp_memory_exhausted() {
            return;
        }
        let scarce = self.tcp_memory_scarce();
        let Self {
            tcp,
            links,
            now,
            counters,
            ..
        } = self;
        let Some((parent, link_state)) = tcp.blocks.get(listener).zip(links.get_mut(link)) else {
            return;
        };
        let mut flow = Flow::new(
            link,
            tuple,
            Owner::Listener(listener),
            &parent.inet.options,
            scarce,
        );
        // Fails only for port 0, which no socket is bound to.
        let _ = flow.tcp_mut().listen(tuple.0);
        counters.connection_polls += 1;
        link_state.ingress(*now, frame, &mut flow.set);
        if flow.state() != State::SynReceived {
            return;
        }
        let child = parent.accepted(flow);
        let child = self.tcp_index(child, tuple);
        let parent = self.tcp.blocks.get_mut(listener);
        if let Some(parent) = parent.and_then(Block::listener_mut) {
            parent.handshakes += 1;
        }
        self.tcp.mark_dirty(child);
    }

    /// Stores a new connection where segments will find it.
    fn tcp_index(&mut self, block: Block, tuple: Tuple) -> Id {
        let id = self.tcp.blocks.insert(block);
        self.tcp_index_flow(id, tuple);
        id
    }

    pub(crate) fn tcp_index_flow(&mut self, id: Id, tuple: Tuple) {
        let flow = self.tcp.blocks.get(id).and_then(Block::flow);
        self.tcp.memory += flow.map_or(0, |flow| flow.memory);
        self.tcp.flows.insert(tuple, id);
        self.tcp.ports.add_connection(tuple.0.port);
    }

    /// Whether a new request takes the place of a connection in TIME-WAIT (RFC 9293 §3.10.7.4
    /// allows it). The old one is forgotten then.
    fn tcp_replaces_time_wait(&mut self, id: Id, segment: &Segment) -> bool {
        let flow = self.tcp.blocks.get(id).and_then(Block::flow);
        let replaces =
            segment.is_request() && flow.is_some_and(|flow| flow.state() == State::TimeWait);
        if replaces {
            self.tcp_finish(id);
        }
        replaces
    }

    fn tcp_answer_time_wait(&mut self, link: LinkName, frame: &[u8], segment: &Segment) {
        if segment.fin
            && segment.ack
            && !segment.rst
            && let Some(link) = self.links.get_mut(link)
        {
            time_wait::acknowledge(&mut link.outlet, frame, segment);
        }
    }

    pub(crate) fn tcp_release_time_wait(&mut self, tuple: &Tuple) {
        if self.tcp.time_wait.release(tuple) {
            self.tcp.ports.remove_connection(tuple.0.port);
        }
    }

    /// Stores a connection in its block.
    pub(crate) fn tcp_open(&mut self, id: Id, flow: Flow) {
        let tuple = (flow.local, flow.remote);
        if let Some(block) = self.tcp.blocks.get_mut(id) {
            block.phase = Phase::Open(Box::new(flow));
        }
        self.tcp_index_flow(id, tuple);
    }
}

impl Segment {
    /// Whether the segment asks for a new connection.
    fn is_request(&self) -> bool {
        self.syn && !self.ack && !self.rst
    }
}
