//! The one object of the ACPI byte code we need: the package `\_S5`, found by its bytes.
//!
//! ```text
//! NameOp  [\]  "_S5_"  PackageOp  PkgLength  NumElements  SLP_TYPa  SLP_TYPb …
//!   08    5c             12        1..4         1
//! ```
//! A number is `00` (zero), `01` (one) or `0a` and a byte (ACPI 6.5 §20.2).

use super::HEADER;

const NAME_OP: u8 = 0x08;
const PACKAGE_OP: u8 = 0x12;
const BYTE_PREFIX: u8 = 0x0a;
const NAME: &[u8] = b"_S5_";

/// SLP_TYPa and SLP_TYPb for soft-off, if this DSDT or SSDT defines them.
pub(super) fn soft_off(table: &[u8]) -> Option<(u8, u8)> {
    let code = table.get(HEADER..)?;
    let names = code
        .windows(NAME.len())
        .enumerate()
        .filter(|(_, window)| *window == NAME);
    names
        .filter(|&(at, _)| is_definition(&code[..at]))
        .find_map(|(at, _)| {
            let package = code[at + NAME.len()..].strip_prefix(&[PACKAGE_OP])?;
            let elements = package.get(length_bytes(package)? + 1..)?;
            let (first, rest) = number(elements)?;
            let second = number(rest).map_or(0, |(value, _)| value);
            Some((first, second))
        })
}

/// Whether the bytes before a name make it a definition.
fn is_definition(before: &[u8]) -> bool {
    before.ends_with(&[NAME_OP]) || before.ends_with(&[NAME_OP, b'\\'])
}

/// Bytes that a PkgLength takes: the top two bits of the first say how many follow.
fn length_bytes(package: &[u8]) -> Option<usize> {
    Some(1 + usize::from(package.first()? >> 6))
}

/// A number of three bits, as sleep types are, and what follows it.
fn number(code: &[u8]) -> Option<(u8, &[u8])> {
    let (value, rest) = match code {
        [BYTE_PREFIX, value, rest @ ..] => (*value, rest),
        [value @ (0 | 1), rest @ ..] => (*value, rest),
        _ => return None,
    };
    (value < 8).then_some((value, rest))
}
