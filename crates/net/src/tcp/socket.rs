//! TCP as a protocol of sockets, and its options.

use alloc::vec::Vec;
use core::time::Duration;

use linux_abi::Errno;
use linux_abi::raw::net as uapi;
use smoltcp::wire::IpEndpoint;
use vfs::{Received, RecvFlags, SendMessage, Shutdown, Sink, Source};

use super::block::{Block, Phase};
use super::settings::{Probing, Tuning};
use crate::address::Family;
use crate::core::Core;
use crate::inet::Inet;
use crate::inet::socket::{InetSocket, Protocol};
use crate::options::SOL_TCP;
use crate::ports::PortTable;
use crate::slab::Id;

/// The protocol.
pub(crate) struct Tcp;

/// A TCP socket.
pub(crate) type TcpSocket = InetSocket<Tcp>;

impl Protocol for Tcp {
    fn create(core: &mut Core, family: Family) -> Id {
        core.tcp.blocks.insert(Block::new(family))
    }

    fn close(core: &mut Core, id: Id) {
        core.tcp_close(id);
    }

    fn inet(core: &Core, id: Id) -> Option<&Inet> {
        core.tcp.blocks.get(id).map(|block| &block.inet)
    }

    fn inet_mut(core: &mut Core, id: Id) -> Option<&mut Inet> {
        core.tcp.blocks.get_mut(id).map(|block| &mut block.inet)
    }

    fn ports(core: &mut Core) -> &mut PortTable {
        &mut core.tcp.ports
    }

    fn refresh(core: &mut Core, id: Id) {
        core.tcp_refresh(id);
    }

    fn readable(core: &Core, id: Id) -> usize {
        let flow = core.tcp.blocks.get(id).and_then(Block::flow);
        flow.map_or(0, |flow| flow.tcp().recv_queue())
    }

    fn bind(core: &mut Core, id: Id, address: &[u8]) -> Result<(), Errno> {
        core.tcp_bind(id, address)
    }

    fn connect(core: &mut Core, id: Id, address: &[u8]) -> Result<(), Errno> {
        core.tcp_connect(id, address)
    }

    fn listen(core: &mut Core, id: Id, backlog: i32) -> Result<(), Errno> {
        core.tcp_listen(id, backlog)
    }

    fn accept(core: &mut Core, id: Id) -> Result<Id, Errno> {
        core.tcp_accept(id)
    }

    fn local(core: &Core, id: Id) -> Option<IpEndpoint> {
        core.tcp.blocks.get(id).map(Block::local)
    }

    fn peer(core: &Core, id: Id) -> Option<IpEndpoint> {
        let flow = core.tcp.blocks.get(id)?.flow()?;
        flow.established.then_some(flow.remote)
    }

    fn shutdown(core: &mut Core, id: Id, how: Shutdown) -> Result<(), Errno> {
        core.tcp_shutdown(id, how)
    }

    fn linger(core: &mut Core, id: Id) -> Option<Duration> {
        core.tcp_linger(id)
    }

    fn set_option(
        core: &mut Core,
        id: Id,
        level: i32,
        name: i32,
        value: &[u8],
    ) -> Result<(), Errno> {
        let block = core.tcp.blocks.get_mut(id).ok_or(Errno::EBADF)?;
        block.inet.set_option(level, name, value)?;
        let tuning = Tuning::new(&block.inet.options);
        if let Some(flow) = block.flow_mut()
            && flow.tuning != tuning
        {
            flow.tuning = tuning;
            tuning.apply(flow, Probing::No);
            core.tcp.mark_dirty(id);
        }
        Ok(())
    }

    fn option(core: &Core, id: Id, level: i32, name: i32, size: usize) -> Result<Vec<u8>, Errno> {
        let block = core.tcp.blocks.get(id).ok_or(Errno::EBADF)?;
        let mut bytes = match (level, name as u32) {
            (SOL_TCP, uapi::TCP_CONGESTION) => b"reno\0".to_vec(),
            (SOL_TCP, uapi::TCP_INFO) => core.tcp_info(block),
            _ => {
                let is_listening = matches!(block.phase, Phase::Listening(_));
                return block.inet.option(level, name, size, is_listening);
            }
        };
        bytes.truncate(size);
        Ok(bytes)
    }

    fn send(
        core: &mut Core,
        id: Id,
        from: &mut dyn Source,
        _message: &SendMessage<'_>,
    ) -> Result<usize, Errno> {
        core.tcp_send(id, from)
    }

    fn receive(
        core: &mut Core,
        id: Id,
        to: &mut dyn Sink,
        flags: RecvFlags,
    ) -> Result<Received, Errno> {
        core.tcp_receive(id, to, flags)
    }
}
