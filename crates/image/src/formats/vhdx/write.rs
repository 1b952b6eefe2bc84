//! Writing VHDX.

use std::io::{self, Read, Seek, SeekFrom, Write};

use sha2::{Digest, Sha256};

use super::{
    BAT, BLOCK_PRESENT, BLOCK_ZERO, CHECKSUM, DATA_WRITE_ID, FILE_WRITE_ID, HEADER, HEADER_MAGIC,
    HEADER_VERSION, HEADERS, LOG, LOG_LENGTH, LOG_OFFSET, MAGIC, METADATA, METADATA_COUNT,
    METADATA_ENTRY, METADATA_MAGIC, METADATA_TABLE, MIB, REGION_COUNT, REGION_ENTRIES,
    REGION_ENTRY, REGION_TABLES, REGIONS, REGIONS_MAGIC, SECTOR, SEQUENCE, bat_index, checksum,
    guids,
};
use crate::formats::Raw;
use crate::formats::fields::put;
use crate::gpt::Guid;

/// Bytes of a block: the smallest that is possible.
const BLOCK: u64 = MIB;

/// The program named in the file, in UTF-16.
const CREATOR: &str = "unibeam";

/// Writes the disk.
pub(in crate::formats) fn write<R: Read + Seek, W: Write + Seek>(
    raw: &mut Raw<R>,
    digest: &[u8; 32],
    out: &mut W,
) -> io::Result<()> {
    let blocks = raw.blocks(BLOCK);
    let bat_size = (bat_index(blocks.saturating_sub(1), BLOCK) + 1) * 8;
    let bat_length = bat_size.next_multiple_of(MIB);
    let bat = write_blocks(raw, BAT + bat_length, bat_size, out)?;
    let mut at = |offset: u64, bytes: &[u8]| {
        out.seek(SeekFrom::Start(offset))?;
        out.write_all(bytes)
    };
    at(BAT, &bat)?;
    at(METADATA, &metadata_table())?;
    let items: Vec<u8> = items(raw.size(), digest).concat();
    at(METADATA + METADATA_TABLE as u64, &items)?;
    for offset in REGION_TABLES {
        at(offset, &region_table(bat_length))?;
    }
    for (offset, sequence) in HEADERS.into_iter().zip(1..) {
        at(offset, &header(sequence, digest))?;
    }
    at(0, &MAGIC)?;
    at(MAGIC.len() as u64, &utf16(CREATOR))
}

/// Writes the blocks that are not 0 from `offset`; gives the BAT.
fn write_blocks<R: Read + Seek, W: Write + Seek>(
    raw: &mut Raw<R>,
    mut offset: u64,
    bat_size: u64,
    out: &mut W,
) -> io::Result<Vec<u8>> {
    let mut bat = vec![0; bat_size as usize];
    let mut buffer = vec![0; BLOCK as usize];
    // The file has whole blocks, also if there is none.
    out.seek(SeekFrom::Start(offset - 1))?;
    out.write_all(&[0])?;
    for block in 0..raw.blocks(BLOCK) {
        let entry = if raw.read(block, &mut buffer)? {
            out.write_all(&buffer)?;
            offset += BLOCK;
            (offset - BLOCK) | BLOCK_PRESENT
        } else {
            BLOCK_ZERO
        };
        let at = bat_index(block, BLOCK) as usize * 8;
        put(&mut bat, at, &entry.to_le_bytes());
    }
    Ok(bat)
}

fn header(sequence: u64, digest: &[u8; 32]) -> Vec<u8> {
    let mut bytes = vec![0; HEADER];
    put(&mut bytes, 0, HEADER_MAGIC);
    put(&mut bytes, SEQUENCE, &sequence.to_le_bytes());
    put(&mut bytes, FILE_WRITE_ID, &identifier(digest, "VHDX file"));
    put(&mut bytes, DATA_WRITE_ID, &identifier(digest, "VHDX data"));
    put(&mut bytes, HEADER_VERSION, &1u16.to_le_bytes());
    put(&mut bytes, LOG_LENGTH, &(MIB as u32).to_le_bytes());
    put(&mut bytes, LOG_OFFSET, &LOG.to_le_bytes());
    sealed(bytes)
}

fn region_table(bat_length: u64) -> Vec<u8> {
    let regions = [
        (guids::BAT, BAT, bat_length),
        (guids::METADATA, METADATA, MIB),
    ];
    let mut bytes = vec![0; REGIONS];
    put(&mut bytes, 0, REGIONS_MAGIC);
    let count = regions.len() as u32;
    put(&mut bytes, REGION_COUNT, &count.to_le_bytes());
    let slots = bytes[REGION_ENTRIES..].chunks_exact_mut(REGION_ENTRY);
    for (slot, (guid, offset, length)) in slots.zip(regions) {
        put(slot, 0, &guids::bytes(guid));
        put(slot, 16, &offset.to_le_bytes());
        put(slot, 24, &(length as u32).to_le_bytes());
        // The reader has to know this region.
        put(slot, 28, &1u32.to_le_bytes());
    }
    sealed(bytes)
}

/// Puts in the checksum.
fn sealed(mut bytes: Vec<u8>) -> Vec<u8> {
    let sum = checksum(&bytes);
    put(&mut bytes, CHECKSUM, &sum.to_le_bytes());
    bytes
}

/// Identifier, size and flags of the items (MS-VHDX 2.6.2), in the order of [`items`]. Flags: 2 is
/// of the disk rather than of the file, 4 the reader has to know it.
const ITEMS: [(&str, u32, u32); 5] = [
    (guids::FILE_PARAMETERS, 8, 4),
    (guids::DISK_SIZE, 8, 6),
    (guids::DISK_ID, 16, 6),
    (guids::LOGICAL_SECTOR, 4, 6),
    (guids::PHYSICAL_SECTOR, 4, 6),
];

fn items(size: u64, digest: &[u8; 32]) -> [Vec<u8>; ITEMS.len()] {
    let mut parameters = vec![0; 8];
    put(&mut parameters, 0, &(BLOCK as u32).to_le_bytes());
    let sector = (SECTOR as u32).to_le_bytes().to_vec();
    [
        parameters,
        size.to_le_bytes().to_vec(),
        identifier(digest, "VHDX disk").to_vec(),
        sector.clone(),
        sector,
    ]
}

fn metadata_table() -> Vec<u8> {
    let mut bytes = vec![0; METADATA_TABLE];
    put(&mut bytes, 0, METADATA_MAGIC);
    let count = (ITEMS.len() as u16).to_le_bytes();
    put(&mut bytes, METADATA_COUNT, &count);
    let mut offset = METADATA_TABLE as u32;
    let slots = bytes[METADATA_ENTRY..].chunks_exact_mut(METADATA_ENTRY);
    for (slot, (guid, size, flags)) in slots.zip(ITEMS) {
        put(slot, 0, &guids::bytes(guid));
        put(slot, 16, &offset.to_le_bytes());
        put(slot, 20, &size.to_le_bytes());
        put(slot, 24, &flags.to_le_bytes());
        offset += size;
    }
    bytes
}

/// An identifier that derives from the content and from what it names.
fn identifier(digest: &[u8; 32], name: &str) -> [u8; 16] {
    let hash = Sha256::new().chain_update(digest).chain_update(name);
    Guid::from_hash(&hash.finalize().into()).0
}

fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}
