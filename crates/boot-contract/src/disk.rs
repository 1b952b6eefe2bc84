//! The default disk layout and the block list (docs/image-format.md has the drawings).

use core::fmt;

/// Bytes in a sector; all LBAs count these.
pub const SECTOR: u64 = 512;

/// GPT type of the BIOS boot partition (the UEFI specification leaves it to GRUB's choice:
/// "Hah!IdontNeedEFI").
pub const BIOS_BOOT_TYPE: &str = "21686148-6449-6E6F-744E-656564454649";

/// GPT type of the EFI system partition (UEFI 2.10, table 5.7).
pub const EFI_SYSTEM_TYPE: &str = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B";

/// GPT type of the data partition: Linux file system data (Discoverable Partitions Specification),
/// which every tool takes for what it is.
pub const DATA_TYPE: &str = "0FC63DAF-8483-4772-8E79-3D69D8477DE4";

/// Kernel ELF on the EFI system partition.
pub const KERNEL_PATH: &str = "UNIBEAM/KERNEL.ELF";
/// Root archive on the EFI system partition.
pub const ROOT_PATH: &str = "UNIBEAM/ROOT.CPIO";
/// Command line (text, one line) on the EFI system partition.
pub const CMDLINE_PATH: &str = "UNIBEAM/CMDLINE.TXT";
/// Description of the image (JSON) on the EFI system partition; nothing of the boot needs it.
pub const MANIFEST_PATH: &str = "UNIBEAM/MANIFEST.JSON";

/// Longest kernel command line in bytes, without its end (one page with the NUL).
pub const CMDLINE_MAX: usize = 4095;

/// Bytes of boot code in LBA 0; the disk signature and the partition table follow.
pub const BOOT_CODE_SIZE: usize = 440;
/// Offset in the boot sector of its INT 13h disk address packet, the last 16 bytes of code
/// (Enhanced Disk Drive 3.0, table 4). The assembler patches the two fields below.
pub const BOOT_PACKET: usize = BOOT_CODE_SIZE - 16;
/// Offset in the boot sector of the packet's number of sectors (u16): the length of the stage.
pub const BOOT_PACKET_COUNT: usize = BOOT_PACKET + 2;
/// Offset in the boot sector of the packet's first LBA (u64): the start of the stage.
pub const BOOT_PACKET_LBA: usize = BOOT_PACKET + 8;

/// Most sectors of one INT 13h read: what every BIOS can do (Enhanced Disk Drive 3.0 §5.2).
pub const MAX_READ_SECTORS: u16 = 127;
/// Address to which the boot sector loads the BIOS stage, and where it is entered in real mode
/// with CS = 0 and the boot drive in DL.
pub const STAGE_ADDRESS: u32 = 0x8000;
/// Largest BIOS stage in bytes: the boot sector loads it with one read.
pub const STAGE_MAX: usize = MAX_READ_SECTORS as usize * SECTOR as usize;

/// Offset of the [`BlockList`] in the BIOS stage; a jump over it comes before.
pub const BLOCK_LIST: usize = 16;
/// First bytes of a block list.
pub const BLOCK_LIST_MAGIC: [u8; 8] = *b"UNIBOOT1";
/// Most segments of a kernel.
pub const MAX_SEGMENTS: usize = 8;

const VERSION: usize = BLOCK_LIST_MAGIC.len();
const ENTRY: usize = VERSION + 4;
const SEGMENT_COUNT: usize = ENTRY + 4;
const PROTOCOL: usize = SEGMENT_COUNT + 4;
const CMDLINE: usize = PROTOCOL + 4;
const MODULE: usize = CMDLINE + EXTENT_SIZE;
const SEGMENTS: usize = MODULE + EXTENT_SIZE;
const EXTENT_SIZE: usize = 16;
const SEGMENT_SIZE: usize = 24;
/// Size of an encoded block list in bytes.
pub const BLOCK_LIST_SIZE: usize = SEGMENTS + MAX_SEGMENTS * SEGMENT_SIZE;

const _: () = assert!(BOOT_PACKET == 0x1a8 && BOOT_PACKET.is_multiple_of(8));
const _: () = assert!(CMDLINE == 24 && SEGMENTS == 56 && BLOCK_LIST_SIZE == 248);

/// A run of bytes that starts with a sector.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extent {
    /// First sector.
    pub lba: u64,
    /// Size in bytes.
    pub size: u64,
}

/// What one PT_LOAD header of the kernel asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Segment {
    /// Sector that holds the segment's first byte.
    pub lba: u64,
    /// Position of the first byte in that sector.
    pub skip: u32,
    /// Bytes on the disk.
    pub file_size: u32,
    /// Physical address of the first byte.
    pub paddr: u32,
    /// Bytes in memory; those after `file_size` are zero.
    pub mem_size: u32,
}

/// How a kernel is entered and what it is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u32)]
pub enum Protocol {
    /// PVH ([`crate::start_info`]): our kernel.
    #[default]
    Pvh = 0,
    /// Multiboot 1 ([`crate::multiboot`]).
    Multiboot = 1,
}

/// What the BIOS stage has to load; the assembler patches it into the stage.
///
/// | offset | size | field |
/// |---|---|---|
/// | 0 | 8 | [`BLOCK_LIST_MAGIC`] |
/// | 8 | 4 | [`crate::VERSION`] |
/// | 12 | 4 | physical address of the entry |
/// | 16 | 4 | number of segments |
/// | 20 | 4 | protocol: 0 PVH, 1 Multiboot |
/// | 24 | 16 | command line: LBA, size |
/// | 40 | 16 | module (the root archive, or a foreign kernel's configuration): LBA, size |
/// | 56 | 8 × 24 | segments: LBA, skip, size on disk, address, size in memory |
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BlockList {
    /// How the kernel is entered.
    pub protocol: Protocol,
    /// Physical address of the kernel's entry.
    pub entry: u32,
    /// The kernel command line.
    pub cmdline: Extent,
    /// The one module: the root archive, or a foreign kernel's configuration.
    pub module: Extent,
    /// The kernel's segments; the first [`segment_count`](Self::segment_count) are used.
    pub segments: [Segment; MAX_SEGMENTS],
    /// Number of used segments, at most [`MAX_SEGMENTS`].
    pub segment_count: usize,
}

/// Why bytes are not a block list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockListError {
    /// Fewer bytes than a block list has.
    TooShort {
        /// Bytes there.
        found: usize,
    },
    /// The magic is missing.
    Magic,
    /// Another version of the boot contract.
    Version {
        /// The version found.
        found: u32,
    },
    /// More segments than the list can hold.
    SegmentCount {
        /// The number found.
        found: u32,
    },
    /// A protocol of which this version knows nothing.
    Protocol {
        /// The number found.
        found: u32,
    },
    /// The assembler did not fill the list.
    Empty,
}

impl fmt::Display for BlockListError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooShort { found } => write!(
                f,
                "the block list has {found} bytes, expected {BLOCK_LIST_SIZE}"
            ),
            Self::Magic => write!(f, "there is no block list at byte {BLOCK_LIST}"),
            Self::Version { found } => write!(
                f,
                "the block list has version {found}, expected {}",
                crate::VERSION
            ),
            Self::SegmentCount { found } => write!(
                f,
                "the block list has {found} segments, at most {MAX_SEGMENTS} are possible"
            ),
            Self::Protocol { found } => write!(
                f,
                "the block list has protocol {found}, expected 0 (PVH) or 1 (Multiboot)"
            ),
            Self::Empty => write!(f, "the block list is empty"),
        }
    }
}

impl core::error::Error for BlockListError {}

impl BlockList {
    /// The bytes a BIOS stage carries before an assembler filled them in.
    pub const UNFILLED: [u8; BLOCK_LIST_SIZE] = {
        let mut bytes = [0; BLOCK_LIST_SIZE];
        let mut i = 0;
        while i < VERSION {
            bytes[i] = BLOCK_LIST_MAGIC[i];
            i += 1;
        }
        bytes[VERSION] = crate::VERSION as u8;
        bytes
    };

    /// The used segments.
    pub fn segments(&self) -> &[Segment] {
        self.segments.get(..self.segment_count).unwrap_or_default()
    }

    /// Writes the list; [`decode`](Self::decode) reads it back.
    pub fn encode(&self) -> [u8; BLOCK_LIST_SIZE] {
        let mut bytes = Self::UNFILLED;
        put(&mut bytes, ENTRY, &self.entry.to_le_bytes());
        let count = self.segments().len() as u32;
        put(&mut bytes, SEGMENT_COUNT, &count.to_le_bytes());
        put(&mut bytes, PROTOCOL, &(self.protocol as u32).to_le_bytes());
        put_extent(&mut bytes, CMDLINE, self.cmdline);
        put_extent(&mut bytes, MODULE, self.module);
        for (i, segment) in self.segments().iter().enumerate() {
            put_segment(&mut bytes, SEGMENTS + i * SEGMENT_SIZE, segment);
        }
        bytes
    }

    /// Checks that `bytes` start with a list of this version, filled in or not.
    ///
    /// # Errors
    /// Which part of the head is wrong.
    pub fn check_head(bytes: &[u8]) -> Result<(), BlockListError> {
        if bytes.len() < BLOCK_LIST_SIZE {
            return Err(BlockListError::TooShort { found: bytes.len() });
        }
        if bytes[..VERSION] != BLOCK_LIST_MAGIC {
            return Err(BlockListError::Magic);
        }
        match u32_at(bytes, VERSION) {
            crate::VERSION => Ok(()),
            found => Err(BlockListError::Version { found }),
        }
    }

    /// Reads a filled list from the start of `bytes`.
    ///
    /// # Errors
    /// What keeps the bytes from being a list.
    pub fn decode(bytes: &[u8]) -> Result<Self, BlockListError> {
        Self::check_head(bytes)?;
        let found = u32_at(bytes, SEGMENT_COUNT);
        let segment_count = found as usize;
        if segment_count > MAX_SEGMENTS {
            return Err(BlockListError::SegmentCount { found });
        }
        if segment_count == 0 {
            return Err(BlockListError::Empty);
        }
        let mut segments = [Segment::default(); MAX_SEGMENTS];
        for (i, segment) in segments[..segment_count].iter_mut().enumerate() {
            *segment = segment_at(bytes, SEGMENTS + i * SEGMENT_SIZE);
        }
        Ok(Self {
            protocol: protocol_at(bytes)?,
            entry: u32_at(bytes, ENTRY),
            cmdline: extent_at(bytes, CMDLINE),
            module: extent_at(bytes, MODULE),
            segments,
            segment_count,
        })
    }
}

fn put(bytes: &mut [u8], at: usize, field: &[u8]) {
    bytes[at..at + field.len()].copy_from_slice(field);
}

fn put_extent(bytes: &mut [u8], at: usize, extent: Extent) {
    put(bytes, at, &extent.lba.to_le_bytes());
    put(bytes, at + 8, &extent.size.to_le_bytes());
}

fn put_segment(bytes: &mut [u8], at: usize, segment: &Segment) {
    put(bytes, at, &segment.lba.to_le_bytes());
    put(bytes, at + 8, &segment.skip.to_le_bytes());
    put(bytes, at + 12, &segment.file_size.to_le_bytes());
    put(bytes, at + 16, &segment.paddr.to_le_bytes());
    put(bytes, at + 20, &segment.mem_size.to_le_bytes());
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut field = [0; 4];
    field.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(field)
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}

fn protocol_at(bytes: &[u8]) -> Result<Protocol, BlockListError> {
    match u32_at(bytes, PROTOCOL) {
        0 => Ok(Protocol::Pvh),
        1 => Ok(Protocol::Multiboot),
        found => Err(BlockListError::Protocol { found }),
    }
}

fn extent_at(bytes: &[u8], at: usize) -> Extent {
    Extent {
        lba: u64_at(bytes, at),
        size: u64_at(bytes, at + 8),
    }
}

fn segment_at(bytes: &[u8], at: usize) -> Segment {
    Segment {
        lba: u64_at(bytes, at),
        skip: u32_at(bytes, at + 8),
        file_size: u32_at(bytes, at + 12),
        paddr: u32_at(bytes, at + 16),
        mem_size: u32_at(bytes, at + 20),
    }
}

#[cfg(test)]
mod tests {
    use super::{
        BLOCK_LIST_SIZE, BlockList, BlockListError, Extent, MAX_SEGMENTS, PROTOCOL, Protocol,
        SEGMENT_COUNT, Segment, VERSION,
    };

    fn example() -> BlockList {
        let mut list = BlockList {
            entry: 0x10_0040,
            cmdline: Extent { lba: 9, size: 77 },
            module: Extent {
                lba: 1 << 40,
                size: u64::MAX,
            },
            segment_count: MAX_SEGMENTS,
            ..BlockList::default()
        };
        for (i, segment) in (1u32..).zip(&mut list.segments) {
            *segment = Segment {
                lba: u64::from(i) << 33,
                skip: i,
                file_size: i * 1000,
                paddr: i << 20,
                mem_size: i * 2000,
            };
        }
        list
    }

    #[test]
    fn encode_and_decode_are_twins() {
        for segment_count in 1..=MAX_SEGMENTS {
            let mut list = example();
            list.segment_count = segment_count;
            list.segments[segment_count..].fill(Segment::default());
            for protocol in [Protocol::Pvh, Protocol::Multiboot] {
                list.protocol = protocol;
                assert_eq!(BlockList::decode(&list.encode()), Ok(list));
            }
        }
    }

    #[test]
    fn decode_names_what_is_wrong() {
        let good = example().encode();
        let broken = |at: usize, value: u8| {
            let mut bytes = good;
            bytes[at] = value;
            BlockList::decode(&bytes).unwrap_err()
        };
        assert_eq!(broken(0, b'X'), BlockListError::Magic);
        assert_eq!(broken(VERSION, 9), BlockListError::Version { found: 9 });
        assert_eq!(
            broken(SEGMENT_COUNT, 9),
            BlockListError::SegmentCount { found: 9 }
        );
        assert_eq!(broken(PROTOCOL, 2), BlockListError::Protocol { found: 2 });
        assert_eq!(
            BlockList::decode(&good[1..]),
            Err(BlockListError::TooShort {
                found: BLOCK_LIST_SIZE - 1
            })
        );
        assert_eq!(
            BlockList::decode(&BlockList::UNFILLED),
            Err(BlockListError::Empty)
        );
    }
}
