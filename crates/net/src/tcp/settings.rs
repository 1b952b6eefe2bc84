//! Numbers of TCP, and how socket options become smoltcp settings.

use linux_abi::raw::net as uapi;
use smoltcp::socket::tcp::State;
use smoltcp::time::Duration;
use smoltcp::wire::IpAddress;

use super::block::{Flow, Owner};
use crate::options::{Options, SOL_IP, SOL_IPV6, SOL_SOCKET, SOL_TCP};

/// Buffer size per direction unless asked otherwise: eleven full Ethernet segments.
pub(crate) const DEFAULT_BUFFER: usize = 16 << 10;
/// Buffer size once half of the memory for TCP is in use.
pub(crate) const SMALL_BUFFER: usize = 4 << 10;
/// Largest buffer given on request.
const LARGEST_BUFFER: usize = 256 << 10;

/// The first time between two connection requests, which doubles each time (RFC 6298 §2).
const FIRST_RETRY: Duration = Duration::from_secs(1);
/// More repetitions of the request would not fit a duration.
const MOST_RETRIES: u32 = 24;
/// How long an incoming handshake may take (Linux: `tcp_synack_retries` = 5, 63 s).
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(63);
/// How long data goes unacknowledged before the connection is given up (Linux: `tcp_retries2`
/// = 15, 924.6 s).
const DATA_TIMEOUT: Duration = Duration::from_secs(924);
/// The same without a descriptor, and how long an orphan waits for the other side's end (Linux:
/// `tcp_fin_timeout`).
pub(crate) const ORPHAN_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a finished connection's addresses stay reserved. Linux: 60 s; shorter, because memory
/// is scarcer here and sequence numbers start at random.
pub(crate) const TIME_WAIT: Duration = Duration::from_secs(10);
/// Finished connections remembered at most.
pub(crate) const TIME_WAIT_LIMIT: usize = 16_384;

/// The buffer size for a request of `SO_RCVBUF` or `SO_SNDBUF`.
pub(crate) fn buffer_size(options: &Options, name: u32, scarce: bool) -> usize {
    match options.requested_buffer(name) {
        Some(size) => size.clamp(SMALL_BUFFER, LARGEST_BUFFER),
        None if scarce => SMALL_BUFFER,
        None => DEFAULT_BUFFER,
    }
}

/// Whether keep-alive probes are under way (their interval differs from the idle time).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Probing {
    /// The other side was just heard, or we just sent data.
    No,
    /// A timer fired on a quiet connection.
    Yes,
}

/// The options that a connection's every packet depends on, ready for use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tuning {
    nagle: bool,
    corked: bool,
    hop_limit: Option<u8>,
    keep_alive: Option<KeepAlive>,
    hop_limit6: Option<u8>,
    user_timeout: Option<Duration>,
    /// How long connect(2) tries.
    connect_timeout: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct KeepAlive {
    idle: Duration,
    interval: Duration,
    count: u32,
}

impl Tuning {
    /// Reads the options that matter.
    pub(crate) fn new(options: &Options) -> Self {
        let hop_limit = |level, name| match options.value(level, name) {
            value @ 1..=255 => Some(value as u8),
            _ => None,
        };
        let retries = options.value(SOL_TCP, uapi::TCP_SYNCNT) as u32;
        let user_timeout = match options.value(SOL_TCP, uapi::TCP_USER_TIMEOUT) {
            millis @ 1.. => Some(Duration::from_millis(millis as u64)),
            _ => None,
        };
        Self {
            nagle: !options.flag(SOL_TCP, uapi::TCP_NODELAY),
            corked: options.flag(SOL_TCP, uapi::TCP_CORK),
            hop_limit: hop_limit(SOL_IP, uapi::IP_TTL),
            hop_limit6: hop_limit(SOL_IPV6, uapi::IPV6_UNICAST_HOPS),
            keep_alive: KeepAlive::new(options),
            user_timeout,
            // The last repetition has its time for an answer, too.
            connect_timeout: FIRST_RETRY * ((2 << retries.min(MOST_RETRIES)) - 1),
        }
    }

    /// Brings a connection's smoltcp settings in line with its options and state.
    pub(crate) fn apply(&self, flow: &mut Flow, probing: Probing) {
        let keep_alive = self.keep_alive.map(|wanted| match probing {
            Probing::No => wanted.idle,
            Probing::Yes => wanted.interval,
        });
        let timeout = self.timeout(flow);
        let hop_limit = match flow.remote.addr {
            IpAddress::Ipv4(_) => self.hop_limit,
            IpAddress::Ipv6(_) => self.hop_limit6,
        };
        let tcp = flow.tcp_mut();
        if tcp.keep_alive() != keep_alive {
            tcp.set_keep_alive(keep_alive);
        }
        tcp.set_timeout(timeout);
        tcp.set_hop_limit(hop_limit);
        tcp.set_nagle_enabled(self.nagle);
    }

    /// A segment comes in: the other side is there, and the idle time starts anew.
    pub(crate) fn hear(&self, flow: &mut Flow) {
        let idle = self.keep_alive.map(|wanted| wanted.idle);
        let tcp = flow.tcp_mut();
        if tcp.keep_alive() != idle {
            tcp.set_keep_alive(idle);
        }
    }

    /// Whether small segments wait for more data (`TCP_CORK`).
    pub(crate) fn is_corked(&self) -> bool {
        self.corked
    }

    /// How long the other side may be silent. smoltcp would also apply it to idle connections,
    /// so it is only set while an answer is due.
    fn timeout(&self, flow: &Flow) -> Option<Duration> {
        match flow.state() {
            State::SynSent => return self.user_timeout.or(Some(self.connect_timeout)),
            State::SynReceived => return Some(HANDSHAKE_TIMEOUT),
            State::FinWait1 | State::Closing | State::LastAck => {}
            _ if flow.tcp().send_queue() > 0 => {}
            _ => {
                return self
                    .keep_alive
                    .map(|probes| probes.limit(self.user_timeout));
            }
        }
        match flow.owner {
            Owner::Nobody => Some(ORPHAN_TIMEOUT),
            _ => self.user_timeout.or(Some(DATA_TIMEOUT)),
        }
    }
}

impl KeepAlive {
    fn new(options: &Options) -> Option<Self> {
        let seconds = |name| Duration::from_secs(options.value(SOL_TCP, name) as u64);
        let on = options.flag(SOL_SOCKET, uapi::SO_KEEPALIVE);
        on.then(|| Self {
            idle: seconds(uapi::TCP_KEEPIDLE),
            interval: seconds(uapi::TCP_KEEPINTVL),
            count: options.value(SOL_TCP, uapi::TCP_KEEPCNT) as u32,
        })
    }

    /// Silence after which the other side counts as gone: a number of probes, or
    /// `TCP_USER_TIMEOUT` after the first (tcp(7)).
    fn limit(self, user_timeout: Option<Duration>) -> Duration {
        let first = self.idle + self.interval;
        match user_timeout {
            Some(limit) => limit.max(first),
            None => self.idle + self.interval * self.count,
        }
    }
}
