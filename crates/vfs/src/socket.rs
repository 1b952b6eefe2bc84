//! What the socket system calls ask of a socket of any family.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use bitflags::bitflags;
use linux_abi::layout::{Layout, TimeVal};
use linux_abi::raw::net::{SO_RCVTIMEO_OLD, SO_SNDTIMEO_OLD};

use crate::{Errno, File, OpenFile, Sink, Source};

bitflags! {
    /// `MSG_*` flags of recv(2) and send(2) (linux/socket.h).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct RecvFlags: u32 {
        /// Out-of-band data.
        const OOB = 0x1;
        /// Leave the data in the queue.
        const PEEK = 0x2;
        /// In results: control data did not fit.
        const CTRUNC = 0x8;
        /// Return a datagram's full length; in results: the datagram did not fit.
        const TRUNC = 0x20;
        /// Do not block.
        const DONTWAIT = 0x40;
        /// Wait for the full amount.
        const WAITALL = 0x100;
        /// In results: from the error queue.
        const ERRQUEUE = 0x2000;
        /// No SIGPIPE.
        const NOSIGNAL = 0x4000;
        /// Close-on-exec for received descriptors.
        const CMSG_CLOEXEC = 0x4000_0000;
        const _ = !0;
    }
}

/// Which direction shutdown(2) closes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shutdown {
    /// No more receiving (`SHUT_RD`).
    Read,
    /// No more sending (`SHUT_WR`).
    Write,
    /// Neither (`SHUT_RDWR`).
    Both,
}

/// The parts of a sendmsg(2) besides the data.
#[derive(Default)]
pub struct SendMessage<'a> {
    /// Destination address (a raw `sockaddr`), if given.
    pub address: Option<&'a [u8]>,
    /// `MSG_*` flags.
    pub flags: RecvFlags,
    /// Open files passed by `SCM_RIGHTS`.
    pub rights: Vec<Arc<OpenFile>>,
    /// Other control messages: (level, type, data), for example `IP_TTL`.
    pub control: Vec<(i32, i32, Vec<u8>)>,
}

/// The parts of a recvmsg(2) result besides the data.
#[derive(Default)]
pub struct Received {
    /// Length to return: bytes copied, or a datagram's full length with `MSG_TRUNC`.
    pub length: usize,
    /// Sender (a raw `sockaddr`), where the family tells it.
    pub address: Option<Vec<u8>>,
    /// Open files received by `SCM_RIGHTS`.
    pub rights: Vec<Arc<OpenFile>>,
    /// Other control messages: (level, type, data), for example `IP_TTL`.
    pub control: Vec<(i32, i32, Vec<u8>)>,
    /// `msg_flags` of the result.
    pub flags: RecvFlags,
}

/// How long blocking calls on a socket wait (`SO_RCVTIMEO`, `SO_SNDTIMEO`); at first without limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TimeLimits {
    receive: TimeVal,
    send: TimeVal,
}

impl TimeLimits {
    fn named(&mut self, name: i32) -> Option<&mut TimeVal> {
        match name as u32 {
            SO_RCVTIMEO_OLD => Some(&mut self.receive),
            SO_SNDTIMEO_OLD => Some(&mut self.send),
            _ => None,
        }
    }

    /// setsockopt(2) of `SOL_SOCKET`; `None` if `name` is another option.
    pub fn set(&mut self, name: i32, value: &[u8]) -> Option<Result<(), Errno>> {
        let limit = self.named(name)?;
        let Some(bytes) = value.first_chunk() else {
            return Some(Err(Errno::EINVAL));
        };
        let time = TimeVal::decode(bytes);
        if !(0..1_000_000).contains(&time.tv_usec) {
            return Some(Err(Errno::EDOM));
        }
        *limit = time;
        Some(Ok(()))
    }

    /// getsockopt(2) of `SOL_SOCKET`; `None` if `name` is another option.
    pub fn get(mut self, name: i32, size: usize) -> Option<Vec<u8>> {
        let mut bytes = self.named(name)?.encode().to_vec();
        bytes.truncate(size);
        Some(bytes)
    }
}

/// A socket of any family. No method blocks: `EAGAIN` (or `EINPROGRESS` for a TCP connect) says
/// that the file's wait queue tells when to go on.
pub trait Socket: Send + Sync {
    /// bind(2) with a raw `sockaddr`.
    ///
    /// # Errors
    /// As bind(2).
    fn bind(&self, address: &[u8]) -> Result<(), Errno>;

    /// connect(2) with a raw `sockaddr`. A connection that takes time returns `EINPROGRESS`;
    /// completion shows as `OUT` readiness and the result in `SO_ERROR`.
    ///
    /// # Errors
    /// As connect(2).
    fn connect(&self, address: &[u8]) -> Result<(), Errno>;

    /// listen(2).
    ///
    /// # Errors
    /// As listen(2).
    fn listen(&self, backlog: i32) -> Result<(), Errno>;

    /// accept(2): the next established connection.
    ///
    /// # Errors
    /// `EAGAIN` when there is none, else as accept(2).
    fn accept(&self) -> Result<Arc<dyn File>, Errno>;

    /// The local address as a raw `sockaddr` (getsockname(2)).
    ///
    /// # Errors
    /// As getsockname(2).
    fn local_address(&self) -> Result<Vec<u8>, Errno>;

    /// The remote address as a raw `sockaddr` (getpeername(2)).
    ///
    /// # Errors
    /// `ENOTCONN` without one.
    fn peer_address(&self) -> Result<Vec<u8>, Errno>;

    /// shutdown(2).
    ///
    /// # Errors
    /// `ENOTCONN` if not connected.
    fn shutdown(&self, how: Shutdown) -> Result<(), Errno>;

    /// Called before the last descriptor goes: begins to close, and tells how long close(2) waits
    /// at most until `HUP` says that the other side has everything (`SO_LINGER`, socket(7)).
    /// `None` if it does not wait.
    fn linger(&self) -> Option<Duration> {
        None
    }

    /// setsockopt(2) with the raw option value.
    ///
    /// # Errors
    /// As setsockopt(2); `ENOPROTOOPT` for unknown options.
    fn set_option(&self, level: i32, name: i32, value: &[u8]) -> Result<(), Errno>;

    /// getsockopt(2): the raw option value, at most `size` bytes of it wanted.
    ///
    /// # Errors
    /// As getsockopt(2); `ENOPROTOOPT` for unknown options.
    fn option(&self, level: i32, name: i32, size: usize) -> Result<Vec<u8>, Errno>;

    /// sendmsg(2): how many bytes were taken.
    ///
    /// # Errors
    /// `EAGAIN` when nothing can be taken yet, `EPIPE` after the sending side was shut down
    /// (SIGPIPE is the caller's business), else as sendmsg(2).
    fn send(&self, from: &mut dyn Source, message: &SendMessage<'_>) -> Result<usize, Errno>;

    /// recvmsg(2).
    ///
    /// # Errors
    /// `EAGAIN` when there is nothing to receive yet, else as recvmsg(2).
    fn receive(&self, to: &mut dyn Sink, flags: RecvFlags) -> Result<Received, Errno>;
}
