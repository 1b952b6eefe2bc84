//! Socket options (socket(7), ip(7), ipv6(7), tcp(7)): which exist, and what a socket keeps.

use alloc::vec::Vec;

use linux_abi::Errno;
use linux_abi::raw::net as uapi;
use vfs::TimeLimits;

pub(crate) const SOL_SOCKET: i32 = uapi::SOL_SOCKET as i32;
pub(crate) const SOL_IP: i32 = uapi::IPPROTO_IP as i32;
pub(crate) const SOL_IPV6: i32 = uapi::IPPROTO_IPV6 as i32;
pub(crate) const SOL_TCP: i32 = uapi::IPPROTO_TCP as i32;
pub(crate) const SOL_UDP: i32 = uapi::IPPROTO_UDP as i32;

/// udp(7); not in the uapi headers the constants come from.
const UDP_CORK: u32 = 1;

/// Bounds of `SO_RCVBUF` and `SO_SNDBUF` in bytes as given by the caller; the kernel keeps twice
/// the value (socket(7)). Upper bound: Linux's `net.core.rmem_max`.
const BUFFER_RANGE: (i32, i32) = (2304, 212_992);
/// What Linux reports for an untouched TCP socket (`tcp_rmem[1]`, `tcp_wmem[1]`).
const TCP_RECEIVE_DEFAULT: i32 = 131_072;
const TCP_SEND_DEFAULT: i32 = 16_384;
/// What Linux reports for an untouched UDP socket (`net.core.rmem_default`).
const UDP_DEFAULT: i32 = 212_992;

/// Which transport has the option.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transport {
    Tcp,
    Udp,
}

/// The values an option takes.
#[derive(Clone, Copy)]
enum Kind {
    /// Zero or one; anything but zero counts as one.
    Flag,
    /// Within bounds, else `EINVAL`.
    Range(i32, i32),
    /// A buffer size.
    Buffer,
    /// Can be asked but not set.
    Fixed,
}

struct Known {
    level: i32,
    name: u32,
    default: i32,
    kind: Kind,
}

const fn known(level: i32, name: u32, default: i32, kind: Kind) -> Known {
    Known {
        level,
        name,
        default,
        kind,
    }
}

const ANY: Kind = Kind::Range(i32::MIN, i32::MAX);
const COUNT: Kind = Kind::Range(1, 127);
const SECONDS: Kind = Kind::Range(1, 32767);

/// Every option with an integer value.
static KNOWN: &[Known] = &[
    known(SOL_SOCKET, uapi::SO_DEBUG, 0, Kind::Flag),
    known(SOL_SOCKET, uapi::SO_REUSEADDR, 0, Kind::Flag),
    known(SOL_SOCKET, uapi::SO_REUSEPORT, 0, Kind::Flag),
    known(SOL_SOCKET, uapi::SO_DONTROUTE, 0, Kind::Flag),
    known(SOL_SOCKET, uapi::SO_BROADCAST, 0, Kind::Flag),
    known(SOL_SOCKET, uapi::SO_SNDBUF, 0, Kind::Buffer),
    known(SOL_SOCKET, uapi::SO_RCVBUF, 0, Kind::Buffer),
    known(SOL_SOCKET, uapi::SO_KEEPALIVE, 0, Kind::Flag),
    known(SOL_SOCKET, uapi::SO_OOBINLINE, 0, Kind::Flag),
    known(SOL_SOCKET, uapi::SO_PRIORITY, 0, Kind::Range(0, 6)),
    known(SOL_SOCKET, uapi::SO_RCVLOWAT, 1, Kind::Range(0, i32::MAX)),
    known(SOL_SOCKET, uapi::SO_SNDLOWAT, 1, Kind::Fixed),
    known(SOL_SOCKET, uapi::SO_TIMESTAMP_OLD, 0, Kind::Flag),
    known(SOL_SOCKET, uapi::SO_MARK, 0, ANY),
    known(SOL_IP, uapi::IP_TOS, 0, Kind::Range(0, 255)),
    known(SOL_IP, uapi::IP_TTL, 64, Kind::Range(-1, 255)),
    known(SOL_IP, uapi::IP_RECVTOS, 0, Kind::Flag),
    known(SOL_IP, uapi::IP_RECVTTL, 0, Kind::Flag),
    known(SOL_IP, uapi::IP_RECVERR, 0, Kind::Flag),
    known(SOL_IP, uapi::IP_PKTINFO, 0, Kind::Flag),
    known(SOL_IP, uapi::IP_FREEBIND, 0, Kind::Flag),
    known(SOL_IP, uapi::IP_MTU_DISCOVER, 1, Kind::Range(0, 5)),
    known(SOL_IP, uapi::IP_BIND_ADDRESS_NO_PORT, 0, Kind::Flag),
    known(SOL_IP, uapi::IP_MULTICAST_IF, 0, ANY),
    known(SOL_IP, uapi::IP_MULTICAST_TTL, 1, Kind::Range(-1, 255)),
    known(SOL_IP, uapi::IP_MULTICAST_LOOP, 1, Kind::Flag),
    known(SOL_IP, uapi::IP_MULTICAST_ALL, 1, Kind::Flag),
    known(SOL_IPV6, uapi::IPV6_V6ONLY, 0, Kind::Flag),
    known(SOL_IPV6, uapi::IPV6_UNICAST_HOPS, 64, Kind::Range(-1, 255)),
    known(SOL_IPV6, uapi::IPV6_MULTICAST_IF, 0, ANY),
    known(SOL_IPV6, uapi::IPV6_MULTICAST_HOPS, 1, Kind::Range(-1, 255)),
    known(SOL_IPV6, uapi::IPV6_MULTICAST_LOOP, 1, Kind::Flag),
    known(SOL_IPV6, uapi::IPV6_MULTICAST_ALL, 1, Kind::Flag),
    known(SOL_IPV6, uapi::IPV6_MTU_DISCOVER, 1, Kind::Range(0, 5)),
    known(SOL_IPV6, uapi::IPV6_RECVERR, 0, Kind::Flag),
    known(SOL_IPV6, uapi::IPV6_RECVPKTINFO, 0, Kind::Flag),
    known(SOL_IPV6, uapi::IPV6_RECVHOPLIMIT, 0, Kind::Flag),
    known(SOL_IPV6, uapi::IPV6_RECVTCLASS, 0, Kind::Flag),
    known(SOL_IPV6, uapi::IPV6_TCLASS, 0, Kind::Range(-1, 255)),
    known(SOL_TCP, uapi::TCP_NODELAY, 0, Kind::Flag),
    known(SOL_TCP, uapi::TCP_CORK, 0, Kind::Flag),
    known(SOL_TCP, uapi::TCP_KEEPIDLE, 7200, SECONDS),
    known(SOL_TCP, uapi::TCP_KEEPINTVL, 75, SECONDS),
    known(SOL_TCP, uapi::TCP_KEEPCNT, 9, COUNT),
    known(SOL_TCP, uapi::TCP_SYNCNT, 6, COUNT),
    known(SOL_TCP, uapi::TCP_LINGER2, 60, ANY),
    known(SOL_TCP, uapi::TCP_DEFER_ACCEPT, 0, ANY),
    known(SOL_TCP, uapi::TCP_MAXSEG, 536, Kind::Range(0, 32767)),
    known(SOL_TCP, uapi::TCP_WINDOW_CLAMP, 0, Kind::Range(0, i32::MAX)),
    known(SOL_TCP, uapi::TCP_QUICKACK, 1, Kind::Flag),
    known(SOL_TCP, uapi::TCP_USER_TIMEOUT, 0, Kind::Range(0, i32::MAX)),
    known(SOL_TCP, uapi::TCP_NOTSENT_LOWAT, -1, ANY),
    known(SOL_UDP, UDP_CORK, 0, Kind::Flag),
];

/// `SO_LINGER`: what close(2) does with unsent data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Linger {
    pub(crate) on: bool,
    pub(crate) seconds: i32,
}

/// The options of one socket; only what differs from the default takes memory.
#[derive(Clone)]
pub(crate) struct Options {
    transport: Transport,
    values: Vec<(u8, i32)>,
    linger: Linger,
    limits: TimeLimits,
}

impl Options {
    pub(crate) fn new(transport: Transport) -> Self {
        Self {
            transport,
            values: Vec::new(),
            linger: Linger::default(),
            limits: TimeLimits::default(),
        }
    }

    pub(crate) fn transport(&self) -> Transport {
        self.transport
    }

    /// setsockopt(2). What the option does is up to the reader of the value.
    pub(crate) fn set(&mut self, level: i32, name: i32, bytes: &[u8]) -> Result<(), Errno> {
        if level == SOL_SOCKET
            && let Some(result) = self.limits.set(name, bytes)
        {
            return result;
        }
        match (level, name as u32) {
            (SOL_SOCKET, uapi::SO_LINGER) => self.set_linger(bytes),
            _ => {
                let index = self.find(level, name)?;
                let value = integer(level, bytes)?;
                self.store(index, value)
            }
        }
    }

    /// getsockopt(2) for options whose value is kept here.
    pub(crate) fn get(&self, level: i32, name: i32, size: usize) -> Result<Vec<u8>, Errno> {
        if level == SOL_SOCKET
            && let Some(limit) = self.limits.get(name, size)
        {
            return Ok(limit);
        }
        if (level, name as u32) == (SOL_SOCKET, uapi::SO_LINGER) {
            let mut bytes = i32::from(self.linger.on).to_le_bytes().to_vec();
            bytes.extend_from_slice(&self.linger.seconds.to_le_bytes());
            bytes.truncate(size);
            return Ok(bytes);
        }
        let value = self.value_at(self.find(level, name)?);
        Ok(emit_integer(value, level, size))
    }

    /// The value of a known integer option.
    pub(crate) fn value(&self, level: i32, name: u32) -> i32 {
        self.find(level, name as i32)
            .map_or(0, |index| self.value_at(index))
    }

    pub(crate) fn flag(&self, level: i32, name: u32) -> bool {
        self.value(level, name) != 0
    }

    pub(crate) fn linger(&self) -> Linger {
        self.linger
    }

    /// The buffer size asked for in bytes (`SO_RCVBUF`, `SO_SNDBUF`), if any.
    pub(crate) fn requested_buffer(&self, name: u32) -> Option<usize> {
        let index = self.find(SOL_SOCKET, name as i32).ok()?;
        let stored = self.values.iter().find(|(known, _)| *known == index)?.1;
        Some(stored as usize / 2)
    }

    fn find(&self, level: i32, name: i32) -> Result<u8, Errno> {
        let foreign = match self.transport {
            Transport::Tcp => SOL_UDP,
            Transport::Udp => SOL_TCP,
        };
        let matches =
            |known: &Known| known.level == level && known.name == name as u32 && level != foreign;
        let index = KNOWN.iter().position(matches);
        index.map(|index| index as u8).ok_or(Errno::ENOPROTOOPT)
    }

    fn value_at(&self, index: u8) -> i32 {
        let stored = self.values.iter().find(|(known, _)| *known == index);
        match stored {
            Some((_, value)) => *value,
            None => self.default_at(&KNOWN[index as usize]),
        }
    }

    fn default_at(&self, known: &Known) -> i32 {
        match (known.kind, self.transport) {
            (Kind::Buffer, Transport::Udp) => UDP_DEFAULT,
            (Kind::Buffer, Transport::Tcp) if known.name == uapi::SO_RCVBUF => TCP_RECEIVE_DEFAULT,
            (Kind::Buffer, Transport::Tcp) => TCP_SEND_DEFAULT,
            _ => known.default,
        }
    }

    fn store(&mut self, index: u8, value: i32) -> Result<(), Errno> {
        let value = match KNOWN[index as usize].kind {
            Kind::Flag => i32::from(value != 0),
            Kind::Range(low, high) if (low..=high).contains(&value) => value,
            Kind::Range(..) => return Err(Errno::EINVAL),
            Kind::Buffer => value.clamp(BUFFER_RANGE.0 / 2, BUFFER_RANGE.1) * 2,
            Kind::Fixed => return Err(Errno::ENOPROTOOPT),
        };
        match self.values.iter_mut().find(|(known, _)| *known == index) {
            Some(entry) => entry.1 = value,
            None => self.values.push((index, value)),
        }
        Ok(())
    }

    fn set_linger(&mut self, bytes: &[u8]) -> Result<(), Errno> {
        let Some((on, seconds)) = bytes.get(..8).map(|bytes| bytes.split_at(4)) else {
            return Err(Errno::EINVAL);
        };
        let seconds = integer(SOL_SOCKET, seconds)?;
        self.linger = match integer(SOL_SOCKET, on)? {
            // As on Linux, turning it off keeps the time.
            0 => Linger {
                on: false,
                ..self.linger
            },
            _ => Linger { on: true, seconds },
        };
        Ok(())
    }
}

/// Reads an option value. IP-level options may be given as a single byte (ip(7)).
fn integer(level: i32, bytes: &[u8]) -> Result<i32, Errno> {
    match bytes {
        [a, b, c, d, ..] => Ok(i32::from_le_bytes([*a, *b, *c, *d])),
        [byte, ..] if level == SOL_IP => Ok(i32::from(*byte)),
        _ => Err(Errno::EINVAL),
    }
}

/// Writes an option value into at most `size` bytes; IP-level options shrink to one byte.
pub(crate) fn emit_integer(value: i32, level: i32, size: usize) -> Vec<u8> {
    if level == SOL_IP && (1..4).contains(&size) && (0..=255).contains(&value) {
        return alloc::vec![value as u8];
    }
    let mut bytes = value.to_le_bytes().to_vec();
    bytes.truncate(size);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(options: &mut Options, level: i32, name: u32, value: i32) -> Result<(), Errno> {
        options.set(level, name as i32, &value.to_le_bytes())
    }

    #[test]
    fn every_settable_option_reads_back_what_was_set() {
        for known in KNOWN {
            let transport = if known.level == SOL_UDP {
                Transport::Udp
            } else {
                Transport::Tcp
            };
            let mut options = Options::new(transport);
            let (given, expected) = match known.kind {
                Kind::Flag => (7, 1),
                Kind::Range(_, high) => (high, high),
                Kind::Buffer => (8192, 16384),
                Kind::Fixed => continue,
            };
            set(&mut options, known.level, known.name, given).unwrap();
            let read = options.get(known.level, known.name as i32, 4).unwrap();
            assert_eq!(
                read,
                expected.to_le_bytes(),
                "{} {}",
                known.level,
                known.name
            );
        }
    }

    #[test]
    fn unknown_options_and_bad_values_are_refused_as_linux_does() {
        let mut tcp = Options::new(Transport::Tcp);
        assert_eq!(set(&mut tcp, SOL_TCP, 999, 1), Err(Errno::ENOPROTOOPT));
        assert_eq!(set(&mut tcp, SOL_UDP, UDP_CORK, 1), Err(Errno::ENOPROTOOPT));
        assert_eq!(
            set(&mut tcp, SOL_SOCKET, uapi::SO_SNDLOWAT, 1),
            Err(Errno::ENOPROTOOPT)
        );
        assert_eq!(set(&mut tcp, SOL_IP, uapi::IP_TTL, 256), Err(Errno::EINVAL));
        assert_eq!(
            tcp.set(SOL_SOCKET, uapi::SO_KEEPALIVE as i32, &[1]),
            Err(Errno::EINVAL)
        );
        assert_eq!(tcp.set(SOL_IP, uapi::IP_TOS as i32, &[16]), Ok(()));
        assert_eq!(tcp.get(SOL_IP, uapi::IP_TOS as i32, 1), Ok(alloc::vec![16]));
    }

    #[test]
    fn linger_round_trips() {
        let mut options = Options::new(Transport::Tcp);
        let raw = [1, 0, 0, 0, 5, 0, 0, 0];
        options
            .set(SOL_SOCKET, uapi::SO_LINGER as i32, &raw)
            .unwrap();
        assert_eq!(
            options.get(SOL_SOCKET, uapi::SO_LINGER as i32, 8).unwrap(),
            raw
        );
        assert_eq!(
            options.linger(),
            Linger {
                on: true,
                seconds: 5
            }
        );
    }
}
