//! Finding the blocks of a qcow2 file.

use std::io::{Read, Seek};

use super::{
    BACKING_FILE, CLUSTER_BITS_FIELD, COMPRESSION, CRYPT_METHOD, HEADER, HEADER_LENGTH,
    INCOMPATIBLE, L1_OFFSET, L1_SIZE, OFFSET, OTHER_COMPRESSION, PACKED, PACKED_SECTOR, SIZE,
    VERSION, ZERO, ZSTD, packed_offset_bits,
};
use crate::formats::FormatError;
use crate::formats::container::Place;
use crate::formats::fields::{get, read_at};
use crate::formats::packing::Packing;

const FORMAT: &str = "qcow2";

/// Where the clusters are.
#[derive(Debug)]
pub(in crate::formats) struct Map {
    cluster_bits: u32,
    size: u64,
    l1_offset: u64,
    packing: Packing,
}

impl Map {
    /// Reads the header.
    ///
    /// # Errors
    /// It is damaged, or asks for more than this reader can do.
    pub(in crate::formats) fn open<R: Read + Seek>(input: &mut R) -> Result<Self, FormatError> {
        let header = read_at::<HEADER, _>(input, 0)?;
        let u32_at = |at| u32::from_be_bytes(get(&header, at));
        let u64_at = |at| u64::from_be_bytes(get(&header, at));
        let unsupported = |what| FormatError::Unsupported {
            format: FORMAT,
            what,
        };
        let damaged = |what| FormatError::Damaged {
            format: FORMAT,
            what,
        };
        let packing = match (u32_at(VERSION), u64_at(INCOMPATIBLE)) {
            (3, 0) => Packing::Deflate,
            (3, OTHER_COMPRESSION) if u32_at(HEADER_LENGTH) as usize > COMPRESSION => {
                match header[COMPRESSION] {
                    ZSTD => Packing::Zstd,
                    _ => return Err(unsupported("with an unknown compression")),
                }
            }
            (3, _) => return Err(unsupported("with features other than Zstandard")),
            _ => return Err(unsupported("of another version than 3")),
        };
        if u64_at(BACKING_FILE) != 0 {
            return Err(unsupported("with a backing file"));
        }
        if u32_at(CRYPT_METHOD) != 0 {
            return Err(unsupported("with encryption"));
        }
        let cluster_bits = u32_at(CLUSTER_BITS_FIELD);
        if !(9..=21).contains(&cluster_bits) {
            return Err(damaged("clusters of a size that does not exist"));
        }
        let size = u64_at(SIZE);
        let l2_bytes = 1u64 << (2 * cluster_bits - 3);
        if size.div_ceil(l2_bytes) > u64::from(u32_at(L1_SIZE)) {
            return Err(damaged("the level-1 table is too small for the disk"));
        }
        Ok(Self {
            cluster_bits,
            size,
            l1_offset: u64_at(L1_OFFSET),
            packing,
        })
    }

    pub(in crate::formats) fn size(&self) -> u64 {
        self.size
    }

    pub(in crate::formats) fn block_size(&self) -> u64 {
        1 << self.cluster_bits
    }

    /// Where a cluster is.
    ///
    /// # Errors
    /// A table lies outside of the file.
    pub(in crate::formats) fn place<R: Read + Seek>(
        &self,
        input: &mut R,
        block: u64,
    ) -> Result<Place, FormatError> {
        let l2_bits = self.cluster_bits - 3;
        let l1_at = self.l1_offset.saturating_add((block >> l2_bits) * 8);
        let l2 = u64::from_be_bytes(read_at(input, l1_at)?) & OFFSET;
        if l2 == 0 {
            return Ok(Place::Zero);
        }
        let index = block & ((1 << l2_bits) - 1);
        let entry = u64::from_be_bytes(read_at(input, l2 + index * 8)?);
        Ok(self.place_of(entry))
    }

    fn place_of(&self, entry: u64) -> Place {
        if entry & PACKED != 0 {
            let bits = packed_offset_bits(self.cluster_bits);
            let offset = entry & ((1 << bits) - 1);
            let sectors = (entry & (PACKED - 1)) >> bits;
            return Place::Packed {
                offset,
                size: (sectors + 1) * PACKED_SECTOR - offset % PACKED_SECTOR,
                packing: self.packing,
            };
        }
        match entry & OFFSET {
            0 => Place::Zero,
            _ if entry & ZERO != 0 => Place::Zero,
            offset => Place::Bare(offset),
        }
    }
}
