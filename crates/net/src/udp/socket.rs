//! UDP as a protocol of sockets, and receiving.

use alloc::vec::Vec;
use core::time::Duration;

use linux_abi::Errno;
use smoltcp::wire::IpEndpoint;
use vfs::{Received, RecvFlags, SendMessage, Shutdown, Sink, Source};

use super::ancillary::received;
use super::state::{Datagram, UdpState};
use crate::address::{Family, emit_endpoint};
use crate::core::Core;
use crate::inet::Inet;
use crate::inet::socket::{InetSocket, Protocol};
use crate::options::Options;
use crate::ports::PortTable;
use crate::slab::Id;

/// The protocol.
pub(crate) struct Udp;

/// A UDP socket.
pub(crate) type UdpSocket = InetSocket<Udp>;

impl Protocol for Udp {
    fn create(core: &mut Core, family: Family) -> Id {
        core.udp.sockets.insert(UdpState::new(family))
    }

    fn close(core: &mut Core, id: Id) {
        core.udp_close(id);
    }

    fn inet(core: &Core, id: Id) -> Option<&Inet> {
        core.udp.sockets.get(id).map(|state| &state.inet)
    }

    fn inet_mut(core: &mut Core, id: Id) -> Option<&mut Inet> {
        core.udp.sockets.get_mut(id).map(|state| &mut state.inet)
    }

    fn ports(core: &mut Core) -> &mut PortTable {
        &mut core.udp.ports
    }

    fn refresh(core: &mut Core, id: Id) {
        core.udp_refresh(id);
    }

    /// Length of the next datagram (udp(7)).
    fn readable(core: &Core, id: Id) -> usize {
        let front = core.udp.sockets.get(id).and_then(UdpState::front);
        front.map_or(0, |next| next.payload.len())
    }

    fn bind(core: &mut Core, id: Id, address: &[u8]) -> Result<(), Errno> {
        core.udp_bind(id, address)
    }

    fn connect(core: &mut Core, id: Id, address: &[u8]) -> Result<(), Errno> {
        core.udp_connect(id, address)
    }

    fn listen(_core: &mut Core, _id: Id, _backlog: i32) -> Result<(), Errno> {
        Err(Errno::EOPNOTSUPP)
    }

    fn accept(_core: &mut Core, _id: Id) -> Result<Id, Errno> {
        Err(Errno::EOPNOTSUPP)
    }

    fn local(core: &Core, id: Id) -> Option<IpEndpoint> {
        core.udp.sockets.get(id).map(UdpState::local)
    }

    fn peer(core: &Core, id: Id) -> Option<IpEndpoint> {
        let (_, peer) = core.udp.sockets.get(id)?.peer?;
        Some(peer)
    }

    fn shutdown(core: &mut Core, id: Id, how: Shutdown) -> Result<(), Errno> {
        let state = core.udp.sockets.get_mut(id).ok_or(Errno::EBADF)?;
        if state.peer.is_none() {
            return Err(Errno::ENOTCONN);
        }
        state.read_shut |= how != Shutdown::Write;
        state.write_shut |= how != Shutdown::Read;
        core.udp_refresh(id);
        Ok(())
    }

    /// Nothing waits to be acknowledged.
    fn linger(_core: &mut Core, _id: Id) -> Option<Duration> {
        None
    }

    fn set_option(
        core: &mut Core,
        id: Id,
        level: i32,
        name: i32,
        value: &[u8],
    ) -> Result<(), Errno> {
        if let Some(result) = core.udp_set_group(id, level, name, value) {
            return result;
        }
        let state = core.udp.sockets.get_mut(id).ok_or(Errno::EBADF)?;
        state.inet.set_option(level, name, value)
    }

    fn option(core: &Core, id: Id, level: i32, name: i32, size: usize) -> Result<Vec<u8>, Errno> {
        let state = core.udp.sockets.get(id).ok_or(Errno::EBADF)?;
        state.inet.option(level, name, size, false)
    }

    fn send(
        core: &mut Core,
        id: Id,
        from: &mut dyn Source,
        message: &SendMessage<'_>,
    ) -> Result<usize, Errno> {
        core.udp_send(id, from, message)
    }

    fn receive(
        core: &mut Core,
        id: Id,
        to: &mut dyn Sink,
        flags: RecvFlags,
    ) -> Result<Received, Errno> {
        core.udp_receive(id, to, flags)
    }
}

impl Core {
    fn udp_receive(
        &mut self,
        id: Id,
        to: &mut dyn Sink,
        flags: RecvFlags,
    ) -> Result<Received, Errno> {
        let state = self.udp.sockets.get_mut(id).ok_or(Errno::EBADF)?;
        if let Some(error) = state.inet.error.take() {
            self.udp_refresh(id);
            return Err(error);
        }
        let Some(datagram) = state.front() else {
            return match state.read_shut {
                true => Ok(Received::default()),
                false => Err(Errno::EAGAIN),
            };
        };
        let received = hand_over(datagram, state.inet.family, &state.inet.options, to, flags)?;
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
        control: received(datagram, options),
        flags: result,
    })
}
