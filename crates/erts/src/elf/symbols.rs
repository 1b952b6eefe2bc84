//! The dynamic symbols of a file.

use std::collections::BTreeSet;

use object::LittleEndian;
use object::elf::{DT_SYMTAB, SHN_UNDEF, SHT_DYNSYM, STB_LOCAL, STB_WEAK, Sym64};
use object::read::elf::{FileHeader, SectionHeader, Sym};

use super::loaded::Loaded;
use super::{ElfError, Header, check_machine};

/// What a file offers to others, and what it needs of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Symbols {
    /// Functions and objects that others find in it.
    pub exports: BTreeSet<String>,
    /// Functions and objects that it needs; not those that it can do without (weak ones).
    pub imports: BTreeSet<String>,
}

impl Symbols {
    /// Reads a whole file; one that is linked statically or has no section headers has none.
    ///
    /// # Errors
    /// [`ElfError`] says what is wrong.
    pub fn parse(bytes: &[u8]) -> Result<Self, ElfError> {
        check_machine(bytes)?;
        let segments = Header::parse(bytes)
            .and_then(|header| header.program_headers(LittleEndian, bytes))
            .map_err(|_| ElfError::Malformed("the program header table"))?;
        let mut found = Self::default();
        let Some(loaded) = Loaded::new(bytes, segments)? else {
            return Ok(found);
        };
        for symbol in table(bytes, &loaded) {
            let name = symbol
                .name(LittleEndian, loaded.strings)
                .unwrap_or_default();
            let name = String::from_utf8_lossy(name);
            let is_defined = symbol.st_shndx(LittleEndian) != SHN_UNDEF;
            match symbol.st_bind() {
                _ if name.is_empty() => {}
                STB_LOCAL => {}
                STB_WEAK if !is_defined => {}
                _ if is_defined => drop(found.exports.insert(name.into_owned())),
                _ => drop(found.imports.insert(name.into_owned())),
            }
        }
        Ok(found)
    }
}

/// Names of the symbols that other files must have.
///
/// Nothing in the dynamic section says how many symbols there are, so a file without section
/// headers seems to have none.
pub(super) fn imports<'a>(bytes: &'a [u8], loaded: &Loaded<'a>) -> impl Iterator<Item = &'a [u8]> {
    let strings = loaded.strings;
    table(bytes, loaded)
        .iter()
        .filter(|symbol| symbol.st_shndx(LittleEndian) == SHN_UNDEF)
        .filter_map(move |symbol| symbol.name(LittleEndian, strings).ok())
        .filter(|name| !name.is_empty())
}

fn table<'a>(bytes: &'a [u8], loaded: &Loaded<'a>) -> &'a [Sym64<LittleEndian>] {
    let size = Header::parse(bytes)
        .and_then(|header| header.section_headers(LittleEndian, bytes))
        .ok()
        .and_then(|sections| {
            let mut sections = sections.iter();
            sections.find(|section| section.sh_type(LittleEndian) == SHT_DYNSYM)
        })
        .map(|section| section.sh_size(LittleEndian));
    let range = size
        .zip(loaded.value(DT_SYMTAB))
        .and_then(|(size, address)| loaded.range(address, size));
    let whole = range.unwrap_or_default();
    let count = whole.len() / size_of::<Sym64<LittleEndian>>();
    object::pod::slice_from_bytes(whole, count)
        .map(|(symbols, _)| symbols)
        .unwrap_or_default()
}
