//! Files without what is not loaded, as `strip` leaves them.

use object::elf::{self, ET_DYN, ET_EXEC, SHF_ALLOC, SHT_NOBITS, SHT_SYMTAB};
use object::pod::{bytes_of, bytes_of_slice};
use object::read::elf::{FileHeader, ProgramHeader, SectionHeader};
use object::{LittleEndian, U16, U64};

use super::{Elf, Header};

type Section = elf::SectionHeader64<LittleEndian>;
const LE: LittleEndian = LittleEndian;

/// Alignment of the section headers.
const ALIGN: usize = 8;

/// A program or shared library without symbols and debug information for debuggers; `None` if it
/// has none, or is laid out as no linker does it.
///
/// Linkers put what is not loaded behind what is, in the file and in the list of sections. So all
/// that is loaded stays where it is, and the rest is cut off but for the names of sections.
pub(crate) fn strip(bytes: &[u8]) -> Option<Vec<u8>> {
    // Tables are read in place, which needs them aligned as in memory of their own.
    let owned = bytes.to_vec();
    let bytes = owned.as_slice();
    Elf::parse(bytes).ok()?;
    let header = *Header::parse(bytes).ok()?;
    let sections = header.section_headers(LE, bytes).ok()?;
    if !matches!(header.e_type(LE), ET_EXEC | ET_DYN) || !has_symbols(&header, sections, bytes) {
        return None;
    }
    let last = sections.iter().rposition(is_loaded)?;
    let kept = &sections[..=last];
    let links = |section: &Section| section.sh_link(LE) as usize;
    if kept.iter().any(|section| links(section) > last) {
        return None;
    }
    let end = loaded_end(&header, kept, bytes)?;
    let names = sections.get(usize::from(header.e_shstrndx(LE)))?;
    let (offset, size) = names.file_range(LE)?;
    let names_bytes = bytes.get(range(offset, size)?)?;
    let mut out = bytes.get(..end)?.to_vec();
    let mut names = *names;
    names.sh_offset = U64::new(LE, out.len() as u64);
    out.extend(names_bytes);
    out.resize(out.len().next_multiple_of(ALIGN), 0);
    let mut new = header;
    new.e_shoff = U64::new(LE, out.len() as u64);
    new.e_shnum = U16::new(LE, u16::try_from(kept.len() + 1).ok()?);
    new.e_shstrndx = U16::new(LE, u16::try_from(kept.len()).ok()?);
    out.extend(bytes_of_slice(kept));
    out.extend(bytes_of(&names));
    let place = out.get_mut(..size_of::<Header>())?;
    place.copy_from_slice(bytes_of(&new));
    (out.len() < bytes.len()).then_some(out)
}

fn is_loaded(section: &Section) -> bool {
    section.sh_flags(LE) & u64::from(SHF_ALLOC) != 0
}

/// Whether there is something that is worth it.
fn has_symbols(header: &Header, sections: &[Section], bytes: &[u8]) -> bool {
    let table = header.sections(LE, bytes);
    let is_debug = |section: &Section| {
        let name = table
            .as_ref()
            .ok()
            .and_then(|table| table.section_name(LE, section).ok());
        name.is_some_and(|name| name.starts_with(b".debug") || name.starts_with(b".zdebug"))
    };
    sections
        .iter()
        .any(|section| section.sh_type(LE) == SHT_SYMTAB || is_debug(section))
}

/// Where in the file the last byte is that sections and segments have, or the segments' table.
fn loaded_end(header: &Header, sections: &[Section], bytes: &[u8]) -> Option<usize> {
    let segments = header.program_headers(LE, bytes).ok()?;
    let table = (header.e_phoff(LE), size_of_val(segments) as u64);
    let with_content = |section: &&Section| section.sh_type(LE) != SHT_NOBITS;
    let sections = sections.iter().filter(with_content);
    let sections = sections.map(|section| (section.sh_offset(LE), section.sh_size(LE)));
    let segments = segments.iter();
    let segments = segments.map(|segment| (segment.p_offset(LE), segment.p_filesz(LE)));
    let ranges = segments.chain(sections).chain([table]);
    let ends: Option<Vec<_>> = ranges.map(|(at, size)| range(at, size)).collect();
    ends?.into_iter().map(|range| range.end).max()
}

fn range(offset: u64, size: u64) -> Option<std::ops::Range<usize>> {
    let end = usize::try_from(offset.checked_add(size)?).ok()?;
    Some(offset as usize..end)
}

#[cfg(test)]
mod tests {
    use super::strip;
    use proptest::prelude::{any, prop, proptest};

    /// A small library with symbols.
    const LIBRARY: &[u8] = include_bytes!("../../../../fuzz/corpus/erts_elf/symbols.so");

    #[test]
    fn what_is_loaded_stays() {
        let stripped = strip(LIBRARY).unwrap();
        assert!(stripped.len() < LIBRARY.len());
        assert_eq!(strip(&stripped), None);
        assert_eq!(strip(b"#!/bin/sh"), None);
    }

    proptest! {
        #[test]
        fn changed_bytes_are_survived(changes in prop::collection::vec((any::<u16>(), any::<u8>()), 1..4)) {
            let mut bytes = LIBRARY.to_vec();
            for (at, byte) in changes {
                let at = usize::from(at) % bytes.len();
                bytes[at] = byte;
            }
            crate::fuzz::elf(&bytes);
        }
    }
}
