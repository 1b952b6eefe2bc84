//! ICMP messages that concern sockets, as bytes (RFC 792, RFC 4443), and the errors they mean.

use core::net::{Ipv4Addr, Ipv6Addr};

use linux_abi::Errno;
use smoltcp::wire::{
    EthernetAddress, Icmpv4DstUnreachable, Icmpv4Message, Icmpv4Packet, IpAddress, IpEndpoint,
    IpProtocol,
};

/// Options of neighbour discovery that hold a hardware address (RFC 4861 §4.6.1).
pub(crate) const SOURCE_ADDRESS: u8 = 1;
pub(crate) const TARGET_ADDRESS: u8 = 2;
/// Where the options of solicitations and advertisements of neighbours start.
const NEIGHBOUR_OPTIONS: usize = 24;
/// Where the packet that an error is about starts in its message.
const QUOTED: usize = 8;
/// Length of an IPv6 header.
const IPV6_HEADER: usize = 40;

/// A "destination unreachable" about a packet of ours.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unreachable {
    pub(crate) protocol: IpProtocol,
    /// Who sent the packet: us.
    pub(crate) local: IpEndpoint,
    /// Whom it did not reach.
    pub(crate) remote: IpEndpoint,
    /// What the socket is told.
    pub(crate) error: Errno,
}

/// Reads an ICMP error and the addresses in the packet it quotes: IP header and eight bytes, which
/// hold the ports. `None` for what is handled silently.
pub(crate) fn read_v4(message: &[u8]) -> Option<Unreachable> {
    let icmp = Icmpv4Packet::new_checked(message).ok()?;
    if icmp.msg_type() != Icmpv4Message::DstUnreachable || !icmp.verify_checksum() {
        return None;
    }
    let quoted = icmp.data();
    let header = usize::from(*quoted.first()? & 0xf) * 4;
    let address = |at: usize| -> Option<IpAddress> {
        let octets: [u8; 4] = *quoted.get(at..)?.first_chunk()?;
        Some(Ipv4Addr::from(octets).into())
    };
    Some(Unreachable {
        protocol: IpProtocol::from(*quoted.get(9)?),
        local: IpEndpoint::new(address(12)?, port(quoted, header)?),
        remote: IpEndpoint::new(address(16)?, port(quoted, header + 2)?),
        error: error_v4(Icmpv4DstUnreachable::from(icmp.msg_code()))?,
    })
}

/// The same of ICMPv6, whose checksum was verified. Only packets without extension headers are
/// recognized; we send no others but fragments.
pub(crate) fn read_v6(message: &[u8]) -> Option<Unreachable> {
    let code = *message.get(1)?;
    let quoted = message.get(QUOTED..)?;
    let address = |at: usize| -> Option<IpAddress> {
        let octets: [u8; 16] = *quoted.get(at..)?.first_chunk()?;
        Some(Ipv6Addr::from(octets).into())
    };
    Some(Unreachable {
        protocol: IpProtocol::from(*quoted.get(6)?),
        local: IpEndpoint::new(address(8)?, port(quoted, IPV6_HEADER)?),
        remote: IpEndpoint::new(address(24)?, port(quoted, IPV6_HEADER + 2)?),
        error: error_v6(code)?,
    })
}

fn port(quoted: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(*quoted.get(at..)?.first_chunk()?))
}

/// The hardware address in an option of a neighbour solicitation or advertisement.
pub(crate) fn link_layer_address(message: &[u8], kind: u8) -> Option<EthernetAddress> {
    let mut options = message.get(NEIGHBOUR_OPTIONS..)?;
    while let [found, units, ..] = *options {
        let (option, rest) = options.split_at_checked(usize::from(units) * 8)?;
        if found == kind {
            let mac = option.get(2..)?.first_chunk();
            return mac.map(|mac| EthernetAddress(*mac));
        }
        if option.is_empty() {
            return None;
        }
        options = rest;
    }
    None
}

/// Linux: `icmp_err_convert`.
fn error_v4(reason: Icmpv4DstUnreachable) -> Option<Errno> {
    match reason {
        Icmpv4DstUnreachable::NetUnreachable | Icmpv4DstUnreachable::NetUnreachToS => {
            Some(Errno::ENETUNREACH)
        }
        Icmpv4DstUnreachable::PortUnreachable => Some(Errno::ECONNREFUSED),
        Icmpv4DstUnreachable::ProtoUnreachable => Some(Errno::ENOPROTOOPT),
        Icmpv4DstUnreachable::FragRequired => None,
        _ => Some(Errno::EHOSTUNREACH),
    }
}

/// Codes of RFC 4443 §3.1; the errors are those of Linux (`icmpv6_err_convert`).
fn error_v6(code: u8) -> Option<Errno> {
    match code {
        0 => Some(Errno::ENETUNREACH),
        // Prohibited, or refused by policy or by a route.
        1 | 5 | 6 => Some(Errno::EACCES),
        // Beyond the scope of the source, or nobody has the address.
        2 | 3 => Some(Errno::EHOSTUNREACH),
        4 => Some(Errno::ECONNREFUSED),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{link_layer_address, read_v4, read_v6};
    use alloc::vec::Vec;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_bytes_read_without_panic(bytes: Vec<u8>, kind: u8) {
            let _ = (read_v4(&bytes), read_v6(&bytes), link_layer_address(&bytes, kind));
        }
    }
}
