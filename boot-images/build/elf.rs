//! Sections of an ELF64 file, and stripping it without a tool: loaders need the program headers only, and linkers
//! put symbols, debugging data and section headers behind everything that is loaded.

use std::ops::Range;

// Fields of the file header (System V gABI, chapter 4).
const PHOFF: usize = 32;
const SHOFF: usize = 40;
const PHENTSIZE: usize = 54;
const PHNUM: usize = 56;
const SHNUM: usize = 60;
const SHSTRNDX: usize = 62;
const HEADER: usize = 64;
// Fields of a program header.
const OFFSET: usize = 8;
const FILE_SIZE: usize = 32;
const PROGRAM_HEADER: usize = 56;

// Fields of a section header.
const SECTION_OFFSET: usize = 24;
const SECTION_SIZE: usize = 32;
const SECTION_HEADER: usize = 64;

/// A section: its number, its name, and where it is in the file.
pub(crate) struct Section {
    pub(crate) index: usize,
    pub(crate) name: String,
    pub(crate) range: Range<usize>,
}

/// The sections that have bytes in the file.
pub(crate) fn sections(elf: &[u8]) -> Result<Vec<Section>, &'static str> {
    let start = field(elf, SHOFF, 8);
    let table = elf
        .get(start..start + field(elf, SHNUM, 2) * SECTION_HEADER)
        .ok_or("the kernel has no section headers")?;
    let headers: Vec<_> = table.chunks_exact(SECTION_HEADER).collect();
    let range = |header: &[u8]| {
        let start = field(header, SECTION_OFFSET, 8);
        start..start + field(header, SECTION_SIZE, 8)
    };
    let names = headers
        .get(field(elf, SHSTRNDX, 2))
        .and_then(|header| elf.get(range(header)))
        .ok_or("the kernel's sections have no names")?;
    let sections = headers.iter().enumerate().filter_map(|(index, header)| {
        let name = names.get(field(header, 0, 4)..)?.split(|&byte| byte == 0);
        let name = String::from_utf8_lossy(name.into_iter().next()?).into_owned();
        let range = range(header);
        (range.end <= elf.len()).then_some(Section { index, name, range })
    });
    Ok(sections.collect())
}

/// Cuts off all that no program header names.
pub(crate) fn strip(mut elf: Vec<u8>) -> Result<Vec<u8>, &'static str> {
    let is_elf64 = elf.starts_with(b"\x7fELF\x02\x01");
    if !is_elf64 || elf.len() < HEADER || field(&elf, PHENTSIZE, 2) != PROGRAM_HEADER {
        return Err("the kernel is not an ELF64 file");
    }
    let headers = field(&elf, PHOFF, 8);
    let headers_end = headers + field(&elf, PHNUM, 2) * PROGRAM_HEADER;
    let table = elf
        .get(headers..headers_end)
        .ok_or("the kernel has no program headers")?;
    let ends = table
        .chunks_exact(PROGRAM_HEADER)
        .map(|header| field(header, OFFSET, 8) + field(header, FILE_SIZE, 8));
    let end = ends.max().unwrap_or(0).max(headers_end);
    elf.truncate(end);
    elf[SHOFF..SHOFF + 8].fill(0);
    elf[SHNUM..SHSTRNDX + 2].fill(0);
    Ok(elf)
}

/// A little-endian number of `size` bytes.
pub(crate) fn field(bytes: &[u8], at: usize, size: usize) -> usize {
    let field = &bytes[at..at + size];
    field
        .iter()
        .rev()
        .fold(0, |n, &byte| n << 8 | usize::from(byte))
}
