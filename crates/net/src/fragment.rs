//! Joining packets that came in parts (RFC 791 §3.2, RFC 8200 §4.5).

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use smoltcp::time::{Duration, Instant};
use smoltcp::wire::{IpAddress, Ipv4Packet, Ipv6Packet};

/// How long a packet's parts may take (Linux: `ipfrag_time`).
const TIMEOUT: Duration = Duration::from_secs(30);
/// Incomplete packets, and bytes of all their parts.
const PACKETS: usize = 64;
const BYTES: usize = 1 << 20;
/// What a part counts besides its bytes, so that tiny ones are not free.
const OVERHEAD: usize = 128;
/// The longest IPv4 packet, and the longest payload of an IPv6 packet.
const LONGEST: usize = 65_535;

/// What the parts of a packet have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) from: IpAddress,
    pub(crate) to: IpAddress,
    /// The transport protocol's number.
    pub(crate) protocol: u8,
    pub(crate) identification: u32,
}

/// One part.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fragment<'a> {
    pub(crate) key: Key,
    /// Where `data` goes in the packet's payload.
    pub(crate) offset: usize,
    /// Whether other parts come after it.
    pub(crate) more: bool,
    /// The frame up to the payload, where the whole packet's starts; no fragment header.
    pub(crate) header: &'a [u8],
    /// Length of the IP header, at the end of `header`.
    pub(crate) ip_header: usize,
    pub(crate) data: &'a [u8],
}

impl Fragment<'_> {
    /// What counts as the packet's length besides its payload.
    fn fixed_length(&self) -> usize {
        match self.key.from {
            IpAddress::Ipv4(_) => self.ip_header,
            IpAddress::Ipv6(_) => 0,
        }
    }
}

struct Incomplete {
    key: Key,
    expires_at: Instant,
    /// The first part's, with the length of the IP header in it.
    header: Option<(Vec<u8>, usize)>,
    parts: BTreeMap<usize, Vec<u8>>,
    /// Length of the payload, once the last part came.
    length: Option<usize>,
}

/// The packets that are not complete yet.
#[derive(Default)]
pub(crate) struct Reassembly {
    packets: Vec<Incomplete>,
    bytes: usize,
}

impl Reassembly {
    /// Takes a part; returns the frame with the whole packet if it is complete now.
    pub(crate) fn add(&mut self, now: Instant, fragment: &Fragment<'_>) -> Option<Vec<u8>> {
        self.drop_where(|packet| packet.expires_at <= now);
        let length = fragment.data.len();
        let at = self.packets.iter().position(|p| p.key == fragment.key);
        let is_unusable = length == 0
            || (fragment.more && !length.is_multiple_of(8))
            || fragment.fixed_length() + fragment.offset + length > LONGEST;
        if is_unusable || self.bytes + length + OVERHEAD > BYTES {
            return None;
        }
        let at = match at {
            Some(at) => at,
            None => self.start(now, fragment.key)?,
        };
        if !self.packets[at].add(fragment) {
            self.drop_where(|packet| packet.key == fragment.key);
            return None;
        }
        self.bytes += length + OVERHEAD;
        if !self.packets[at].is_complete() {
            return None;
        }
        let packet = self.take(at);
        packet.join()
    }

    fn start(&mut self, now: Instant, key: Key) -> Option<usize> {
        if self.packets.len() >= PACKETS {
            return None;
        }
        self.packets.push(Incomplete {
            key,
            expires_at: now + TIMEOUT,
            header: None,
            parts: BTreeMap::new(),
            length: None,
        });
        Some(self.packets.len() - 1)
    }

    fn take(&mut self, at: usize) -> Incomplete {
        let packet = self.packets.swap_remove(at);
        self.bytes -= packet.cost();
        packet
    }

    fn drop_where(&mut self, unwanted: impl Fn(&Incomplete) -> bool) {
        while let Some(at) = self.packets.iter().position(&unwanted) {
            self.take(at);
        }
    }
}

impl Incomplete {
    fn cost(&self) -> usize {
        self.parts.values().map(|part| part.len() + OVERHEAD).sum()
    }

    /// Adds a part; `false` if it contradicts the others (RFC 5722: then all are dropped).
    fn add(&mut self, fragment: &Fragment<'_>) -> bool {
        let end = fragment.offset + fragment.data.len();
        let known_end = self.parts.last_key_value();
        let known_end = known_end.map_or(0, |(offset, part)| offset + part.len());
        let fits = match (fragment.more, self.length) {
            (true, None) => true,
            (true, Some(length)) => end <= length,
            (false, None) => known_end <= end,
            (false, Some(_)) => false,
        };
        let before = self.parts.range(..=fragment.offset).next_back();
        let after = self.parts.range(fragment.offset..).next();
        let overlaps = before.is_some_and(|(offset, part)| offset + part.len() > fragment.offset)
            || after.is_some_and(|(offset, _)| *offset < end);
        if !fits || overlaps {
            return false;
        }
        if !fragment.more {
            self.length = Some(end);
        }
        if fragment.offset == 0 {
            self.header = Some((fragment.header.to_vec(), fragment.ip_header));
        }
        self.parts.insert(fragment.offset, fragment.data.to_vec());
        true
    }

    fn is_complete(&self) -> bool {
        // Parts do not overlap, so that their lengths tell.
        let present: usize = self.parts.values().map(Vec::len).sum();
        self.length == Some(present) && self.header.is_some()
    }

    /// The whole frame.
    fn join(self) -> Option<Vec<u8>> {
        let (mut frame, ip_header) = self.header?;
        let start = frame.len() - ip_header;
        for part in self.parts.values() {
            frame.extend_from_slice(part);
        }
        let ip = &mut frame[start..];
        match self.key.from {
            IpAddress::Ipv4(_) => {
                let total = u16::try_from(ip.len()).ok()?;
                let mut packet = Ipv4Packet::new_unchecked(ip);
                packet.set_total_len(total);
                packet.clear_flags();
                packet.set_frag_offset(0);
                packet.fill_checksum();
            }
            IpAddress::Ipv6(_) => {
                let payload = u16::try_from(ip.len() - ip_header).ok()?;
                let mut packet = Ipv6Packet::new_unchecked(ip);
                packet.set_payload_len(payload);
                packet.set_next_header(self.key.protocol.into());
            }
        }
        Some(frame)
    }
}

#[cfg(test)]
mod tests {
    use super::{BYTES, Fragment, Key, PACKETS, Reassembly, TIMEOUT};
    use alloc::vec;
    use alloc::vec::Vec;
    use core::net::Ipv6Addr;
    use proptest::prelude::*;
    use smoltcp::time::Instant;

    const HEADER: [u8; 40] = [0; 40];

    fn fragment(identification: u32, offset: usize, more: bool, data: &[u8]) -> Fragment<'_> {
        Fragment {
            key: Key {
                from: Ipv6Addr::LOCALHOST.into(),
                to: Ipv6Addr::LOCALHOST.into(),
                protocol: 17,
                identification,
            },
            offset,
            more,
            header: &HEADER,
            ip_header: HEADER.len(),
            data,
        }
    }

    proptest! {
        #[test]
        fn parts_in_any_order_make_the_whole(
            (count, order) in (1_usize..20).prop_flat_map(|count| {
                let order: Vec<usize> = (0..count).collect();
                (Just(count), Just(order).prop_shuffle())
            }),
        ) {
            let data: Vec<u8> = (0..count * 16).map(|at| at as u8).collect();
            let mut reassembly = Reassembly::default();
            let mut whole = None;
            for at in order {
                prop_assert!(whole.is_none());
                let part = fragment(1, at * 16, at + 1 < count, &data[at * 16..(at + 1) * 16]);
                whole = reassembly.add(Instant::ZERO, &part);
            }
            prop_assert_eq!(&whole.unwrap()[40..], &data[..]);
            prop_assert_eq!((reassembly.bytes, reassembly.packets.len()), (0, 0));
        }

        #[test]
        fn any_parts_stay_within_bounds(parts in prop::collection::vec((0_u32..4, 0_usize..9000, any::<bool>(), 0_usize..2000), 0..300)) {
            let mut reassembly = Reassembly::default();
            for (identification, units, more, length) in parts {
                let data = vec![0; length];
                let part = fragment(identification, units * 8, more, &data);
                let _ = reassembly.add(Instant::ZERO, &part);
                let cost: usize = reassembly.packets.iter().map(super::Incomplete::cost).sum();
                prop_assert_eq!(cost, reassembly.bytes);
                prop_assert!(cost <= BYTES);
            }
        }
    }

    #[test]
    fn overlapping_parts_spoil_the_packet() {
        let mut reassembly = Reassembly::default();
        let now = Instant::ZERO;
        assert!(
            reassembly
                .add(now, &fragment(1, 0, true, &[0; 16]))
                .is_none()
        );
        assert!(
            reassembly
                .add(now, &fragment(1, 8, true, &[0; 16]))
                .is_none()
        );
        assert!(reassembly.packets.is_empty());
    }

    #[test]
    fn incomplete_packets_are_limited_and_expire() {
        let mut reassembly = Reassembly::default();
        for identification in 0..2 * PACKETS as u32 {
            reassembly.add(Instant::ZERO, &fragment(identification, 0, true, &[0; 8]));
        }
        assert_eq!(reassembly.packets.len(), PACKETS);
        reassembly.add(Instant::ZERO + TIMEOUT, &fragment(1, 8, true, &[0; 8]));
        assert_eq!(reassembly.packets.len(), 1);
    }
}
