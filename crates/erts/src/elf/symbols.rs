//! The dynamic symbols of a file.

use object::LittleEndian;
use object::elf::{DT_SYMTAB, SHN_UNDEF, SHT_DYNSYM, Sym64};
use object::read::elf::{FileHeader, SectionHeader, Sym};

use super::Header;
use super::loaded::Loaded;

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
