//! VMDK in one file (VMware, "Virtual Disk Format 5.0"). Numbers are little-endian, offsets count
//! sectors of 512 bytes, a grain has 64 KiB.
//!
//! ```text
//! monolithicSparse                        streamOptimized
//! sector 0      header                    sector 0      header
//! sectors 1..   descriptor (text)         sectors 1..   descriptor (text)
//!               grain directory, tables   128..         packed grains, each with its marker;
//!               the same once more                      after each 512 their grain table
//!               grains                                  grain directory, footer, end of stream
//! ```

mod descriptor;
mod read;
mod sparse;
mod stream;

pub(super) use read::Map;
pub(super) use sparse::write as write_sparse;
pub(super) use stream::write as write_stream;

use super::fields::put;

/// First bytes of the file.
pub(super) const MAGIC: [u8; 4] = *b"KDMV";

const SECTOR: u64 = 512;
/// Sectors of a grain.
const GRAIN_SECTORS: u64 = 128;
const GRAIN: u64 = GRAIN_SECTORS * SECTOR;
/// Entries of a grain table.
const TABLE_ENTRIES: u64 = 512;
/// Sectors of a grain table.
const TABLE_SECTORS: u64 = TABLE_ENTRIES * 4 / SECTOR;
/// Sectors of the descriptor.
const DESCRIPTOR_SECTORS: u64 = 20;

// Fields of the header.
const VERSION: usize = MAGIC.len();
const FLAGS: usize = VERSION + 4;
const CAPACITY: usize = FLAGS + 4;
const GRAIN_SIZE: usize = CAPACITY + 8;
const DESCRIPTOR_OFFSET: usize = GRAIN_SIZE + 8;
const DESCRIPTOR_SIZE: usize = DESCRIPTOR_OFFSET + 8;
const ENTRIES: usize = DESCRIPTOR_SIZE + 8;
const REDUNDANT_DIRECTORY: usize = ENTRIES + 4;
const DIRECTORY: usize = REDUNDANT_DIRECTORY + 8;
const OVERHEAD: usize = DIRECTORY + 8;
const NEWLINES: usize = OVERHEAD + 8 + 1;
const COMPRESSION: usize = NEWLINES + 4;
/// Bytes of the header.
const HEADER: usize = SECTOR as usize;
const _: () = assert!(COMPRESSION == 77);

/// The field [`NEWLINES`] is there, to find out about transfers as text.
const FLAG_NEWLINES: u32 = 1;
const FLAG_REDUNDANT: u32 = 2;
const FLAG_PACKED: u32 = 1 << 16;
const FLAG_MARKERS: u32 = 1 << 17;
/// Value of [`DIRECTORY`]: it is in the footer.
const AT_END: u64 = u64::MAX;
/// Value of [`COMPRESSION`].
const DEFLATE: u16 = 1;

/// What makes the header of one variant differ from that of the other; offsets in sectors.
struct Variant {
    version: u32,
    flags: u32,
    redundant_directory: u64,
    directory: u64,
    overhead: u64,
    compression: u16,
}

fn header(capacity: u64, variant: &Variant) -> [u8; HEADER] {
    let mut bytes = [0; HEADER];
    put(&mut bytes, 0, &MAGIC);
    put(&mut bytes, VERSION, &variant.version.to_le_bytes());
    put(&mut bytes, FLAGS, &variant.flags.to_le_bytes());
    put(&mut bytes, CAPACITY, &capacity.to_le_bytes());
    put(&mut bytes, GRAIN_SIZE, &GRAIN_SECTORS.to_le_bytes());
    put(&mut bytes, DESCRIPTOR_OFFSET, &1u64.to_le_bytes());
    let size = DESCRIPTOR_SECTORS.to_le_bytes();
    put(&mut bytes, DESCRIPTOR_SIZE, &size);
    put(&mut bytes, ENTRIES, &(TABLE_ENTRIES as u32).to_le_bytes());
    let redundant = variant.redundant_directory.to_le_bytes();
    put(&mut bytes, REDUNDANT_DIRECTORY, &redundant);
    put(&mut bytes, DIRECTORY, &variant.directory.to_le_bytes());
    put(&mut bytes, OVERHEAD, &variant.overhead.to_le_bytes());
    put(&mut bytes, NEWLINES, b"\n \r\n");
    put(&mut bytes, COMPRESSION, &variant.compression.to_le_bytes());
    bytes
}

/// Entries of directories and tables as bytes.
fn entries(values: impl IntoIterator<Item = u32>) -> Vec<u8> {
    values.into_iter().flat_map(u32::to_le_bytes).collect()
}
