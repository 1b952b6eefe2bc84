//! A local socket as a file, and how it is named and connected.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;

use spin::Mutex;

use super::endpoint::{Endpoint, Listening};
use super::{Address, Key, UnixDomain, UnixKind};
use crate::{
    Errno, Events, File, FileKind, Follow, Inode, Received, RecvFlags, SendMessage, Shutdown, Sink,
    Socket, Source, Stat, WaitQueue,
};

/// Permissions of the file that bind(2) makes, before the umask.
const FILE_PERMISSIONS: u32 = 0o777;
/// Most connections that may wait for accept(2) (`/proc/sys/net/core/somaxconn`).
const MAX_BACKLOG: usize = 4096;

/// A local socket.
///
/// Paths in addresses of the [`Socket`] methods are relative to the root; a caller with a
/// working directory uses [`bind_from`](Self::bind_from) and [`connect_from`](Self::connect_from).
pub struct UnixSocket {
    domain: Arc<UnixDomain>,
    endpoint: Arc<Endpoint>,
    bound: Mutex<Option<Key>>,
}

impl UnixSocket {
    pub(super) fn new(domain: Arc<UnixDomain>, kind: UnixKind) -> Arc<Self> {
        Arc::new(Self {
            domain,
            endpoint: Endpoint::new(kind),
            bound: Mutex::new(None),
        })
    }

    pub(super) fn endpoint(&self) -> &Arc<Endpoint> {
        &self.endpoint
    }

    /// How many bytes wait to be received (`FIONREAD`).
    pub fn queued(&self) -> usize {
        self.endpoint.state.lock().queue.bytes()
    }

    /// bind(2), with paths relative to `base`. The file gets permissions 0777 less `umask`.
    ///
    /// # Errors
    /// As bind(2) and unix(7).
    pub fn bind_from(&self, base: &Arc<Inode>, address: &[u8], umask: u32) -> Result<(), Errno> {
        // Autobind (an address of nothing but the family) is not offered.
        let address = Address::parse(address)?.ok_or(Errno::EINVAL)?;
        let mut bound = self.bound.lock();
        if bound.is_some() {
            return Err(Errno::EINVAL);
        }
        let key = match &address {
            Address::Abstract(name) => Key::Abstract(name.clone()),
            Address::Path(path) => self.make_file(base, path, FILE_PERMISSIONS & !umask)?,
        };
        self.domain.add(key.clone(), &self.endpoint)?;
        *bound = Some(key);
        self.endpoint.state.lock().address = Some(address);
        Ok(())
    }

    fn make_file(&self, base: &Arc<Inode>, path: &[u8], permissions: u32) -> Result<Key, Errno> {
        let made = self
            .domain
            .tree
            .mknod(base, path, FileKind::Socket, permissions, 0);
        match made {
            Ok(inode) => Ok(Key::Inode(inode.number())),
            Err(Errno::EEXIST) => Err(Errno::EADDRINUSE),
            Err(error) => Err(error),
        }
    }

    /// connect(2), with paths relative to `base`.
    ///
    /// # Errors
    /// As connect(2) and unix(7); `EAGAIN` if the listener's backlog is full.
    pub fn connect_from(&self, base: &Arc<Inode>, address: &[u8]) -> Result<(), Errno> {
        if self.endpoint.kind != UnixKind::Datagram {
            return self.connect_to(&self.find(base, address)?);
        }
        if Address::is_unspecified(address) {
            self.endpoint.state.lock().peer = None;
            return Ok(());
        }
        let target = self.find(base, address)?;
        target.check_hears(&self.endpoint)?;
        self.endpoint.set_peer(&target);
        Ok(())
    }

    /// sendmsg(2), with paths relative to `base`.
    ///
    /// # Errors
    /// As sendmsg(2) and unix(7).
    pub fn send_from(
        &self,
        base: &Arc<Inode>,
        from: &mut dyn Source,
        message: &SendMessage<'_>,
    ) -> Result<usize, Errno> {
        if message.flags.contains(RecvFlags::OOB) {
            return Err(Errno::EOPNOTSUPP);
        }
        let has_peer = || self.endpoint.state.lock().peer.is_some();
        match (message.address, self.endpoint.kind) {
            (None, _) | (Some(_), UnixKind::SeqPacket) => self.endpoint.send(from, message),
            (Some(_), UnixKind::Stream) if has_peer() => Err(Errno::EISCONN),
            (Some(_), UnixKind::Stream) => Err(Errno::EOPNOTSUPP),
            (Some(address), UnixKind::Datagram) => {
                let target = self.find(base, address)?;
                self.endpoint.send_to(&target, from, message)
            }
        }
    }

    fn find(&self, base: &Arc<Inode>, address: &[u8]) -> Result<Arc<Endpoint>, Errno> {
        let key = match Address::parse(address)?.ok_or(Errno::EINVAL)? {
            Address::Abstract(name) => Key::Abstract(name),
            Address::Path(path) => {
                let inode = self.domain.tree.lookup(base, &path, Follow::Yes)?;
                Key::Inode(inode.number())
            }
        };
        let target = self.domain.find(&key)?;
        match target.kind == self.endpoint.kind {
            true => Ok(target),
            false => Err(Errno::EPROTOTYPE),
        }
    }

    fn connect_to(&self, listener: &Arc<Endpoint>) -> Result<(), Errno> {
        let accepted = self.domain.socket(self.endpoint.kind);
        let address = listener.state.lock().address.clone();
        accepted.endpoint.state.lock().address = address;
        self.endpoint.claim_peer(&accepted.endpoint)?;
        accepted.endpoint.set_peer(&self.endpoint);
        if let Err(error) = enqueue(listener, &accepted) {
            accepted.endpoint.state.lock().peer = None;
            self.endpoint.state.lock().peer = None;
            return Err(error);
        }
        listener.waiters.wake(Events::IN);
        self.endpoint.waiters.wake(Events::OUT);
        Ok(())
    }
}

fn enqueue(listener: &Endpoint, accepted: &Arc<UnixSocket>) -> Result<(), Errno> {
    let mut state = listener.state.lock();
    let listening = state.listening.as_mut().ok_or(Errno::ECONNREFUSED)?;
    if listening.pending.len() > listening.backlog {
        return Err(Errno::EAGAIN);
    }
    listening.pending.push_back(accepted.clone());
    Ok(())
}

impl Drop for UnixSocket {
    fn drop(&mut self) {
        if let Some(key) = self.bound.get_mut() {
            self.domain.remove(key);
        }
        self.endpoint.close();
    }
}

impl File for UnixSocket {
    fn stat(&self) -> Stat {
        Stat {
            permissions: FILE_PERMISSIONS,
            ..Stat::anonymous(FileKind::Socket)
        }
    }

    fn read(&self, to: &mut dyn Sink) -> Result<usize, Errno> {
        let received = self.receive(to, RecvFlags::empty())?;
        Ok(received.length)
    }

    fn write(&self, from: &mut dyn Source) -> Result<usize, Errno> {
        self.send(from, &SendMessage::default())
    }

    fn poll(&self) -> Events {
        self.endpoint.poll()
    }

    fn wait_queue(&self) -> Option<&WaitQueue> {
        Some(&self.endpoint.waiters)
    }

    fn as_socket(&self) -> Option<&dyn Socket> {
        Some(self)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl Socket for UnixSocket {
    fn bind(&self, address: &[u8]) -> Result<(), Errno> {
        self.bind_from(self.domain.tree.root(), address, 0)
    }

    fn connect(&self, address: &[u8]) -> Result<(), Errno> {
        self.connect_from(self.domain.tree.root(), address)
    }

    fn listen(&self, backlog: i32) -> Result<(), Errno> {
        if !self.endpoint.kind.is_connected() {
            return Err(Errno::EOPNOTSUPP);
        }
        let mut state = self.endpoint.state.lock();
        if state.address.is_none() || state.peer.is_some() {
            return Err(Errno::EINVAL);
        }
        let backlog = usize::try_from(backlog)
            .unwrap_or(MAX_BACKLOG)
            .min(MAX_BACKLOG);
        state
            .listening
            .get_or_insert_with(|| Listening {
                pending: VecDeque::new(),
                backlog,
            })
            .backlog = backlog;
        Ok(())
    }

    fn accept(&self) -> Result<Arc<dyn File>, Errno> {
        if !self.endpoint.kind.is_connected() {
            return Err(Errno::EOPNOTSUPP);
        }
        let mut state = self.endpoint.state.lock();
        let listening = state.listening.as_mut().ok_or(Errno::EINVAL)?;
        let accepted = listening.pending.pop_front().ok_or(Errno::EAGAIN)?;
        drop(state);
        // A connect that found the backlog full can go on.
        self.endpoint.waiters.wake(Events::OUT);
        Ok(accepted)
    }

    fn local_address(&self) -> Result<Vec<u8>, Errno> {
        Ok(Address::emit(self.endpoint.state.lock().address.as_ref()))
    }

    fn peer_address(&self) -> Result<Vec<u8>, Errno> {
        let peer = self.endpoint.state.lock().peer.clone();
        let peer = peer.ok_or(Errno::ENOTCONN)?;
        let peer = peer.upgrade().ok_or(Errno::ENOTCONN)?;
        let address = peer.state.lock().address.clone();
        Ok(Address::emit(address.as_ref()))
    }

    fn shutdown(&self, how: Shutdown) -> Result<(), Errno> {
        self.endpoint.shutdown(how);
        Ok(())
    }

    fn set_option(&self, level: i32, name: i32, value: &[u8]) -> Result<(), Errno> {
        self.endpoint.set_option(level, name, value)
    }

    fn option(&self, level: i32, name: i32, size: usize) -> Result<Vec<u8>, Errno> {
        self.endpoint.option(level, name, size)
    }

    fn send(&self, from: &mut dyn Source, message: &SendMessage<'_>) -> Result<usize, Errno> {
        self.send_from(self.domain.tree.root(), from, message)
    }

    fn receive(&self, to: &mut dyn Sink, flags: RecvFlags) -> Result<Received, Errno> {
        if flags.contains(RecvFlags::OOB) {
            return Err(Errno::EOPNOTSUPP);
        }
        self.endpoint.receive(to, flags)
    }
}
