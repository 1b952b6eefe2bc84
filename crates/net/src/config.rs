//! Configuration of the stack, and what came of it.

use alloc::string::String;
use alloc::vec::Vec;
use core::net::Ipv4Addr;

/// How the Ethernet interface gets its address.
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
        /// Name servers.
        dns: Vec<Ipv4Addr>,
    },
}

/// Configuration of a [`crate::NetStack`].
#[derive(Clone, Debug)]
pub struct Config {
    /// Address of the Ethernet interface.
    pub addressing: Addressing,
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
            hostname: String::new(),
            tcp_memory: 256 << 20,
            orphans: 1024,
        }
    }
}

/// The Ethernet interface's current configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NetworkStatus {
    /// Address and number of network bits, once there is one.
    pub address: Option<(Ipv4Addr, u8)>,
    /// The default router.
    pub gateway: Option<Ipv4Addr>,
    /// Name servers, for `/etc/resolv.conf`.
    pub dns: Vec<Ipv4Addr>,
    /// The DHCP server the address comes from.
    pub dhcp_server: Option<Ipv4Addr>,
    /// Grows with every change.
    pub generation: u64,
}
