//! VHDX of dynamic size (Microsoft, MS-VHDX 1.0). Numbers are little-endian.
//!
//! ```text
//!   0 KiB   file type identifier
//!  64 KiB   header;  128 KiB  its copy
//! 192 KiB   region table;  256 KiB  its copy
//!   1 MiB   log: empty, because its identifier in the headers is 0
//!   2 MiB   metadata
//!   3 MiB   block allocation table (BAT), whole MiB
//!           blocks of 1 MiB, in the disk's order
//! ```

mod guids;
mod read;
mod write;

pub(super) use read::Map;
pub(super) use write::write;

/// First bytes of the file.
pub(super) const MAGIC: [u8; 8] = *b"vhdxfile";

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;
const HEADERS: [u64; 2] = [64 * KIB, 128 * KIB];
const REGION_TABLES: [u64; 2] = [192 * KIB, 256 * KIB];
const LOG: u64 = MIB;
const METADATA: u64 = LOG + MIB;
const BAT: u64 = METADATA + MIB;

/// Bytes of a header that its checksum is over (MS-VHDX 2.2.2).
const HEADER: usize = 4096;
const HEADER_MAGIC: &[u8; 4] = b"head";
const SEQUENCE: usize = 8;
const FILE_WRITE_ID: usize = SEQUENCE + 8;
const DATA_WRITE_ID: usize = FILE_WRITE_ID + 16;
const LOG_ID: usize = DATA_WRITE_ID + 16;
const HEADER_VERSION: usize = LOG_ID + 16 + 2;
const LOG_LENGTH: usize = HEADER_VERSION + 2;
const LOG_OFFSET: usize = LOG_LENGTH + 4;
const _: () = assert!(LOG_OFFSET + 8 == 80);

/// Offset of the checksum in headers and region tables.
const CHECKSUM: usize = 4;

/// Bytes of a region table (MS-VHDX 2.2.3).
const REGIONS: usize = 64 * 1024;
const REGIONS_MAGIC: &[u8; 4] = b"regi";
const REGION_COUNT: usize = 8;
const REGION_ENTRIES: usize = 16;
const REGION_ENTRY: usize = 32;

/// Bytes of the metadata table (MS-VHDX 2.6.1); the items follow it.
const METADATA_TABLE: usize = 64 * 1024;
const METADATA_MAGIC: &[u8; 8] = b"metadata";
const METADATA_COUNT: usize = 10;
const METADATA_ENTRY: usize = 32;

/// The states of blocks that exist in a disk without a parent (MS-VHDX 2.5.1.1).
const STATE: u64 = 7;
const BLOCK_ZERO: u64 = 2;
const BLOCK_PRESENT: u64 = 6;
/// The offset in a BAT entry.
const BLOCK_OFFSET: u64 = !(MIB - 1);

const SECTOR: u64 = 512;

/// How many entries of blocks come between two entries of sector bitmaps (MS-VHDX 2.5).
const fn chunk_ratio(block_size: u64) -> u64 {
    (1 << 23) * SECTOR / block_size
}

/// The BAT's index of a block.
const fn bat_index(block: u64, block_size: u64) -> u64 {
    block + block / chunk_ratio(block_size)
}

/// CRC-32C (RFC 3720, appendix B.4) of what is small enough for going bit by bit.
fn crc32c(bytes: &[u8]) -> u32 {
    let step = |crc: u32| crc >> 1 ^ (0x82f6_3b78 & (crc & 1).wrapping_neg());
    !bytes.iter().fold(!0, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| step(crc))
    })
}

/// The checksum of bytes in which it counts as 0.
fn checksum(bytes: &[u8]) -> u32 {
    let mut bytes = bytes.to_vec();
    bytes[CHECKSUM..CHECKSUM + 4].fill(0);
    crc32c(&bytes)
}

#[cfg(test)]
mod tests {
    use super::crc32c;

    #[test]
    fn checksums_are_those_of_the_catalogue() {
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
    }
}
