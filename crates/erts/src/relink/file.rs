//! A file in the parts that change.

use object::LittleEndian;
use object::elf::{self, DT_NEEDED, DT_NULL, DT_STRSZ, DT_STRTAB, PT_LOAD};
use object::read::elf::{Dyn, FileHeader, ProgramHeader};

use super::RelinkError;
use crate::elf::{Elf, ElfError};

pub(super) type Header = elf::FileHeader64<LittleEndian>;
pub(super) type Segment = elf::ProgramHeader64<LittleEndian>;
pub(super) type Section = elf::SectionHeader64<LittleEndian>;

/// A file that was taken apart.
pub(super) struct File {
    /// All of it, as it was but for what is changed in place.
    pub(super) bytes: Vec<u8>,
    pub(super) header: Header,
    pub(super) segments: Vec<Segment>,
    /// Section headers; none if they are stripped.
    pub(super) sections: Vec<Section>,
    /// Tags and values of the dynamic section, up to `DT_NULL`.
    pub(super) dynamic: Vec<(u64, u64)>,
    /// The dynamic string table: as it was, and new strings.
    pub(super) strings: Vec<u8>,
    /// Name of the dynamic loader, if it is to be another one.
    pub(super) interpreter: Option<String>,
}

impl File {
    /// Takes a file apart.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, RelinkError> {
        // Tables are read in place, which needs them aligned as in memory of their own.
        let owned = bytes.to_vec();
        let bytes = owned.as_slice();
        Elf::parse(bytes)?;
        let malformed = |what| move |_| ElfError::Malformed(what);
        let header = Header::parse(bytes).map_err(malformed("the ELF header"))?;
        let segments = header
            .program_headers(LittleEndian, bytes)
            .map_err(malformed("the program header table"))?;
        let sections = header
            .section_headers(LittleEndian, bytes)
            .map_err(malformed("the section header table"))?;
        let mut file = Self {
            header: *header,
            segments: segments.to_vec(),
            sections: sections.to_vec(),
            dynamic: dynamic(bytes, segments)?,
            bytes: owned,
            strings: Vec::new(),
            interpreter: None,
        };
        let table = file.value(DT_STRTAB).zip(file.value(DT_STRSZ));
        let table = table.and_then(|(address, size)| file.loaded(address, size));
        let table = table.ok_or(ElfError::Malformed("the dynamic string table"))?;
        file.strings = file.bytes[table..][..file.value(DT_STRSZ).unwrap_or(0) as usize].to_vec();
        Ok(file)
    }

    /// The first value of a tag.
    pub(super) fn value(&self, tag: u32) -> Option<u64> {
        let mut dynamic = self.dynamic.iter();
        let found = dynamic.find(|(found, _)| *found == u64::from(tag));
        found.map(|(_, value)| *value)
    }

    /// Where in the file the bytes are that are loaded at an address.
    pub(super) fn loaded(&self, address: u64, size: u64) -> Option<usize> {
        let segment = self.loads().find_map(|segment| {
            let skip = address.checked_sub(segment.p_vaddr(LittleEndian))?;
            let end = skip.checked_add(size)?;
            let inside = end <= segment.p_filesz(LittleEndian);
            let at = segment.p_offset(LittleEndian).checked_add(skip)?;
            inside.then_some((at, at.checked_add(size)?))
        });
        let (at, end) = segment?;
        (end <= self.bytes.len() as u64).then_some(at as usize)
    }

    /// The segments that are loaded.
    pub(super) fn loads(&self) -> impl Iterator<Item = &Segment> {
        let loads = |segment: &&Segment| segment.p_type(LittleEndian) == PT_LOAD;
        self.segments.iter().filter(loads)
    }

    /// A string of the table, without its zero.
    pub(super) fn string(&self, offset: u64) -> Option<&[u8]> {
        let rest = self.strings.get(usize::try_from(offset).ok()?..)?;
        rest.split(|&byte| byte == 0).next()
    }

    /// Adds a string to the table; its offset there.
    pub(super) fn add_string(&mut self, text: &str) -> Result<u64, RelinkError> {
        let offset = u32::try_from(self.strings.len());
        let offset = offset.map_err(|_| RelinkError::Full("the dynamic string table"))?;
        self.strings.extend(text.as_bytes());
        self.strings.push(0);
        Ok(offset.into())
    }

    /// Whether the file names a library.
    pub(super) fn needs(&self, library: &str) -> bool {
        let needed = |(tag, value): &(u64, u64)| {
            *tag == u64::from(DT_NEEDED) && self.string(*value) == Some(library.as_bytes())
        };
        self.dynamic.iter().any(needed)
    }

    /// Names another dynamic loader.
    pub(super) fn set_interpreter(&mut self, path: &str) -> Result<(), RelinkError> {
        let is_interpreter = |segment: &Segment| segment.p_type(LittleEndian) == elf::PT_INTERP;
        if !self.segments.iter().any(is_interpreter) {
            return Err(RelinkError::NoInterpreter);
        }
        self.interpreter = Some(path.into());
        Ok(())
    }
}

fn dynamic(bytes: &[u8], segments: &[Segment]) -> Result<Vec<(u64, u64)>, RelinkError> {
    for segment in segments {
        let entries = segment
            .dynamic(LittleEndian, bytes)
            .map_err(|_| ElfError::Malformed("the dynamic section"))?;
        let Some(entries) = entries else {
            continue;
        };
        let pairs = entries
            .iter()
            .map(|entry| (entry.d_tag(LittleEndian), entry.d_val(LittleEndian)));
        let used = pairs.take_while(|(tag, _)| *tag != u64::from(DT_NULL));
        return Ok(used.collect());
    }
    Err(RelinkError::Static)
}
