//! Unpacking the archive's disk.

use std::io::{self, Read, Seek, SeekFrom, Write};

use super::{
    CHECKSUM, FILE_SIZE, MAGIC, MORE, NAME, NUMBER, PAIR, PAIRS, SECTOR, SECTOR_PAIRS, STORED,
    TYPE, TYPE_FILE, TYPE_SPARSE, checksum,
};
use crate::formats::FormatError;
use crate::formats::fields::get;

/// Most runs of a disk; a disk of ours has a handful.
const RUNS_MAX: usize = 1 << 16;

fn damaged(what: &'static str) -> FormatError {
    FormatError::Damaged {
        format: "tar archive",
        what,
    }
}

/// Whether these are the first bytes of a tar archive.
pub(in crate::formats) fn is_tar(bytes: &[u8]) -> bool {
    bytes.get(MAGIC..MAGIC + 5) == Some(b"ustar")
}

/// Writes the disk in an unpacked archive to `out`; gives its size, up to which zeros count as
/// written.
///
/// # Errors
/// The archive is damaged or its first file is no disk, or `out` cannot be written.
pub(crate) fn unpack<W: Write + Seek>(
    archive: &mut dyn Read,
    size_max: u64,
    out: &mut W,
) -> Result<u64, FormatError> {
    let mut header = [0; SECTOR];
    archive.read_exact(&mut header)?;
    if !is_tar(&header) || field(&header, CHECKSUM, 8) != Some(checksum(&header)) {
        return Err(damaged("there is no header"));
    }
    if !header.starts_with(NAME) || header[NAME.len()] != 0 {
        return Err(damaged("the first file is not disk.raw"));
    }
    let number_at = |at| number(&get(&header, at)).ok_or_else(|| damaged("a size is no number"));
    let stored = number_at(STORED)?;
    let (size, runs) = match header[TYPE] {
        TYPE_FILE | 0 => (stored, vec![(0, stored)]),
        TYPE_SPARSE => (number_at(FILE_SIZE)?, runs(&header, archive)?),
        _ => return Err(damaged("disk.raw is not a file")),
    };
    if size > size_max {
        return Err(damaged("the disk is larger than any that is made"));
    }
    let mut end = 0;
    for (offset, length) in runs {
        let after = offset.checked_add(length).filter(|&after| after <= size);
        let after = after.filter(|_| offset >= end);
        end = after.ok_or_else(|| damaged("its runs are out of order"))?;
        out.seek(SeekFrom::Start(offset))?;
        if io::copy(&mut archive.take(length), out)? < length {
            return Err(damaged("it ends inside the disk"));
        }
    }
    Ok(size)
}

/// The runs that a sparse file's header and the sectors after it list.
fn runs(header: &[u8; SECTOR], archive: &mut dyn Read) -> Result<Vec<(u64, u64)>, FormatError> {
    let mut runs = Vec::new();
    add_runs(&header[PAIRS..MORE], &mut runs)?;
    let mut more = header[MORE] != 0;
    while more {
        let mut sector = [0; SECTOR];
        archive.read_exact(&mut sector)?;
        add_runs(&sector[..SECTOR_PAIRS * PAIR], &mut runs)?;
        more = sector[SECTOR_PAIRS * PAIR] != 0;
        if runs.len() > RUNS_MAX {
            return Err(damaged("it has too many runs"));
        }
    }
    Ok(runs)
}

fn add_runs(bytes: &[u8], runs: &mut Vec<(u64, u64)>) -> Result<(), FormatError> {
    for pair in bytes.chunks_exact(PAIR).take_while(|pair| pair[0] != 0) {
        let run = number(&get(pair, 0)).zip(number(&get(pair, NUMBER)));
        runs.push(run.ok_or_else(|| damaged("a run is no number"))?);
    }
    Ok(())
}

/// A number of [`NUMBER`] bytes.
pub(super) fn number(bytes: &[u8; NUMBER]) -> Option<u64> {
    match bytes {
        [0x80, 0, 0, 0, rest @ ..] => Some(u64::from_be_bytes(*rest)),
        _ => field(bytes, 0, NUMBER),
    }
}

/// A field of octal digits, ended by a NUL or a space.
fn field(bytes: &[u8], at: usize, length: usize) -> Option<u64> {
    let text = std::str::from_utf8(bytes.get(at..at + length)?).ok()?;
    u64::from_str_radix(text.trim_matches(['\0', ' ']), 8).ok()
}
