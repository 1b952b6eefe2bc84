//! The kernel inside of OSv's loader: FastLZ streams of a MiB each (osv: fastlz/lz.cc).
//!
//! ```text
//! 0    4  where the table is, from here
//! 4    …  the segments, each compressed, or as it is where that saves nothing
//!      4  number of segments
//!      8  for each: its size, and its size here
//! ```
//!
//! A stream starts with its level in the upper three bits (0 or 1), then come runs: a byte below 32
//! is followed by as many bytes, and one more, that are taken as they are; anything else repeats
//! bytes from further back (FastLZ 0.1, 6pack.c and fastlz.c).

/// Bytes of a segment but the last.
const SEGMENT: usize = 1 << 20;
/// Most segments that are believed: kernels have less than ten.
const SEGMENTS_MAX: usize = 256;
/// Bytes of the loader in which the container starts: its code is small.
const CODE_MAX: usize = 1 << 20;
/// Most places that are tried: damaged and foreign loaders should be told soon.
const CANDIDATES: usize = 16;
/// First bytes of a kernel.
const ELF: &[u8] = b"\x7fELF";
/// Bytes of the head and of an entry of the table.
const HEAD: usize = 4;
const ROW: usize = 8;

/// The kernel in a loader; `None` if there is none.
pub(super) fn kernel(loader: &[u8]) -> Option<Vec<u8>> {
    // Where it starts depends on the linker, and the symbols that tell may be stripped.
    let starts = 0..loader.len().min(CODE_MAX);
    let containers = starts.filter_map(|at| segments(&loader[at..]));
    containers.take(CANDIDATES).find_map(|segments| {
        let mut kernel = Vec::new();
        for (size, bytes) in segments {
            match bytes.len() == size {
                true => kernel.extend(bytes),
                false => kernel.extend(decompress(bytes, size)?),
            }
            if !kernel.starts_with(ELF) {
                return None;
            }
        }
        Some(kernel)
    })
}

/// The segments of a container, each with its size when unpacked, if this is one.
fn segments(container: &[u8]) -> Option<Vec<(usize, &[u8])>> {
    let table = number(container, 0)?;
    let count = number(container, table)?;
    if table < HEAD + 4 || count == 0 || count > SEGMENTS_MAX {
        return None;
    }
    let mut found = Vec::new();
    let mut at = HEAD;
    for index in 0..count {
        let row = table + 4 + index * ROW;
        let (size, packed) = (number(container, row)?, number(container, row + 4)?);
        let is_last = index + 1 == count;
        if packed > size || size > SEGMENT || !is_last && size != SEGMENT {
            return None;
        }
        found.push((size, container.get(at..at.checked_add(packed)?)?));
        at += packed;
    }
    (at == table).then_some(found)
}

fn number(bytes: &[u8], at: usize) -> Option<usize> {
    let bytes = bytes.get(at..)?.first_chunk()?;
    usize::try_from(u32::from_le_bytes(*bytes)).ok()
}

/// Unpacks a stream of exactly `size` bytes.
fn decompress(stream: &[u8], size: usize) -> Option<Vec<u8>> {
    let mut input = stream.iter().copied();
    let mut out = Vec::with_capacity(size);
    let first = input.next()?;
    let level = first >> 5;
    let mut control = Some(first & 31);
    while let Some(byte) = control {
        match byte {
            0..32 => {
                for _ in 0..=byte {
                    out.push(input.next()?);
                }
            }
            _ => repeat(byte, level, &mut input, &mut out)?,
        }
        if out.len() > size {
            return None;
        }
        control = input.next();
    }
    (level <= 1 && out.len() == size).then_some(out)
}

/// Farthest distance that level 1 (of 0 and 1) tells in one byte and five bits.
const NEAR: usize = 8191;

/// Repeats what was there before, as the control byte and what follows it say.
fn repeat(
    control: u8,
    level: u8,
    input: &mut impl Iterator<Item = u8>,
    out: &mut Vec<u8>,
) -> Option<()> {
    let mut length = usize::from(control >> 5) + 2;
    let high = usize::from(control & 31);
    if control >> 5 == 7 {
        loop {
            let more = input.next()?;
            length += usize::from(more);
            if level == 0 || more != 255 {
                break;
            }
        }
    }
    let low = input.next()?;
    let mut distance = high << 8 | usize::from(low);
    if level == 1 && low == 255 && high == 31 {
        let far = [input.next()?, input.next()?];
        distance = NEAR + usize::from(u16::from_be_bytes(far));
    }
    let start = out.len().checked_sub(distance + 1)?;
    if length > SEGMENT {
        return None;
    }
    // What is repeated may be what is being written.
    for at in start..start + length {
        out.push(out[at]);
    }
    Some(())
}

#[cfg(test)]
pub(super) mod tests {
    use super::{SEGMENT, decompress, kernel};
    use proptest::prelude::{any, prop, proptest};

    /// A container whose segments are not compressed.
    pub(crate) fn stored(kernel: &[u8]) -> Vec<u8> {
        let mut container = vec![0; 4];
        container.extend(kernel);
        let table = container.len() as u32;
        container[..4].copy_from_slice(&table.to_le_bytes());
        let segments: Vec<_> = kernel.chunks(SEGMENT).collect();
        container.extend((segments.len() as u32).to_le_bytes());
        for segment in segments {
            let size = (segment.len() as u32).to_le_bytes();
            container.extend([size, size].concat());
        }
        container
    }

    #[test]
    fn streams_of_both_levels_are_unpacked() {
        // Three bytes, then five from two back.
        let near = [2, b'a', b'b', b'c', 0x60, 1];
        assert_eq!(decompress(&near, 8).unwrap(), b"abcbcbcb");
        // As long as a byte can say, and with one more byte of length.
        let long = [0, b'x', 0xe0, 200, 0];
        assert_eq!(decompress(&long, 210).unwrap(), [b'x'; 210]);
        let longer = [0x20, b'x', 0xe0, 255, 0, 0];
        assert_eq!(decompress(&longer, 265).unwrap(), [b'x'; 265]);
    }

    #[test]
    fn a_kernel_is_found_wherever_it_is() {
        let elf = [b"\x7fELF".as_slice(), &[5; SEGMENT + 3]].concat();
        let loader = [b"some code\0\0\0".as_slice(), &stored(&elf), b"more"].concat();
        assert_eq!(kernel(&loader).as_deref(), Some(elf.as_slice()));
        assert_eq!(kernel(&loader[..loader.len() - 5]), None);
        assert_eq!(kernel(&stored(b"not a kernel")), None);
    }

    proptest! {
        #[test]
        fn any_stream_is_survived(stream in prop::collection::vec(any::<u8>(), 0..200), size in 0_usize..4000) {
            let _ = decompress(&stream, size);
            let _ = kernel(&stream);
        }
    }
}
