//! Raw socket addresses (ip(7), ipv6(7), netlink(7)) and their typed twins.
//!
//! ```text
//! sockaddr_in   family u16 | port be16 | address [4] | zero [8]                      16 bytes
//! sockaddr_in6  family u16 | port be16 | flow be32 | address [16] | scope u32        28 bytes
//! ```

use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

use linux_abi::Errno;
use linux_abi::raw::net::{AF_INET, AF_INET6};
use smoltcp::wire::{IpAddress, IpEndpoint};
use thiserror::Error;

use crate::ipv6::needs_scope;
use crate::link::LinkName;

/// `AF_UNSPEC`: dissolves the association of a datagram socket.
pub(crate) const AF_UNSPEC: u16 = 0;
/// Size of `sockaddr_in`.
const INET_SIZE: usize = 16;
/// Size of `sockaddr_in6`; the kernel accepts it without the scope field (24 bytes).
const INET6_SIZE: usize = 28;
const INET6_MINIMUM: usize = 24;

/// Address family of an internet socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// `AF_INET`.
    Inet,
    /// `AF_INET6`, which also carries IPv4 as mapped addresses.
    Inet6,
}

impl Family {
    /// The `AF_*` number.
    pub const fn number(self) -> u16 {
        match self {
            Self::Inet => AF_INET as u16,
            Self::Inet6 => AF_INET6 as u16,
        }
    }
}

/// Why raw bytes are no socket address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum AddressError {
    /// Fewer bytes than the family needs.
    #[error("a socket address of family {family} needs {expected} bytes, found {found}")]
    TooShort {
        /// The `AF_*` number found.
        family: u16,
        /// Bytes needed.
        expected: usize,
        /// Bytes found.
        found: usize,
    },
    /// A family other than `AF_INET` and `AF_INET6`.
    #[error("address family {0} is no internet family")]
    Family(u16),
}

impl From<AddressError> for Errno {
    fn from(error: AddressError) -> Self {
        match error {
            AddressError::TooShort { .. } => Self::EINVAL,
            AddressError::Family(_) => Self::EAFNOSUPPORT,
        }
    }
}

/// The family of a raw address.
///
/// # Errors
/// [`AddressError::TooShort`] below two bytes.
pub(crate) fn family_of(bytes: &[u8]) -> Result<u16, AddressError> {
    match bytes {
        [low, high, ..] => Ok(u16::from_le_bytes([*low, *high])),
        _ => Err(AddressError::TooShort {
            family: AF_UNSPEC,
            expected: 2,
            found: bytes.len(),
        }),
    }
}

/// Reads a raw `sockaddr_in` or `sockaddr_in6`.
///
/// # Errors
/// See [`AddressError`].
pub fn parse_address(bytes: &[u8]) -> Result<SocketAddr, AddressError> {
    let family = family_of(bytes)?;
    let need = |expected| AddressError::TooShort {
        family,
        expected,
        found: bytes.len(),
    };
    match u32::from(family) {
        AF_INET => parse_inet(bytes).ok_or(need(INET_SIZE)),
        AF_INET6 => parse_inet6(bytes).ok_or(need(INET6_MINIMUM)),
        _ => Err(AddressError::Family(family)),
    }
}

fn parse_inet(bytes: &[u8]) -> Option<SocketAddr> {
    let bytes = bytes.get(..INET_SIZE)?;
    let address: [u8; 4] = bytes[4..8].try_into().ok()?;
    let port = u16::from_be_bytes([bytes[2], bytes[3]]);
    Some(SocketAddr::new(Ipv4Addr::from(address).into(), port))
}

fn parse_inet6(bytes: &[u8]) -> Option<SocketAddr> {
    let address: [u8; 16] = bytes.get(8..INET6_MINIMUM)?.try_into().ok()?;
    let port = u16::from_be_bytes([bytes[2], bytes[3]]);
    let flow = u32::from_be_bytes(bytes[4..8].try_into().ok()?);
    let scope = match bytes.get(INET6_MINIMUM..INET6_SIZE) {
        Some(field) => u32::from_le_bytes(field.try_into().ok()?),
        None => 0,
    };
    let address = Ipv6Addr::from(address);
    Some(SocketAddrV6::new(address, port, flow, scope).into())
}

/// Writes a raw `sockaddr_in` or `sockaddr_in6`.
pub fn emit_address(address: &SocketAddr) -> Vec<u8> {
    match address {
        SocketAddr::V4(v4) => {
            let mut bytes = Vec::with_capacity(INET_SIZE);
            bytes.extend_from_slice(&Family::Inet.number().to_le_bytes());
            bytes.extend_from_slice(&v4.port().to_be_bytes());
            bytes.extend_from_slice(&v4.ip().octets());
            bytes.resize(INET_SIZE, 0);
            bytes
        }
        SocketAddr::V6(v6) => {
            let mut bytes = Vec::with_capacity(INET6_SIZE);
            bytes.extend_from_slice(&Family::Inet6.number().to_le_bytes());
            bytes.extend_from_slice(&v6.port().to_be_bytes());
            bytes.extend_from_slice(&v6.flowinfo().to_be_bytes());
            bytes.extend_from_slice(&v6.ip().octets());
            bytes.extend_from_slice(&v6.scope_id().to_le_bytes());
            bytes
        }
    }
}

/// Reads an address for a socket of `family`; mapped IPv4 addresses become IPv4.
///
/// # Errors
/// `EINVAL` for short addresses, `EAFNOSUPPORT` for an address of another family.
pub(crate) fn parse_endpoint(family: Family, bytes: &[u8]) -> Result<IpEndpoint, Errno> {
    let address = parse_address(bytes)?;
    match (family, address) {
        (Family::Inet, SocketAddr::V6(_)) | (Family::Inet6, SocketAddr::V4(_)) => {
            Err(Errno::EAFNOSUPPORT)
        }
        (_, address) => Ok(IpEndpoint::new(unmapped(address.ip()), address.port())),
    }
}

/// The `sin6_scope_id` of a raw address: the interface that a link-local address is about. Zero
/// for none.
pub(crate) fn zone(bytes: &[u8]) -> u32 {
    match parse_address(bytes) {
        Ok(SocketAddr::V6(v6)) => v6.scope_id(),
        _ => 0,
    }
}

/// Writes an endpoint as a socket of `family` shows it.
pub(crate) fn emit_endpoint(family: Family, endpoint: IpEndpoint) -> Vec<u8> {
    let port = endpoint.port;
    let shown = match (family, endpoint.addr) {
        (Family::Inet, IpAddress::Ipv4(v4)) => return emit_address(&(v4, port).into()),
        (_, IpAddress::Ipv4(v4)) if v4.is_unspecified() => Ipv6Addr::UNSPECIFIED,
        (_, IpAddress::Ipv4(v4)) => v4.to_ipv6_mapped(),
        (_, IpAddress::Ipv6(v6)) => v6,
    };
    // Only the Ethernet interface has addresses that are local to its link.
    let zone = match needs_scope(shown) {
        true => LinkName::Ethernet.index(),
        false => 0,
    };
    emit_address(&SocketAddrV6::new(shown, port, 0, zone).into())
}

fn unmapped(ip: IpAddr) -> IpAddress {
    match ip {
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => IpAddress::Ipv4(v4),
            None => IpAddress::Ipv6(v6),
        },
        IpAddr::V4(v4) => IpAddress::Ipv4(v4),
    }
}

/// The "any" address of a family.
pub(crate) fn unspecified(family: Family) -> IpAddress {
    match family {
        Family::Inet => IpAddress::Ipv4(Ipv4Addr::UNSPECIFIED),
        Family::Inet6 => IpAddress::Ipv6(Ipv6Addr::UNSPECIFIED),
    }
}
