//! Moving data between a connection's buffers and the caller's.

use linux_abi::Errno;
use smoltcp::socket::tcp::{self, State};
use vfs::{Received, RecvFlags, Sink, Source};

use super::block::{Block, Flow, Phase};
use crate::core::Core;
use crate::slab::Id;

/// Chunk of stack memory for looking at received data without taking it.
const PEEK_CHUNK: usize = 2048;

impl Core {
    pub(crate) fn tcp_send(&mut self, id: Id, from: &mut dyn Source) -> Result<usize, Errno> {
        let block = self.tcp.blocks.get_mut(id).ok_or(Errno::EBADF)?;
        if let Some(error) = block.inet.error.take() {
            self.tcp_refresh(id);
            return Err(error);
        }
        let flow = block.flow_mut().ok_or(Errno::EPIPE)?;
        if matches!(flow.state(), State::SynSent | State::SynReceived) {
            return Err(Errno::EAGAIN);
        }
        if flow.write_shut || !flow.tcp().may_send() {
            return Err(Errno::EPIPE);
        }
        let count = fill(flow.tcp_mut(), from)?;
        if flow.sends_now() {
            self.tcp.mark_dirty(id);
            self.settle();
        }
        self.tcp_refresh(id);
        Ok(count)
    }

    pub(crate) fn tcp_receive(
        &mut self,
        id: Id,
        to: &mut dyn Sink,
        flags: RecvFlags,
    ) -> Result<Received, Errno> {
        if flags.contains(RecvFlags::OOB) {
            return Err(Errno::EINVAL);
        }
        let length = self.tcp_take(id, to, flags)?;
        Ok(Received {
            length,
            ..Received::default()
        })
    }

    fn tcp_take(&mut self, id: Id, to: &mut dyn Sink, flags: RecvFlags) -> Result<usize, Errno> {
        let block = self.tcp.blocks.get_mut(id).ok_or(Errno::EBADF)?;
        let flow = match &mut block.phase {
            Phase::Idle | Phase::Listening(_) => {
                let error = block.inet.error.take().unwrap_or(Errno::ENOTCONN);
                self.tcp_refresh(id);
                return Err(error);
            }
            Phase::Open(flow) => Some(flow),
            Phase::Over { .. } => None,
        };
        let readable = flow.filter(|flow| flow.tcp().can_recv());
        let Some(flow) = readable else {
            return self.tcp_nothing_to_read(id);
        };
        if to.remaining() == 0 {
            return Ok(0);
        }
        if flags.contains(RecvFlags::PEEK) {
            return peek(flow.tcp_mut(), to);
        }
        let opens_window = flow.tcp().recv_queue() * 2 >= flow.tcp().recv_capacity();
        let count = drain(flow.tcp_mut(), to, flags)?;
        if opens_window {
            self.tcp.mark_dirty(id);
        }
        self.tcp_after_read(id);
        Ok(count)
    }

    /// The answer when the receive buffer is empty.
    fn tcp_nothing_to_read(&mut self, id: Id) -> Result<usize, Errno> {
        let block = self.tcp.blocks.get_mut(id).ok_or(Errno::EBADF)?;
        if let Some(error) = block.inet.error.take() {
            self.tcp_refresh(id);
            return Err(error);
        }
        match block.flow() {
            Some(flow) if !flow.received_end() && !flow.read_shut => Err(Errno::EAGAIN),
            _ => Ok(0),
        }
    }

    fn tcp_after_read(&mut self, id: Id) {
        let flow = self.tcp.blocks.get(id).and_then(Block::flow);
        if flow.is_some_and(Flow::is_spent) {
            self.tcp_finish(id);
        }
        self.tcp_refresh(id);
    }
}

impl Flow {
    /// Whether what was just written leaves now. `TCP_CORK` holds back less than a full segment.
    fn sends_now(&self) -> bool {
        !self.tuning.is_corked() || self.tcp().send_queue() >= CORK_LIMIT
    }
}

/// Bytes that leave in spite of `TCP_CORK`: a full Ethernet segment.
const CORK_LIMIT: usize = 1460;

/// Copies from the caller into the send buffer; twice, because the buffer is a ring.
fn fill(socket: &mut tcp::Socket<'static>, from: &mut dyn Source) -> Result<usize, Errno> {
    let mut total = 0;
    while from.remaining() > 0 && socket.can_send() {
        let step = socket.send(|buffer| match from.take(buffer) {
            Ok(count) => (count, Ok(count)),
            Err(error) => (0, Err(error)),
        });
        match step.unwrap_or(Err(Errno::EPIPE)) {
            Ok(0) => break,
            Ok(count) => total += count,
            Err(error) if total == 0 => return Err(error),
            Err(_) => break,
        }
    }
    match total {
        0 if from.remaining() > 0 => Err(Errno::EAGAIN),
        _ => Ok(total),
    }
}

/// Moves received data to the caller. With `MSG_TRUNC` it is dropped instead (tcp(7)).
fn drain(
    socket: &mut tcp::Socket<'static>,
    to: &mut dyn Sink,
    flags: RecvFlags,
) -> Result<usize, Errno> {
    let mut total = 0;
    let discard = flags.contains(RecvFlags::TRUNC);
    let wanted = to.remaining();
    while total < wanted && socket.can_recv() {
        let step = socket.recv(|buffer| {
            if discard {
                let count = buffer.len().min(wanted - total);
                return (count, Ok(count));
            }
            match to.put(buffer) {
                Ok(count) => (count, Ok(count)),
                Err(error) => (0, Err(error)),
            }
        });
        match step.unwrap_or(Ok(0)) {
            Ok(0) => break,
            Ok(count) => total += count,
            Err(error) if total == 0 => return Err(error),
            Err(_) => break,
        }
    }
    Ok(total)
}

/// Copies received data without taking it from the buffer. smoltcp shows the front of the ring;
/// what lies beyond its end is copied in one go of limited size.
fn peek(socket: &mut tcp::Socket<'static>, to: &mut dyn Sink) -> Result<usize, Errno> {
    let front = socket.peek(to.remaining()).unwrap_or(&[]);
    let (count, seen) = (to.put(front)?, front.len());
    if count < seen || to.remaining() == 0 || seen >= PEEK_CHUNK {
        return Ok(count);
    }
    let mut chunk = [0; PEEK_CHUNK];
    let available = socket.peek_slice(&mut chunk).unwrap_or(0);
    match chunk.get(seen..available) {
        Some(rest) => Ok(count + to.put(rest)?),
        None => Ok(count),
    }
}
