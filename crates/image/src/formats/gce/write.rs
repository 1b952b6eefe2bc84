//! Writing the archive.

use std::io::{self, Read, Seek, Write};

use super::{
    CHECKSUM, FILE_SIZE, GNU_MAGIC, GROUP, HEADER_PAIRS, MAGIC, MODE, MORE, NAME, NUMBER, PAIR,
    PAIRS, SECTOR, SECTOR_PAIRS, STORED, TIME, TYPE, TYPE_SPARSE, USER, checksum,
};
use crate::formats::Raw;
use crate::formats::fields::put;
use crate::formats::stream::gzip;

/// Unit of the runs.
const BLOCK: u64 = 1 << 16;

/// Zero bytes at the archive's end.
const END: [u8; 2 * SECTOR] = [0; 2 * SECTOR];

/// A run of bytes that is stored.
#[derive(Clone, Copy)]
struct Run {
    offset: u64,
    size: u64,
}

/// Writes the disk.
pub(in crate::formats) fn write<R: Read + Seek>(
    raw: &mut Raw<R>,
    out: &mut dyn Write,
) -> io::Result<()> {
    let mut out = gzip(out);
    let mut runs = runs(raw)?;
    let stored: u64 = runs.iter().map(|run| run.size).sum();
    // As GNU tar does it: an empty run at the end says how large the file is.
    runs.push(Run {
        offset: raw.size(),
        size: 0,
    });
    write_headers(&runs, stored, raw.size(), &mut out)?;
    let mut buffer = vec![0; BLOCK as usize];
    for run in &runs {
        for block in run.offset / BLOCK..(run.offset + run.size).div_ceil(BLOCK) {
            raw.read(block, &mut buffer)?;
            let left = run.offset + run.size - block * BLOCK;
            out.write_all(&buffer[..left.min(BLOCK) as usize])?;
        }
    }
    let missing = stored.next_multiple_of(SECTOR as u64) - stored;
    out.write_all(&END[..missing as usize])?;
    out.write_all(&END)?;
    out.finish().map(drop)
}

/// The runs of blocks that are not 0.
fn runs<R: Read + Seek>(raw: &mut Raw<R>) -> io::Result<Vec<Run>> {
    let mut runs: Vec<Run> = Vec::new();
    let mut buffer = vec![0; BLOCK as usize];
    for block in 0..raw.blocks(BLOCK) {
        if !raw.read(block, &mut buffer)? {
            continue;
        }
        let offset = block * BLOCK;
        let size = BLOCK.min(raw.size() - offset);
        match runs.last_mut() {
            Some(last) if last.offset + last.size == offset => last.size += size,
            _ => runs.push(Run { offset, size }),
        }
    }
    Ok(runs)
}

fn write_headers(runs: &[Run], stored: u64, size: u64, out: &mut dyn Write) -> io::Result<()> {
    let (first, rest) = runs.split_at(runs.len().min(HEADER_PAIRS));
    out.write_all(&header(first, !rest.is_empty(), stored, size))?;
    let sectors = rest.chunks(SECTOR_PAIRS);
    let count = sectors.len();
    for (number, pairs) in sectors.enumerate() {
        let mut sector = [0; SECTOR];
        put_pairs(&mut sector, pairs);
        sector[SECTOR_PAIRS * PAIR] = u8::from(number + 1 < count);
        out.write_all(&sector)?;
    }
    Ok(())
}

fn header(runs: &[Run], more: bool, stored: u64, size: u64) -> [u8; SECTOR] {
    let mut bytes = [0; SECTOR];
    put(&mut bytes, 0, NAME);
    put(&mut bytes, MODE, b"0000644\0");
    put(&mut bytes, USER, b"0000000\0");
    put(&mut bytes, GROUP, b"0000000\0");
    put(&mut bytes, STORED, &number(stored));
    put(&mut bytes, TIME, &number(0));
    bytes[TYPE] = TYPE_SPARSE;
    put(&mut bytes, MAGIC, GNU_MAGIC);
    put_pairs(&mut bytes[PAIRS..], runs);
    bytes[MORE] = u8::from(more);
    put(&mut bytes, FILE_SIZE, &number(size));
    let sum = format!("{:06o}\0 ", checksum(&bytes));
    put(&mut bytes, CHECKSUM, sum.as_bytes());
    bytes
}

fn put_pairs(bytes: &mut [u8], runs: &[Run]) {
    for (slot, run) in bytes.chunks_exact_mut(PAIR).zip(runs) {
        put(slot, 0, &number(run.offset));
        put(slot, NUMBER, &number(run.size));
    }
}

/// Eleven octal digits and a NUL; or the number itself, big-endian, after a byte 80.
fn number(value: u64) -> [u8; NUMBER] {
    let mut bytes = [0; NUMBER];
    if value < 1 << 33 {
        put(&mut bytes, 0, format!("{value:011o}").as_bytes());
    } else {
        bytes[0] = 0x80;
        put(&mut bytes, NUMBER - 8, &value.to_be_bytes());
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::number;
    use crate::formats::gce::read;
    use proptest::{prelude::any, proptest};

    proptest! {
        #[test]
        fn numbers_are_read_back(value in any::<u64>(), shift in 0u32..64) {
            let value = value >> shift;
            assert_eq!(read::number(&number(value)), Some(value));
        }
    }
}
