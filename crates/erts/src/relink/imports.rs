//! Other names for what a file imports.

use std::collections::BTreeMap;

use object::LittleEndian;
use object::elf::{DT_GNU_HASH, DT_SYMTAB, DT_VERSYM, SHT_DYNSYM, Sym64, VER_NDX_GLOBAL};
use object::read::elf::SectionHeader;

use super::RelinkError;
use super::file::File;
use crate::elf::ElfError;

/// Bytes of a symbol, and where in it its fields are (gABI, "Symbol Table"): name, section, value.
const SYMBOL: usize = size_of::<Sym64<LittleEndian>>();
const SECTION: usize = 6;
const VALUE: usize = 8;

/// Bytes of the header of the GNU hash table: four words, the first of which is the number of
/// buckets and the third the number of words of the Bloom filter (of 64 bits) behind it.
const HASH_HEADER: usize = 16;

impl File {
    /// Gives imported symbols other names.
    ///
    /// Symbols that are not defined here are in no GNU hash table, and in an older one
    /// (`DT_HASH`) nobody finds them, so that no table changes. Exceptions are functions whose
    /// address is that of an entry of the program's own linkage table.
    pub(super) fn rename_imports(
        &mut self,
        names: &BTreeMap<String, String>,
    ) -> Result<(), RelinkError> {
        if names.is_empty() {
            return Ok(());
        }
        let symbols = self.symbols()?;
        let hashed = self.first_hashed();
        for (old, new) in names {
            let offset = self.add_string(new)? as u32;
            let mut found = false;
            for (index, at) in symbols.clone().enumerate() {
                if self.imported(at) != Some(old.as_bytes()) {
                    continue;
                }
                if self.word(at + VALUE)? != 0 || hashed.is_some_and(|first| index >= first) {
                    return Err(RelinkError::Hashed(old.clone()));
                }
                found = true;
                self.bytes[at..at + 4].copy_from_slice(&offset.to_le_bytes());
                self.forget_version(index)?;
            }
            if !found {
                return Err(RelinkError::NotImported(old.clone()));
            }
        }
        Ok(())
    }

    /// Where in the file the symbols are.
    fn symbols(&self) -> Result<impl Iterator<Item = usize> + Clone + use<>, RelinkError> {
        let address = self.value(DT_SYMTAB).unwrap_or_default();
        let mut sections = self.sections.iter();
        let table = sections.find(|section| {
            section.sh_type(LittleEndian) == SHT_DYNSYM && section.sh_addr(LittleEndian) == address
        });
        let size = table
            .ok_or(RelinkError::NoSymbolTable)?
            .sh_size(LittleEndian);
        let start = self.loaded(address, size);
        let start = start.ok_or(ElfError::Malformed("the dynamic symbol table"))?;
        Ok((0..size as usize / SYMBOL).map(move |index| start + index * SYMBOL))
    }

    /// Name of the symbol at a place, if another file has to have it.
    fn imported(&self, at: usize) -> Option<&[u8]> {
        let symbol = self.bytes.get(at..at + SYMBOL)?;
        let defined = symbol[SECTION..SECTION + 2] != [0, 0];
        let name = u32::from_le_bytes([symbol[0], symbol[1], symbol[2], symbol[3]]);
        if defined {
            None
        } else {
            self.string(name.into())
        }
    }

    /// The lowest index of a symbol in the GNU hash table; `None` if there is none.
    fn first_hashed(&self) -> Option<usize> {
        let table = self.loaded(self.value(DT_GNU_HASH)?, HASH_HEADER as u64)?;
        let buckets = self.half(table)? as usize;
        let filter = self.half(table + 8)? as usize;
        let start = filter.checked_mul(8)?.checked_add(table + HASH_HEADER)?;
        let end = buckets.checked_mul(4)?.checked_add(start)?;
        let words = self.bytes.get(start..end)?.chunks_exact(4);
        let words = words.map(|word| u32::from_le_bytes([word[0], word[1], word[2], word[3]]));
        words
            .filter(|&first| first != 0)
            .min()
            .map(|first| first as usize)
    }

    /// Asks no version of a symbol.
    fn forget_version(&mut self, index: usize) -> Result<(), RelinkError> {
        let Some(address) = self.value(DT_VERSYM) else {
            return Ok(());
        };
        let at = address.checked_add(2 * index as u64);
        let at = at.and_then(|address| self.loaded(address, 2));
        let at = at.ok_or(ElfError::Malformed("the table of symbol versions"))?;
        self.bytes[at..at + 2].copy_from_slice(&VER_NDX_GLOBAL.to_le_bytes());
        Ok(())
    }

    fn half(&self, at: usize) -> Option<u32> {
        let bytes = self.bytes.get(at..)?.first_chunk()?;
        Some(u32::from_le_bytes(*bytes))
    }

    fn word(&self, at: usize) -> Result<u64, RelinkError> {
        let bytes = self.bytes.get(at..).and_then(|bytes| bytes.first_chunk());
        let bytes = bytes.ok_or(ElfError::Malformed("the dynamic symbol table"))?;
        Ok(u64::from_le_bytes(*bytes))
    }
}
