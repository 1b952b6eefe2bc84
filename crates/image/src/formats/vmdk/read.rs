//! Finding the blocks of a VMDK file.

use std::io::{Read, Seek, SeekFrom};

use super::stream::GRAIN_MARKER;
use super::{
    AT_END, CAPACITY, COMPRESSION, DEFLATE, DIRECTORY, ENTRIES, FLAG_PACKED, FLAGS, GRAIN_SIZE,
    HEADER, MAGIC, SECTOR,
};
use crate::formats::FormatError;
use crate::formats::container::{PACKED_MAX, Place};
use crate::formats::fields::{get, read_at};
use crate::formats::packing::Packing;

/// Most entries of a grain table that make sense; VMware has 512.
const ENTRIES_MAX: u64 = 1 << 16;
/// Sectors after the footer's header: the end of the stream.
const AFTER_FOOTER: i64 = -2 * SECTOR as i64;

/// Where the grains are.
#[derive(Debug)]
pub(in crate::formats) struct Map {
    grain_size: u64,
    size: u64,
    entries: u64,
    directory: u64,
    packed: bool,
}

fn damaged(what: &'static str) -> FormatError {
    FormatError::Damaged {
        format: "VMDK",
        what,
    }
}

impl Map {
    /// Reads the header, and the footer if there is one.
    ///
    /// # Errors
    /// They are damaged, or ask for more than this reader can do.
    pub(in crate::formats) fn open<R: Read + Seek>(input: &mut R) -> Result<Self, FormatError> {
        let mut header = read_at::<HEADER, _>(input, 0)?;
        if get(&header, DIRECTORY) == AT_END.to_le_bytes() {
            let at = input.seek(SeekFrom::End(AFTER_FOOTER))?;
            header = read_at(input, at)?;
            if !header.starts_with(&MAGIC) {
                return Err(damaged("there is no footer; was the file cut off?"));
            }
        }
        let u32_at = |at| u32::from_le_bytes(get(&header, at));
        let u64_at = |at| u64::from_le_bytes(get(&header, at));
        let packed = u32_at(FLAGS) & FLAG_PACKED != 0;
        if packed && get(&header, COMPRESSION) != DEFLATE.to_le_bytes() {
            return Err(FormatError::Unsupported {
                format: "VMDK",
                what: "with an unknown compression",
            });
        }
        let grain_size = u64_at(GRAIN_SIZE).saturating_mul(SECTOR);
        if !grain_size.is_power_of_two() || !(SECTOR..=PACKED_MAX).contains(&grain_size) {
            return Err(damaged("grains of a size that does not exist"));
        }
        let entries = u64::from(u32_at(ENTRIES));
        if !(1..=ENTRIES_MAX).contains(&entries) {
            return Err(damaged("grain tables of a size that does not exist"));
        }
        Ok(Self {
            grain_size,
            size: u64_at(CAPACITY).saturating_mul(SECTOR),
            entries,
            directory: u64_at(DIRECTORY).saturating_mul(SECTOR),
            packed,
        })
    }

    pub(in crate::formats) fn size(&self) -> u64 {
        self.size
    }

    pub(in crate::formats) fn block_size(&self) -> u64 {
        self.grain_size
    }

    /// Where a grain is.
    ///
    /// # Errors
    /// A table lies outside of the file.
    pub(in crate::formats) fn place<R: Read + Seek>(
        &self,
        input: &mut R,
        block: u64,
    ) -> Result<Place, FormatError> {
        let at = self.directory.saturating_add(block / self.entries * 4);
        let Some(table) = offset(input, at)? else {
            return Ok(Place::Zero);
        };
        let Some(offset) = offset(input, table + block % self.entries * 4)? else {
            return Ok(Place::Zero);
        };
        if !self.packed {
            return Ok(Place::Bare(offset));
        }
        let marker = read_at::<GRAIN_MARKER, _>(input, offset)?;
        Ok(Place::Packed {
            offset: offset + GRAIN_MARKER as u64,
            size: u32::from_le_bytes(get(&marker, 8)).into(),
            packing: Packing::Zlib,
        })
    }
}

/// The offset in bytes that an entry holds in sectors; `None` for 0 (nothing there) and 1 (zeros).
fn offset<R: Read + Seek>(input: &mut R, at: u64) -> Result<Option<u64>, FormatError> {
    let sector = u32::from_le_bytes(read_at(input, at)?);
    Ok((sector > 1).then(|| u64::from(sector) * SECTOR))
}
