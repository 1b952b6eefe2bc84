//! Sending one datagram through smoltcp.

use alloc::vec;
use core::num::NonZeroU8;

use linux_abi::Errno;
use smoltcp::iface::{SocketHandle, SocketSet};
use smoltcp::phy::PacketMeta;
use smoltcp::socket::udp::{self, PacketBuffer, PacketMetadata, UdpMetadata};
use smoltcp::time::Instant;
use smoltcp::wire::{IpAddress, IpEndpoint};
use vfs::Source;

use crate::demux::Arrival;
use crate::slab::Id;

/// A socket set for one outgoing datagram of any UDP socket.
pub(crate) struct Carrier {
    pub(crate) set: SocketSet<'static>,
    handle: SocketHandle,
}

/// A datagram that could not leave yet.
pub(crate) struct Parked {
    pub(crate) carrier: Carrier,
    /// The socket it came from.
    pub(crate) owner: Id,
    pub(crate) remote: IpAddress,
    /// When it is given up.
    pub(crate) expires_at: Instant,
}

/// Who sends to whom.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Envelope {
    pub(crate) local: IpAddress,
    pub(crate) port: u16,
    pub(crate) remote: IpEndpoint,
    pub(crate) hop_limit: Option<NonZeroU8>,
}

impl Envelope {
    /// The datagram as its receiver on this machine sees it.
    pub(crate) fn arrival<'a>(&self, payload: &'a [u8]) -> Arrival<'a> {
        Arrival {
            local: self.remote,
            remote: IpEndpoint::new(self.local, self.port),
            hop_limit: self.hop_limit.map_or(64, NonZeroU8::get),
            traffic_class: 0,
            payload,
        }
    }
}

impl Carrier {
    /// A carrier for payloads of up to `capacity` bytes.
    pub(crate) fn new(capacity: usize) -> Self {
        let socket = udp::Socket::new(
            PacketBuffer::new(vec![], vec![]),
            PacketBuffer::new(vec![PacketMetadata::EMPTY; 1], vec![0; capacity]),
        );
        let mut set = SocketSet::new(vec![]);
        let handle = set.add(socket);
        Self { set, handle }
    }

    /// Loads a datagram.
    ///
    /// # Errors
    /// `EFAULT` from the source; `EINVAL` for port 0 as destination.
    pub(crate) fn load(
        &mut self,
        envelope: &Envelope,
        from: &mut dyn Source,
    ) -> Result<usize, Errno> {
        let socket: &mut udp::Socket<'static> = self.set.get_mut(self.handle);
        socket.close();
        socket.bind(envelope.port).map_err(|_| Errno::EINVAL)?;
        socket.set_hop_limit(envelope.hop_limit.map(NonZeroU8::get));
        let metadata = UdpMetadata {
            endpoint: envelope.remote,
            local_address: Some(envelope.local),
            meta: PacketMeta::default(),
        };
        let length = from.remaining();
        let buffer = socket.send(length, metadata).map_err(|_| Errno::EINVAL)?;
        let filled = fill(buffer, from);
        if filled.is_err() {
            socket.close();
        }
        filled
    }
}

/// Fills the whole buffer.
pub(super) fn fill(buffer: &mut [u8], from: &mut dyn Source) -> Result<usize, Errno> {
    let mut filled = 0;
    while filled < buffer.len() {
        match from.take(&mut buffer[filled..])? {
            0 => return Err(Errno::EFAULT),
            count => filled += count,
        }
    }
    Ok(filled)
}
