//! Configuration of the stack, and what came of it.

use alloc::string::String;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// How the Ethernet interface gets its IPv4 address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Addressing {
    /// No address: only the loopback interface works.
    #[default]
    None,
    /// Ask a DHCP server, and renew the lease.
    Dhcp,
    /// A fixed address.
    Static {
        /// The address.
        address: Ipv4Addr,
        /// Number of network bits, at most 32.
        prefix: u8,
        /// The router for everything outside the network.
        gateway: Option<Ipv4Addr>,
    },
}

/// How the Ethernet interface gets its IPv6 addresses. Unless there are none, one of them is
/// always the link-local address made from the hardware address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Addressing6 {
    /// No IPv6 on the Ethernet interface.
    #[default]
    None,
    /// As routers advertise: addresses, default router and name servers (RFC 4862, RFC 8106).
    Automatic,
    /// A fixed address; advertisements are ignored.
    Static {
        /// The address.
        address: Ipv6Addr,
        /// Number of network bits, at most 128.
        prefix: u8,
        /// The router for everything outside the network.
        gateway: Option<Ipv6Addr>,
    },
}

/// Configuration of a [`crate::NetStack`].
#[derive(Clone, Debug)]
pub struct Config {
    /// IPv4 address of the Ethernet interface.
    pub addressing: Addressing,
    /// IPv6 addresses of the Ethernet interface.
    pub addressing6: Addressing6,
    /// Name servers; if there are none, those that the network offers count.
    pub dns: Vec<IpAddr>,
    /// Host name told to the DHCP server; empty for none.
    pub hostname: String,
    /// Limit in bytes for the buffers of all TCP connections together. Connections beyond half of
    /// it get small buffers; beyond all of it new ones are refused.
    pub tcp_memory: usize,
    /// Limit for connections whose descriptor is closed but that still finish sending.
    pub orphans: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            addressing: Addressing::None,
            addressing6: Addressing6::None,
            dns: Vec::new(),
            hostname: String::new(),
            tcp_memory: 256 << 20,
            orphans: 1024,
        }
    }
}

/// The Ethernet interface's current configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NetworkStatus {
    /// IPv4 address and number of network bits, once there is one.
    pub address: Option<(Ipv4Addr, u8)>,
    /// The default router of IPv4.
    pub gateway: Option<Ipv4Addr>,
    /// IPv6 addresses and their numbers of network bits, those that are ready for use.
    pub addresses6: Vec<(Ipv6Addr, u8)>,
    /// The default router of IPv6.
    pub gateway6: Option<Ipv6Addr>,
    /// Name servers, for `/etc/resolv.conf`.
    pub dns: Vec<IpAddr>,
    /// The DHCP server the address comes from.
    pub dhcp_server: Option<Ipv4Addr>,
    /// Grows with every change.
    pub generation: u64,
}
