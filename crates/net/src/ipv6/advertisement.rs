//! Router advertisements as bytes.
//!
//! ```text
//! advertisement  type 134 | code | checksum be16 | hop limit | flags | lifetime be16 |
//!                reachable be32 | retransmit be32 | options …              (RFC 4861 §4.2)
//! option         type u8 | length u8 in units of 8 bytes | …
//! prefix (3)     … | bits u8 | flags u8 | valid be32 | preferred be32 | reserved be32 |
//!                network [16]                                              (RFC 4861 §4.6.2)
//! servers (25)   … | reserved be16 | lifetime be32 | address [16] …        (RFC 8106 §5.1)
//! ```

use alloc::vec::Vec;
use core::net::Ipv6Addr;

const FIXED: usize = 16;
const SOURCE_ADDRESS: u8 = 1;
const PREFIX: u8 = 3;
const SERVERS: u8 = 25;
/// Flags of a prefix.
const ON_LINK: u8 = 0x80;
const AUTONOMOUS: u8 = 0x40;

/// What a router tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Advertisement {
    /// Seconds for which the router takes packets to everywhere; zero if it does not.
    pub(super) router_lifetime: u16,
    /// The router's hardware address.
    pub(super) mac: Option<[u8; 6]>,
    pub(super) prefixes: Vec<Prefix>,
    /// Name servers and the seconds for which they may be used.
    pub(super) servers: Vec<(Ipv6Addr, u32)>,
}

/// A network of the link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Prefix {
    pub(super) network: Ipv6Addr,
    pub(super) bits: u8,
    /// Addresses in it are neighbours.
    pub(super) on_link: bool,
    /// Hosts make their own addresses in it.
    pub(super) autonomous: bool,
    /// Seconds.
    pub(super) valid: u32,
    pub(super) preferred: u32,
}

/// Reads an ICMPv6 message of type 134 whose checksum was verified; `None` if it is malformed
/// (RFC 4861 §6.1.2: it is then ignored as a whole).
pub(super) fn parse(message: &[u8]) -> Option<Advertisement> {
    let (fixed, mut options) = message.split_at_checked(FIXED)?;
    if fixed[1] != 0 {
        return None;
    }
    let mut advertisement = Advertisement {
        router_lifetime: u16::from_be_bytes([fixed[6], fixed[7]]),
        ..Advertisement::default()
    };
    while let [kind, units, ..] = *options {
        let length = usize::from(units) * 8;
        if length == 0 {
            return None;
        }
        let (option, rest) = options.split_at_checked(length)?;
        options = rest;
        match kind {
            SOURCE_ADDRESS => advertisement.mac = option[2..].first_chunk().copied(),
            PREFIX => advertisement.prefixes.extend(prefix(option)),
            SERVERS => advertisement.servers.extend(servers(option)),
            _ => {}
        }
    }
    options.is_empty().then_some(advertisement)
}

fn prefix(option: &[u8]) -> Option<Prefix> {
    let network: [u8; 16] = *option.get(16..)?.first_chunk()?;
    Some(Prefix {
        network: network.into(),
        bits: option[2],
        on_link: option[3] & ON_LINK != 0,
        autonomous: option[3] & AUTONOMOUS != 0,
        valid: be32(&option[4..])?,
        preferred: be32(&option[8..])?,
    })
}

fn servers(option: &[u8]) -> impl Iterator<Item = (Ipv6Addr, u32)> {
    let lifetime = be32(&option[4..]).unwrap_or(0);
    let (addresses, _) = option[8..].as_chunks::<16>();
    addresses
        .iter()
        .map(move |address| (Ipv6Addr::from(*address), lifetime))
}

fn be32(bytes: &[u8]) -> Option<u32> {
    bytes.first_chunk().map(|bytes| u32::from_be_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::{Advertisement, Prefix, parse};
    use alloc::vec::Vec;
    use proptest::prelude::*;

    fn emit(advertisement: &Advertisement) -> Vec<u8> {
        let mut bytes = Vec::from([134, 0, 0, 0, 64, 0]);
        bytes.extend(advertisement.router_lifetime.to_be_bytes());
        bytes.extend([0; 8]);
        if let Some(mac) = advertisement.mac {
            bytes.extend([1, 1]);
            bytes.extend(mac);
        }
        for prefix in &advertisement.prefixes {
            let flags = u8::from(prefix.on_link) << 7 | u8::from(prefix.autonomous) << 6;
            bytes.extend([3, 4, prefix.bits, flags]);
            bytes.extend(prefix.valid.to_be_bytes());
            bytes.extend(prefix.preferred.to_be_bytes());
            bytes.extend([0; 4]);
            bytes.extend(prefix.network.octets());
        }
        for (server, lifetime) in &advertisement.servers {
            bytes.extend([25, 3, 0, 0]);
            bytes.extend(lifetime.to_be_bytes());
            bytes.extend(server.octets());
        }
        bytes
    }

    prop_compose! {
        fn prefixes()(network: u128, bits: u8, on_link: bool, autonomous: bool, valid: u32, preferred: u32) -> Prefix {
            Prefix { network: network.into(), bits, on_link, autonomous, valid, preferred }
        }
    }

    proptest! {
        #[test]
        fn written_advertisements_read_back(
            router_lifetime: u16,
            mac: Option<[u8; 6]>,
            prefixes in prop::collection::vec(prefixes(), 0..4),
            servers in prop::collection::vec((any::<u128>().prop_map(Into::into), any::<u32>()), 0..4),
        ) {
            let advertisement = Advertisement { router_lifetime, mac, prefixes, servers };
            prop_assert_eq!(parse(&emit(&advertisement)), Some(advertisement));
        }

        #[test]
        fn any_bytes_parse_without_panic(bytes: Vec<u8>) {
            let _ = parse(&bytes);
        }
    }

    #[test]
    fn an_option_without_length_or_end_spoils_all() {
        let mut bytes = emit(&Advertisement::default());
        bytes.extend([1, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(parse(&bytes), None);
        bytes.truncate(16);
        bytes.extend([1, 2, 0, 0, 0, 0, 0, 0]);
        assert_eq!(parse(&bytes), None);
    }
}
