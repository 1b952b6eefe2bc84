//! The DHCP client: where the Ethernet interface's IPv4 address comes from, unless it is fixed.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;

use smoltcp::iface::{SocketHandle, SocketSet};
use smoltcp::socket::dhcpv4::{self, RetryConfig};
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::DhcpOption;

use crate::addressing::Lease;
use crate::core::Core;

/// DHCP option 12, RFC 2132 §3.14.
const OPTION_HOST_NAME: u8 = 12;
/// A longer name does not fit the option.
const LONGEST_HOST_NAME: usize = 255;
/// Time between two DISCOVER messages. Booting waits for the address, so it is short.
const DISCOVER_INTERVAL: Duration = Duration::from_secs(2);
/// Time between two REQUEST messages at first.
const REQUEST_INTERVAL: Duration = Duration::from_secs(2);

/// The DHCP client.
pub(crate) struct Dhcp {
    set: SocketSet<'static>,
    handle: SocketHandle,
    /// Whether a message waits for the server's hardware address.
    unresolved: bool,
    /// When the client wants to send.
    pub(crate) deadline: Option<Instant>,
}

impl Dhcp {
    pub(crate) fn new(hostname: &str) -> Self {
        let mut socket = dhcpv4::Socket::new();
        let mut retry = RetryConfig::default();
        retry.discover_timeout = DISCOVER_INTERVAL;
        retry.initial_request_timeout = REQUEST_INTERVAL;
        socket.set_retry_config(retry);
        if !hostname.is_empty() && hostname.len() <= LONGEST_HOST_NAME {
            socket.set_outgoing_options(host_name_option(hostname));
        }
        let mut set = SocketSet::new(vec![]);
        let handle = set.add(socket);
        Self {
            set,
            handle,
            unresolved: false,
            deadline: Some(Instant::ZERO),
        }
    }

    fn socket(&mut self) -> &mut dhcpv4::Socket<'static> {
        self.set.get_mut(self.handle)
    }

    /// The configuration, if it has changed since the last call.
    fn change(&mut self) -> Option<Lease> {
        match self.socket().poll()? {
            dhcpv4::Event::Deconfigured => Some(Lease::default()),
            dhcpv4::Event::Configured(config) => Some(Lease {
                address: Some(config.address),
                gateway: config.router,
                dns: config.dns_servers.iter().copied().collect(),
                server: Some(config.server.address),
            }),
        }
    }
}

/// The host name as an option that lives as long as the client: until the machine stops.
fn host_name_option(hostname: &str) -> &'static [DhcpOption<'static>] {
    let data: &'static [u8] = Vec::leak(hostname.as_bytes().to_vec());
    let option = DhcpOption {
        kind: OPTION_HOST_NAME,
        data,
    };
    Box::leak(Box::new([option]))
}

impl Core {
    /// A message for the DHCP client came in.
    pub(crate) fn dhcp_ingress(&mut self, frame: &[u8]) {
        let Self {
            dhcp, links, now, ..
        } = self;
        if let (Some(dhcp), Some(link)) = (dhcp, &mut links.ethernet) {
            link.ingress(*now, frame, &mut dhcp.set);
            self.dhcp_run();
        }
    }

    /// The server's hardware address may be known now.
    pub(crate) fn dhcp_neighbour_found(&mut self) {
        if self.dhcp.as_ref().is_some_and(|dhcp| dhcp.unresolved) {
            self.dhcp_run();
        }
    }

    /// Runs the DHCP client if it is due.
    pub(crate) fn dhcp_expire(&mut self) {
        let deadline = self.dhcp.as_ref().and_then(|dhcp| dhcp.deadline);
        if deadline.is_some_and(|at| at <= self.now) {
            self.dhcp_run();
        }
    }

    fn dhcp_run(&mut self) {
        let Self {
            dhcp, links, now, ..
        } = self;
        let (Some(dhcp), Some(link)) = (dhcp, &mut links.ethernet) else {
            return;
        };
        let (sent, wanted) = link.egress(*now, &mut dhcp.set, false);
        dhcp.unresolved = sent.is_unresolved();
        let soonest = *now + Duration::from_millis(if sent.exhausted { 1 } else { 100 });
        dhcp.deadline = wanted.map(|at| at.max(soonest));
        if let Some(lease) = dhcp.change() {
            self.lease = lease;
            self.apply_addresses();
        }
    }
}
