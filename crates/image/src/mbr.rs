//! Entries of the partition table in a master boot record, with addresses of cylinders, heads and
//! sectors, without which OSv ignores an entry (osv: fs/devfs/device.cc).
//!
//! ```text
//! 0    1  128 for the active partition, else 0
//! 1    3  first sector: head, sector (6 bits) with the cylinder's high bits, its low bits
//! 4    1  type, 0 for an unused entry
//! 5    3  last sector, likewise
//! 8    4  first sector by number, little-endian
//! 12   4  number of sectors
//! ```

/// Offset of the first entry in the boot record; three follow it.
pub const TABLE: usize = 0x1be;
/// Bytes of an entry.
pub const ENTRY: usize = 16;
/// Number of entries.
pub const ENTRIES: usize = 4;
/// Last two bytes of a boot record.
pub const SIGNATURE: [u8; 2] = [0x55, 0xaa];
/// Type of a Linux file system.
pub const LINUX: u8 = 0x83;

/// What disks are taken to be like: 255 heads with tracks of 63 sectors.
const HEADS: u32 = 255;
const TRACK: u32 = 63;
/// What stands for sectors beyond the last cylinder that can be told.
const BEYOND: (u32, u32, u32) = (1023, 254, 63);

/// A partition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Partition {
    /// Type.
    pub kind: u8,
    /// First sector.
    pub first: u32,
    /// Number of sectors.
    pub sectors: u32,
}

impl Partition {
    /// The entry's bytes.
    pub fn emit(&self) -> [u8; ENTRY] {
        let last = self.first.saturating_add(self.sectors.saturating_sub(1));
        let mut entry = [0; ENTRY];
        entry[1..4].copy_from_slice(&address(self.first));
        entry[4] = self.kind;
        entry[5..8].copy_from_slice(&address(last));
        entry[8..12].copy_from_slice(&self.first.to_le_bytes());
        entry[12..].copy_from_slice(&self.sectors.to_le_bytes());
        entry
    }

    /// Reads an entry; `None` for one that is not used, which also one without a sector is: sectors
    /// count from 1, and OSv takes the entry for unused. Heads and cylinders are not looked at.
    pub fn parse(entry: &[u8; ENTRY]) -> Option<Self> {
        let number = |at: usize| {
            u32::from_le_bytes([entry[at], entry[at + 1], entry[at + 2], entry[at + 3]])
        };
        let found = Self {
            kind: entry[4],
            first: number(8),
            sectors: number(12),
        };
        let has_sector = entry[2] & 63 != 0;
        (found.kind != 0 && found.sectors != 0 && has_sector).then_some(found)
    }
}

/// Cylinder, head and sector as they are packed.
fn address(sector: u32) -> [u8; 3] {
    let (track, in_track) = (sector / TRACK, sector % TRACK);
    let (cylinder, head) = (track / HEADS, track % HEADS);
    let (cylinder, head, sector) = match cylinder {
        0..=1023 => (cylinder, head, in_track + 1),
        _ => BEYOND,
    };
    [
        head as u8,
        (sector | cylinder >> 8 << 6) as u8,
        cylinder as u8,
    ]
}

/// The partitions of a boot record, by their place in its table.
pub fn partitions(record: &[u8; 512]) -> [Option<Partition>; ENTRIES] {
    let mut found = [None; ENTRIES];
    if record[510..] == SIGNATURE {
        let entries = record[TABLE..].chunks_exact(ENTRY);
        for (slot, entry) in found.iter_mut().zip(entries) {
            *slot = entry.first_chunk().and_then(Partition::parse);
        }
    }
    found
}

/// Writes a partition, or none, to a place in the table, from 0.
pub fn set(record: &mut [u8; 512], place: usize, partition: Option<Partition>) {
    let entry = partition.map_or([0; ENTRY], |partition| partition.emit());
    let start = TABLE + place.min(ENTRIES - 1) * ENTRY;
    record[start..start + ENTRY].copy_from_slice(&entry);
}

#[cfg(test)]
mod tests {
    use super::{Partition, partitions, set};
    use proptest::prelude::{any, proptest};

    #[test]
    fn an_entry_has_the_documented_bytes() {
        let partition = Partition {
            kind: 0x83,
            first: 8192,
            sectors: 40960,
        };
        let expected = [
            0, 130, 3, 0, 0x83, 15, 12, 3, 0x00, 0x20, 0, 0, 0x00, 0xa0, 0, 0,
        ];
        assert_eq!(partition.emit(), expected);
        let far = Partition {
            first: 1 << 30,
            ..partition
        };
        assert_eq!(far.emit()[1..8], [254, 0xff, 0xff, 0x83, 254, 0xff, 0xff]);
    }

    #[test]
    fn a_record_without_its_signature_has_no_partitions() {
        let mut record = [0; 512];
        let partition = Partition {
            kind: 0x83,
            first: 1,
            sectors: 2,
        };
        set(&mut record, 1, Some(partition));
        assert_eq!(partitions(&record), [None; 4]);
        record[510..].copy_from_slice(&super::SIGNATURE);
        assert_eq!(partitions(&record), [None, Some(partition), None, None]);
        set(&mut record, 1, None);
        assert_eq!(partitions(&record), [None; 4]);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(first: u32, sectors in 1_u32.., kind in 1_u8.., garbage in any::<[u8; 16]>()) {
            let partition = Partition { kind, first, sectors };
            let entry = partition.emit();
            // OSv skips an entry whose sector is 0.
            assert_ne!(entry[2] & 63, 0);
            assert_eq!(Partition::parse(&entry), Some(partition));
            let _ = Partition::parse(&garbage);
        }
    }
}
