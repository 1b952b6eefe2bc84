//! Local sockets: unix(7), of the types stream, datagram and sequenced packet.
//!
//! A [`UnixSocket`] is the file; its [`Endpoint`] holds the state and what was sent to it. Two
//! connected endpoints know each other only weakly, so that neither keeps the other alive.

mod address;
mod endpoint;
mod options;
mod queue;
mod rights;
mod socket;

use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;

use hashbrown::HashMap;
use spin::Mutex;

use crate::{Errno, Tree};

pub use socket::UnixSocket;

use address::Address;
use endpoint::Endpoint;

/// The type of a local socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnixKind {
    /// A byte stream (`SOCK_STREAM`).
    Stream,
    /// Messages without a connection (`SOCK_DGRAM`).
    Datagram,
    /// Messages over a connection (`SOCK_SEQPACKET`).
    SeqPacket,
}

impl UnixKind {
    /// From the socket type of socket(2), without its flags.
    ///
    /// # Errors
    /// `ESOCKTNOSUPPORT` for any other type.
    pub const fn from_raw(raw: u32) -> Result<Self, Errno> {
        match raw {
            1 => Ok(Self::Stream),
            2 => Ok(Self::Datagram),
            5 => Ok(Self::SeqPacket),
            _ => Err(Errno::ESOCKTNOSUPPORT),
        }
    }

    const fn as_raw(self) -> i32 {
        match self {
            Self::Stream => 1,
            Self::Datagram => 2,
            Self::SeqPacket => 5,
        }
    }

    fn is_connected(self) -> bool {
        self != Self::Datagram
    }
}

/// The names that local sockets are found by.
pub struct UnixDomain {
    tree: Arc<Tree>,
    bound: Mutex<HashMap<Key, Weak<Endpoint>>>,
}

/// What a bound socket is found by: a socket file, wherever its names are, or an abstract name.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Key {
    Inode(u64),
    Abstract(Vec<u8>),
}

impl UnixDomain {
    /// A name space whose paths are those of `tree`.
    pub fn new(tree: Arc<Tree>) -> Arc<Self> {
        Arc::new(Self {
            tree,
            bound: Mutex::new(HashMap::new()),
        })
    }

    /// socket(2).
    pub fn socket(self: &Arc<Self>, kind: UnixKind) -> Arc<UnixSocket> {
        UnixSocket::new(self.clone(), kind)
    }

    /// socketpair(2).
    pub fn pair(self: &Arc<Self>, kind: UnixKind) -> (Arc<UnixSocket>, Arc<UnixSocket>) {
        let (one, other) = (self.socket(kind), self.socket(kind));
        one.endpoint().set_peer(other.endpoint());
        other.endpoint().set_peer(one.endpoint());
        (one, other)
    }

    fn find(&self, key: &Key) -> Result<Arc<Endpoint>, Errno> {
        let bound = self.bound.lock();
        bound
            .get(key)
            .and_then(Weak::upgrade)
            .ok_or(Errno::ECONNREFUSED)
    }

    fn add(&self, key: Key, endpoint: &Arc<Endpoint>) -> Result<(), Errno> {
        let mut bound = self.bound.lock();
        if bound.get(&key).is_some_and(|old| old.strong_count() > 0) {
            return Err(Errno::EADDRINUSE);
        }
        bound.insert(key, Arc::downgrade(endpoint));
        Ok(())
    }

    fn remove(&self, key: &Key) {
        self.bound.lock().remove(key);
    }
}

#[cfg(test)]
mod tests;
