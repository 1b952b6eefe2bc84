//! Our IPv6 addresses, their lifetimes, and which of them a packet leaves from.

use alloc::vec::Vec;
use core::net::Ipv6Addr;

use smoltcp::time::{Duration, Instant};
use smoltcp::wire::Ipv6Cidr;

/// A lifetime in seconds that never ends (RFC 4861 §4.6.2).
const INFINITE: u32 = u32::MAX;

/// The end of a lifetime.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Never,
    At(Instant),
}

impl End {
    pub(crate) fn after(now: Instant, seconds: u32) -> Self {
        match seconds {
            INFINITE => Self::Never,
            seconds => Self::At(now + Duration::from_secs(seconds.into())),
        }
    }

    pub(crate) fn is_past(self, now: Instant) -> bool {
        matches!(self, Self::At(at) if at <= now)
    }

    /// When it comes, unless it is past.
    pub(crate) fn upcoming(self, now: Instant) -> Option<Instant> {
        match self {
            Self::At(at) if at > now => Some(at),
            _ => None,
        }
    }
}

/// Whether an address may be used (RFC 4862 §5.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Others are being asked whether they have it.
    Tentative { until: Instant },
    /// Nobody else has it.
    Usable,
    /// Somebody has it: it stays unused for as long as it would have been ours.
    Duplicate,
}

/// One of our addresses.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OwnAddress {
    pub(crate) cidr: Ipv6Cidr,
    pub(crate) state: State,
    /// From then on new connections use other addresses, if there are any.
    pub(crate) preferred: End,
    /// Then the address is gone.
    pub(crate) valid: End,
}

/// All of them.
#[derive(Default)]
pub(crate) struct Addresses(Vec<OwnAddress>);

impl Addresses {
    pub(crate) fn push(&mut self, address: OwnAddress) {
        self.0.push(address);
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn find(&mut self, address: Ipv6Addr) -> Option<&mut OwnAddress> {
        self.0.iter_mut().find(|own| own.cidr.address() == address)
    }

    /// Those that packets may come and go by.
    pub(crate) fn usable(&self) -> impl Iterator<Item = &OwnAddress> {
        self.0.iter().filter(|own| own.state == State::Usable)
    }

    /// Drops what is no longer valid and takes into use whose probing has ended; whether anything
    /// changed. `taken` sees each address that came into use.
    pub(crate) fn expire(&mut self, now: Instant, mut taken: impl FnMut(Ipv6Addr)) -> bool {
        let before = self.0.len();
        self.0.retain(|own| !own.valid.is_past(now));
        let mut changed = self.0.len() != before;
        for own in &mut self.0 {
            if matches!(own.state, State::Tentative { until } if until <= now) {
                own.state = State::Usable;
                taken(own.cidr.address());
                changed = true;
            }
        }
        changed
    }

    /// When [`expire`](Self::expire) has something to do.
    pub(crate) fn deadline(&self, now: Instant) -> Option<Instant> {
        let event = |own: &OwnAddress| match own.state {
            State::Tentative { until } => Some(until),
            _ => own.valid.upcoming(now),
        };
        self.0.iter().filter_map(event).min()
    }

    /// The address that packets to `remote` leave from (RFC 6724 §5, rules 1, 2, 3 and 8).
    pub(crate) fn source_for(&self, now: Instant, remote: Ipv6Addr) -> Option<Ipv6Addr> {
        let rank = |own: &&OwnAddress| {
            let address = own.cidr.address();
            let common = (address.to_bits() ^ remote.to_bits()).leading_zeros();
            (
                address == remote,
                scope_rank(address, remote),
                !own.preferred.is_past(now),
                common.min(own.cidr.prefix_len().into()),
            )
        };
        let best = self.usable().max_by_key(rank)?;
        Some(best.cidr.address())
    }
}

/// Rule 2: the smallest scope that reaches `remote` is best; scopes that do not reach it are worse
/// the smaller they are.
fn scope_rank(own: Ipv6Addr, remote: Ipv6Addr) -> (bool, i8) {
    let (own, remote) = (scope(own), scope(remote));
    let reaches = own >= remote;
    (reaches, if reaches { -own } else { own })
}

/// The scope in the numbers of multicast addresses (RFC 6724 §3.1).
fn scope(address: Ipv6Addr) -> i8 {
    match address.octets() {
        [0xff, flags, ..] => (flags & 0xf) as i8,
        _ if address.is_unicast_link_local() || address.is_loopback() => 2,
        [0xfe, second, ..] if second & 0xc0 == 0xc0 => 5,
        _ => 14,
    }
}

#[cfg(test)]
mod tests {
    use super::{Addresses, End, OwnAddress, State};
    use core::net::Ipv6Addr;
    use smoltcp::time::Instant;
    use smoltcp::wire::Ipv6Cidr;

    fn own(text: &str, preferred: u32) -> OwnAddress {
        OwnAddress {
            cidr: Ipv6Cidr::new(text.parse().unwrap(), 64),
            state: State::Usable,
            preferred: End::after(Instant::ZERO, preferred),
            valid: End::Never,
        }
    }

    #[test]
    fn sources_are_chosen_by_scope_then_preference_then_likeness() {
        let mut list = Addresses::default();
        for (text, preferred) in [
            ("fe80::1", u32::MAX),
            ("2001:db8:1::1", u32::MAX),
            ("2001:db8:2::1", u32::MAX),
            ("2001:db8:3::1", 10),
        ] {
            list.push(own(text, preferred));
        }
        let source = |now, remote: &str| {
            let source = list.source_for(Instant::from_secs(now), remote.parse().unwrap());
            source.unwrap()
        };
        let expected = |text: &str| text.parse::<Ipv6Addr>().unwrap();
        assert_eq!(source(0, "fe80::2"), expected("fe80::1"));
        assert_eq!(source(0, "ff02::2"), expected("fe80::1"));
        assert_eq!(source(0, "2001:db8:2::9"), expected("2001:db8:2::1"));
        assert_eq!(source(0, "2001:db8:3::9"), expected("2001:db8:3::1"));
        assert_ne!(source(11, "2001:db8:3::9"), expected("2001:db8:3::1"));
        assert_eq!(source(11, "2001:db8:3::1"), expected("2001:db8:3::1"));
    }
}
