//! What the assembler has to know of a Multiboot program: what is loaded to where, and its entry
//! (Multiboot Specification 0.6.96 §3.1).

use boot_contract::multiboot::{
    ADDRESSES, HEADER_ALIGNMENT, HEADER_MAGIC, HEADER_SEARCH, MEMORY_INFO, MUST_KNOW, PAGE_ALIGN,
};
use elf::ElfBytes;
use elf::abi::{EM_386, EM_X86_64, PT_LOAD};
use elf::endian::LittleEndian;

use crate::elf::{HIGHEST, KernelError, LOWEST, Segment, segments};

/// A program that the BIOS stage can load.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// Physical address of its 32-bit entry.
    pub entry: u32,
    /// What is loaded, in the order of the file.
    pub segments: Vec<Segment>,
}

/// Why a file is not a program that can be loaded.
#[derive(Debug, thiserror::Error)]
pub enum MultibootError {
    /// No header.
    #[error(
        "the program has no Multiboot header in its first {HEADER_SEARCH} bytes; \
         expected a binary that rumprun-bake made for the platform hw"
    )]
    NoHeader,
    /// The header says that it has addresses, and the file ends before them.
    #[error("the program ends inside the Multiboot header at byte {at}")]
    Truncated {
        /// Offset of the header.
        at: usize,
    },
    /// The program demands what this loader does not offer.
    #[error(
        "the Multiboot header demands {flags:#x} of the loader; only page-aligned modules (1) and \
         memory information (2) are offered"
    )]
    Demands {
        /// The flags that are not known.
        flags: u32,
    },
    /// Addresses of the header that contradict each other or the file.
    #[error("the Multiboot header is not usable: {what} is {found:#x}, expected {expected}")]
    Address {
        /// Which one.
        what: &'static str,
        /// Its value.
        found: u64,
        /// What it should be.
        expected: String,
    },
    /// Without addresses in the header, the program must be an ELF file, and it is not a good one.
    #[error("the Multiboot header has no addresses, and as an ELF file the program fails: {0}")]
    Elf(#[from] KernelError),
    /// The ELF entry is not in a segment.
    #[error("the entry {entry:#x} lies outside every segment")]
    EntryOutside {
        /// The entry.
        entry: u64,
    },
}

/// The fields of a header that has addresses.
struct Addresses {
    header: u64,
    load: u64,
    load_end: u64,
    bss_end: u64,
    entry: u64,
}

impl Program {
    /// Reads the header of a program.
    ///
    /// # Errors
    /// What keeps the program from being loaded.
    pub fn parse(bytes: &[u8]) -> Result<Self, MultibootError> {
        let at = find_header(bytes).ok_or(MultibootError::NoHeader)?;
        let truncated = MultibootError::Truncated { at };
        let flags = word(bytes, at, 1).ok_or(MultibootError::Truncated { at })?;
        let unknown = flags & MUST_KNOW & !(PAGE_ALIGN | MEMORY_INFO);
        if unknown != 0 {
            return Err(MultibootError::Demands { flags: unknown });
        }
        if flags & ADDRESSES == 0 {
            return from_elf(bytes);
        }
        let addresses = addresses(bytes, at).ok_or(truncated)?;
        from_addresses(&addresses, at as u64, bytes.len() as u64)
    }
}

/// Offset of the first header whose checksum is right.
fn find_header(bytes: &[u8]) -> Option<usize> {
    let searched = bytes.len().min(HEADER_SEARCH);
    (0..searched).step_by(HEADER_ALIGNMENT).find(|&at| {
        let fields = [0, 1, 2].map(|field| word(bytes, at, field));
        match fields {
            [Some(HEADER_MAGIC), Some(flags), Some(checksum)] if at + 12 <= searched => {
                HEADER_MAGIC.wrapping_add(flags).wrapping_add(checksum) == 0
            }
            _ => false,
        }
    })
}

/// A field of the header at `at`, counted in words.
fn word(bytes: &[u8], at: usize, field: usize) -> Option<u32> {
    let bytes = bytes.get(at + 4 * field..)?.first_chunk()?;
    Some(u32::from_le_bytes(*bytes))
}

fn addresses(bytes: &[u8], at: usize) -> Option<Addresses> {
    let field = |number| word(bytes, at, number).map(u64::from);
    Some(Addresses {
        header: field(3)?,
        load: field(4)?,
        load_end: field(5)?,
        bss_end: field(6)?,
        entry: field(7)?,
    })
}

/// One segment, as §3.1.3 computes it.
fn from_addresses(a: &Addresses, at: u64, size: u64) -> Result<Program, MultibootError> {
    let check = |holds, what, found, expected: String| match holds {
        true => Ok(()),
        false => Err(MultibootError::Address {
            what,
            found,
            expected,
        }),
    };
    check(
        a.load >= LOWEST,
        "load_addr",
        a.load,
        "1 MiB or more".into(),
    )?;
    let range = format!("{:#x} to {:#x}", a.load, a.load + at);
    let is_loaded = (a.load..=a.load + at).contains(&a.header);
    check(is_loaded, "header_addr", a.header, range)?;
    let offset = at - (a.header - a.load);
    let file_end = a.load + (size - offset);
    // 0 stands for "all of the file" and "no bss".
    let load_end = if a.load_end == 0 {
        file_end
    } else {
        a.load_end
    };
    let bss_end = if a.bss_end == 0 { load_end } else { a.bss_end };
    let range = format!("{:#x} to {file_end:#x}", a.load + 1);
    check(
        load_end > a.load && load_end <= file_end,
        "load_end_addr",
        load_end,
        range,
    )?;
    let range = format!("{load_end:#x} to {HIGHEST:#x}");
    check(
        bss_end >= load_end && bss_end <= HIGHEST,
        "bss_end_addr",
        bss_end,
        range,
    )?;
    let range = format!("{:#x} to {load_end:#x}", a.load);
    check(
        (a.load..load_end).contains(&a.entry),
        "entry_addr",
        a.entry,
        range,
    )?;
    Ok(Program {
        // All of them are below 4 GiB by now.
        entry: a.entry as u32,
        segments: vec![Segment {
            offset,
            file_size: (load_end - a.load) as u32,
            paddr: a.load as u32,
            mem_size: (bss_end - a.load) as u32,
        }],
    })
}

fn from_elf(bytes: &[u8]) -> Result<Program, MultibootError> {
    let file = ElfBytes::<LittleEndian>::minimal_parse(bytes).map_err(KernelError::from)?;
    let found = file.ehdr.e_machine;
    if ![EM_386, EM_X86_64].contains(&found) {
        return Err(KernelError::Machine { found }.into());
    }
    let segments = segments(&file, bytes.len() as u64)?;
    let entry = physical(&file).filter(|entry| segments.iter().any(|s| s.contains(*entry)));
    let outside = MultibootError::EntryOutside {
        entry: file.ehdr.e_entry,
    };
    let entry = entry
        .and_then(|entry| entry.try_into().ok())
        .ok_or(outside)?;
    Ok(Program { entry, segments })
}

/// The physical address of the entry, which an ELF header gives as a virtual one.
fn physical(file: &ElfBytes<'_, LittleEndian>) -> Option<u64> {
    let entry = file.ehdr.e_entry;
    let mut headers = file.segments().into_iter().flatten();
    headers.find_map(|header| {
        let offset = entry.checked_sub(header.p_vaddr)?;
        let inside = header.p_type == PT_LOAD && offset < header.p_memsz;
        inside.then(|| header.p_paddr.checked_add(offset))?
    })
}
