//! A file as the dynamic loader sees it: by virtual address.

use object::LittleEndian;
use object::elf;
use object::read::StringTable;
use object::read::elf::{Dyn, ProgramHeader};

use super::{ElfError, Segment, text};

/// A file with a dynamic section.
pub(super) struct Loaded<'a> {
    bytes: &'a [u8],
    segments: &'a [Segment],
    /// Tags and values of the dynamic section, up to `DT_NULL`. All known tags have 32 bits;
    /// others are left out.
    pub(super) dynamic: Vec<(u32, u64)>,
    pub(super) strings: StringTable<'a>,
}

impl<'a> Loaded<'a> {
    /// `None` for a file without a dynamic section.
    pub(super) fn new(bytes: &'a [u8], segments: &'a [Segment]) -> Result<Option<Self>, ElfError> {
        let mut found = None;
        for segment in segments {
            let dynamic = segment
                .dynamic(LittleEndian, bytes)
                .map_err(|_| ElfError::Malformed("the dynamic section"))?;
            found = dynamic.or(found);
        }
        let Some(dynamic) = found else {
            return Ok(None);
        };
        let entry = |entry: &elf::Dyn64<LittleEndian>| {
            let tag = u32::try_from(entry.d_tag(LittleEndian)).ok()?;
            Some((tag, entry.d_val(LittleEndian)))
        };
        let used = dynamic
            .iter()
            .take_while(|entry| entry.d_tag(LittleEndian) != u64::from(elf::DT_NULL));
        let mut loaded = Self {
            bytes,
            segments,
            dynamic: used.filter_map(entry).collect(),
            strings: StringTable::default(),
        };
        if let (Some(address), Some(size)) =
            (loaded.value(elf::DT_STRTAB), loaded.value(elf::DT_STRSZ))
        {
            let table = loaded.range(address, size);
            let table = table.ok_or(ElfError::Malformed("the dynamic string table"))?;
            loaded.strings = StringTable::new(table, 0, table.len() as u64);
        }
        Ok(Some(loaded))
    }

    /// The first value of a tag.
    pub(super) fn value(&self, tag: u32) -> Option<u64> {
        let entry = self.dynamic.iter().find(|(found, _)| *found == tag);
        entry.map(|(_, value)| *value)
    }

    /// A name in the string table.
    pub(super) fn string(&self, offset: u64) -> Result<String, ElfError> {
        let offset = u32::try_from(offset).ok();
        let name = offset.and_then(|offset| self.strings.get(offset).ok());
        text(name.ok_or(ElfError::Malformed("a name in the dynamic section"))?)
    }

    /// The bytes at a virtual address, found through the segment that loads them.
    pub(super) fn range(&self, address: u64, size: u64) -> Option<&'a [u8]> {
        self.loads().find_map(|segment| {
            segment
                .data_range(LittleEndian, self.bytes, address, size)
                .ok()?
        })
    }

    /// All bytes from a virtual address to the end of its segment in the file.
    pub(super) fn rest(&self, address: u64) -> Option<&'a [u8]> {
        self.loads().find_map(|segment| {
            let at = address.checked_sub(segment.p_vaddr(LittleEndian))?;
            let data = segment.data(LittleEndian, self.bytes).ok()?;
            data.get(usize::try_from(at).ok()?..)
        })
    }

    fn loads(&self) -> impl Iterator<Item = &'a Segment> {
        let loads = |segment: &&Segment| segment.p_type(LittleEndian) == elf::PT_LOAD;
        self.segments.iter().filter(loads)
    }
}
