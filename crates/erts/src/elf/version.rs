//! Versions of symbols (LSB core specification, "Symbol Versioning"): chains of records, each with
//! the distance to the next one and to a chain of names.

use object::elf::{DT_VERDEF, DT_VERDEFNUM, DT_VERNEED, DT_VERNEEDNUM};

use super::ElfError;
use super::loaded::Loaded;

/// A symbol version of another library.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionNeed {
    /// The library, as in `DT_NEEDED`.
    pub library: String,
    /// The version, such as `GLIBC_2.34`.
    pub version: String,
    /// The loader does without it (`VER_FLG_WEAK`).
    pub weak: bool,
}

const VER_FLG_BASE: u16 = 1;
const VER_FLG_WEAK: u16 = 2;
/// Most versions a file may have or need: their numbers have 15 bits.
const LIMIT: usize = 1 << 15;
/// Offsets in `Elf64_Verneed`, `Elf64_Vernaux`, `Elf64_Verdef` and `Elf64_Verdaux`.
const VN_CNT: usize = 2;
const VN_FILE: usize = 4;
const VN_AUX: usize = 8;
const VN_NEXT: usize = 12;
const VNA_FLAGS: usize = 4;
const VNA_NAME: usize = 8;
const VNA_NEXT: usize = 12;
const VD_FLAGS: usize = 2;
const VD_AUX: usize = 12;
const VD_NEXT: usize = 16;
const VDA_NAME: usize = 0;

/// What a file needs.
pub(super) fn needed(loaded: &Loaded<'_>) -> Result<Vec<VersionNeed>, ElfError> {
    let malformed = ElfError::Malformed("the table of needed symbol versions");
    let Some((table, count)) = table(loaded, DT_VERNEED, DT_VERNEEDNUM, &malformed)? else {
        return Ok(Vec::new());
    };
    let mut found = Vec::new();
    for record in chain(table, count, VN_NEXT) {
        let names = record.and_then(|at| {
            let library = loaded.string(u32_at(table, at + VN_FILE)?.into()).ok()?;
            let first = at.checked_add(u32_at(table, at + VN_AUX)? as usize)?;
            let count = u16_at(table, at + VN_CNT)?;
            Some((
                library,
                chain(table.get(first..)?, count.into(), VNA_NEXT),
                first,
            ))
        });
        let (library, names, first) = names.ok_or_else(|| malformed.clone())?;
        for name in names {
            let need = name.and_then(|at| {
                let at = first + at;
                Some(VersionNeed {
                    library: library.clone(),
                    version: loaded.string(u32_at(table, at + VNA_NAME)?.into()).ok()?,
                    weak: u16_at(table, at + VNA_FLAGS)? & VER_FLG_WEAK != 0,
                })
            });
            found.push(need.ok_or_else(|| malformed.clone())?);
            if found.len() > LIMIT {
                return Err(malformed);
            }
        }
    }
    Ok(found)
}

/// What a file has, without the entry for the file itself.
pub(super) fn defined(loaded: &Loaded<'_>) -> Result<Vec<String>, ElfError> {
    let malformed = ElfError::Malformed("the table of symbol versions");
    let Some((table, count)) = table(loaded, DT_VERDEF, DT_VERDEFNUM, &malformed)? else {
        return Ok(Vec::new());
    };
    let mut found = Vec::new();
    for record in chain(table, count, VD_NEXT) {
        let name = record.and_then(|at| {
            let flags = u16_at(table, at + VD_FLAGS)?;
            let first = at.checked_add(u32_at(table, at + VD_AUX)? as usize)?;
            let name = loaded
                .string(u32_at(table, first + VDA_NAME)?.into())
                .ok()?;
            Some((flags & VER_FLG_BASE == 0).then_some(name))
        });
        found.extend(name.ok_or_else(|| malformed.clone())?);
    }
    Ok(found)
}

/// A table and how many records it has.
fn table<'a>(
    loaded: &Loaded<'a>,
    place: u32,
    count: u32,
    malformed: &ElfError,
) -> Result<Option<(&'a [u8], usize)>, ElfError> {
    let Some(address) = loaded.value(place) else {
        return Ok(None);
    };
    let table = loaded.rest(address).ok_or_else(|| malformed.clone())?;
    let count = usize::try_from(loaded.value(count).unwrap_or(0));
    Ok(Some((table, count.unwrap_or(LIMIT).min(LIMIT))))
}

/// Offsets of the records of a chain: at most `count`, fewer if one says that it is the last.
/// Ends with `None` where the chain leaves the table.
fn chain(table: &[u8], count: usize, next: usize) -> impl Iterator<Item = Option<usize>> {
    let mut at = Some(0_usize);
    (0..count).map_while(move |_| {
        let here = at?;
        let Some(distance) = u32_at(table, here + next) else {
            at = None;
            return Some(None);
        };
        at = here.checked_add(distance as usize).filter(|_| distance > 0);
        Some(Some(here))
    })
}

fn u16_at(table: &[u8], at: usize) -> Option<u16> {
    let bytes = table.get(at..)?.first_chunk()?;
    Some(u16::from_le_bytes(*bytes))
}

fn u32_at(table: &[u8], at: usize) -> Option<u32> {
    let bytes = table.get(at..)?.first_chunk()?;
    Some(u32::from_le_bytes(*bytes))
}
