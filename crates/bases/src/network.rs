//! The network of a guest, as the user describes it for any base.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::num::ParseIntError;
use std::str::FromStr;

/// How the first network card is configured.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Network {
    /// Its IPv4 address.
    pub address: Address,
    /// The default gateway.
    pub gateway: Option<Ipv4Addr>,
    /// Name servers.
    pub dns: Vec<IpAddr>,
}

/// Where an address comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Address {
    /// From a server in the network.
    #[default]
    Dhcp,
    /// There is none.
    None,
    /// It is this one.
    Static {
        /// The address.
        address: Ipv4Addr,
        /// Bits of the network's part, at most 32.
        prefix: u8,
    },
}

/// Why a text is not an address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected `dhcp`, `none`, or an IPv4 address with its prefix, such as 10.0.0.2/24")]
pub struct AddressError {
    #[source]
    prefix: Option<ParseIntError>,
}

impl Address {
    /// The network's part of an address, as a mask.
    pub fn mask(prefix: u8) -> Ipv4Addr {
        let bits = u32::MAX.checked_shl(32 - u32::from(prefix.min(32)));
        Ipv4Addr::from_bits(bits.unwrap_or(0))
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let wrong = AddressError { prefix: None };
        match text {
            "dhcp" => return Ok(Self::Dhcp),
            "none" => return Ok(Self::None),
            _ => {}
        }
        let (address, prefix) = text.split_once('/').ok_or(wrong.clone())?;
        let prefix = prefix.parse::<u8>().map_err(|error| AddressError {
            prefix: Some(error),
        })?;
        match address.parse() {
            Ok(address) if prefix <= 32 => Ok(Self::Static { address, prefix }),
            _ => Err(wrong),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dhcp => f.write_str("dhcp"),
            Self::None => f.write_str("none"),
            Self::Static { address, prefix } => write!(f, "{address}/{prefix}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Address;
    use std::net::Ipv4Addr;

    #[test]
    fn addresses_are_read_back() {
        for text in ["dhcp", "none", "10.0.2.15/24", "192.168.0.1/0"] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "10.0.0.2",
            "10.0.0.2/33",
            "10.0.0/8",
            "::1/64",
            "1.2.3.4/x",
        ] {
            assert!(text.parse::<Address>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_prefix_is_a_mask() {
        assert_eq!(Address::mask(0), Ipv4Addr::new(0, 0, 0, 0));
        assert_eq!(Address::mask(20), Ipv4Addr::new(255, 255, 240, 0));
        assert_eq!(Address::mask(32), Ipv4Addr::new(255, 255, 255, 255));
    }
}
