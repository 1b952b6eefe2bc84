//! The table of atoms (`AtU8`, `Atom`), to which other chunks refer by number.
//!
//! ```text
//! count (4), then for each atom: length (1), text              until OTP 27
//! -count (4), then for each atom: length (1 or 2), text        since OTP 28, for long atoms
//! ```
//! A length since OTP 28 is a tagged number (`beam_asm:encode/2` with tag `u`, 0): four bits in the
//! high half of one byte, or eleven bits in two bytes, of which the first has bit 3 set.

use crate::cursor::Cursor;

/// How the atoms are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AtomForm {
    /// In Latin-1 (chunk `Atom`).
    Latin1,
    /// In UTF-8, of at most 255 bytes.
    Short,
    /// In UTF-8, of any length.
    Long,
}

/// The atoms of a module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AtomTable {
    /// Their names, in order; other chunks count from 1.
    pub names: Vec<String>,
    /// How they are written.
    pub form: AtomForm,
}

/// Numbers up to here have one byte, and up to there two.
const ONE_BYTE: usize = 16;
const TWO_BYTES: usize = 0x800;
/// Bits of a tagged number: two bytes follow each other; it is none of one or two bytes.
const MORE: u8 = 0b0000_1000;
const MUCH_MORE: u8 = 0b0001_0000;
/// The tag `u`.
const TAG_MASK: u8 = 0b0000_0111;

impl AtomTable {
    /// Reads the chunk `AtU8`.
    pub(crate) fn parse(data: &[u8]) -> Option<Self> {
        let mut cursor = Cursor(data);
        let count = cursor.u32()?.cast_signed();
        let form = if count < 0 {
            AtomForm::Long
        } else {
            AtomForm::Short
        };
        Self::parse_names(cursor, count.unsigned_abs() as usize, form)
    }

    /// Reads the chunk `Atom`.
    pub(crate) fn parse_latin1(data: &[u8]) -> Option<Self> {
        let mut cursor = Cursor(data);
        let count = cursor.u32()? as usize;
        Self::parse_names(cursor, count, AtomForm::Latin1)
    }

    fn parse_names(mut cursor: Cursor<'_>, count: usize, form: AtomForm) -> Option<Self> {
        // Every atom has a length.
        if count > cursor.0.len() {
            return None;
        }
        let mut names = Vec::with_capacity(count);
        for _ in 0..count {
            let length = match form {
                AtomForm::Long => tagged_length(&mut cursor)?,
                _ => cursor.u8()?.into(),
            };
            let text = cursor.take(length)?;
            names.push(match form {
                AtomForm::Latin1 => text.iter().map(|&byte| byte as char).collect(),
                _ => std::str::from_utf8(text).ok()?.into(),
            });
        }
        cursor.is_empty().then_some(Self { names, form })
    }

    /// The chunk's content; names that do not fit the form are cut.
    pub fn emit(&self) -> Vec<u8> {
        let count = self.names.len() as u32;
        let mut out = match self.form {
            AtomForm::Long => count.wrapping_neg().to_be_bytes().to_vec(),
            _ => count.to_be_bytes().to_vec(),
        };
        for name in &self.names {
            match self.form {
                AtomForm::Latin1 => {
                    let bytes: Vec<u8> = name.chars().map(|c| c as u8).take(255).collect();
                    out.push(bytes.len() as u8);
                    out.extend(bytes);
                }
                AtomForm::Short => {
                    let end = name.floor_char_boundary(255);
                    out.push(end as u8);
                    out.extend(name.as_bytes()[..end].iter());
                }
                AtomForm::Long => {
                    let end = name.floor_char_boundary(TWO_BYTES - 1);
                    push_tagged(end, &mut out);
                    out.extend(name.as_bytes()[..end].iter());
                }
            }
        }
        out
    }

    /// The atom of a number in another chunk.
    pub fn get(&self, number: u32) -> Option<&str> {
        let index = (number as usize).checked_sub(1)?;
        self.names.get(index).map(String::as_str)
    }
}

fn tagged_length(cursor: &mut Cursor<'_>) -> Option<usize> {
    let first = cursor.u8()?;
    if first & TAG_MASK != 0 {
        return None;
    }
    match first & (MORE | MUCH_MORE) {
        MORE => {
            let high = usize::from(first & 0b1110_0000) << 3;
            Some(high | usize::from(cursor.u8()?))
        }
        // Atoms have at most 255 characters of four bytes.
        flags if flags & MORE != 0 => None,
        _ => Some(usize::from(first >> 4)),
    }
}

fn push_tagged(value: usize, out: &mut Vec<u8>) {
    if value < ONE_BYTE {
        out.push((value << 4) as u8);
    } else {
        out.extend([((value >> 3) as u8 & 0b1110_0000) | MORE, value as u8]);
    }
}

#[cfg(test)]
mod tests {
    use super::{AtomForm, AtomTable};
    use proptest::prelude::{Just, Strategy, any, prop, prop_assert_eq, prop_oneof, proptest};

    /// The layout of OTP 27 (`no_long_atoms`) and of OTP 28.
    #[test]
    fn both_layouts_are_read() {
        let short = AtomTable::parse(b"\0\0\0\x02\x01a\x02\xc3\xa9").unwrap();
        assert_eq!(short.names, ["a", "é"]);
        let long = AtomTable::parse(b"\xff\xff\xff\xfe\x10a\x20\xc3\xa9").unwrap();
        assert_eq!(long.names, short.names);
        let text = "x".repeat(300);
        let bytes = [b"\xff\xff\xff\xff\x28\x2c", text.as_bytes()].concat();
        assert_eq!(AtomTable::parse(&bytes).unwrap().names, [text]);
    }

    #[test]
    fn nonsense_is_refused() {
        for bytes in [
            b"".as_slice(),
            b"\0\0\0\x02\x01a",
            b"\0\0\0\x01\x02a",
            b"\0\0\0\x01\x01\xff",
            b"\0\0\0\x01\x01aa",
            b"\x80\0\0\0\x10a",
            b"\xff\xff\xff\xff\x11a",
            b"\xff\xff\xff\xff\x18\0\0",
        ] {
            assert_eq!(AtomTable::parse(bytes), None, "{bytes:?}");
        }
    }

    fn forms() -> impl Strategy<Value = AtomForm> {
        prop_oneof![
            Just(AtomForm::Latin1),
            Just(AtomForm::Short),
            Just(AtomForm::Long)
        ]
    }

    proptest! {
        #[test]
        fn parse_undoes_emit(names in prop::collection::vec("[a-zé]{0,120}", 1..5), form in forms()) {
            let table = AtomTable { names, form };
            let parsed = match form {
                AtomForm::Latin1 => AtomTable::parse_latin1(&table.emit()),
                _ => AtomTable::parse(&table.emit()),
            };
            prop_assert_eq!(parsed, Some(table));
        }

        #[test]
        fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            if let Some(table) = AtomTable::parse(&bytes) {
                prop_assert_eq!(AtomTable::parse(&table.emit()), Some(table));
            }
            let _ = AtomTable::parse_latin1(&bytes);
        }
    }
}
