//! `TCP_INFO`: what tcp(7) shows of a connection.

use alloc::vec::Vec;

use smoltcp::socket::tcp::State;
use smoltcp::wire::IpAddress;

use super::block::{Block, Flow, Phase};
use crate::core::Core;

/// Size of `struct tcp_info` up to the fields of Linux 5.10 (linux/tcp.h).
const SIZE: usize = 232;
/// Where its fields are.
const PATH_MTU: usize = 60;
const RECEIVE_THRESHOLD: usize = 64;
const ADVERTISED_SEGMENT: usize = 84;
const RECEIVE_SPACE: usize = 96;
/// Lengths of IP headers, and of a TCP header.
const IPV4_HEADER: usize = 20;
const IPV6_HEADER: usize = 40;
const TCP_HEADER: usize = 20;

impl Core {
    /// The structure. smoltcp does not tell times and counts; their fields are zero.
    pub(crate) fn tcp_info(&self, block: &Block) -> Vec<u8> {
        let mut info = alloc::vec![0; SIZE];
        info[0] = state(block);
        let Some(flow) = block.flow() else {
            return info;
        };
        let mtu = self.links.get(flow.link).map_or(0, |link| link.ip_mtu());
        let window = flow.tcp().recv_capacity();
        for (at, value) in [
            (PATH_MTU, mtu),
            (RECEIVE_THRESHOLD, window),
            (ADVERTISED_SEGMENT, mtu.saturating_sub(headers(flow))),
            (RECEIVE_SPACE, window),
        ] {
            info[at..at + 4].copy_from_slice(&(value as u32).to_le_bytes());
        }
        info
    }
}

fn headers(flow: &Flow) -> usize {
    match flow.remote.addr {
        IpAddress::Ipv4(_) => IPV4_HEADER + TCP_HEADER,
        IpAddress::Ipv6(_) => IPV6_HEADER + TCP_HEADER,
    }
}

/// The state in Linux's numbers (net/tcp_states.h).
fn state(block: &Block) -> u8 {
    const CLOSED: u8 = 7;
    const LISTEN: u8 = 10;
    match &block.phase {
        Phase::Idle | Phase::Over { .. } => CLOSED,
        Phase::Listening(_) => LISTEN,
        Phase::Open(flow) => match flow.state() {
            State::Established => 1,
            State::SynSent => 2,
            State::SynReceived => 3,
            State::FinWait1 => 4,
            State::FinWait2 => 5,
            State::TimeWait => 6,
            State::Closed => CLOSED,
            State::CloseWait => 8,
            State::LastAck => 9,
            State::Listen => LISTEN,
            State::Closing => 11,
        },
    }
}
