//! What the assembler has to know of the kernel: its segments and its PVH entry. Foreign programs have
//! the same segments and another entry ([`crate::rumprun::multiboot`]).

use boot_contract::disk::MAX_SEGMENTS;
use boot_contract::start_info::NOTE_PHYS32_ENTRY;
use elf::ElfBytes;
use elf::abi::{EM_X86_64, PT_LOAD, PT_NOTE};
use elf::endian::LittleEndian;
use elf::note::Note;
use elf::segment::ProgramHeader;

/// A kernel that the boot stages can load.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kernel {
    /// Physical address of the 32-bit PVH entry.
    pub entry: u32,
    /// The PT_LOAD segments, in the order of the file.
    pub segments: Vec<Segment>,
}

/// One PT_LOAD segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Offset in the file.
    pub offset: u64,
    /// Bytes in the file.
    pub file_size: u32,
    /// Physical address.
    pub paddr: u32,
    /// Bytes in memory.
    pub mem_size: u32,
}

/// Why a file is not a kernel.
#[derive(Debug, thiserror::Error)]
pub enum KernelError {
    /// Not a well-formed little-endian ELF file.
    #[error("not a well-formed ELF file: {0}")]
    Elf(#[from] elf::ParseError),
    /// For another processor.
    #[error("the ELF file is for machine {found}, expected {EM_X86_64} (x86-64)")]
    Machine {
        /// `e_machine`.
        found: u16,
    },
    /// Nothing to load.
    #[error("the ELF file has no PT_LOAD segment")]
    NoSegments,
    /// More segments than the block list can hold.
    #[error("the ELF file has {found} PT_LOAD segments, at most {MAX_SEGMENTS} are possible")]
    TooManySegments {
        /// Their number.
        found: usize,
    },
    /// A segment outside the file or outside the memory a boot stage can fill.
    #[error(
        "the segment at file offset {offset} with physical address {paddr:#x} does not lie in the file and between 1 MiB and 4 GiB"
    )]
    Segment {
        /// Offset in the file.
        offset: u64,
        /// Physical address.
        paddr: u64,
    },
    /// Two segments share memory.
    #[error("two segments overlap at physical address {paddr:#x}")]
    Overlap {
        /// Start of the second.
        paddr: u32,
    },
    /// No PVH note.
    #[error(
        "the ELF file has no PVH entry: expected a note of owner `Xen` and type {NOTE_PHYS32_ENTRY}"
    )]
    NoEntry,
    /// The entry is not in a segment.
    #[error("the PVH entry {entry:#x} lies outside every segment")]
    EntryOutside {
        /// The entry.
        entry: u64,
    },
}

/// Memory below is the boot stages' and the BIOS's.
pub(crate) const LOWEST: u64 = 1 << 20;
/// The boot stage fills memory below this only.
pub(crate) const HIGHEST: u64 = 1 << 32;

impl Kernel {
    /// Reads the headers of a kernel.
    ///
    /// # Errors
    /// What keeps the file from being loaded.
    pub fn parse(bytes: &[u8]) -> Result<Self, KernelError> {
        let file = ElfBytes::<LittleEndian>::minimal_parse(bytes)?;
        if file.ehdr.e_machine != EM_X86_64 {
            return Err(KernelError::Machine {
                found: file.ehdr.e_machine,
            });
        }
        let segments = segments(&file, bytes.len() as u64)?;
        let entry = pvh_entry(&file)?.ok_or(KernelError::NoEntry)?;
        match u32::try_from(entry) {
            Ok(address) if segments.iter().any(|s| s.contains(entry)) => Ok(Self {
                entry: address,
                segments,
            }),
            _ => Err(KernelError::EntryOutside { entry }),
        }
    }
}

impl Segment {
    fn new(header: &ProgramHeader, size: u64) -> Option<Self> {
        let end = header.p_paddr.checked_add(header.p_memsz)?;
        let file_end = header.p_offset.checked_add(header.p_filesz)?;
        let fits = header.p_paddr >= LOWEST
            && end <= HIGHEST
            && file_end <= size
            && header.p_filesz <= header.p_memsz;
        fits.then_some(Self {
            offset: header.p_offset,
            file_size: header.p_filesz.try_into().ok()?,
            paddr: header.p_paddr.try_into().ok()?,
            mem_size: header.p_memsz.try_into().ok()?,
        })
    }

    fn end(&self) -> u64 {
        u64::from(self.paddr) + u64::from(self.mem_size)
    }

    pub(crate) fn contains(&self, address: u64) -> bool {
        (u64::from(self.paddr)..self.end()).contains(&address)
    }
}

/// The segments that are loaded, of a file with `size` bytes.
pub(crate) fn segments(
    file: &ElfBytes<'_, LittleEndian>,
    size: u64,
) -> Result<Vec<Segment>, KernelError> {
    let segments = file
        .segments()
        .into_iter()
        .flatten()
        .filter(|header| header.p_type == PT_LOAD && header.p_memsz > 0)
        .map(|header| {
            Segment::new(&header, size).ok_or(KernelError::Segment {
                offset: header.p_offset,
                paddr: header.p_paddr,
            })
        })
        .collect::<Result<Vec<_>, _>>()?;
    if segments.is_empty() {
        return Err(KernelError::NoSegments);
    }
    if segments.len() > MAX_SEGMENTS {
        return Err(KernelError::TooManySegments {
            found: segments.len(),
        });
    }
    check_overlap(&segments)?;
    Ok(segments)
}

fn check_overlap(segments: &[Segment]) -> Result<(), KernelError> {
    let mut sorted = segments.to_vec();
    sorted.sort_by_key(|segment| segment.paddr);
    for pair in sorted.windows(2) {
        if u64::from(pair[1].paddr) < pair[0].end() {
            return Err(KernelError::Overlap {
                paddr: pair[1].paddr,
            });
        }
    }
    Ok(())
}

fn pvh_entry(file: &ElfBytes<'_, LittleEndian>) -> Result<Option<u64>, KernelError> {
    let headers = file.segments().into_iter().flatten();
    for header in headers.filter(|header| header.p_type == PT_NOTE) {
        for note in file.segment_data_as_notes(&header)? {
            if let Some(entry) = entry_of(&note) {
                return Ok(Some(entry));
            }
        }
    }
    Ok(None)
}

/// The address in a PVH note: 4 or 8 bytes (xen: public/elfnote.h).
fn entry_of(note: &Note<'_>) -> Option<u64> {
    let Note::Unknown(note) = note else {
        return None;
    };
    let owner = note.name.strip_suffix(b"\0").unwrap_or(note.name);
    if owner != b"Xen" || note.n_type != u64::from(NOTE_PHYS32_ENTRY) {
        return None;
    }
    match note.desc.len() {
        4 | 8 => Some(
            note.desc
                .iter()
                .rev()
                .fold(0, |value, &byte| value << 8 | u64::from(byte)),
        ),
        _ => None,
    }
}
