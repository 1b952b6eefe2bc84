//! Finished connections whose addresses stay reserved for a while (TIME-WAIT, RFC 9293 §3.6.1).
//!
//! They need no buffers and no smoltcp socket: the one thing that may still come is the other
//! side's FIN again, when our last acknowledgement was lost, and the answer follows from it.

use alloc::collections::VecDeque;

use hashbrown::HashSet;
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::time::Instant;
use smoltcp::wire::{EthernetFrame, IpAddress, IpProtocol, IpRepr, TcpControl, TcpPacket, TcpRepr};

use super::settings::{TIME_WAIT, TIME_WAIT_LIMIT};
use super::table::Tuple;
use crate::demux::Segment;
use crate::phy::{ETHERNET_HEADER, Outlet};
use crate::ports::HashSeed;

/// The reserved address pairs.
pub(crate) struct TimeWait {
    tuples: HashSet<Tuple, HashSeed>,
    /// In order of expiry; entries no longer in `tuples` were released early.
    order: VecDeque<(Instant, Tuple)>,
}

impl TimeWait {
    pub(crate) fn new(seed: HashSeed) -> Self {
        Self {
            tuples: HashSet::with_hasher(seed),
            order: VecDeque::new(),
        }
    }

    pub(crate) fn contains(&self, tuple: &Tuple) -> bool {
        self.tuples.contains(tuple)
    }

    pub(crate) fn len(&self) -> usize {
        self.tuples.len()
    }

    pub(crate) fn is_full(&self) -> bool {
        self.order.len() >= TIME_WAIT_LIMIT
    }

    pub(crate) fn insert(&mut self, now: Instant, tuple: Tuple) {
        if self.tuples.insert(tuple) {
            self.order.push_back((now + TIME_WAIT, tuple));
        }
    }

    /// Ends the reservation at once; whether there was one.
    pub(crate) fn release(&mut self, tuple: &Tuple) -> bool {
        self.tuples.remove(tuple)
    }

    /// Ends and returns the oldest reservation, if it has expired.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<Tuple> {
        while let Some((at, tuple)) = self.order.front().copied() {
            if at > now {
                return None;
            }
            self.order.pop_front();
            if self.tuples.remove(&tuple) {
                return Some(tuple);
            }
        }
        None
    }

    pub(crate) fn next(&self) -> Option<Instant> {
        self.order.front().map(|(at, _)| *at)
    }
}

/// Acknowledges a repeated FIN: sends back `frame`'s addresses swapped.
pub(crate) fn acknowledge(outlet: &mut Outlet, frame: &[u8], segment: &Segment) {
    let tcp = TcpRepr {
        src_port: segment.local.port,
        dst_port: segment.remote.port,
        control: TcpControl::None,
        seq_number: segment.acknowledged,
        ack_number: Some(segment.sequence + segment.length),
        window_len: 0,
        window_scale: None,
        max_seg_size: None,
        sack_permitted: false,
        sack_ranges: [None; 3],
        timestamp: None,
        payload: &[],
    };
    let (from, to): (IpAddress, IpAddress) = (segment.local.addr, segment.remote.addr);
    let ip = IpRepr::new(from, to, IpProtocol::Tcp, tcp.buffer_len(), 64);
    let link_header = match outlet {
        Outlet::Device { .. } => ETHERNET_HEADER,
        Outlet::Loopback { .. } => 0,
    };
    outlet.send(link_header + ip.buffer_len(), |buffer| {
        let (link, packet) = buffer.split_at_mut(link_header);
        emit_return_header(link, frame);
        ip.emit(&mut *packet, &ChecksumCapabilities::default());
        let mut payload = TcpPacket::new_unchecked(&mut packet[ip.header_len()..]);
        tcp.emit(&mut payload, &from, &to, &ChecksumCapabilities::default());
    });
}

/// Writes the Ethernet header that answers `frame`; `header` is empty on the loopback interface.
fn emit_return_header(header: &mut [u8], frame: &[u8]) {
    let Ok(received) = EthernetFrame::new_checked(frame) else {
        return;
    };
    if header.is_empty() {
        return;
    }
    let mut reply = EthernetFrame::new_unchecked(header);
    reply.set_dst_addr(received.src_addr());
    reply.set_src_addr(received.dst_addr());
    reply.set_ethertype(received.ethertype());
}
