//! Listening: listen(2), accept(2) and the queues between them.

use alloc::collections::VecDeque;

use linux_abi::Errno;

use super::block::{Block, Listener, Owner, Phase};
use crate::core::Core;
use crate::ports::{Binding, Scope};
use crate::slab::Id;

/// Linux's `net.core.somaxconn`.
const LARGEST_BACKLOG: i32 = 4096;
/// Handshakes under way that are allowed whatever the backlog is (Linux keeps a separate queue,
/// `tcp_max_syn_backlog`).
const LEAST_HANDSHAKES: usize = 64;

impl Core {
    pub(crate) fn tcp_listen(&mut self, id: Id, backlog: i32) -> Result<(), Errno> {
        // A negative backlog counts as the largest, because Linux reads it as unsigned.
        let backlog = match backlog {
            0..=LARGEST_BACKLOG => backlog as usize,
            _ => LARGEST_BACKLOG as usize,
        };
        let block = self.tcp.blocks.get_mut(id).ok_or(Errno::EBADF)?;
        match &mut block.phase {
            Phase::Listening(listener) => {
                listener.backlog = backlog;
                return Ok(());
            }
            Phase::Idle => {}
            Phase::Open(_) | Phase::Over { .. } => return Err(Errno::EINVAL),
        }
        let port = self.tcp_port_for_listen(id)?;
        if self.tcp.ports.has_other_listener(port, id) {
            return Err(Errno::EADDRINUSE);
        }
        self.tcp
            .ports
            .update(port, id, |binding| binding.listening = true);
        if let Some(block) = self.tcp.blocks.get_mut(id) {
            block.phase = Phase::Listening(Listener {
                backlog,
                handshakes: 0,
                ready: VecDeque::new(),
            });
        }
        self.tcp_refresh(id);
        Ok(())
    }

    /// The socket's port, chosen now if bind(2) was not called.
    fn tcp_port_for_listen(&mut self, id: Id) -> Result<u16, Errno> {
        let block = self.tcp.blocks.get(id).ok_or(Errno::EBADF)?;
        match block.inet.bound {
            Some((_, port)) => Ok(port),
            None => self.tcp_claim(
                id,
                self.any_scope(block.inet.family, &block.inet.options),
                0,
            ),
        }
    }

    /// Binds socket `id`; port 0 means any.
    pub(crate) fn tcp_claim(&mut self, id: Id, scope: Scope, port: u16) -> Result<u16, Errno> {
        let random = self.platform.random_u32();
        let block = self.tcp.blocks.get_mut(id).ok_or(Errno::EBADF)?;
        let binding = Binding::new(id, scope, &block.inet);
        let port = self.tcp.ports.claim(port, binding, random)?;
        block.inet.bound = Some((scope, port));
        Ok(port)
    }

    /// accept(2): the next established connection, which becomes the caller's.
    pub(crate) fn tcp_accept(&mut self, id: Id) -> Result<Id, Errno> {
        let block = self.tcp.blocks.get_mut(id).ok_or(Errno::EBADF)?;
        let listener = block.listener_mut().ok_or(Errno::EINVAL)?;
        let accepted = listener.ready.pop_front().ok_or(Errno::EAGAIN)?;
        if let Some(flow) = self.tcp.blocks.get_mut(accepted).and_then(Block::flow_mut) {
            flow.owner = Owner::File;
            flow.reported = true;
            if flow.is_spent() {
                self.tcp_finish(accepted);
            }
        }
        self.tcp_refresh(id);
        Ok(accepted)
    }

    /// Whether listening socket `id` takes another connection request now.
    pub(crate) fn tcp_takes_requests(&mut self, id: Id) -> bool {
        let listener = self.tcp.blocks.get_mut(id).and_then(Block::listener_mut);
        listener.is_some_and(|listener| {
            !listener.is_full() && listener.handshakes < listener.backlog.max(LEAST_HANDSHAKES)
        })
    }

    /// Whether the end of a handshake has to wait because the backlog is full. The other side
    /// repeats its last segment, so nothing is lost (Linux does the same).
    pub(crate) fn tcp_backlog_full(&mut self, listener: Id) -> bool {
        let listener = self
            .tcp
            .blocks
            .get_mut(listener)
            .and_then(Block::listener_mut);
        listener.is_some_and(|listener| listener.is_full())
    }

    /// Connection `id` is established: it moves to the queue of its listening socket.
    pub(crate) fn tcp_handshake_done(&mut self, id: Id, listener_id: Id) {
        let listener = self.tcp.blocks.get_mut(listener_id);
        if let Some(listener) = listener.and_then(Block::listener_mut) {
            listener.handshakes -= 1;
            listener.ready.push_back(id);
        }
        self.tcp_refresh(listener_id);
    }

    /// Connection `id` is gone before accept(2) took it.
    pub(crate) fn tcp_unqueue(&mut self, id: Id, listener_id: Id, established: bool) {
        let listener = self.tcp.blocks.get_mut(listener_id);
        let Some(listener) = listener.and_then(Block::listener_mut) else {
            return;
        };
        if established {
            listener.ready.retain(|ready| *ready != id);
        } else {
            listener.handshakes -= 1;
        }
        self.tcp_refresh(listener_id);
    }

    /// Ends listening: connections nobody accepted are reset.
    pub(crate) fn tcp_stop_listening(&mut self, id: Id) {
        let Some(block) = self.tcp.blocks.get_mut(id) else {
            return;
        };
        let Phase::Listening(_) = core::mem::replace(&mut block.phase, Phase::Idle) else {
            return;
        };
        let children: alloc::vec::Vec<Id> = self.tcp.children_of(id);
        for child in children {
            self.tcp_orphan(child, true);
        }
        if let Some((_, port)) = self.tcp.blocks.get(id).and_then(|block| block.inet.bound) {
            self.tcp
                .ports
                .update(port, id, |binding| binding.listening = false);
        }
        self.tcp_refresh(id);
    }
}
