//! What the descriptor of a UDP socket refers to.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;

use linux_abi::Errno;
use linux_abi::raw::net as uapi;
use smoltcp::wire::IpAddress;
use vfs::{
    Events, File, FileKind, Received, RecvFlags, SendMessage, Shutdown, Sink, Socket, Source, Stat,
    WaitQueue,
};

use super::state::{Datagram, UdpState};
use crate::address::{Family, emit_endpoint};
use crate::core::{Core, is_loopback};
use crate::link::LinkName;
use crate::options::{Options, SOL_IP, SOL_IPV6, SOL_SOCKET, SOL_UDP, emit_integer};
use crate::readiness::Readiness;
use crate::slab::Id;
use crate::stack::NetStack;

/// A UDP socket.
pub(crate) struct UdpSocket {
    stack: Arc<NetStack>,
    id: Id,
    readiness: Arc<Readiness>,
}

impl UdpSocket {
    pub(crate) fn create(stack: &Arc<NetStack>, family: Family) -> Arc<dyn File> {
        let state = UdpState::new(family);
        let readiness = state.readiness.clone();
        let id = stack.enter(|core| core.udp.sockets.insert(state));
        Arc::new(Self {
            stack: stack.clone(),
            id,
            readiness,
        })
    }

    /// Length of the next datagram (`FIONREAD`, udp(7)).
    pub(crate) fn readable(&self) -> usize {
        self.state(|state| state.front().map_or(0, |next| next.payload.len()))
            .unwrap_or(0)
    }

    fn state<R>(&self, read: impl FnOnce(&UdpState) -> R) -> Result<R, Errno> {
        self.stack
            .look(|core| core.udp.sockets.get(self.id).map(read).ok_or(Errno::EBADF))
    }
}

impl Drop for UdpSocket {
    fn drop(&mut self) {
        self.stack.enter(|core| core.udp_close(self.id));
    }
}

impl File for UdpSocket {
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
        self.readiness.events()
    }

    fn wait_queue(&self) -> Option<&WaitQueue> {
        Some(self.readiness.queue())
    }

    fn as_socket(&self) -> Option<&dyn Socket> {
        Some(self)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl Socket for UdpSocket {
    fn bind(&self, address: &[u8]) -> Result<(), Errno> {
        self.stack.enter(|core| core.udp_bind(self.id, address))
    }

    fn connect(&self, address: &[u8]) -> Result<(), Errno> {
        self.stack.enter(|core| core.udp_connect(self.id, address))
    }

    fn listen(&self, _backlog: i32) -> Result<(), Errno> {
        Err(Errno::EOPNOTSUPP)
    }

    fn accept(&self) -> Result<Arc<dyn File>, Errno> {
        Err(Errno::EOPNOTSUPP)
    }

    fn local_address(&self) -> Result<Vec<u8>, Errno> {
        self.state(|state| emit_endpoint(state.family, state.local()))
    }

    fn peer_address(&self) -> Result<Vec<u8>, Errno> {
        self.state(|state| {
            let (_, peer) = state.peer.ok_or(Errno::ENOTCONN)?;
            Ok(emit_endpoint(state.family, peer))
        })?
    }

    fn shutdown(&self, how: Shutdown) -> Result<(), Errno> {
        self.stack.enter(|core| {
            let state = core.udp.sockets.get_mut(self.id).ok_or(Errno::EBADF)?;
            if state.peer.is_none() {
                return Err(Errno::ENOTCONN);
            }
            state.read_shut |= how != Shutdown::Write;
            state.write_shut |= how != Shutdown::Read;
            core.udp_refresh(self.id);
            Ok(())
        })
    }

    fn set_option(&self, level: i32, name: i32, value: &[u8]) -> Result<(), Errno> {
        self.stack.enter(|core| {
            if let Some(result) = core.udp_set_group(self.id, level, name, value) {
                return result;
            }
            let state = core.udp.sockets.get_mut(self.id).ok_or(Errno::EBADF)?;
            state.options.set(level, name, value)
        })
    }

    fn option(&self, level: i32, name: i32, size: usize) -> Result<Vec<u8>, Errno> {
        if (level, name as u32) == (SOL_SOCKET, uapi::SO_ERROR) {
            let error = self.stack.enter(|core| core.udp_take_error(self.id));
            return Ok(emit_integer(error, level, size));
        }
        self.state(|state| state.option(level, name, size))?
    }

    fn send(&self, from: &mut dyn Source, message: &SendMessage<'_>) -> Result<usize, Errno> {
        if message.flags.contains(RecvFlags::OOB) {
            return Err(Errno::EOPNOTSUPP);
        }
        self.stack
            .enter(|core| core.udp_send(self.id, from, message))
    }

    fn receive(&self, to: &mut dyn Sink, flags: RecvFlags) -> Result<Received, Errno> {
        self.stack
            .enter(|core| core.udp_receive(self.id, to, flags))
    }
}

impl Core {
    fn udp_take_error(&mut self, id: Id) -> i32 {
        let error = self
            .udp
            .sockets
            .get_mut(id)
            .and_then(|state| state.error.take());
        self.udp_refresh(id);
        error.map_or(0, |error| i32::from(error.number()))
    }

    fn udp_receive(
        &mut self,
        id: Id,
        to: &mut dyn Sink,
        flags: RecvFlags,
    ) -> Result<Received, Errno> {
        let state = self.udp.sockets.get_mut(id).ok_or(Errno::EBADF)?;
        if let Some(error) = state.error.take() {
            self.udp_refresh(id);
            return Err(error);
        }
        let Some(datagram) = state.front() else {
            return match state.read_shut {
                true => Ok(Received::default()),
                false => Err(Errno::EAGAIN),
            };
        };
        let received = hand_over(datagram, state.family, &state.options, to, flags)?;
        if !flags.contains(RecvFlags::PEEK) {
            state.pop();
            self.udp_refresh(id);
        }
        Ok(received)
    }
}

/// Copies a datagram to the caller.
fn hand_over(
    datagram: &Datagram,
    family: Family,
    options: &Options,
    to: &mut dyn Sink,
    flags: RecvFlags,
) -> Result<Received, Errno> {
    let copied = to.put(&datagram.payload)?;
    let full = datagram.payload.len();
    let mut result = RecvFlags::empty();
    if copied < full {
        result |= RecvFlags::TRUNC;
    }
    let wants_full = flags.contains(RecvFlags::TRUNC);
    Ok(Received {
        length: if wants_full { full } else { copied },
        address: Some(emit_endpoint(family, datagram.from)),
        rights: Vec::new(),
        control: control(datagram, options),
        flags: result,
    })
}

/// The control messages that the socket's options ask for (ip(7), ipv6(7)).
fn control(datagram: &Datagram, options: &Options) -> Vec<(i32, i32, Vec<u8>)> {
    let hop_limit = i32::from(datagram.hop_limit).to_le_bytes().to_vec();
    let class = datagram.traffic_class;
    let of_family = match datagram.to {
        IpAddress::Ipv4(_) => SOL_IP,
        IpAddress::Ipv6(_) => SOL_IPV6,
    };
    let wanted = |level, name| level == of_family && options.flag(level, name);
    let mut messages = Vec::new();
    if wanted(SOL_IP, uapi::IP_RECVTTL) {
        messages.push((SOL_IP, uapi::IP_TTL as i32, hop_limit.clone()));
    }
    if wanted(SOL_IP, uapi::IP_RECVTOS) {
        messages.push((SOL_IP, uapi::IP_TOS as i32, alloc::vec![class]));
    }
    if wanted(SOL_IPV6, uapi::IPV6_RECVHOPLIMIT) {
        messages.push((SOL_IPV6, uapi::IPV6_HOPLIMIT as i32, hop_limit));
    }
    if wanted(SOL_IPV6, uapi::IPV6_RECVTCLASS) {
        let class = i32::from(class).to_le_bytes().to_vec();
        messages.push((SOL_IPV6, uapi::IPV6_TCLASS as i32, class));
    }
    match datagram.to {
        IpAddress::Ipv4(to) if wanted(SOL_IP, uapi::IP_PKTINFO) => {
            messages.push((SOL_IP, uapi::IP_PKTINFO as i32, packet_info(to)));
        }
        IpAddress::Ipv6(to) if wanted(SOL_IPV6, uapi::IPV6_RECVPKTINFO) => {
            // `struct in6_pktinfo`: destination address, interface index.
            let mut info = to.octets().to_vec();
            info.extend_from_slice(&arrival_link(to.into()).index().to_le_bytes());
            messages.push((SOL_IPV6, uapi::IPV6_PKTINFO as i32, info));
        }
        _ => {}
    }
    messages
}

/// The interface that packets to `address` come in by.
fn arrival_link(address: IpAddress) -> LinkName {
    match is_loopback(address) {
        true => LinkName::Loopback,
        false => LinkName::Ethernet,
    }
}

/// `struct in_pktinfo`: interface index, local address, destination address.
fn packet_info(to: core::net::Ipv4Addr) -> Vec<u8> {
    let index = arrival_link(to.into()).index();
    let mut bytes = index.to_le_bytes().to_vec();
    bytes.extend_from_slice(&to.octets());
    bytes.extend_from_slice(&to.octets());
    bytes
}

impl UdpState {
    /// getsockopt(2), except `SO_ERROR`.
    fn option(&self, level: i32, name: i32, size: usize) -> Result<Vec<u8>, Errno> {
        let value = match (level, name as u32) {
            (SOL_SOCKET, uapi::SO_TYPE) => uapi::SOCK_DGRAM as i32,
            (SOL_SOCKET, uapi::SO_PROTOCOL) => SOL_UDP,
            (SOL_SOCKET, uapi::SO_DOMAIN) => i32::from(self.family.number()),
            (SOL_SOCKET, uapi::SO_ACCEPTCONN) => 0,
            _ => return self.options.get(level, name, size),
        };
        Ok(emit_integer(value, level, size))
    }
}
