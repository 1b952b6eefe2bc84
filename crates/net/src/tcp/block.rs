//! The state of one TCP socket (its transmission control block).

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec;

use linux_abi::raw::net::{SO_RCVBUF, SO_SNDBUF};
use smoltcp::iface::{SocketHandle, SocketSet};
use smoltcp::socket::tcp::{self, CongestionControl, SocketBuffer, State};
use smoltcp::time::Instant;
use smoltcp::wire::{IpEndpoint, TcpSeqNumber};
use vfs::Events;

use super::settings::{DEFAULT_BUFFER, Tuning, buffer_size};
use crate::address::Family;
use crate::inet::Inet;
use crate::link::LinkName;
use crate::options::{Options, Transport};
use crate::slab::Id;

/// A socket.
pub(crate) struct Block {
    pub(crate) inet: Inet,
    pub(crate) phase: Phase,
}

/// Where a socket is in its life.
pub(crate) enum Phase {
    /// Fresh, or bound.
    Idle,
    Listening(Listener),
    /// There is, or was, a connection.
    Open(Box<Flow>),
    /// The connection is over and everything received was read; nothing but its name is left.
    Over {
        local: IpEndpoint,
        remote: IpEndpoint,
    },
}

/// A listening socket's queues.
pub(crate) struct Listener {
    /// Limit for `ready`.
    pub(crate) backlog: usize,
    /// Connections that wait for the end of their handshake.
    pub(crate) handshakes: usize,
    /// Established connections that wait for accept(2).
    pub(crate) ready: VecDeque<Id>,
}

impl Listener {
    /// Whether another established connection would exceed the backlog. As on Linux, the queue
    /// holds one more than the backlog says.
    pub(crate) fn is_full(&self) -> bool {
        self.ready.len() > self.backlog
    }
}

/// Who a connection belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    /// A descriptor.
    File,
    /// The listening socket it came in by, until accept(2) takes it.
    Listener(Id),
    /// Nobody: the descriptor was closed, and the rest happens alone.
    Nobody,
}

/// A connection.
pub(crate) struct Flow {
    pub(crate) set: SocketSet<'static>,
    handle: SocketHandle,
    pub(crate) link: LinkName,
    pub(crate) local: IpEndpoint,
    pub(crate) remote: IpEndpoint,
    pub(crate) owner: Owner,
    /// Whether the handshake has ended.
    pub(crate) established: bool,
    /// Whether connect(2) has told of its success.
    pub(crate) reported: bool,
    /// The descriptor was closed, and close(2) waits for the end (`SO_LINGER`).
    pub(crate) lingering: bool,
    pub(crate) read_shut: bool,
    pub(crate) write_shut: bool,
    /// Waits in the list of connections that want to send.
    pub(crate) dirty: bool,
    /// Waits in the list of connections that need a neighbour's address.
    pub(crate) unresolved: bool,
    /// Since when a neighbour's address is missing.
    pub(crate) unresolved_since: Option<Instant>,
    /// The last acknowledgement number received.
    pub(crate) acknowledged: Option<TcpSeqNumber>,
    /// The other side said last that it has no room.
    pub(crate) is_window_closed: bool,
    /// The entry in the timer list.
    pub(crate) timer: Option<Instant>,
    /// When an orphan is given up.
    pub(crate) abandon_at: Option<Instant>,
    /// Bytes of both buffers.
    pub(crate) memory: usize,
    pub(crate) tuning: Tuning,
}

impl Flow {
    /// A connection that is not yet open; `scarce` memory makes for small buffers.
    pub(crate) fn new(
        link: LinkName,
        (local, remote): (IpEndpoint, IpEndpoint),
        owner: Owner,
        options: &Options,
        scarce: bool,
    ) -> Self {
        let receive = buffer_size(options, SO_RCVBUF, scarce);
        let send = buffer_size(options, SO_SNDBUF, scarce);
        let mut socket = tcp::Socket::new(
            SocketBuffer::new(vec![0; receive]),
            SocketBuffer::new(vec![0; send]),
        );
        socket.set_congestion_control(congestion_control(send));
        let mut set = SocketSet::new(vec![]);
        let handle = set.add(socket);
        Self {
            set,
            handle,
            link,
            local,
            remote,
            owner,
            established: false,
            reported: false,
            lingering: false,
            read_shut: false,
            write_shut: false,
            dirty: false,
            unresolved: false,
            unresolved_since: None,
            acknowledged: None,
            is_window_closed: false,
            timer: None,
            abandon_at: None,
            memory: receive + send,
            tuning: Tuning::new(options),
        }
    }

    pub(crate) fn tcp(&self) -> &tcp::Socket<'static> {
        self.set.get(self.handle)
    }

    pub(crate) fn tcp_mut(&mut self) -> &mut tcp::Socket<'static> {
        self.set.get_mut(self.handle)
    }

    pub(crate) fn state(&self) -> State {
        self.tcp().state()
    }

    /// Whether the other side will send no more.
    pub(crate) fn received_end(&self) -> bool {
        matches!(
            self.state(),
            State::CloseWait | State::LastAck | State::Closing | State::TimeWait | State::Closed
        )
    }

    /// Whether the other side has everything that was sent, and our end.
    pub(crate) fn end_is_acknowledged(&self) -> bool {
        matches!(
            self.state(),
            State::FinWait2 | State::TimeWait | State::Closed
        )
    }

    /// Whether a third of the send buffer is free (Linux: `sk_stream_is_writeable`).
    fn has_send_space(&self) -> bool {
        let capacity = self.tcp().send_capacity();
        (capacity - self.tcp().send_queue()) * 3 >= capacity
    }

    /// poll(2) for a connection (Linux: `tcp_poll`).
    fn events(&self) -> Events {
        if self.lingering {
            // Nobody but close(2) looks.
            return match self.end_is_acknowledged() {
                true => Events::HUP,
                false => Events::empty(),
            };
        }
        if matches!(self.state(), State::SynSent | State::SynReceived) {
            return Events::empty();
        }
        let mut events = Events::empty();
        let no_input = self.received_end() || self.read_shut;
        let no_output = self.write_shut || self.state() == State::Closed;
        if no_input {
            events |= Events::IN | Events::RDHUP;
        }
        if self.tcp().can_recv() {
            events |= Events::IN;
        }
        if no_output || self.has_send_space() {
            events |= Events::OUT;
        }
        if self.state() == State::Closed || (no_input && no_output) {
            events |= Events::HUP;
        }
        events
    }
}

/// No congestion control for buffers up to 16 KiB: they never hold more than the initial window
/// of ten segments that RFC 6928 allows. Reno beyond.
fn congestion_control(send_buffer: usize) -> CongestionControl {
    if send_buffer <= DEFAULT_BUFFER {
        CongestionControl::None
    } else {
        CongestionControl::Reno
    }
}

impl Block {
    pub(crate) fn new(family: Family) -> Self {
        let options = Options::new(Transport::Tcp);
        Self {
            inet: Inet::new(family, options, Events::OUT | Events::HUP),
            phase: Phase::Idle,
        }
    }

    /// A connection that came in by this listening socket: it inherits the options.
    pub(crate) fn accepted(&self, flow: Flow) -> Self {
        let options = self.inet.options.clone();
        Self {
            inet: Inet {
                device: self.inet.device,
                ..Inet::new(self.inet.family, options, Events::empty())
            },
            phase: Phase::Open(Box::new(flow)),
        }
    }

    pub(crate) fn flow(&self) -> Option<&Flow> {
        match &self.phase {
            Phase::Open(flow) => Some(flow),
            _ => None,
        }
    }

    pub(crate) fn flow_mut(&mut self) -> Option<&mut Flow> {
        match &mut self.phase {
            Phase::Open(flow) => Some(flow),
            _ => None,
        }
    }

    pub(crate) fn listener_mut(&mut self) -> Option<&mut Listener> {
        match &mut self.phase {
            Phase::Listening(listener) => Some(listener),
            _ => None,
        }
    }

    /// Local and remote address of the connection, if there is or was one.
    pub(crate) fn endpoints(&self) -> Option<(IpEndpoint, IpEndpoint)> {
        match &self.phase {
            Phase::Open(flow) => Some((flow.local, flow.remote)),
            Phase::Over { local, remote } => Some((*local, *remote)),
            Phase::Idle | Phase::Listening(_) => None,
        }
    }

    /// poll(2).
    pub(crate) fn events(&self) -> Events {
        let events = match &self.phase {
            Phase::Idle => Events::OUT | Events::HUP,
            Phase::Listening(listener) if listener.ready.is_empty() => Events::empty(),
            Phase::Listening(_) => Events::IN,
            Phase::Open(flow) => flow.events(),
            Phase::Over { .. } => Events::IN | Events::OUT | Events::RDHUP | Events::HUP,
        };
        match self.inet.error {
            Some(_) => events | Events::ERR,
            None => events,
        }
    }
}
