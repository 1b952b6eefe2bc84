//! Putting a file together again, with a new segment at its end.

use object::elf::{self, DT_NULL, DT_STRSZ, DT_STRTAB, PF_R, PF_W, PT_LOAD};
use object::pod::{bytes_of, bytes_of_slice};
use object::read::elf::{FileHeader, ProgramHeader, SectionHeader};
use object::{LittleEndian, U16, U32, U64};

use super::RelinkError;
use super::file::{File, Section, Segment};
use crate::elf::ElfError;

/// Most zeros that are inserted before the new segment. Zeroed data of `beam.smp` has 250 KB.
pub(super) const GAP_LIMIT: u64 = 64 << 20;
/// Alignment of segments.
const PAGE: u64 = 4096;
const LE: LittleEndian = LittleEndian;

/// A part of the new segment.
#[derive(Clone, Copy)]
struct Range {
    offset: u64,
    address: u64,
    size: u64,
}

/// The new segment while it grows.
struct Extra {
    start: Range,
    bytes: Vec<u8>,
}

impl Extra {
    /// Adds bytes at the next place with that alignment.
    fn add(&mut self, bytes: &[u8], align: usize) -> Range {
        let padded = self.bytes.len().next_multiple_of(align);
        self.bytes.resize(padded, 0);
        let skip = padded as u64;
        self.bytes.extend(bytes);
        Range {
            offset: self.start.offset + skip,
            address: self.start.address + skip,
            size: bytes.len() as u64,
        }
    }
}

impl File {
    /// The file with what was changed.
    pub(super) fn emit(mut self) -> Result<Vec<u8>, RelinkError> {
        let start = self.behind_everything()?;
        let mut extra = Extra {
            start,
            bytes: Vec::new(),
        };
        let count = u16::try_from(self.segments.len() + 1);
        let count = count.map_err(|_| RelinkError::Full("the program header table"))?;
        let headers = vec![0; usize::from(count) * size_of::<Segment>()];
        let headers = extra.add(&headers, 1);
        self.move_segment(elf::PT_PHDR, headers);
        self.add_interpreter(&mut extra);
        self.add_strings(&mut extra);
        self.add_dynamic(&mut extra);
        self.add_segment(&extra);
        let table = bytes_of_slice(&self.segments);
        extra.bytes[..table.len()].copy_from_slice(table);
        self.header.e_phoff = U64::new(LE, headers.offset);
        self.header.e_phnum = U16::new(LE, count);
        self.put_together(&extra)
    }

    /// A place behind all that is in the file and in memory.
    fn behind_everything(&self) -> Result<Range, RelinkError> {
        let malformed = ElfError::Malformed("the program header table");
        let first = self.loads().next().ok_or(malformed.clone())?;
        let distance = first.p_vaddr(LE).checked_sub(first.p_offset(LE));
        let distance = distance.filter(|distance| distance.is_multiple_of(PAGE));
        let distance = distance.ok_or(malformed.clone())?;
        let ends = self.loads().map(|segment| {
            let size = segment.p_memsz(LE).max(segment.p_filesz(LE));
            segment.p_vaddr(LE).checked_add(size)
        });
        let file = (self.bytes.len() as u64).checked_add(distance);
        let ends: Option<Vec<u64>> = ends.chain([file]).collect();
        let end = ends.and_then(|ends| ends.into_iter().max());
        let address = end.and_then(|end| end.checked_next_multiple_of(PAGE));
        let address = address.ok_or(malformed)?;
        let offset = address - distance;
        match offset - self.bytes.len() as u64 {
            gap if gap > GAP_LIMIT => Err(RelinkError::Gap { gap }),
            _ => Ok(Range {
                offset,
                address,
                size: 0,
            }),
        }
    }

    fn add_interpreter(&mut self, extra: &mut Extra) {
        let Some(path) = self.interpreter.take() else {
            return;
        };
        let range = extra.add(&[path.as_bytes(), b"\0"].concat(), 1);
        let old = self.move_segment(elf::PT_INTERP, range);
        self.move_sections(old, range, |section| {
            section.sh_type(LE) == elf::SHT_PROGBITS
        });
    }

    fn add_strings(&mut self, extra: &mut Extra) {
        let old = self.value(DT_STRTAB);
        let range = extra.add(&self.strings, 1);
        for (tag, value) in &mut self.dynamic {
            match u32::try_from(*tag) {
                Ok(DT_STRTAB) => *value = range.address,
                Ok(DT_STRSZ) => *value = range.size,
                _ => {}
            }
        }
        self.move_sections(old, range, |section| section.sh_type(LE) == elf::SHT_STRTAB);
    }

    fn add_dynamic(&mut self, extra: &mut Extra) {
        let end = (u64::from(DT_NULL), 0);
        let pairs = self.dynamic.iter().chain([&end]);
        let words = pairs.flat_map(|&(tag, value)| [tag, value]);
        let bytes: Vec<u8> = words.flat_map(u64::to_le_bytes).collect();
        let range = extra.add(&bytes, 8);
        let old = self.move_segment(elf::PT_DYNAMIC, range);
        self.move_sections(old, range, |section| {
            section.sh_type(LE) == elf::SHT_DYNAMIC
        });
    }

    /// Gives the segments of a type another place; the old address of the first one.
    fn move_segment(&mut self, kind: u32, to: Range) -> Option<u64> {
        let mut old = None;
        for segment in &mut self.segments {
            if segment.p_type(LE) == kind {
                old = old.or(Some(segment.p_vaddr(LE)));
                segment.p_offset = U64::new(LE, to.offset);
                segment.p_vaddr = U64::new(LE, to.address);
                segment.p_paddr = U64::new(LE, to.address);
                segment.p_filesz = U64::new(LE, to.size);
                segment.p_memsz = U64::new(LE, to.size);
            }
        }
        old
    }

    /// Gives the sections that are loaded at an address another place.
    fn move_sections(&mut self, old: Option<u64>, to: Range, is_kind: impl Fn(&Section) -> bool) {
        for section in &mut self.sections {
            let loaded = section.sh_flags(LE) & u64::from(elf::SHF_ALLOC) != 0;
            if loaded && is_kind(section) && Some(section.sh_addr(LE)) == old {
                section.sh_addr = U64::new(LE, to.address);
                section.sh_offset = U64::new(LE, to.offset);
                section.sh_size = U64::new(LE, to.size);
            }
        }
    }

    /// Segments that are loaded are in the order of their addresses. The loader writes to the
    /// dynamic section (`DT_DEBUG`).
    fn add_segment(&mut self, extra: &Extra) {
        let last = self
            .segments
            .iter()
            .rposition(|segment| segment.p_type(LE) == PT_LOAD);
        let size = U64::new(LE, extra.bytes.len() as u64);
        let segment = Segment {
            p_type: U32::new(LE, PT_LOAD),
            p_flags: U32::new(LE, PF_R | PF_W),
            p_offset: U64::new(LE, extra.start.offset),
            p_vaddr: U64::new(LE, extra.start.address),
            p_paddr: U64::new(LE, extra.start.address),
            p_filesz: size,
            p_memsz: size,
            p_align: U64::new(LE, PAGE),
        };
        self.segments
            .insert(last.map_or(0, |last| last + 1), segment);
    }

    fn put_together(self, extra: &Extra) -> Result<Vec<u8>, RelinkError> {
        let mut bytes = self.bytes;
        let mut put = |at: u64, new: &[u8]| {
            let at = usize::try_from(at).ok()?;
            let place = bytes.get_mut(at..at.checked_add(new.len())?)?;
            place.copy_from_slice(new);
            Some(())
        };
        put(0, bytes_of(&self.header)).ok_or(ElfError::Malformed("the ELF header"))?;
        if !self.sections.is_empty() {
            put(self.header.e_shoff(LE), bytes_of_slice(&self.sections))
                .ok_or(ElfError::Malformed("the section header table"))?;
        }
        bytes.resize(extra.start.offset as usize, 0);
        bytes.extend(&extra.bytes);
        Ok(bytes)
    }
}
