//! The state of a local socket.

use alloc::collections::VecDeque;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;

use spin::Mutex;

use super::address::Address;
use super::queue::{CAPACITY, Message, Queue};
use super::rights;
use super::{UnixKind, UnixSocket};
use crate::{
    Errno, Events, OpenFile, Received, RecvFlags, SendMessage, Shutdown, Sink, Source, TimeLimits,
    WaitQueue,
};

/// The longest message (Linux: what the send buffer holds less 32 bytes).
const LONGEST_MESSAGE: usize = CAPACITY - 32;
/// Largest part of a stream in one allocation; a longer write becomes several.
const PART_BYTES: usize = 32_768;

/// One side of a local connection. Only one endpoint's state is locked at a time.
pub(super) struct Endpoint {
    pub(super) kind: UnixKind,
    pub(super) state: Mutex<State>,
    pub(super) waiters: WaitQueue,
}

#[derive(Default)]
pub(super) struct State {
    /// What was sent here.
    pub(super) queue: Queue,
    /// The other side, once connected; it may be gone.
    pub(super) peer: Option<Weak<Endpoint>>,
    /// Who found `queue` full, besides the peer.
    senders: Vec<Weak<Endpoint>>,
    pub(super) address: Option<Address>,
    pub(super) listening: Option<Listening>,
    /// Nothing more will come.
    receive_shut: bool,
    /// Nothing more may be sent.
    send_shut: bool,
    /// To be told once.
    pub(super) error: Option<Errno>,
    pub(super) limits: TimeLimits,
}

/// Connections that wait to be accepted.
pub(super) struct Listening {
    pub(super) pending: VecDeque<Arc<UnixSocket>>,
    pub(super) backlog: usize,
}

impl Endpoint {
    pub(super) fn new(kind: UnixKind) -> Arc<Self> {
        Arc::new(Self {
            kind,
            state: Mutex::new(State::default()),
            waiters: WaitQueue::new(),
        })
    }

    pub(super) fn set_peer(&self, peer: &Arc<Self>) {
        self.state.lock().peer = Some(Arc::downgrade(peer));
    }

    /// Makes `peer` the other side of a socket that connects.
    ///
    /// # Errors
    /// `EINVAL` while listening, `EISCONN` if there is a peer.
    pub(super) fn claim_peer(&self, peer: &Arc<Self>) -> Result<(), Errno> {
        let mut state = self.state.lock();
        if state.listening.is_some() {
            return Err(Errno::EINVAL);
        }
        if state.peer.is_some() {
            return Err(Errno::EISCONN);
        }
        state.peer = Some(Arc::downgrade(peer));
        Ok(())
    }

    /// The other side.
    ///
    /// # Errors
    /// `ENOTCONN` before a connection, `gone` after the other side was closed.
    fn peer(&self, gone: Errno) -> Result<Arc<Self>, Errno> {
        let peer = self.state.lock().peer.clone().ok_or(Errno::ENOTCONN)?;
        peer.upgrade().ok_or(gone)
    }

    /// Sends to the peer. A datagram socket whose peer is gone hears it once and has none then.
    pub(super) fn send(
        self: &Arc<Self>,
        from: &mut dyn Source,
        message: &SendMessage<'_>,
    ) -> Result<usize, Errno> {
        self.check_send()?;
        let gone = match self.kind.is_connected() {
            true => Errno::EPIPE,
            false => Errno::ECONNREFUSED,
        };
        let peer = self.peer(gone);
        if peer.is_err() && !self.kind.is_connected() {
            self.state.lock().peer = None;
        }
        self.send_to(&peer?, from, message)
    }

    /// Whether a datagram socket takes messages from `sender`: one with a peer takes no others.
    ///
    /// # Errors
    /// `EPERM` if not.
    pub(super) fn check_hears(&self, sender: &Arc<Self>) -> Result<(), Errno> {
        match &self.state.lock().peer {
            Some(peer) if !core::ptr::eq(peer.as_ptr(), Arc::as_ptr(sender)) => Err(Errno::EPERM),
            _ => Ok(()),
        }
    }

    fn check_send(&self) -> Result<(), Errno> {
        let mut state = self.state.lock();
        match state.error.take() {
            Some(error) => Err(error),
            None if state.send_shut => Err(Errno::EPIPE),
            None => Ok(()),
        }
    }

    /// Sends to `peer`: a message as a whole, of a stream as much as there is room for.
    pub(super) fn send_to(
        self: &Arc<Self>,
        peer: &Arc<Self>,
        from: &mut dyn Source,
        message: &SendMessage<'_>,
    ) -> Result<usize, Errno> {
        if self.kind == UnixKind::Datagram {
            peer.check_hears(self)?;
        }
        if self.kind != UnixKind::Stream {
            return self.send_part(peer, from, &message.rights);
        }
        let mut done = 0;
        while from.remaining() > 0 {
            // Files come with the first byte.
            let rights = if done == 0 { &message.rights[..] } else { &[] };
            match self.send_part(peer, from, rights) {
                Ok(count) => done += count,
                Err(error) if done == 0 => return Err(error),
                Err(_) => break,
            }
        }
        Ok(done)
    }

    fn send_part(
        self: &Arc<Self>,
        peer: &Arc<Self>,
        from: &mut dyn Source,
        files: &[Arc<OpenFile>],
    ) -> Result<usize, Errno> {
        let size = self.sendable(peer, from.remaining())?;
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(size).map_err(|_| Errno::ENOMEM)?;
        bytes.resize(size, 0);
        // Outside the lock, as the caller's memory may fault.
        let count = from.take(&mut bytes)?;
        bytes.truncate(count);
        let message = Message {
            bytes,
            start: 0,
            rights: files.to_vec(),
            sender: self.state.lock().address.clone(),
        };
        rights::with_checked(files, peer, || peer.deliver(message))?;
        peer.waiters.wake(Events::IN);
        Ok(count)
    }

    /// How many of `wanted` bytes can be sent to `peer` now.
    fn sendable(self: &Arc<Self>, peer: &Arc<Self>, wanted: usize) -> Result<usize, Errno> {
        let is_stream = self.kind == UnixKind::Stream;
        if !is_stream && wanted > LONGEST_MESSAGE {
            return Err(Errno::EMSGSIZE);
        }
        let mut state = peer.state.lock();
        if state.receive_shut {
            return Err(Errno::EPIPE);
        }
        let room = state.queue.room();
        // As on Linux, a message may exceed the room that is left, if there is any.
        if room == 0 {
            state.add_sender(self);
            return Err(Errno::EAGAIN);
        }
        Ok(if is_stream {
            wanted.min(room).min(PART_BYTES)
        } else {
            wanted
        })
    }

    fn deliver(&self, message: Message) -> Result<(), Errno> {
        let mut state = self.state.lock();
        if state.receive_shut {
            return Err(Errno::EPIPE);
        }
        match self.kind {
            UnixKind::Stream => state.queue.push_stream(message),
            UnixKind::Datagram | UnixKind::SeqPacket => state.queue.push(message),
        }
        Ok(())
    }

    /// Receives what was sent here.
    pub(super) fn receive(&self, to: &mut dyn Sink, flags: RecvFlags) -> Result<Received, Errno> {
        let mut state = self.state.lock();
        if state.queue.is_empty() {
            return state.nothing_to_receive(self.kind);
        }
        let was_writable = state.queue.is_writable();
        let received = match self.kind {
            UnixKind::Stream => state.queue.receive_stream(to, flags)?,
            UnixKind::Datagram => state.queue.receive_message(to, flags)?,
            UnixKind::SeqPacket => Received {
                address: None,
                ..state.queue.receive_message(to, flags)?
            },
        };
        let became_writable = !was_writable && state.queue.is_writable();
        let senders = became_writable.then(|| state.take_senders());
        drop(state);
        for sender in senders.into_iter().flatten() {
            sender.waiters.wake(Events::OUT);
        }
        Ok(received)
    }

    /// shutdown(2), which local sockets allow at any time.
    pub(super) fn shutdown(&self, how: Shutdown) {
        let (receiving, sending) = (how != Shutdown::Write, how != Shutdown::Read);
        self.close_directions(receiving, sending);
        if let (Ok(peer), true) = (self.peer(Errno::ENOTCONN), self.kind.is_connected()) {
            peer.close_directions(sending, receiving);
        }
    }

    fn close_directions(&self, receiving: bool, sending: bool) {
        let mut state = self.state.lock();
        state.receive_shut |= receiving;
        state.send_shut |= sending;
        drop(state);
        self.waiters.wake(Events::all());
    }

    /// The file is closed: the other side learns it, and what was not received goes.
    pub(super) fn close(&self) {
        let mut state = self.state.lock();
        state.receive_shut = true;
        state.send_shut = true;
        let queue = core::mem::take(&mut state.queue);
        let listening = state.listening.take();
        let peer = state.peer.take().and_then(|peer| peer.upgrade());
        drop(state);
        if let Some(peer) = peer.filter(|_| self.kind.is_connected()) {
            if !queue.is_empty() {
                peer.state.lock().error = Some(Errno::ECONNRESET);
            }
            peer.close_directions(true, true);
        }
        // Both may hold files, whose end can lead anywhere: not under the lock.
        rights::bury(queue, listening);
    }

    /// poll(2), as `unix_poll` of Linux answers.
    pub(super) fn poll(&self) -> Events {
        let state = self.state.lock();
        let mut events = Events::empty();
        if let Some(listening) = &state.listening {
            events.set(Events::IN, !listening.pending.is_empty());
            return events;
        }
        let unconnected = self.kind.is_connected() && state.peer.is_none();
        events.set(Events::ERR, state.error.is_some());
        events.set(Events::IN, !state.queue.is_empty() || state.receive_shut);
        events.set(Events::RDHUP, state.receive_shut);
        events.set(
            Events::HUP,
            unconnected || state.receive_shut && state.send_shut,
        );
        let peer = state.peer.as_ref().and_then(Weak::upgrade);
        drop(state);
        let writable = peer.is_none_or(|peer| peer.state.lock().queue.is_writable());
        events.set(Events::OUT, writable);
        events
    }
}

impl State {
    fn nothing_to_receive(&mut self, kind: UnixKind) -> Result<Received, Errno> {
        if let Some(error) = self.error.take() {
            return Err(error);
        }
        if self.receive_shut {
            return Ok(Received::default());
        }
        match self.peer {
            None if kind == UnixKind::Stream => Err(Errno::EINVAL),
            None if kind == UnixKind::SeqPacket => Err(Errno::ENOTCONN),
            _ => Err(Errno::EAGAIN),
        }
    }

    fn add_sender(&mut self, sender: &Arc<Endpoint>) {
        let sender = Arc::downgrade(sender);
        self.senders.retain(|known| known.strong_count() > 0);
        if !self
            .senders
            .iter()
            .any(|known| Weak::ptr_eq(known, &sender))
        {
            self.senders.push(sender);
        }
    }

    fn take_senders(&mut self) -> impl Iterator<Item = Arc<Endpoint>> + use<> {
        let senders = core::mem::take(&mut self.senders);
        let all = self.peer.clone().into_iter().chain(senders);
        all.filter_map(|sender| sender.upgrade())
    }
}
