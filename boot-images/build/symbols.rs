//! Writes the names of the kernel's functions into the place that its linker script leaves for
//! them (`boot_contract::symbols`).

use std::error::Error;

use boot_contract::symbols::{KERNEL_BASE, SECTION, emit};

use crate::elf::{Section, field, sections};

/// Longest name; the rest of it is arguments of generics.
const NAME_MAX: usize = 100;
// An entry of the symbol table (System V gABI, "Symbol Table").
const SYMBOL: usize = 24;
/// Types of symbols that name code: functions, and labels of assembly.
const CODE: [u8; 2] = [2, 0];

/// Fills the table of a linked kernel.
pub(crate) fn fill(elf: &mut [u8]) -> Result<(), Box<dyn Error>> {
    let sections = sections(elf)?;
    let section = |name: &str| -> Result<&Section, String> {
        let found = sections.iter().find(|section| section.name == name);
        found.ok_or_else(|| format!("the kernel has no section {name}"))
    };
    let text = section(".text")?.index;
    let names = &elf[section(".strtab")?.range.clone()];
    let mut found: Vec<_> = elf[section(".symtab")?.range.clone()]
        .chunks_exact(SYMBOL)
        .filter_map(|symbol| function(symbol, text, names))
        .collect();
    found.sort();
    found.dedup_by_key(|symbol| symbol.0);
    let symbols: Vec<_> = found.iter().map(|(at, name)| (*at, &**name)).collect();
    let place = section(SECTION)?.range.clone();
    let size = place.len();
    emit(&symbols, &mut elf[place]).ok_or_else(|| {
        format!("the kernel's symbols do not fit into {size} bytes; enlarge {SECTION} in link.ld")
    })?;
    Ok(())
}

/// Address and name, if the symbol names code of the kernel, which is section `text`.
fn function(symbol: &[u8], text: usize, names: &[u8]) -> Option<(u32, String)> {
    let address = (field(symbol, 8, 8) as u64).checked_sub(KERNEL_BASE)?;
    if !CODE.contains(&(symbol[4] & 0xf)) || field(symbol, 6, 2) != text {
        return None;
    }
    let name = names
        .get(field(symbol, 0, 4)..)?
        .split(|&b| b == 0)
        .next()?;
    let name = std::str::from_utf8(name).ok()?;
    let name = format!("{:#}", rustc_demangle::demangle(name));
    let name = name.chars().take(NAME_MAX).collect();
    Some((u32::try_from(address).ok()?, name))
}
