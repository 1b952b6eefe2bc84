//! What the descriptor of a TCP socket refers to.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;

use linux_abi::Errno;
use linux_abi::raw::net as uapi;
use vfs::{
    Events, File, FileKind, Received, RecvFlags, SendMessage, Shutdown, Sink, Socket, Source, Stat,
    WaitQueue,
};

use super::block::{Block, Phase};
use super::settings::{Probing, Tuning};
use crate::address::{Family, emit_endpoint};
use crate::core::Core;
use crate::options::{SOL_SOCKET, SOL_TCP, emit_integer};
use crate::readiness::Readiness;
use crate::slab::Id;
use crate::stack::NetStack;

/// A TCP socket.
pub(crate) struct TcpSocket {
    stack: Arc<NetStack>,
    id: Id,
    readiness: Arc<Readiness>,
}

impl TcpSocket {
    pub(crate) fn create(stack: &Arc<NetStack>, family: Family) -> Arc<dyn File> {
        let block = Block::new(family);
        let readiness = block.readiness.clone();
        let id = stack.enter(|core| core.tcp.blocks.insert(block));
        Arc::new(Self {
            stack: stack.clone(),
            id,
            readiness,
        })
    }

    /// Bytes that can be read at once (`FIONREAD`).
    pub(crate) fn readable(&self) -> usize {
        self.block(|block| block.flow().map_or(0, |flow| flow.tcp().recv_queue()))
            .unwrap_or(0)
    }

    fn block<R>(&self, read: impl FnOnce(&Block) -> R) -> Result<R, Errno> {
        let id = self.id;
        self.stack
            .look(|core| core.tcp.blocks.get(id).map(read).ok_or(Errno::EBADF))
    }
}

impl Drop for TcpSocket {
    fn drop(&mut self) {
        self.stack.enter(|core| core.tcp_close(self.id));
    }
}

impl File for TcpSocket {
    fn stat(&self) -> Stat {
        Stat::anonymous(FileKind::Socket)
    }

    fn read(&self, to: &mut dyn Sink) -> Result<usize, Errno> {
        self.receive(to, RecvFlags::empty())
            .map(|received| received.length)
    }

    fn write(&self, from: &mut dyn Source) -> Result<usize, Errno> {
        self.stack.enter(|core| core.tcp_send(self.id, from))
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

impl Socket for TcpSocket {
    fn bind(&self, address: &[u8]) -> Result<(), Errno> {
        self.stack.enter(|core| core.tcp_bind(self.id, address))
    }

    fn connect(&self, address: &[u8]) -> Result<(), Errno> {
        self.stack.enter(|core| core.tcp_connect(self.id, address))
    }

    fn listen(&self, backlog: i32) -> Result<(), Errno> {
        self.stack.enter(|core| core.tcp_listen(self.id, backlog))
    }

    fn accept(&self) -> Result<Arc<dyn File>, Errno> {
        let (id, readiness) = self.stack.enter(|core| {
            let id = core.tcp_accept(self.id)?;
            let block = core.tcp.blocks.get(id).ok_or(Errno::ECONNABORTED)?;
            Ok::<_, Errno>((id, block.readiness.clone()))
        })?;
        Ok(Arc::new(Self {
            stack: self.stack.clone(),
            id,
            readiness,
        }))
    }

    fn local_address(&self) -> Result<Vec<u8>, Errno> {
        self.block(|block| emit_endpoint(block.family, block.local()))
    }

    fn peer_address(&self) -> Result<Vec<u8>, Errno> {
        self.block(|block| match &block.phase {
            Phase::Open(flow) if flow.established => Ok(emit_endpoint(block.family, flow.remote)),
            _ => Err(Errno::ENOTCONN),
        })?
    }

    fn shutdown(&self, how: Shutdown) -> Result<(), Errno> {
        self.stack.enter(|core| core.tcp_shutdown(self.id, how))
    }

    fn set_option(&self, level: i32, name: i32, value: &[u8]) -> Result<(), Errno> {
        self.stack
            .enter(|core| core.tcp_set_option(self.id, level, name, value))
    }

    fn option(&self, level: i32, name: i32, size: usize) -> Result<Vec<u8>, Errno> {
        if (level, name as u32) == (SOL_SOCKET, uapi::SO_ERROR) {
            let error = self.stack.enter(|core| core.tcp_take_error(self.id));
            return Ok(emit_integer(error, level, size));
        }
        self.block(|block| block.option(level, name, size))?
    }

    fn send(&self, from: &mut dyn Source, message: &SendMessage<'_>) -> Result<usize, Errno> {
        if message.flags.contains(RecvFlags::OOB) {
            return Err(Errno::EOPNOTSUPP);
        }
        self.write(from)
    }

    fn receive(&self, to: &mut dyn Sink, flags: RecvFlags) -> Result<Received, Errno> {
        self.stack
            .enter(|core| core.tcp_receive(self.id, to, flags))
    }
}

impl Core {
    fn tcp_set_option(&mut self, id: Id, level: i32, name: i32, value: &[u8]) -> Result<(), Errno> {
        let block = self.tcp.blocks.get_mut(id).ok_or(Errno::EBADF)?;
        block.options.set(level, name, value)?;
        let tuning = Tuning::new(&block.options);
        if let Some(flow) = block.flow_mut()
            && flow.tuning != tuning
        {
            flow.tuning = tuning;
            tuning.apply(flow, Probing::No);
            self.tcp.mark_dirty(id);
        }
        Ok(())
    }

    fn tcp_take_error(&mut self, id: Id) -> i32 {
        let error = self
            .tcp
            .blocks
            .get_mut(id)
            .and_then(|block| block.error.take());
        self.tcp_refresh(id);
        error.map_or(0, |error| i32::from(error.number()))
    }
}

impl Block {
    /// getsockopt(2), except `SO_ERROR`.
    fn option(&self, level: i32, name: i32, size: usize) -> Result<Vec<u8>, Errno> {
        let value = match (level, name as u32) {
            (SOL_SOCKET, uapi::SO_TYPE) => uapi::SOCK_STREAM as i32,
            (SOL_SOCKET, uapi::SO_PROTOCOL) => SOL_TCP,
            (SOL_SOCKET, uapi::SO_DOMAIN) => i32::from(self.family.number()),
            (SOL_SOCKET, uapi::SO_ACCEPTCONN) => {
                i32::from(matches!(self.phase, Phase::Listening(_)))
            }
            (SOL_TCP, uapi::TCP_CONGESTION) => {
                let mut name = b"reno\0".to_vec();
                name.truncate(size);
                return Ok(name);
            }
            _ => return self.options.get(level, name, size),
        };
        Ok(emit_integer(value, level, size))
    }
}
