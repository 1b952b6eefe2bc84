//! Finding the blocks of a VHDX file.

use std::io::{Read, Seek};

use super::{
    BLOCK_OFFSET, BLOCK_PRESENT, CHECKSUM, HEADER, HEADER_MAGIC, HEADERS, LOG_ID, METADATA_COUNT,
    METADATA_ENTRY, METADATA_MAGIC, METADATA_TABLE, MIB, REGION_COUNT, REGION_ENTRIES,
    REGION_ENTRY, REGION_TABLES, REGIONS, REGIONS_MAGIC, SECTOR, SEQUENCE, STATE, bat_index,
    checksum, guids,
};
use crate::formats::FormatError;
use crate::formats::container::Place;
use crate::formats::fields::{get, read_at};

/// Largest block (MS-VHDX 2.6.2.1).
const BLOCK_MAX: u64 = 256 * MIB;
/// Largest disk (MS-VHDX 2.6.2.2).
const SIZE_MAX: u64 = 64 << 40;

/// Where the blocks are.
#[derive(Debug)]
pub(in crate::formats) struct Map {
    block_size: u64,
    size: u64,
    bat: u64,
}

fn damaged(what: &'static str) -> FormatError {
    FormatError::Damaged {
        format: "VHDX",
        what,
    }
}

fn unsupported(what: &'static str) -> FormatError {
    FormatError::Unsupported {
        format: "VHDX",
        what,
    }
}

impl Map {
    /// Reads headers, regions and metadata.
    ///
    /// # Errors
    /// They are damaged, or ask for more than this reader can do.
    pub(in crate::formats) fn open<R: Read + Seek>(input: &mut R) -> Result<Self, FormatError> {
        let header = header(input)?;
        if get(&header, LOG_ID) != [0; 16] {
            return Err(unsupported("with a log to be replayed"));
        }
        let regions = region_table(input)?;
        let bat = region(&regions, guids::BAT)?;
        let metadata = region(&regions, guids::METADATA)?;
        let table = read_at::<METADATA_TABLE, _>(input, metadata)?;
        if !table.starts_with(METADATA_MAGIC) {
            return Err(damaged("there is no metadata table"));
        }
        let parameters: [u8; 8] = item(input, metadata, &table, guids::FILE_PARAMETERS)?;
        let size: [u8; 8] = item(input, metadata, &table, guids::DISK_SIZE)?;
        let sector: [u8; 4] = item(input, metadata, &table, guids::LOGICAL_SECTOR)?;
        if u64::from(u32::from_le_bytes(sector)) != SECTOR {
            return Err(unsupported("with sectors of another size than 512 bytes"));
        }
        if parameters[4] & 2 != 0 {
            return Err(unsupported("with a parent"));
        }
        let block_size = u64::from(u32::from_le_bytes(get(&parameters, 0)));
        let size = u64::from_le_bytes(size);
        if !block_size.is_power_of_two() || !(MIB..=BLOCK_MAX).contains(&block_size) {
            return Err(damaged("blocks of a size that does not exist"));
        }
        if size > SIZE_MAX {
            return Err(damaged("the disk is larger than 64 TiB"));
        }
        Ok(Self {
            block_size,
            size,
            bat,
        })
    }

    pub(in crate::formats) fn size(&self) -> u64 {
        self.size
    }

    pub(in crate::formats) fn block_size(&self) -> u64 {
        self.block_size
    }

    /// Where a block is.
    ///
    /// # Errors
    /// The BAT lies outside of the file.
    pub(in crate::formats) fn place<R: Read + Seek>(
        &self,
        input: &mut R,
        block: u64,
    ) -> Result<Place, FormatError> {
        let at = bat_index(block, self.block_size) * 8;
        let entry = u64::from_le_bytes(read_at(input, self.bat.saturating_add(at))?);
        Ok(match entry & STATE {
            BLOCK_PRESENT => Place::Bare(entry & BLOCK_OFFSET),
            _ => Place::Zero,
        })
    }
}

/// The valid header with the highest sequence number.
fn header<R: Read + Seek>(input: &mut R) -> Result<[u8; HEADER], FormatError> {
    let mut best: Option<[u8; HEADER]> = None;
    let sequence = |header: &[u8; HEADER]| u64::from_le_bytes(get(header, SEQUENCE));
    for offset in HEADERS {
        let header = read_at::<HEADER, _>(input, offset)?;
        let better = best
            .as_ref()
            .is_none_or(|best| sequence(best) < sequence(&header));
        if sealed(&header, HEADER_MAGIC) && better {
            best = Some(header);
        }
    }
    best.ok_or_else(|| damaged("neither header is valid"))
}

fn region_table<R: Read + Seek>(input: &mut R) -> Result<Vec<u8>, FormatError> {
    for offset in REGION_TABLES {
        let table = read_at::<REGIONS, _>(input, offset)?;
        if sealed(&table, REGIONS_MAGIC) {
            return Ok(table.to_vec());
        }
    }
    Err(damaged("neither region table is valid"))
}

fn sealed(bytes: &[u8], magic: &[u8]) -> bool {
    bytes.starts_with(magic) && u32::from_le_bytes(get(bytes, CHECKSUM)) == checksum(bytes)
}

/// The offset of a region.
fn region(table: &[u8], guid: &str) -> Result<u64, FormatError> {
    let count = u32::from_le_bytes(get(table, REGION_COUNT)) as usize;
    let guid = guids::bytes(guid);
    table[REGION_ENTRIES..]
        .chunks_exact(REGION_ENTRY)
        .take(count)
        .find(|entry| entry.starts_with(&guid))
        .map(|entry| u64::from_le_bytes(get(entry, 16)))
        .ok_or_else(|| damaged("a region is missing"))
}

/// The content of a metadata item.
fn item<const N: usize, R: Read + Seek>(
    input: &mut R,
    metadata: u64,
    table: &[u8],
    guid: &str,
) -> Result<[u8; N], FormatError> {
    let count = usize::from(u16::from_le_bytes(get(table, METADATA_COUNT)));
    let guid = guids::bytes(guid);
    let offset = table[METADATA_ENTRY..]
        .chunks_exact(METADATA_ENTRY)
        .take(count)
        .find(|entry| entry.starts_with(&guid))
        .map(|entry| u32::from_le_bytes(get(entry, 16)))
        .ok_or_else(|| damaged("a metadata item is missing"))?;
    Ok(read_at(input, metadata.saturating_add(offset.into()))?)
}
