//! What a device does with frames whose checksums and segments are left to it.

use net::{Checksum, Offload, Segments};

use super::checksum;

/// Completes the checksum and cuts the frame.
pub(crate) fn finish(frame: &[u8], offload: Offload) -> Vec<Vec<u8>> {
    let Some(place) = offload.checksum else {
        assert_eq!(offload.segments, None, "needs a checksum");
        return vec![frame.to_vec()];
    };
    let frames = match offload.segments {
        None => vec![frame.to_vec()],
        Some(segments) => cut(frame, segments, place),
    };
    let complete = |mut frame: Vec<u8>| {
        let start = usize::from(place.start);
        let sum = checksum(&frame[start..], 0);
        field(&mut frame, place).copy_from_slice(&sum.to_be_bytes());
        frame
    };
    frames.into_iter().map(complete).collect()
}

fn field(frame: &mut [u8], place: Checksum) -> &mut [u8] {
    let at = usize::from(place.start + place.offset);
    &mut frame[at..at + 2]
}

/// The sum of the pseudo-header of a TCP packet over IPv4.
fn pseudo_header(frame: &[u8], length: usize) -> u16 {
    !checksum(&frame[26..34], 6 + length as u32)
}

fn cut(frame: &[u8], segments: Segments, place: Checksum) -> Vec<Vec<u8>> {
    assert!(!segments.is_ipv6);
    assert_eq!(usize::from(place.start), 34, "IPv4 without options");
    let (header, payload) = frame.split_at(segments.header.into());
    let whole = pseudo_header(frame, frame.len() - 34);
    assert_eq!(field(&mut frame.to_vec(), place), whole.to_be_bytes());
    let sequence = u32::from_be_bytes(header[38..42].try_into().unwrap());
    let size = usize::from(segments.payload);
    let count = payload.len().div_ceil(size);
    assert!(count > 1, "nothing to cut");
    let cut = payload.chunks(size).enumerate().map(|(index, part)| {
        let mut segment = [header, part].concat();
        let length = (segment.len() - 14) as u16;
        segment[16..18].copy_from_slice(&length.to_be_bytes());
        segment[24..26].fill(0);
        let sum = checksum(&segment[14..34], 0);
        segment[24..26].copy_from_slice(&sum.to_be_bytes());
        let sequence = sequence.wrapping_add((index * size) as u32);
        segment[38..42].copy_from_slice(&sequence.to_be_bytes());
        if index + 1 < count {
            segment[47] &= !(1 | 8); // FIN, PSH
        }
        let sum = pseudo_header(&segment, segment.len() - 34);
        field(&mut segment, place).copy_from_slice(&sum.to_be_bytes());
        segment
    });
    cut.collect()
}
