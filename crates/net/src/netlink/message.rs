//! Netlink messages as bytes.
//!
//! ```text
//! message    length u32 | type u16 | flags u16 | sequence u32 | port u32 | body … | attributes …
//! attribute  length u16 | type u16 | value …           (each padded to a multiple of 4 bytes)
//! ```

use alloc::vec::Vec;

/// Size of `struct nlmsghdr`.
pub(crate) const HEADER: usize = 16;

/// The header of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    /// Length with header, without padding.
    pub(crate) length: u32,
    pub(crate) kind: u16,
    pub(crate) flags: u16,
    pub(crate) sequence: u32,
    pub(crate) port: u32,
}

impl Header {
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.get(..HEADER)?;
        let word = |at: usize| -> Option<u32> {
            Some(u32::from_le_bytes(bytes[at..at + 4].try_into().ok()?))
        };
        Some(Self {
            length: word(0)?,
            kind: u16::from_le_bytes([bytes[4], bytes[5]]),
            flags: u16::from_le_bytes([bytes[6], bytes[7]]),
            sequence: word(8)?,
            port: word(12)?,
        })
    }

    pub(crate) fn emit(&self) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        bytes[..4].copy_from_slice(&self.length.to_le_bytes());
        bytes[4..6].copy_from_slice(&self.kind.to_le_bytes());
        bytes[6..8].copy_from_slice(&self.flags.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.sequence.to_le_bytes());
        bytes[12..].copy_from_slice(&self.port.to_le_bytes());
        bytes
    }
}

/// Splits the first message off: header, body, and the bytes after it.
pub(crate) fn split(bytes: &[u8]) -> Option<(Header, &[u8], &[u8])> {
    let header = Header::parse(bytes)?;
    let length = header.length as usize;
    let body = bytes.get(HEADER..length)?;
    let next = length.next_multiple_of(4).min(bytes.len());
    Some((header, body, &bytes[next..]))
}

/// Writes messages one after the other.
pub(crate) struct Writer {
    bytes: Vec<u8>,
    start: usize,
    /// Sequence number and port of the request that is answered.
    sequence: u32,
    port: u32,
}

impl Writer {
    pub(crate) fn new(sequence: u32, port: u32) -> Self {
        Self {
            bytes: Vec::new(),
            start: 0,
            sequence,
            port,
        }
    }

    /// Starts a message.
    pub(crate) fn begin(&mut self, kind: u16, flags: u16, body: &[u8]) {
        self.start = self.bytes.len();
        let header = Header {
            length: 0,
            kind,
            flags,
            sequence: self.sequence,
            port: self.port,
        };
        self.bytes.extend_from_slice(&header.emit());
        self.bytes.extend_from_slice(body);
        self.pad();
        self.fix_length();
    }

    /// Adds an attribute to the message.
    pub(crate) fn attribute(&mut self, kind: u16, value: &[u8]) {
        let length = 4 + value.len() as u16;
        self.bytes.extend_from_slice(&length.to_le_bytes());
        self.bytes.extend_from_slice(&kind.to_le_bytes());
        self.bytes.extend_from_slice(value);
        self.pad();
        self.fix_length();
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        self.bytes
    }

    fn pad(&mut self) {
        let length = self.bytes.len().next_multiple_of(4);
        self.bytes.resize(length, 0);
    }

    fn fix_length(&mut self) {
        let length = (self.bytes.len() - self.start) as u32;
        self.bytes[self.start..self.start + 4].copy_from_slice(&length.to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::{Header, Writer, split};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn headers_survive_a_round_trip(length: u32, kind: u16, flags: u16, sequence: u32, port: u32) {
            let header = Header { length, kind, flags, sequence, port };
            prop_assert_eq!(Header::parse(&header.emit()), Some(header));
        }

        #[test]
        fn written_messages_split_again(values in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 1..5)) {
            let mut writer = Writer::new(7, 9);
            for value in &values {
                writer.begin(16, 2, &[1, 2, 3, 4]);
                writer.attribute(3, value);
            }
            let bytes = writer.finish();
            let mut rest = &bytes[..];
            for value in &values {
                let (header, body, next) = split(rest).unwrap();
                prop_assert_eq!((header.kind, header.sequence, header.port), (16, 7, 9));
                prop_assert_eq!(&body[8..8 + value.len()], &value[..]);
                rest = next;
            }
            prop_assert!(rest.is_empty());
        }

        #[test]
        fn any_bytes_split_without_panic(bytes: Vec<u8>) {
            let mut rest = &bytes[..];
            while let Some((_, _, next)) = split(rest) {
                prop_assert!(next.len() < rest.len());
                rest = next;
            }
        }
    }
}
