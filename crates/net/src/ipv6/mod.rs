//! IPv6 on the Ethernet interface: our addresses and how we come by them.
//!
//! [`autoconf`] drives stateless address autoconfiguration (RFC 4862) from router advertisements,
//! which [`advertisement`] reads; [`addresses`] is the list of what we have, with lifetimes, and
//! chooses source addresses; [`messages`] writes neighbour discovery packets (RFC 4861).
//!
//! smoltcp has an autoconfiguration of its own, but it takes one prefix of an advertisement, no
//! name servers, and uses addresses without looking for duplicates. Here smoltcp only learns the
//! addresses that are ready for use.

pub(crate) mod addresses;
mod advertisement;
pub(crate) mod autoconf;
mod messages;

use core::net::Ipv6Addr;

use smoltcp::wire::EthernetAddress;

/// Bits of the network part of link-local and autoconfigured addresses (RFC 4291 §2.5.1).
pub(crate) const SUBNET_BITS: u8 = 64;

/// The network of all link-local addresses.
const LINK_LOCAL: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0);
/// Everyone on the link, and all its routers (RFC 4291 §2.7.1).
pub(crate) const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
const ALL_ROUTERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2);

/// Whether an address means something only together with an interface (`sin6_scope_id`).
pub(crate) fn needs_scope(address: Ipv6Addr) -> bool {
    address.is_unicast_link_local()
        || matches!(address.octets(), [0xff, scope, ..] if scope & 0xf == 2)
}

/// The address of our interface in `network` (RFC 4291 appendix A: modified EUI-64).
fn interface_address(network: Ipv6Addr, mac: [u8; 6]) -> Ipv6Addr {
    let mut octets = network.octets();
    octets[8..11].copy_from_slice(&mac[..3]);
    octets[8] ^= 2;
    octets[11..13].copy_from_slice(&[0xff, 0xfe]);
    octets[13..].copy_from_slice(&mac[3..]);
    octets.into()
}

/// The group that everyone who may have `address` listens to (RFC 4291 §2.7.1).
fn solicited_node(address: Ipv6Addr) -> Ipv6Addr {
    let mut group = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00, 0).octets();
    group[13..].copy_from_slice(&address.octets()[13..]);
    group.into()
}

/// The hardware address of a group (RFC 2464 §7).
pub(crate) fn group_mac(group: Ipv6Addr) -> EthernetAddress {
    let [.., a, b, c, d] = group.octets();
    EthernetAddress([0x33, 0x33, a, b, c, d])
}

#[cfg(test)]
mod tests {
    use super::{LINK_LOCAL, interface_address, needs_scope, solicited_node};
    use core::net::Ipv6Addr;

    #[test]
    fn addresses_derive_from_the_hardware_address() {
        let mac = [0x52, 0x54, 0, 0x12, 0x34, 0x56];
        let expected: Ipv6Addr = "fe80::5054:ff:fe12:3456".parse().unwrap();
        assert_eq!(interface_address(LINK_LOCAL, mac), expected);
        let group: Ipv6Addr = "ff02::1:ff12:3456".parse().unwrap();
        assert_eq!(solicited_node(expected), group);
    }

    #[test]
    fn only_addresses_of_the_link_need_a_scope() {
        let needs = |text: &str| needs_scope(text.parse().unwrap());
        assert!(needs("fe80::1") && needs("ff02::fb") && needs("ff12::1"));
        assert!(!needs("ff05::2") && !needs("fec0::3") && !needs("::1"));
    }
}
