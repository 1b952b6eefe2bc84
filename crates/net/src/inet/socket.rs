//! What the descriptor of a TCP or UDP socket refers to.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;
use core::marker::PhantomData;
use core::time::Duration;

use linux_abi::Errno;
use linux_abi::raw::net as uapi;
use smoltcp::wire::IpEndpoint;
use vfs::{
    Events, File, FileKind, Received, RecvFlags, SendMessage, Shutdown, Sink, Socket, Source, Stat,
    WaitQueue,
};

use super::Inet;
use crate::address::{Family, emit_endpoint};
use crate::core::Core;
use crate::link::LinkName;
use crate::options::{SOL_SOCKET, emit_integer};
use crate::ports::PortTable;
use crate::readiness::Readiness;
use crate::slab::Id;
use crate::stack::NetStack;

/// What the protocols do differently. The functions are those of [`Socket`], on the state.
pub(crate) trait Protocol: Send + Sync + 'static {
    fn create(core: &mut Core, family: Family) -> Id;
    fn close(core: &mut Core, id: Id);
    fn inet(core: &Core, id: Id) -> Option<&Inet>;
    fn inet_mut(core: &mut Core, id: Id) -> Option<&mut Inet>;
    fn ports(core: &mut Core) -> &mut PortTable;
    /// Publishes the readiness.
    fn refresh(core: &mut Core, id: Id);
    /// Bytes that `FIONREAD` tells of.
    fn readable(core: &Core, id: Id) -> usize;

    fn bind(core: &mut Core, id: Id, address: &[u8]) -> Result<(), Errno>;
    fn connect(core: &mut Core, id: Id, address: &[u8]) -> Result<(), Errno>;
    fn listen(core: &mut Core, id: Id, backlog: i32) -> Result<(), Errno>;
    fn accept(core: &mut Core, id: Id) -> Result<Id, Errno>;
    fn local(core: &Core, id: Id) -> Option<IpEndpoint>;
    fn peer(core: &Core, id: Id) -> Option<IpEndpoint>;
    fn shutdown(core: &mut Core, id: Id, how: Shutdown) -> Result<(), Errno>;
    fn linger(core: &mut Core, id: Id) -> Option<Duration>;
    fn set_option(
        core: &mut Core,
        id: Id,
        level: i32,
        name: i32,
        value: &[u8],
    ) -> Result<(), Errno>;
    fn option(core: &Core, id: Id, level: i32, name: i32, size: usize) -> Result<Vec<u8>, Errno>;
    fn send(
        core: &mut Core,
        id: Id,
        from: &mut dyn Source,
        message: &SendMessage<'_>,
    ) -> Result<usize, Errno>;
    fn receive(
        core: &mut Core,
        id: Id,
        to: &mut dyn Sink,
        flags: RecvFlags,
    ) -> Result<Received, Errno>;
}

/// A socket of protocol `P`.
pub(crate) struct InetSocket<P: Protocol> {
    stack: Arc<NetStack>,
    id: Id,
    readiness: Arc<Readiness>,
    protocol: PhantomData<P>,
}

impl<P: Protocol> InetSocket<P> {
    pub(crate) fn create(stack: &Arc<NetStack>, family: Family) -> Result<Arc<dyn File>, Errno> {
        let id = stack.enter(|core| P::create(core, family));
        Self::open(stack, id)
    }

    fn open(stack: &Arc<NetStack>, id: Id) -> Result<Arc<dyn File>, Errno> {
        let readiness = stack.look(|core| P::inet(core, id).map(|inet| inet.readiness.clone()));
        Ok(Arc::new(Self {
            stack: stack.clone(),
            id,
            readiness: readiness.ok_or(Errno::ECONNABORTED)?,
            protocol: PhantomData,
        }))
    }

    /// Bytes that can be read at once (`FIONREAD`).
    pub(crate) fn readable(&self) -> usize {
        self.stack.look(|core| P::readable(core, self.id))
    }

    /// An endpoint of the socket as a raw address.
    fn address(&self, which: fn(&Core, Id) -> Option<IpEndpoint>) -> Result<Vec<u8>, Errno> {
        self.stack.look(|core| {
            let inet = P::inet(core, self.id).ok_or(Errno::EBADF)?;
            let endpoint = which(core, self.id).ok_or(Errno::ENOTCONN)?;
            Ok(emit_endpoint(inet.family, endpoint))
        })
    }

    /// `SO_BINDTODEVICE`: an interface's name, or none to be free again.
    fn bind_to_device(&self, core: &mut Core, value: &[u8]) -> Result<(), Errno> {
        let end = value.iter().position(|byte| *byte == 0);
        let device = match &value[..end.unwrap_or(value.len())] {
            [] => None,
            name => {
                let link = LinkName::of_name(name).ok_or(Errno::ENODEV)?;
                Some(core.link_of_index(link.index()).ok_or(Errno::ENODEV)?)
            }
        };
        let inet = P::inet_mut(core, self.id).ok_or(Errno::EBADF)?;
        inet.device = device;
        if let Some((_, port)) = inet.bound {
            P::ports(core).update(port, self.id, |binding| binding.device = device);
        }
        Ok(())
    }

    /// Takes `SO_ERROR`.
    fn take_error(&self) -> i32 {
        self.stack.enter(|core| {
            let error = P::inet_mut(core, self.id).and_then(|inet| inet.error.take());
            P::refresh(core, self.id);
            error.map_or(0, |error| i32::from(error.number()))
        })
    }
}

impl<P: Protocol> Drop for InetSocket<P> {
    fn drop(&mut self) {
        self.stack.enter(|core| P::close(core, self.id));
    }
}

impl<P: Protocol> File for InetSocket<P> {
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

impl<P: Protocol> Socket for InetSocket<P> {
    fn bind(&self, address: &[u8]) -> Result<(), Errno> {
        self.stack.enter(|core| P::bind(core, self.id, address))
    }

    fn connect(&self, address: &[u8]) -> Result<(), Errno> {
        self.stack.enter(|core| P::connect(core, self.id, address))
    }

    fn listen(&self, backlog: i32) -> Result<(), Errno> {
        self.stack.enter(|core| P::listen(core, self.id, backlog))
    }

    fn accept(&self) -> Result<Arc<dyn File>, Errno> {
        let id = self.stack.enter(|core| P::accept(core, self.id))?;
        Self::open(&self.stack, id)
    }

    fn local_address(&self) -> Result<Vec<u8>, Errno> {
        self.address(P::local)
    }

    fn peer_address(&self) -> Result<Vec<u8>, Errno> {
        self.address(P::peer)
    }

    fn shutdown(&self, how: Shutdown) -> Result<(), Errno> {
        self.stack.enter(|core| P::shutdown(core, self.id, how))
    }

    fn linger(&self) -> Option<Duration> {
        self.stack.enter(|core| P::linger(core, self.id))
    }

    fn set_option(&self, level: i32, name: i32, value: &[u8]) -> Result<(), Errno> {
        self.stack.enter(|core| match (level, name as u32) {
            (SOL_SOCKET, uapi::SO_BINDTODEVICE) => self.bind_to_device(core, value),
            _ => P::set_option(core, self.id, level, name, value),
        })
    }

    fn option(&self, level: i32, name: i32, size: usize) -> Result<Vec<u8>, Errno> {
        if (level, name as u32) == (SOL_SOCKET, uapi::SO_ERROR) {
            return Ok(emit_integer(self.take_error(), level, size));
        }
        self.stack
            .look(|core| P::option(core, self.id, level, name, size))
    }

    fn send(&self, from: &mut dyn Source, message: &SendMessage<'_>) -> Result<usize, Errno> {
        if message.flags.contains(RecvFlags::OOB) {
            return Err(Errno::EOPNOTSUPP);
        }
        self.stack
            .enter(|core| P::send(core, self.id, from, message))
    }

    fn receive(&self, to: &mut dyn Sink, flags: RecvFlags) -> Result<Received, Errno> {
        // A socket that can send and nothing else has no data, no end and no error. ERTS asks
        // once more after each answer that it has sent.
        if self.readiness.events() == Events::OUT && !flags.contains(RecvFlags::OOB) {
            return Err(Errno::EAGAIN);
        }
        self.stack
            .enter(|core| P::receive(core, self.id, to, flags))
    }
}
