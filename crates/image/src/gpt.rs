//! The GUID partition table (UEFI 2.10, chapter 5) and the protective MBR before it.
//!
//! ```text
//! LBA 0        protective MBR
//! LBA 1        header
//! LBA 2..33    128 entries of 128 bytes
//! …
//! last 33..2   copy of the entries
//! last         copy of the header
//! ```

use std::fmt;

use boot_contract::disk::SECTOR;

/// Number of partition entries: what every tool writes.
const ENTRIES: usize = 128;
const ENTRY_SIZE: usize = 128;
const TABLE_SIZE: usize = ENTRIES * ENTRY_SIZE;
/// Sectors of the entries.
const TABLE_SECTORS: u64 = TABLE_SIZE as u64 / SECTOR;
/// Sectors of one copy, header and entries.
pub(crate) const COPY_SECTORS: u64 = 1 + TABLE_SECTORS;
/// Longest partition name in UTF-16 units.
const NAME_UNITS: usize = 36;

// Fields of the header (UEFI 2.10, table 5.5).
const SIGNATURE: &[u8; 8] = b"EFI PART";
const REVISION: usize = SIGNATURE.len();
const HEADER_SIZE: usize = REVISION + 4;
const HEADER_CRC: usize = HEADER_SIZE + 4;
const MY_LBA: usize = HEADER_CRC + 4 + 4;
const ALTERNATE_LBA: usize = MY_LBA + 8;
const FIRST_USABLE: usize = ALTERNATE_LBA + 8;
const LAST_USABLE: usize = FIRST_USABLE + 8;
const DISK_GUID: usize = LAST_USABLE + 8;
const TABLE_LBA: usize = DISK_GUID + 16;
const ENTRY_COUNT: usize = TABLE_LBA + 8;
const ENTRY_SIZE_FIELD: usize = ENTRY_COUNT + 4;
const TABLE_CRC: usize = ENTRY_SIZE_FIELD + 4;
/// Bytes of the header that count.
const HEADER_BYTES: usize = TABLE_CRC + 4;
const REVISION_1_0: u32 = 0x0001_0000;
const _: () = assert!(HEADER_BYTES == 92);

// Fields of an entry (UEFI 2.10, table 5.6).
const TYPE: usize = 0;
const ID: usize = TYPE + 16;
const FIRST: usize = ID + 16;
const LAST: usize = FIRST + 8;
const ATTRIBUTES: usize = LAST + 8;
const NAME: usize = ATTRIBUTES + 8;
const _: () = assert!(NAME + 2 * NAME_UNITS == ENTRY_SIZE);

/// A GUID in its on-disk byte order.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Guid(pub [u8; 16]);

/// Bytes of the text form in the order of the disk: the first three groups are little-endian.
const GUID_ORDER: [usize; 16] = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15];

impl Guid {
    /// Reads the text form, `XXXXXXXX-XXXX-XXXX-XXXX-XXXXXXXXXXXX`.
    pub fn from_text(text: &str) -> Option<Self> {
        let digits: Vec<u8> = text
            .chars()
            .filter(|&c| c != '-')
            .map(|c| c.to_digit(16).map(|digit| digit as u8))
            .collect::<Option<_>>()?;
        if digits.len() != 32 {
            return None;
        }
        Some(Self(
            GUID_ORDER.map(|i| digits[2 * i] << 4 | digits[2 * i + 1]),
        ))
    }

    /// A GUID of version 8 (RFC 9562 §5.8) from the first bytes of a hash.
    pub fn from_hash(hash: &[u8; 32]) -> Self {
        let mut text = [0; 16];
        text.copy_from_slice(&hash[..16]);
        text[6] = text[6] & 0x0f | 0x80;
        text[8] = text[8] & 0x3f | 0x80;
        Self(GUID_ORDER.map(|i| text[i]))
    }
}

impl fmt::Display for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, &i) in GUID_ORDER.iter().enumerate() {
            let dash = if [4, 6, 8, 10].contains(&position) {
                "-"
            } else {
                ""
            };
            write!(f, "{dash}{:02X}", self.0[i])?;
        }
        Ok(())
    }
}

impl fmt::Debug for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// One partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition {
    /// What it is for.
    pub kind: Guid,
    /// Which one it is.
    pub id: Guid,
    /// First sector.
    pub first: u64,
    /// Last sector, included.
    pub last: u64,
    /// Name, at most 36 UTF-16 units.
    pub name: String,
}

/// A partition table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gpt {
    /// The disk's GUID.
    pub disk: Guid,
    /// Sectors of the disk.
    pub sectors: u64,
    /// The partitions, entry 1 first.
    pub partitions: Vec<Partition>,
}

/// Why a disk has no valid partition table.
#[derive(Debug, thiserror::Error)]
pub enum GptError {
    /// The image is too small for a table.
    #[error("the disk has {found} sectors, too few for a GPT")]
    TooSmall {
        /// Sectors found.
        found: u64,
    },
    /// LBA 0 is not a protective MBR.
    #[error("sector 0 is not a protective MBR")]
    NoProtectiveMbr,
    /// No header.
    #[error("sector {lba} holds no GPT header")]
    NoHeader {
        /// The sector.
        lba: u64,
    },
    /// A header or its table is damaged.
    #[error("the GPT header in sector {lba} or its table is damaged: {what}")]
    Damaged {
        /// The header's sector.
        lba: u64,
        /// Which check failed.
        what: &'static str,
    },
    /// A partition that is out of range or overlaps another.
    #[error("partition {number} (sectors {first} to {last}) overlaps another or leaves the disk")]
    Partition {
        /// Its number, from 1.
        number: usize,
        /// Its first sector.
        first: u64,
        /// Its last sector.
        last: u64,
    },
    /// A partition that should be there is not.
    #[error("the disk has no partition of type {kind}; was it made by this program?")]
    Missing {
        /// The type looked for.
        kind: &'static str,
    },
}

impl Gpt {
    /// First sector a partition can use.
    pub const FIRST_USABLE: u64 = 1 + COPY_SECTORS;

    /// Last sector a partition can use.
    pub fn last_usable(&self) -> u64 {
        self.sectors - COPY_SECTORS - 1
    }

    /// Sectors 1 to 33: header and entries.
    pub fn emit_primary(&self) -> Vec<u8> {
        let table = self.table();
        let mut bytes = self.header(1, self.sectors - 1, 2, &table);
        bytes.extend(table);
        bytes
    }

    /// The last 33 sectors: entries and header.
    pub fn emit_backup(&self) -> Vec<u8> {
        let mut bytes = self.table();
        let lba = self.sectors - 1;
        bytes.extend(self.header(lba, 1, lba - TABLE_SECTORS, &bytes));
        bytes
    }

    fn table(&self) -> Vec<u8> {
        let mut table = vec![0; TABLE_SIZE];
        for (slot, partition) in table.chunks_exact_mut(ENTRY_SIZE).zip(&self.partitions) {
            put(slot, TYPE, &partition.kind.0);
            put(slot, ID, &partition.id.0);
            put(slot, FIRST, &partition.first.to_le_bytes());
            put(slot, LAST, &partition.last.to_le_bytes());
            let units = partition.name.encode_utf16().take(NAME_UNITS);
            for (slot, unit) in slot[NAME..].chunks_exact_mut(2).zip(units) {
                put(slot, 0, &unit.to_le_bytes());
            }
        }
        table
    }

    fn header(&self, lba: u64, alternate: u64, table_lba: u64, table: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0; SECTOR as usize];
        put(&mut bytes, 0, SIGNATURE);
        put(&mut bytes, REVISION, &REVISION_1_0.to_le_bytes());
        put(
            &mut bytes,
            HEADER_SIZE,
            &(HEADER_BYTES as u32).to_le_bytes(),
        );
        put(&mut bytes, MY_LBA, &lba.to_le_bytes());
        put(&mut bytes, ALTERNATE_LBA, &alternate.to_le_bytes());
        put(&mut bytes, FIRST_USABLE, &Self::FIRST_USABLE.to_le_bytes());
        put(&mut bytes, LAST_USABLE, &self.last_usable().to_le_bytes());
        put(&mut bytes, DISK_GUID, &self.disk.0);
        put(&mut bytes, TABLE_LBA, &table_lba.to_le_bytes());
        put(&mut bytes, ENTRY_COUNT, &(ENTRIES as u32).to_le_bytes());
        put(
            &mut bytes,
            ENTRY_SIZE_FIELD,
            &(ENTRY_SIZE as u32).to_le_bytes(),
        );
        put(&mut bytes, TABLE_CRC, &crc32fast::hash(table).to_le_bytes());
        let crc = crc32fast::hash(&bytes[..HEADER_BYTES]);
        put(&mut bytes, HEADER_CRC, &crc.to_le_bytes());
        bytes
    }

    /// Reads one copy of the table: the header that lies in sector `lba` of a disk with
    /// `sectors` sectors, and the 32 sectors of entries that belong to it.
    ///
    /// # Errors
    /// What is damaged.
    pub fn parse(
        lba: u64,
        sectors: u64,
        header: &[u8; SECTOR as usize],
        table: &[u8; TABLE_SIZE],
    ) -> Result<Self, GptError> {
        check_header(lba, sectors, header, table)?;
        let mut disk = Guid::default();
        disk.0.copy_from_slice(&header[DISK_GUID..DISK_GUID + 16]);
        let partitions = table
            .chunks_exact(ENTRY_SIZE)
            .filter(|entry| entry[TYPE..ID] != [0; 16])
            .map(partition_at)
            .collect();
        let gpt = Self {
            disk,
            sectors,
            partitions,
        };
        gpt.check_partitions()?;
        Ok(gpt)
    }

    fn check_partitions(&self) -> Result<(), GptError> {
        let usable = Self::FIRST_USABLE..=self.last_usable();
        for (i, p) in self.partitions.iter().enumerate() {
            let in_range = usable.contains(&p.first) && usable.contains(&p.last);
            let overlaps = |other: &Partition| p.first <= other.last && other.first <= p.last;
            if !in_range || p.first > p.last || self.partitions[..i].iter().any(overlaps) {
                return Err(GptError::Partition {
                    number: i + 1,
                    first: p.first,
                    last: p.last,
                });
            }
        }
        Ok(())
    }
}

fn check_header(lba: u64, sectors: u64, header: &[u8], table: &[u8]) -> Result<(), GptError> {
    if !header.starts_with(SIGNATURE) {
        return Err(GptError::NoHeader { lba });
    }
    let mut zeroed = header[..HEADER_BYTES].to_vec();
    zeroed[HEADER_CRC..HEADER_CRC + 4].fill(0);
    let is_primary = lba == 1;
    let table_lba = if is_primary { 2 } else { lba - TABLE_SECTORS };
    let alternate = if is_primary { sectors - 1 } else { 1 };
    let checks = [
        (u32_at(header, REVISION) == REVISION_1_0, "revision"),
        (
            u32_at(header, HEADER_SIZE) == HEADER_BYTES as u32,
            "header size",
        ),
        (
            u32_at(header, HEADER_CRC) == crc32fast::hash(&zeroed),
            "header checksum",
        ),
        (u64_at(header, MY_LBA) == lba, "own position"),
        (
            u64_at(header, ALTERNATE_LBA) == alternate,
            "position of the copy",
        ),
        (
            u64_at(header, TABLE_LBA) == table_lba,
            "position of the entries",
        ),
        (
            u32_at(header, ENTRY_COUNT) == ENTRIES as u32,
            "number of entries",
        ),
        (
            u32_at(header, ENTRY_SIZE_FIELD) == ENTRY_SIZE as u32,
            "size of an entry",
        ),
        (
            u32_at(header, TABLE_CRC) == crc32fast::hash(table),
            "checksum of the entries",
        ),
    ];
    match checks.into_iter().find(|(holds, _)| !holds) {
        Some((_, what)) => Err(GptError::Damaged { lba, what }),
        None => Ok(()),
    }
}

fn partition_at(entry: &[u8]) -> Partition {
    let guid_at = |at: usize| {
        let mut guid = Guid::default();
        guid.0.copy_from_slice(&entry[at..at + 16]);
        guid
    };
    let units: Vec<u16> = entry[NAME..]
        .chunks_exact(2)
        .map(|unit| u16::from_le_bytes([unit[0], unit[1]]))
        .take_while(|&unit| unit != 0)
        .collect();
    Partition {
        kind: guid_at(TYPE),
        id: guid_at(ID),
        first: u64_at(entry, FIRST),
        last: u64_at(entry, LAST),
        name: String::from_utf16_lossy(&units),
    }
}

/// Offset of the partition table in an MBR.
const MBR_TABLE: usize = 446;
const MBR_SIGNATURE: usize = 510;
/// MBR partition type of a GPT disk (UEFI 2.10 §5.2.3).
const MBR_TYPE_GPT: u8 = 0xee;

/// Turns a boot sector into the protective MBR of a disk with this many sectors (UEFI 2.10,
/// table 5.4); the boot code stays as it is.
pub fn protect(sector: &mut [u8; SECTOR as usize], sectors: u64) {
    let size = u32::try_from(sectors - 1).unwrap_or(u32::MAX);
    let mut entry = [
        0,
        0,
        2,
        0,
        MBR_TYPE_GPT,
        0xff,
        0xff,
        0xff,
        1,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
    ];
    put(&mut entry, 12, &size.to_le_bytes());
    sector[MBR_TABLE - 6..MBR_SIGNATURE].fill(0);
    put(sector, MBR_TABLE, &entry);
    put(sector, MBR_SIGNATURE, &[0x55, 0xaa]);
}

/// Checks that a sector is a protective MBR.
///
/// # Errors
/// [`GptError::NoProtectiveMbr`].
pub fn check_protective(sector: &[u8; SECTOR as usize]) -> Result<(), GptError> {
    let signed = sector[MBR_SIGNATURE..] == [0x55, 0xaa];
    if signed && sector[MBR_TABLE + 4] == MBR_TYPE_GPT {
        Ok(())
    } else {
        Err(GptError::NoProtectiveMbr)
    }
}

fn put(bytes: &mut [u8], at: usize, field: &[u8]) {
    bytes[at..at + field.len()].copy_from_slice(field);
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}
