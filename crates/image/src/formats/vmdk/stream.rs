//! Writing the variant "streamOptimized", from the first byte to the last.
//!
//! Everything after the descriptor has a marker, a sector in which the first 16 bytes are
//!
//! ```text
//!  0  8  grain: first sector of the disk; else number of sectors that follow the marker
//!  8  4  grain: bytes of the packed grain, which follows right here; else 0
//! 12  4  no grain: the type, 0 end of stream, 1 grain table, 2 grain directory, 3 footer
//! ```

use std::io::{self, Read, Seek, Write};

use super::{
    AT_END, DEFLATE, DESCRIPTOR_SECTORS, FLAG_MARKERS, FLAG_NEWLINES, FLAG_PACKED, GRAIN,
    GRAIN_SECTORS, SECTOR, TABLE_ENTRIES, Variant, descriptor, entries, header,
};
use crate::formats::Raw;
use crate::formats::fields::put;
use crate::formats::packing::{Packer, Packing};

/// Bytes of a grain's marker.
pub(super) const GRAIN_MARKER: usize = 12;
const END_OF_STREAM: u32 = 0;
const GRAIN_TABLE: u32 = 1;
const GRAIN_DIRECTORY: u32 = 2;
const FOOTER: u32 = 3;

/// First sector after header and descriptor.
const OVERHEAD: u64 = GRAIN_SECTORS;
const _: () = assert!(OVERHEAD > DESCRIPTOR_SECTORS);

/// Writes the disk.
pub(in crate::formats) fn write<R: Read + Seek>(
    raw: &mut Raw<R>,
    digest: &[u8; 32],
    out: &mut dyn Write,
) -> io::Result<()> {
    let sectors = raw.size() / SECTOR;
    let mut stream = Stream { out, sector: 0 };
    stream.append(&header(sectors, &variant(AT_END)))?;
    stream.append(&descriptor::emit("streamOptimized", sectors, digest))?;
    stream.append(&vec![0; ((OVERHEAD - stream.sector) * SECTOR) as usize])?;
    let directory = stream.grains(raw)?;
    let at = stream.marked(GRAIN_DIRECTORY, &entries(directory))?;
    stream.marked(FOOTER, &header(sectors, &variant(at)))?;
    stream.marked(END_OF_STREAM, &[]).map(drop)
}

fn variant(directory: u64) -> Variant {
    Variant {
        version: 3,
        flags: FLAG_NEWLINES | FLAG_PACKED | FLAG_MARKERS,
        redundant_directory: 0,
        directory,
        overhead: OVERHEAD,
        compression: DEFLATE,
    }
}

struct Stream<'a> {
    out: &'a mut dyn Write,
    /// Sectors written.
    sector: u64,
}

impl Stream<'_> {
    /// Writes grains and their tables; gives the directory.
    fn grains<R: Read + Seek>(&mut self, raw: &mut Raw<R>) -> io::Result<Vec<u32>> {
        let mut packer = Packer::new(Packing::Zlib)?;
        let mut buffer = vec![0; GRAIN as usize];
        let grains = raw.blocks(GRAIN);
        let mut directory = Vec::new();
        for first in (0..grains).step_by(TABLE_ENTRIES as usize) {
            let mut table = vec![0; TABLE_ENTRIES as usize];
            for (entry, grain) in table.iter_mut().zip(first..grains) {
                if raw.read(grain, &mut buffer)? {
                    *entry = self.sector as u32;
                    self.grain(grain, &buffer, &mut packer)?;
                }
            }
            directory.push(match table.iter().any(|&entry| entry != 0) {
                true => self.marked(GRAIN_TABLE, &entries(table))? as u32,
                false => 0,
            });
        }
        Ok(directory)
    }

    fn grain(&mut self, grain: u64, bytes: &[u8], packer: &mut Packer) -> io::Result<()> {
        let packed = packer.pack_always(bytes)?;
        let mut block = vec![0; GRAIN_MARKER];
        put(&mut block, 0, &(grain * GRAIN_SECTORS).to_le_bytes());
        put(&mut block, 8, &(packed.len() as u32).to_le_bytes());
        block.extend(packed);
        self.append(&block)
    }

    /// Writes a marker and what it marks; gives the first sector of the latter.
    fn marked(&mut self, kind: u32, bytes: &[u8]) -> io::Result<u64> {
        let mut marker = [0; SECTOR as usize];
        let sectors = (bytes.len() as u64).div_ceil(SECTOR);
        put(&mut marker, 0, &sectors.to_le_bytes());
        put(&mut marker, GRAIN_MARKER, &kind.to_le_bytes());
        self.append(&marker)?;
        let start = self.sector;
        self.append(bytes)?;
        Ok(start)
    }

    /// Writes bytes, and zeros up to the end of their last sector.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let sectors = (bytes.len() as u64).div_ceil(SECTOR);
        let missing = sectors * SECTOR - bytes.len() as u64;
        self.out.write_all(bytes)?;
        self.out
            .write_all(&[0; SECTOR as usize][..missing as usize])?;
        self.sector += sectors;
        Ok(())
    }
}
