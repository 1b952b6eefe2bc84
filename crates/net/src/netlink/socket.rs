//! What the descriptor of a netlink socket refers to.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;
use core::sync::atomic::{AtomicU32, Ordering};

use linux_abi::Errno;
use linux_abi::raw::net as uapi;
use spin::Mutex;
use vfs::{
    Events, File, FileKind, Received, RecvFlags, SendMessage, Shutdown, Sink, Socket, Source, Stat,
    WaitQueue,
};

use super::answer::{Facts, answer};
use crate::address::family_of;
use crate::options::{Options, SOL_SOCKET, Transport, emit_integer};
use crate::stack::NetStack;

/// `struct sockaddr_nl`: family u16 | pad u16 | port u32 | groups u32.
const ADDRESS_SIZE: usize = 12;
/// The longest request that is read.
const REQUEST_LIMIT: usize = 64 << 10;
/// The first address given to a socket that asks for none.
static NEXT_PORT: AtomicU32 = AtomicU32::new(1);

/// A routing netlink socket.
pub(crate) struct NetlinkSocket {
    stack: Arc<NetStack>,
    /// Kind of socket(2): raw or datagram, which makes no difference.
    kind: u32,
    state: Mutex<State>,
    queue: WaitQueue,
}

struct State {
    /// The socket's netlink address; 0 until bound.
    port: u32,
    options: Options,
    answers: VecDeque<Vec<u8>>,
}

impl NetlinkSocket {
    pub(crate) fn create(stack: &Arc<NetStack>, kind: u32) -> Arc<dyn File> {
        Arc::new(Self {
            stack: stack.clone(),
            kind,
            state: Mutex::new(State {
                port: 0,
                options: Options::new(Transport::Udp),
                answers: VecDeque::new(),
            }),
            queue: WaitQueue::new(),
        })
    }

    /// Length of the next answer (`FIONREAD`).
    pub(crate) fn readable(&self) -> usize {
        self.state.lock().answers.front().map_or(0, Vec::len)
    }

    fn facts(&self) -> Facts {
        let status = self.stack.status();
        Facts {
            interfaces: self.stack.interfaces(),
            gateway: status.gateway,
            gateway6: status.gateway6,
        }
    }
}

impl State {
    /// Gives the socket an address if it has none.
    fn ensure_bound(&mut self, wanted: u32) -> u32 {
        if self.port == 0 {
            self.port = match wanted {
                0 => NEXT_PORT.fetch_add(1, Ordering::Relaxed),
                port => port,
            };
        }
        self.port
    }
}

/// The port in a `struct sockaddr_nl`.
fn parse_port(address: &[u8]) -> Result<u32, Errno> {
    if family_of(address)? != uapi::AF_NETLINK as u16 {
        return Err(Errno::EINVAL);
    }
    let address = address.get(..ADDRESS_SIZE).ok_or(Errno::EINVAL)?;
    Ok(u32::from_le_bytes([
        address[4], address[5], address[6], address[7],
    ]))
}

fn emit_port(port: u32) -> Vec<u8> {
    let mut bytes = (uapi::AF_NETLINK as u16).to_le_bytes().to_vec();
    bytes.extend_from_slice(&[0; 2]);
    bytes.extend_from_slice(&port.to_le_bytes());
    bytes.resize(ADDRESS_SIZE, 0);
    bytes
}

impl File for NetlinkSocket {
    fn stat(&self) -> Stat {
        Stat::anonymous(FileKind::Socket)
    }

    fn read(&self, to: &mut dyn Sink) -> Result<usize, Errno> {
        self.receive(to, RecvFlags::empty())
            .map(|received| received.length)
    }

    fn write(&self, from: &mut dyn Source) -> Result<usize, Errno> {
        self.send(from, &SendMessage::default())
    }

    fn poll(&self) -> Events {
        match self.state.lock().answers.is_empty() {
            true => Events::OUT,
            false => Events::OUT | Events::IN,
        }
    }

    fn wait_queue(&self) -> Option<&WaitQueue> {
        Some(&self.queue)
    }

    fn as_socket(&self) -> Option<&dyn Socket> {
        Some(self)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl Socket for NetlinkSocket {
    fn bind(&self, address: &[u8]) -> Result<(), Errno> {
        self.state.lock().ensure_bound(parse_port(address)?);
        Ok(())
    }

    /// Only the kernel, port 0, can be talked to.
    fn connect(&self, address: &[u8]) -> Result<(), Errno> {
        match parse_port(address)? {
            0 => Ok(()),
            _ => Err(Errno::ECONNREFUSED),
        }
    }

    fn listen(&self, _backlog: i32) -> Result<(), Errno> {
        Err(Errno::EOPNOTSUPP)
    }

    fn accept(&self) -> Result<Arc<dyn File>, Errno> {
        Err(Errno::EOPNOTSUPP)
    }

    fn local_address(&self) -> Result<Vec<u8>, Errno> {
        Ok(emit_port(self.state.lock().port))
    }

    fn peer_address(&self) -> Result<Vec<u8>, Errno> {
        Ok(emit_port(0))
    }

    fn shutdown(&self, _how: Shutdown) -> Result<(), Errno> {
        Err(Errno::EOPNOTSUPP)
    }

    fn set_option(&self, level: i32, name: i32, value: &[u8]) -> Result<(), Errno> {
        self.state.lock().options.set(level, name, value)
    }

    fn option(&self, level: i32, name: i32, size: usize) -> Result<Vec<u8>, Errno> {
        let value = match (level, name as u32) {
            (SOL_SOCKET, uapi::SO_TYPE) => self.kind as i32,
            (SOL_SOCKET, uapi::SO_DOMAIN) => uapi::AF_NETLINK as i32,
            (SOL_SOCKET, uapi::SO_PROTOCOL | uapi::SO_ERROR | uapi::SO_ACCEPTCONN) => 0,
            _ => return self.state.lock().options.get(level, name, size),
        };
        Ok(emit_integer(value, level, size))
    }

    fn send(&self, from: &mut dyn Source, message: &SendMessage<'_>) -> Result<usize, Errno> {
        if message.address.map_or(Ok(0), parse_port)? != 0 {
            return Err(Errno::ECONNREFUSED);
        }
        let length = from.remaining();
        if length > REQUEST_LIMIT {
            return Err(Errno::EMSGSIZE);
        }
        let mut request = alloc::vec![0; length];
        let taken = from.take(&mut request)?;
        request.truncate(taken);
        let facts = self.facts();
        {
            let mut state = self.state.lock();
            let port = state.ensure_bound(0);
            state.answers.extend(answer(&request, port, &facts));
        }
        self.queue.wake(Events::IN);
        Ok(taken)
    }

    fn receive(&self, to: &mut dyn Sink, flags: RecvFlags) -> Result<Received, Errno> {
        let mut state = self.state.lock();
        let next = state.answers.front().ok_or(Errno::EAGAIN)?;
        let (copied, full) = (to.put(next)?, next.len());
        if !flags.contains(RecvFlags::PEEK) {
            state.answers.pop_front();
        }
        let truncated = copied < full;
        Ok(Received {
            length: if flags.contains(RecvFlags::TRUNC) {
                full
            } else {
                copied
            },
            address: Some(emit_port(0)),
            flags: if truncated {
                RecvFlags::TRUNC
            } else {
                RecvFlags::empty()
            },
            ..Received::default()
        })
    }
}
