//! The entries of Rock Ridge in directory records: what ISO 9660 itself has no place for.
//!
//! ```text
//! SP   the protocol is used (first record of the root)      SUSP §5.3
//! ER   it is Rock Ridge's (same record)                     SUSP §5.5
//! CE   goes on elsewhere                                    SUSP §5.1
//! PX   mode, number of links, owner                         RRIP §4.1.1
//! TF   times                                                RRIP §4.1.6
//! NM   name                                                 RRIP §4.1.4
//! SL   target of a link, in its parts                       RRIP §4.1.3
//! ```

use super::date;

/// Signature, length and version.
pub(super) const HEAD: usize = 4;
/// Bytes of a CE entry.
pub(super) const CE_SIZE: usize = HEAD + 3 * 8;
/// Most bytes of an entry.
const ENTRY_MAX: usize = 255;
/// Name of Rock Ridge in the form that all readers know (RRIP 1.10 §4.3).
pub(super) const RRIP: &[u8] = b"RRIP_1991A";
/// In NM, SL and parts of SL: goes on in the next one.
pub(super) const CONTINUE: u8 = 1 << 0;
/// Parts of SL: `.`, `..` and `/`.
pub(super) const CURRENT: u8 = 1 << 1;
pub(super) const PARENT: u8 = 1 << 2;
pub(super) const ROOT: u8 = 1 << 3;
/// In TF: the time of the last change.
pub(super) const MODIFY: u8 = 1 << 1;

/// A number of 32 bits in both byte orders (ECMA-119 §7.3.3).
pub(super) fn both(number: u32) -> [u8; 8] {
    let mut bytes = [0; 8];
    let (little, big) = bytes.split_at_mut(4);
    little.copy_from_slice(&number.to_le_bytes());
    big.copy_from_slice(&number.to_be_bytes());
    bytes
}

/// An entry; its content is at most 251 bytes.
fn entry(signature: &[u8; 2], content: &[u8]) -> Vec<u8> {
    let [one, other] = *signature;
    let mut bytes = vec![one, other, (HEAD + content.len()) as u8, 1];
    bytes.extend(content);
    bytes
}

pub(super) fn sp() -> Vec<u8> {
    entry(b"SP", &[0xbe, 0xef, 0])
}

pub(super) fn er() -> Vec<u8> {
    let head = [RRIP.len() as u8, 0, 0, 1];
    entry(b"ER", &[&head, RRIP].concat())
}

pub(super) fn ce(block: u32, offset: u32, size: u32) -> Vec<u8> {
    entry(b"CE", &[both(block), both(offset), both(size)].concat())
}

pub(super) fn px(mode: u32, links: u32) -> Vec<u8> {
    entry(b"PX", &[both(mode), both(links), both(0), both(0)].concat())
}

pub(super) fn tf(mtime: u32) -> Vec<u8> {
    entry(b"TF", &[&[MODIFY], &date::short(mtime)[..]].concat())
}

/// A name, in as many entries as it takes.
pub(super) fn nm(name: &[u8]) -> Vec<Vec<u8>> {
    let pieces = name.chunks(ENTRY_MAX - HEAD - 1);
    let last = pieces.len().saturating_sub(1);
    let flagged = |(at, piece): (usize, &[u8])| {
        let flags = if at < last { CONTINUE } else { 0 };
        entry(b"NM", &[&[flags], piece].concat())
    };
    pieces.enumerate().map(flagged).collect()
}

/// The target of a link, in as many entries as it takes.
pub(super) fn sl(target: &[u8]) -> Vec<Vec<u8>> {
    let mut contents = vec![vec![0]];
    for part in target_parts(target) {
        let is_full = contents
            .last()
            .is_none_or(|content: &Vec<u8>| HEAD + content.len() + part.len() > ENTRY_MAX);
        if is_full {
            contents.push(vec![0]);
        }
        contents
            .last_mut()
            .into_iter()
            .for_each(|content| content.extend(&part));
    }
    let last = contents.len() - 1;
    for content in contents.iter_mut().take(last) {
        content.splice(..1, [CONTINUE]);
    }
    contents
        .iter()
        .map(|content| entry(b"SL", content))
        .collect()
}

/// The parts of a target, encoded.
fn target_parts(target: &[u8]) -> Vec<Vec<u8>> {
    let (mut parts, relative) = match target.strip_prefix(b"/") {
        Some(rest) => (vec![vec![ROOT, 0]], rest),
        None => (Vec::new(), target),
    };
    if target == b"/" {
        return parts;
    }
    for name in relative.split(|&byte| byte == b'/') {
        match name {
            b"." => parts.push(vec![CURRENT, 0]),
            b".." => parts.push(vec![PARENT, 0]),
            b"" => parts.push(vec![0, 0]),
            name => parts.extend(pieces(name)),
        }
    }
    parts
}

/// A name in a target, in pieces that fit into an entry.
fn pieces(name: &[u8]) -> Vec<Vec<u8>> {
    let pieces = name.chunks(ENTRY_MAX - HEAD - 1 - 2);
    let last = pieces.len().saturating_sub(1);
    let encoded = |(at, piece): (usize, &[u8])| {
        let flags = if at < last { CONTINUE } else { 0 };
        [&[flags, piece.len() as u8], piece].concat()
    };
    pieces.enumerate().map(encoded).collect()
}

/// Name and content of each entry in some bytes; ends at the first that is none.
pub(super) fn entries(mut bytes: &[u8]) -> impl Iterator<Item = ([u8; 2], &[u8])> {
    std::iter::from_fn(move || {
        let &[one, other, size, version] = bytes.first_chunk::<HEAD>()?;
        let whole = bytes.get(..usize::from(size)).filter(|_| version == 1)?;
        let content = whole.get(HEAD..)?;
        bytes = bytes.get(usize::from(size)..)?;
        Some(([one, other], content))
    })
}
