//! What TCP and UDP sockets have in common: [`Inet`] is the state that every socket keeps,
//! [`socket`] what a descriptor refers to.

pub(crate) mod socket;

use alloc::sync::Arc;
use alloc::vec::Vec;

use linux_abi::Errno;
use linux_abi::raw::net as uapi;
use smoltcp::wire::{IpAddress, IpEndpoint};
use vfs::Events;

use crate::address::{Family, parse_endpoint, unspecified};
use crate::link::LinkName;
use crate::options::{Options, SOL_IPV6, SOL_SOCKET, SOL_TCP, SOL_UDP, Transport, emit_integer};
use crate::ports::Scope;
use crate::readiness::Readiness;

/// The common state of internet sockets.
pub(crate) struct Inet {
    pub(crate) family: Family,
    pub(crate) options: Options,
    pub(crate) readiness: Arc<Readiness>,
    /// What bind(2) took, or what was chosen instead.
    pub(crate) bound: Option<(Scope, u16)>,
    /// `SO_BINDTODEVICE`: the only interface to use.
    pub(crate) device: Option<LinkName>,
    /// `SO_ERROR`.
    pub(crate) error: Option<Errno>,
}

impl Inet {
    pub(crate) fn new(family: Family, options: Options, events: Events) -> Self {
        Self {
            family,
            options,
            readiness: Readiness::new(events),
            bound: None,
            device: None,
            error: None,
        }
    }

    /// Reads the address of another socket.
    ///
    /// # Errors
    /// As connect(2); `ENETUNREACH` for an IPv4 address if only IPv6 is wanted.
    pub(crate) fn remote(&self, address: &[u8]) -> Result<IpEndpoint, Errno> {
        let remote = parse_endpoint(self.family, address)?;
        let excluded = self.is_only_v6() && matches!(remote.addr, IpAddress::Ipv4(_));
        match excluded {
            true => Err(Errno::ENETUNREACH),
            false => Ok(remote),
        }
    }

    fn is_only_v6(&self) -> bool {
        self.family == Family::Inet6 && self.options.flag(SOL_IPV6, uapi::IPV6_V6ONLY)
    }

    /// The local address that bind(2) fixed, if any.
    pub(crate) fn bound_address(&self) -> Option<IpAddress> {
        match self.bound {
            Some((Scope::One(address), _)) => Some(address),
            _ => None,
        }
    }

    /// The local address of a socket without a connection, as getsockname(2) shows it.
    pub(crate) fn local(&self) -> IpEndpoint {
        let address = self.bound_address();
        let port = self.bound.map_or(0, |(_, port)| port);
        IpEndpoint::new(address.unwrap_or(unspecified(self.family)), port)
    }

    /// setsockopt(2).
    pub(crate) fn set_option(&mut self, level: i32, name: i32, value: &[u8]) -> Result<(), Errno> {
        match (level, name as u32) {
            (SOL_IPV6, _) if self.family == Family::Inet => Err(Errno::ENOPROTOOPT),
            (SOL_IPV6, uapi::IPV6_V6ONLY) if self.bound.is_some() => Err(Errno::EINVAL),
            _ => self.options.set(level, name, value),
        }
    }

    /// getsockopt(2), except `SO_ERROR`.
    pub(crate) fn option(
        &self,
        level: i32,
        name: i32,
        size: usize,
        is_listening: bool,
    ) -> Result<Vec<u8>, Errno> {
        let (kind, protocol) = match self.options.transport() {
            Transport::Tcp => (uapi::SOCK_STREAM, SOL_TCP),
            Transport::Udp => (uapi::SOCK_DGRAM, SOL_UDP),
        };
        let value = match (level, name as u32) {
            (SOL_SOCKET, uapi::SO_TYPE) => kind as i32,
            (SOL_SOCKET, uapi::SO_PROTOCOL) => protocol,
            (SOL_SOCKET, uapi::SO_DOMAIN) => i32::from(self.family.number()),
            (SOL_SOCKET, uapi::SO_ACCEPTCONN) => i32::from(is_listening),
            (SOL_SOCKET, uapi::SO_BINDTODEVICE) => return Ok(self.device_name(size)),
            (SOL_IPV6, _) if self.family == Family::Inet => return Err(Errno::EOPNOTSUPP),
            _ => return self.options.get(level, name, size),
        };
        Ok(emit_integer(value, level, size))
    }

    /// The interface of `SO_BINDTODEVICE` with a final zero; empty if there is none.
    fn device_name(&self, size: usize) -> Vec<u8> {
        let name = self.device.map(LinkName::name).unwrap_or_default();
        let mut bytes = name.as_bytes().to_vec();
        bytes.resize(if name.is_empty() { 0 } else { name.len() + 1 }, 0);
        bytes.truncate(size);
        bytes
    }
}
