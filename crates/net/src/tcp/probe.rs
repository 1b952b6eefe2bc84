//! Probes of a closed window (RFC 9293 §3.8.6.1).
//!
//! smoltcp 0.14 probes with the next byte of its data, and goes on as if it had not been sent. If
//! the other side has room again by then, it takes the byte; what this side says afterwards starts
//! a byte too early and is refused, window and all. When both sides do so at once, neither ever
//! learns of the other's open window. So a probe repeats the byte before instead, as Linux does:
//! nobody takes that, and everybody answers.

use smoltcp::wire::{IpAddress, IpVersion, Ipv4Packet, Ipv6Packet, TcpPacket};

/// Bytes of data in a probe.
const PROBE: usize = 1;

/// Turns the probe in `packet`, an IP packet that smoltcp has just written, into a repetition of
/// the byte before. Anything else stays as it is.
pub(crate) fn repeat_instead(packet: &mut [u8]) {
    let Some((from, to, header)) = addresses(packet) else {
        return;
    };
    let Some(Ok(mut tcp)) = packet.get_mut(header..).map(TcpPacket::new_checked) else {
        return;
    };
    if tcp.payload_mut().len() != PROBE || tcp.syn() || tcp.rst() {
        return;
    }
    tcp.set_seq_number(tcp.seq_number() - PROBE);
    // The end of the data is behind the byte that is not sent.
    tcp.set_fin(false);
    // A device that completes checksums overwrites it.
    tcp.fill_checksum(&from, &to);
}

/// Source, destination, and where the transport header starts.
fn addresses(packet: &[u8]) -> Option<(IpAddress, IpAddress, usize)> {
    match IpVersion::of_packet(packet).ok()? {
        IpVersion::Ipv4 => {
            let ip = Ipv4Packet::new_checked(packet).ok()?;
            let header = ip.header_len().into();
            Some((ip.src_addr().into(), ip.dst_addr().into(), header))
        }
        IpVersion::Ipv6 => {
            let ip = Ipv6Packet::new_checked(packet).ok()?;
            Some((ip.src_addr().into(), ip.dst_addr().into(), ip.header_len()))
        }
    }
}
