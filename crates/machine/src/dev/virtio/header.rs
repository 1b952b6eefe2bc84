//! The header before each packet (virtio 1.2 §5.1.6).
//!
//! ```text
//! 0  flags u8        1  gso_type u8      2  hdr_len u16     4  gso_size u16
//! 6  csum_start u16  8  csum_offset u16  10 num_buffers u16
//! ```
//! `num_buffers` is there with version 1 or mergeable buffers.

/// Bytes with `num_buffers`, and without.
pub(super) const HEADER: usize = 12;
pub(super) const SHORT_HEADER: usize = 10;

const NUM_BUFFERS: usize = 10;

const NEEDS_CHECKSUM: u8 = 1;
const DATA_VALID: u8 = 2;

const GSO_TCP4: u8 = 1;
const GSO_TCP6: u8 = 4;

/// What the device has to do with a frame before it leaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Offload {
    /// Where to complete a checksum.
    pub checksum: Option<Checksum>,
    /// How to cut a TCP packet into segments; goes with a checksum.
    pub segments: Option<Segments>,
}

/// A checksum that holds the sum of the pseudo-header so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checksum {
    /// From which byte of the frame it is formed.
    pub start: u16,
    /// Where it goes, counted from there.
    pub offset: u16,
}

/// A packet that is longer than a frame may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segments {
    /// Whether it is IPv6 rather than IPv4.
    pub is_ipv6: bool,
    /// Bytes of all headers, which each segment gets.
    pub header: u16,
    /// Bytes of payload in each segment but the last.
    pub payload: u16,
}

impl Offload {
    /// Writes the header for a frame.
    pub(super) fn emit(&self, header: &mut [u8]) {
        header.fill(0);
        if let Some(Checksum { start, offset }) = self.checksum {
            header[0] = NEEDS_CHECKSUM;
            header[6..8].copy_from_slice(&start.to_le_bytes());
            header[8..10].copy_from_slice(&offset.to_le_bytes());
        }
        if let Some(segments) = self.segments {
            header[1] = if segments.is_ipv6 { GSO_TCP6 } else { GSO_TCP4 };
            header[2..4].copy_from_slice(&segments.header.to_le_bytes());
            header[4..6].copy_from_slice(&segments.payload.to_le_bytes());
        }
    }
}

/// What the header of a received packet says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Arrival {
    /// The device vouches for the checksums of TCP and UDP, or the packet never was on a wire.
    pub(super) is_verified: bool,
    /// Over how many buffers it is spread.
    pub(super) buffers: u16,
}

impl Arrival {
    /// Reads a header, which is [`HEADER`] or [`SHORT_HEADER`] bytes.
    pub(super) fn parse(header: &[u8]) -> Self {
        let buffers = header.get(NUM_BUFFERS..HEADER);
        let buffers = buffers.and_then(|bytes| bytes.try_into().ok());
        Self {
            is_verified: header[0] & (NEEDS_CHECKSUM | DATA_VALID) != 0,
            buffers: buffers.map_or(1, u16::from_le_bytes),
        }
    }
}
