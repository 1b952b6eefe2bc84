//! Numbers at places of byte strings that are long enough by construction, and at offsets of
//! inputs that may be not.

use std::io::{self, Read, Seek, SeekFrom};

/// Writes a field at an offset.
pub(super) fn put(bytes: &mut [u8], at: usize, field: &[u8]) {
    bytes[at..at + field.len()].copy_from_slice(field);
}

/// The field of `N` bytes at an offset.
pub(super) fn get<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut field = [0; N];
    field.copy_from_slice(&bytes[at..at + N]);
    field
}

/// Reads `N` bytes at an offset of an input.
pub(super) fn read_at<const N: usize, R: Read + Seek>(
    input: &mut R,
    offset: u64,
) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    input.seek(SeekFrom::Start(offset))?;
    input.read_exact(&mut bytes)?;
    Ok(bytes)
}
