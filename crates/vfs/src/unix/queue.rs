//! What was sent to a local socket and not received yet.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::address::Address;
use crate::{Errno, OpenFile, Received, RecvFlags, Sink};

/// Bytes that fit, with [`OVERHEAD`] for each message (Linux `net.core.wmem_default`).
pub(super) const CAPACITY: usize = 212_992;
/// What a message counts besides its bytes, so that empty ones fill the queue as well.
const OVERHEAD: usize = 256;
/// Small messages of a stream are put together up to this size.
const JOINED_BYTES: usize = 4096;

/// One message, or a part of a stream.
pub(super) struct Message {
    pub(super) bytes: Vec<u8>,
    /// Where the part that was not received yet starts.
    pub(super) start: usize,
    pub(super) rights: Vec<Arc<OpenFile>>,
    pub(super) sender: Option<Address>,
}

/// Messages in order.
#[derive(Default)]
pub(super) struct Queue {
    messages: VecDeque<Message>,
    /// What the messages count.
    filled: usize,
}

impl Queue {
    pub(super) fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// Bytes that fit into one more message.
    pub(super) fn room(&self) -> usize {
        CAPACITY.saturating_sub(self.filled + OVERHEAD)
    }

    /// Whether the queue is empty enough to be worth writing to (unix(7) sockets are writable
    /// when a quarter is in use at most).
    pub(super) fn is_writable(&self) -> bool {
        self.filled <= CAPACITY / 4
    }

    /// Bytes that can be received (`FIONREAD` of a stream).
    pub(super) fn bytes(&self) -> usize {
        let left = |message: &Message| message.bytes.len() - message.start;
        self.messages.iter().map(left).sum()
    }

    /// Every file on its way.
    pub(super) fn rights(&self) -> impl Iterator<Item = &Arc<OpenFile>> {
        self.messages.iter().flat_map(|message| &message.rights)
    }

    /// Takes a message.
    pub(super) fn push(&mut self, message: Message) {
        self.filled += message.bytes.len() + OVERHEAD;
        self.messages.push_back(message);
    }

    /// Takes a part of a stream, joined with the one before where both are small.
    pub(super) fn push_stream(&mut self, message: Message) {
        let size = message.bytes.len();
        let joins = |last: &Message| {
            let rights = last.rights.len() + message.rights.len();
            rights == 0 && last.bytes.len() + size <= JOINED_BYTES
        };
        match self.messages.back_mut() {
            Some(last) if joins(last) => {
                last.bytes.extend_from_slice(&message.bytes);
                self.filled += size;
            }
            _ => self.push(message),
        }
    }

    /// Receives from a stream: bytes up to, but not past, a part that carries files.
    pub(super) fn receive_stream(
        &mut self,
        to: &mut dyn Sink,
        flags: RecvFlags,
    ) -> Result<Received, Errno> {
        let peek = flags.contains(RecvFlags::PEEK);
        let mut received = Received::default();
        let mut index = 0;
        while let Some(message) = self.messages.get_mut(index) {
            let has_rights = !message.rights.is_empty();
            if received.length > 0 && (has_rights || to.remaining() == 0) {
                break;
            }
            let count = match to.put(&message.bytes[message.start..]) {
                Ok(count) => count,
                Err(_) if received.length > 0 => break,
                Err(error) => return Err(error),
            };
            received.length += count;
            if has_rights {
                received.rights = take_or_copy(&mut message.rights, peek);
            }
            let complete = message.start + count == message.bytes.len();
            if peek {
                index += 1;
            } else {
                message.start += count;
                if complete {
                    self.pop();
                }
            }
            if has_rights || !complete {
                break;
            }
        }
        Ok(received)
    }

    /// Receives one message; what does not fit is lost.
    pub(super) fn receive_message(
        &mut self,
        to: &mut dyn Sink,
        flags: RecvFlags,
    ) -> Result<Received, Errno> {
        let peek = flags.contains(RecvFlags::PEEK);
        let message = self.messages.front_mut().ok_or(Errno::EAGAIN)?;
        let copied = to.put(&message.bytes)?;
        let mut received = Received {
            length: copied,
            address: Some(Address::emit(message.sender.as_ref())),
            rights: take_or_copy(&mut message.rights, peek),
            ..Received::default()
        };
        if copied < message.bytes.len() {
            received.flags |= RecvFlags::TRUNC;
            if flags.contains(RecvFlags::TRUNC) {
                received.length = message.bytes.len();
            }
        }
        if !peek {
            self.pop();
        }
        Ok(received)
    }

    fn pop(&mut self) {
        if let Some(message) = self.messages.pop_front() {
            self.filled -= message.bytes.len() + OVERHEAD;
        }
    }
}

fn take_or_copy(rights: &mut Vec<Arc<OpenFile>>, copy: bool) -> Vec<Arc<OpenFile>> {
    match copy {
        true => rights.clone(),
        false => core::mem::take(rights),
    }
}
