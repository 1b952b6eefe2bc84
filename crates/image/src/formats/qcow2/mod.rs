//! qcow2, version 3 (QEMU, `docs/interop/qcow2.txt`). Numbers are big-endian; a cluster has 64 KiB.
//!
//! ```text
//! cluster 0   header
//!             clusters of the disk in its order, bare or packed one right after the other;
//!             after those of each 512 MiB their level-2 table, if it has any
//!             level-1 table: where the level-2 tables are
//!             refcount blocks and, after them, the refcount table
//! ```

mod read;
mod write;

pub(super) use read::Map;
pub(super) use write::write;

/// First bytes of the file.
pub(super) const MAGIC: [u8; 4] = *b"QFI\xfb";

// Fields of the header.
const VERSION: usize = MAGIC.len();
const BACKING_FILE: usize = VERSION + 4;
const CLUSTER_BITS_FIELD: usize = BACKING_FILE + 8 + 4;
const SIZE: usize = CLUSTER_BITS_FIELD + 4;
const CRYPT_METHOD: usize = SIZE + 8;
const L1_SIZE: usize = CRYPT_METHOD + 4;
const L1_OFFSET: usize = L1_SIZE + 4;
const REFCOUNT_OFFSET: usize = L1_OFFSET + 8;
const REFCOUNT_CLUSTERS: usize = REFCOUNT_OFFSET + 8;
const INCOMPATIBLE: usize = REFCOUNT_CLUSTERS + 4 + 4 + 8;
const REFCOUNT_ORDER_FIELD: usize = INCOMPATIBLE + 3 * 8;
const HEADER_LENGTH: usize = REFCOUNT_ORDER_FIELD + 4;
const COMPRESSION: usize = HEADER_LENGTH + 4;
/// Bytes of the header; the end of the header's extensions, 8 zeros, follows.
const HEADER: usize = COMPRESSION + 8;
const _: () = assert!(INCOMPATIBLE == 72 && HEADER == 112);

/// Incompatible feature: packed clusters are not Deflate, but as the field [`COMPRESSION`] says.
const OTHER_COMPRESSION: u64 = 1 << 3;
/// Value of [`COMPRESSION`].
const ZSTD: u8 = 1;

/// Level-1 and level-2 entries: nothing else refers to this cluster.
const COPIED: u64 = 1 << 63;
/// Level-2 entry of a packed cluster.
const PACKED: u64 = 1 << 62;
/// The offset in an entry.
const OFFSET: u64 = 0x00ff_ffff_ffff_fe00;
/// Level-2 entry: all of it is 0.
const ZERO: u64 = 1;
/// Unit of the size of a packed cluster.
const PACKED_SECTOR: u64 = 512;

/// Bits of a packed cluster's entry that are its offset; the size follows.
const fn packed_offset_bits(cluster_bits: u32) -> u32 {
    62 - (cluster_bits - 8)
}
