//! Control messages that come with datagrams, in and out (ip(7), ipv6(7)).

use alloc::vec::Vec;
use core::net::{Ipv4Addr, Ipv6Addr};

use linux_abi::Errno;
use linux_abi::raw::net as uapi;
use smoltcp::wire::IpAddress;

use super::state::Datagram;
use crate::core::is_loopback;
use crate::link::LinkName;
use crate::options::{Options, SOL_IP, SOL_IPV6, SOL_SOCKET};

/// What control messages say about one outgoing datagram, instead of the socket's options.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Wishes {
    pub(super) hop_limit: Option<u8>,
    pub(super) traffic_class: Option<u8>,
    /// The address it is to come from.
    pub(super) source: Option<IpAddress>,
}

impl Wishes {
    /// Reads the control messages of a datagram to `remote`. Those of other levels are ignored, as
    /// on Linux.
    ///
    /// # Errors
    /// `EINVAL` for unknown types and values out of range.
    pub(super) fn read(remote: IpAddress, control: &[(i32, i32, Vec<u8>)]) -> Result<Self, Errno> {
        let own_level = match remote {
            IpAddress::Ipv4(_) => SOL_IP,
            IpAddress::Ipv6(_) => SOL_IPV6,
        };
        let mut wishes = Self::default();
        for (level, kind, data) in control {
            if *level == own_level {
                wishes.add(*level, *kind as u32, data)?;
            }
        }
        Ok(wishes)
    }

    fn add(&mut self, level: i32, kind: u32, data: &[u8]) -> Result<(), Errno> {
        match (level, kind) {
            (SOL_IP, uapi::IP_TTL) => self.hop_limit = Some(number(data, 1)?),
            (SOL_IP, uapi::IP_TOS) => {
                self.traffic_class = Some(match data {
                    [class] => *class,
                    data => number(data, 0)?,
                });
            }
            // `struct in_pktinfo`: interface, source address, ignored.
            (SOL_IP, uapi::IP_PKTINFO) => {
                let octets: &[u8; 4] = part(data, 4)?;
                self.source = specified(Ipv4Addr::from(*octets).into());
            }
            (SOL_IPV6, uapi::IPV6_HOPLIMIT) => self.hop_limit = default_or_number(data)?,
            (SOL_IPV6, uapi::IPV6_TCLASS) => self.traffic_class = default_or_number(data)?,
            // `struct in6_pktinfo`: source address, interface.
            (SOL_IPV6, uapi::IPV6_PKTINFO) => {
                let octets: &[u8; 16] = part(data, 0)?;
                self.source = specified(Ipv6Addr::from(*octets).into());
            }
            _ => return Err(Errno::EINVAL),
        }
        Ok(())
    }
}

fn specified(address: IpAddress) -> Option<IpAddress> {
    Some(address).filter(|address| !address.is_unspecified())
}

fn part<const N: usize>(data: &[u8], at: usize) -> Result<&[u8; N], Errno> {
    let bytes = data.get(at..).and_then(<[u8]>::first_chunk);
    bytes.ok_or(Errno::EINVAL)
}

/// An `int` from `least` to 255.
fn number(data: &[u8], least: i32) -> Result<u8, Errno> {
    let value = i32::from_le_bytes(*part(data, 0)?);
    match u8::try_from(value) {
        Ok(number) if value >= least => Ok(number),
        _ => Err(Errno::EINVAL),
    }
}

/// An `int` up to 255; -1 stands for the usual value.
fn default_or_number(data: &[u8]) -> Result<Option<u8>, Errno> {
    match i32::from_le_bytes(*part(data, 0)?) {
        -1 => Ok(None),
        _ => number(data, 0).map(Some),
    }
}

/// The control messages that the socket's options ask for (ip(7), ipv6(7)).
pub(super) fn received(datagram: &Datagram, options: &Options) -> Vec<(i32, i32, Vec<u8>)> {
    let hop_limit = i32::from(datagram.hop_limit).to_le_bytes().to_vec();
    let class = datagram.traffic_class;
    let of_family = match datagram.to {
        IpAddress::Ipv4(_) => SOL_IP,
        IpAddress::Ipv6(_) => SOL_IPV6,
    };
    let wanted = |level, name| level == of_family && options.flag(level, name);
    let mut messages = Vec::new();
    if let Some(micros) = datagram.came_at {
        let name = uapi::SO_TIMESTAMP_OLD as i32;
        messages.push((SOL_SOCKET, name, time_value(micros)));
    }
    if wanted(SOL_IP, uapi::IP_RECVTTL) {
        messages.push((SOL_IP, uapi::IP_TTL as i32, hop_limit.clone()));
    }
    if wanted(SOL_IP, uapi::IP_RECVTOS) {
        messages.push((SOL_IP, uapi::IP_TOS as i32, alloc::vec![class]));
    }
    if wanted(SOL_IPV6, uapi::IPV6_RECVHOPLIMIT) {
        messages.push((SOL_IPV6, uapi::IPV6_HOPLIMIT as i32, hop_limit));
    }
    if wanted(SOL_IPV6, uapi::IPV6_RECVTCLASS) {
        let class = i32::from(class).to_le_bytes().to_vec();
        messages.push((SOL_IPV6, uapi::IPV6_TCLASS as i32, class));
    }
    match datagram.to {
        IpAddress::Ipv4(to) if wanted(SOL_IP, uapi::IP_PKTINFO) => {
            messages.push((SOL_IP, uapi::IP_PKTINFO as i32, packet_info(to)));
        }
        IpAddress::Ipv6(to) if wanted(SOL_IPV6, uapi::IPV6_RECVPKTINFO) => {
            // `struct in6_pktinfo`: destination address, interface index.
            let mut info = to.octets().to_vec();
            info.extend_from_slice(&arrival_link(to.into()).index().to_le_bytes());
            messages.push((SOL_IPV6, uapi::IPV6_PKTINFO as i32, info));
        }
        _ => {}
    }
    messages
}

/// `struct timeval`.
fn time_value(micros: u64) -> Vec<u8> {
    let parts = [micros / 1_000_000, micros % 1_000_000];
    parts.map(u64::to_le_bytes).concat()
}

/// The interface that packets to `address` come in by.
fn arrival_link(address: IpAddress) -> LinkName {
    match is_loopback(address) {
        true => LinkName::Loopback,
        false => LinkName::Ethernet,
    }
}

/// `struct in_pktinfo`: interface index, local address, destination address.
fn packet_info(to: Ipv4Addr) -> Vec<u8> {
    let index = arrival_link(to.into()).index();
    let mut bytes = index.to_le_bytes().to_vec();
    bytes.extend_from_slice(&to.octets());
    bytes.extend_from_slice(&to.octets());
    bytes
}

#[cfg(test)]
mod tests {
    use super::Wishes;
    use alloc::vec::Vec;
    use core::net::{Ipv4Addr, Ipv6Addr};
    use linux_abi::Errno;
    use proptest::prelude::*;

    const IP: i32 = 0;
    const IPV6: i32 = 41;
    const TTL: i32 = 2;
    const HOPLIMIT: i32 = 52;

    fn one(level: i32, kind: i32, value: i32) -> Vec<(i32, i32, Vec<u8>)> {
        Vec::from([(level, kind, value.to_le_bytes().to_vec())])
    }

    #[test]
    fn values_are_checked_and_foreign_levels_ignored() {
        let four = Ipv4Addr::LOCALHOST.into();
        let six = Ipv6Addr::LOCALHOST.into();
        let read = |remote, control: Vec<_>| Wishes::read(remote, &control);
        assert_eq!(read(four, one(IP, TTL, 9)).unwrap().hop_limit, Some(9));
        assert_eq!(read(four, one(IP, TTL, 0)), Err(Errno::EINVAL));
        assert_eq!(read(four, one(IP, 99, 1)), Err(Errno::EINVAL));
        assert_eq!(read(four, one(IPV6, 99, 1)), Ok(Wishes::default()));
        assert_eq!(
            read(six, one(IPV6, HOPLIMIT, 7)).unwrap().hop_limit,
            Some(7)
        );
        assert_eq!(read(six, one(IPV6, HOPLIMIT, -1)), Ok(Wishes::default()));
    }

    proptest! {
        #[test]
        fn any_bytes_read_without_panic(level in prop::sample::select(&[IP, IPV6]), kind in 0..100_i32, data: Vec<u8>) {
            let control = [(level, kind, data)];
            for remote in [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()] {
                let _ = Wishes::read(remote, &control);
            }
        }
    }
}
