//! Writing qcow2.

use std::io::{self, Read, Seek, SeekFrom, Write};

use super::{
    CLUSTER_BITS_FIELD, COMPRESSION, COPIED, HEADER, HEADER_LENGTH, INCOMPATIBLE, L1_OFFSET,
    L1_SIZE, MAGIC, OTHER_COMPRESSION, PACKED, PACKED_SECTOR, REFCOUNT_CLUSTERS, REFCOUNT_OFFSET,
    REFCOUNT_ORDER_FIELD, SIZE, VERSION, ZSTD, packed_offset_bits,
};
use crate::formats::fields::put;
use crate::formats::packing::Packer;
use crate::formats::{Compression, Raw};

const CLUSTER_BITS: u32 = 16;
const CLUSTER: u64 = 1 << CLUSTER_BITS;
/// Entries of a level-2 table, which fills a cluster.
const L2_ENTRIES: u64 = CLUSTER / 8;
/// Reference counts have `1 << 4` bits.
const REFCOUNT_ORDER: u32 = 4;
/// Reference counts in a block, which fills a cluster.
const REFCOUNT_ENTRIES: u64 = CLUSTER / 2;

/// Writes the disk.
pub(in crate::formats) fn write<R: Read + Seek, W: Write + Seek>(
    raw: &mut Raw<R>,
    compression: Option<Compression>,
    out: &mut W,
) -> io::Result<()> {
    let mut file = Writer {
        out,
        position: CLUSTER,
        counts: vec![1],
    };
    file.out.seek(SeekFrom::Start(CLUSTER))?;
    let l1 = file.disk(raw, compression)?;
    let l1_offset = file.table(&l1)?;
    let (refcounts, clusters) = file.refcounts()?;
    let mut header = header(raw.size(), compression);
    put(&mut header, L1_SIZE, &(l1.len() as u32).to_be_bytes());
    put(&mut header, L1_OFFSET, &l1_offset.to_be_bytes());
    put(&mut header, REFCOUNT_OFFSET, &refcounts.to_be_bytes());
    put(&mut header, REFCOUNT_CLUSTERS, &clusters.to_be_bytes());
    file.out.seek(SeekFrom::Start(0))?;
    file.out.write_all(&header)
}

struct Writer<'a, W> {
    out: &'a mut W,
    /// Where the next byte goes.
    position: u64,
    /// How often each cluster of the file is referred to.
    counts: Vec<u16>,
}

impl<W: Write> Writer<'_, W> {
    /// Writes the clusters and their level-2 tables; gives the level-1 table.
    fn disk<R: Read + Seek>(
        &mut self,
        raw: &mut Raw<R>,
        compression: Option<Compression>,
    ) -> io::Result<Vec<u64>> {
        let mut packer = compression
            .map(|method| Packer::new(method.into()))
            .transpose()?;
        let mut cluster = vec![0; CLUSTER as usize];
        let clusters = raw.blocks(CLUSTER);
        let mut l1 = Vec::new();
        for first in (0..clusters).step_by(L2_ENTRIES as usize) {
            let mut l2 = vec![0; L2_ENTRIES as usize];
            for (entry, index) in l2.iter_mut().zip(first..clusters) {
                if raw.read(index, &mut cluster)? {
                    *entry = self.cluster(&cluster, packer.as_mut())?;
                }
            }
            l1.push(match l2.iter().any(|&entry| entry != 0) {
                true => self.table(&l2)? | COPIED,
                false => 0,
            });
        }
        Ok(l1)
    }

    /// Writes a cluster; gives its level-2 entry.
    fn cluster(&mut self, bytes: &[u8], packer: Option<&mut Packer>) -> io::Result<u64> {
        let packed = packer.map(|packer| packer.pack(bytes)).transpose()?;
        let Some(packed) = packed.flatten() else {
            return Ok(self.aligned(bytes)? | COPIED);
        };
        let start = self.position;
        self.append(&packed)?;
        let sectors = (self.position - 1) / PACKED_SECTOR - start / PACKED_SECTOR;
        // Readers take whole sectors, so the last one counts as a whole.
        self.refer(start, (self.position).next_multiple_of(PACKED_SECTOR));
        Ok(PACKED | sectors << packed_offset_bits(CLUSTER_BITS) | start)
    }

    /// Writes a table from the start of a cluster; gives its offset.
    fn table(&mut self, entries: &[u64]) -> io::Result<u64> {
        let bytes: Vec<u8> = entries
            .iter()
            .flat_map(|entry| entry.to_be_bytes())
            .collect();
        self.aligned(&bytes)
    }

    /// Writes whole clusters; gives their offset.
    fn aligned(&mut self, bytes: &[u8]) -> io::Result<u64> {
        self.fill_cluster()?;
        let start = self.position;
        self.append(bytes)?;
        self.fill_cluster()?;
        self.refer(start, self.position);
        Ok(start)
    }

    fn fill_cluster(&mut self) -> io::Result<()> {
        let missing = self.position.next_multiple_of(CLUSTER) - self.position;
        self.append(&vec![0; missing as usize])
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.out.write_all(bytes)?;
        self.position += bytes.len() as u64;
        Ok(())
    }

    /// Counts a reference to every cluster with these bytes.
    fn refer(&mut self, start: u64, end: u64) {
        let clusters = (start / CLUSTER) as usize..end.div_ceil(CLUSTER) as usize;
        if self.counts.len() < clusters.end {
            self.counts.resize(clusters.end, 0);
        }
        for count in &mut self.counts[clusters] {
            *count += 1;
        }
    }

    /// Writes the reference counts, their own included; gives the table's offset and its clusters.
    fn refcounts(&mut self) -> io::Result<(u64, u32)> {
        let start = self.position.next_multiple_of(CLUSTER);
        let (blocks, table) = refcount_sizes(start / CLUSTER);
        self.refer(start, start + (blocks + table) * CLUSTER);
        let counts = std::mem::take(&mut self.counts);
        let bytes: Vec<u8> = counts
            .iter()
            .flat_map(|count| count.to_be_bytes())
            .collect();
        self.aligned(&bytes)?;
        let entries: Vec<u64> = (0..blocks).map(|block| start + block * CLUSTER).collect();
        Ok((self.table(&entries)?, table as u32))
    }
}

/// Clusters of the refcount blocks and of their table, for a file that has `others` clusters.
fn refcount_sizes(others: u64) -> (u64, u64) {
    let (mut blocks, mut table) = (1, 1);
    loop {
        let needed = (others + blocks + table).div_ceil(REFCOUNT_ENTRIES);
        let needed = (needed, needed.div_ceil(L2_ENTRIES));
        if needed == (blocks, table) {
            return needed;
        }
        (blocks, table) = needed;
    }
}

fn header(size: u64, compression: Option<Compression>) -> [u8; HEADER] {
    let mut bytes = [0; HEADER];
    put(&mut bytes, 0, &MAGIC);
    put(&mut bytes, VERSION, &3u32.to_be_bytes());
    put(&mut bytes, CLUSTER_BITS_FIELD, &CLUSTER_BITS.to_be_bytes());
    put(&mut bytes, SIZE, &size.to_be_bytes());
    let order = REFCOUNT_ORDER.to_be_bytes();
    put(&mut bytes, REFCOUNT_ORDER_FIELD, &order);
    put(&mut bytes, HEADER_LENGTH, &(HEADER as u32).to_be_bytes());
    if compression == Some(Compression::Zstd) {
        put(&mut bytes, INCOMPATIBLE, &OTHER_COMPRESSION.to_be_bytes());
        put(&mut bytes, COMPRESSION, &[ZSTD]);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::{L2_ENTRIES, REFCOUNT_ENTRIES, refcount_sizes};

    #[test]
    fn reference_counts_count_themselves() {
        for others in [1, 32765, 32766, 32767, 32768, 1 << 25, 1 << 30] {
            let (blocks, table) = refcount_sizes(others);
            assert!(blocks * REFCOUNT_ENTRIES >= others + blocks + table);
            assert!(table * L2_ENTRIES >= blocks);
        }
        assert_eq!(refcount_sizes(32766), (1, 1));
        assert_eq!(refcount_sizes(32767), (2, 1));
    }
}
