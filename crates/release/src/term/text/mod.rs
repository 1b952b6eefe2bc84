//! Erlang term text: what `file:consult/1` reads and `io:format("~tp.~n")` writes.
//!
//! A file is a sequence of terms, each ended by a full stop. Supported are numbers (with bases,
//! `_`, `$c`), atoms, strings (adjacent ones are joined), binaries and bit strings with literal
//! segments, lists, tuples, maps and `fun M:F/A`; comments with `%`.
//! Files are UTF-8 unless a comment in the first two lines says `coding: latin-1`, as for
//! `epp:read_encoding/1`.

mod emit;
mod lex;
mod parse;

use super::Term;

pub use emit::emit;

/// Why a text is not a sequence of terms, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{line}:{column}: {reason}")]
pub struct ParseError {
    /// Byte offset from the start of the text.
    pub offset: usize,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What is wrong.
    pub reason: Reason,
}

/// What can be wrong with a text of terms.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// A byte sequence is not UTF-8.
    #[error("the text is not UTF-8; add `%% coding: latin-1` as first line if it is Latin-1")]
    NotUtf8,
    /// Something else stands where a term or sign should be.
    #[error("found {found}, expected {expected}")]
    Unexpected {
        /// What was found.
        found: String,
        /// What would be right.
        expected: &'static str,
    },
    /// A quote is never closed.
    #[error("this {0} is never closed")]
    Unclosed(&'static str),
    /// An escape sequence that does not exist.
    #[error("unknown escape sequence")]
    Escape,
    /// A number with a bad base, digits or exponent, or out of range.
    #[error("malformed or too large number")]
    Number,
    /// A binary segment that is not a literal byte, string or sized integer.
    #[error("only literal bytes, strings and sized integers are supported in a binary")]
    Segment,
    /// Nested too deeply.
    #[error("terms nest more than {} levels deep", super::DEPTH_LIMIT)]
    TooDeep,
}

/// Reads all terms of a text.
///
/// # Errors
/// The first thing that is wrong, with its place.
pub fn parse(bytes: &[u8]) -> Result<Vec<Term>, ParseError> {
    let (text, latin1) = decode(bytes)?;
    parse::terms(&text).map_err(|(offset, reason)| {
        let bytes_before = if latin1 {
            text[..offset].chars().count()
        } else {
            offset
        };
        error_at(&text, offset, bytes_before, reason)
    })
}

/// Reads a text that holds exactly one term.
///
/// # Errors
/// As for [`parse()`], or [`Reason::Unexpected`] if there is none or a second one.
pub fn parse_one(bytes: &[u8]) -> Result<Term, ParseError> {
    let mut terms = parse(bytes)?;
    match (terms.pop(), terms.is_empty()) {
        (Some(term), true) => Ok(term),
        (last, _) => Err(ParseError {
            offset: 0,
            line: 1,
            column: 1,
            reason: Reason::Unexpected {
                found: if last.is_some() {
                    "several terms"
                } else {
                    "no term"
                }
                .into(),
                expected: "exactly one term",
            },
        }),
    }
}

fn decode(bytes: &[u8]) -> Result<(String, bool), ParseError> {
    if says_latin1(bytes) {
        return Ok((bytes.iter().map(|&byte| byte as char).collect(), true));
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok((text.strip_prefix('\u{feff}').unwrap_or(text).into(), false)),
        Err(error) => {
            let valid = String::from_utf8_lossy(&bytes[..error.valid_up_to()]);
            Err(error_at(&valid, valid.len(), valid.len(), Reason::NotUtf8))
        }
    }
}

fn says_latin1(bytes: &[u8]) -> bool {
    bytes.split(|&b| b == b'\n').take(2).any(|line| {
        let line = String::from_utf8_lossy(line).to_ascii_lowercase();
        let comment = line.trim_start();
        comment.starts_with('%')
            && comment
                .split_once("coding")
                .map(|(_, rest)| rest.trim_start_matches([':', '=', ' ']))
                .is_some_and(|name| name.starts_with("latin-1"))
    })
}

fn error_at(text: &str, offset: usize, byte_offset: usize, reason: Reason) -> ParseError {
    let before = &text[..offset];
    let line_start = before.rfind('\n').map_or(0, |index| index + 1);
    ParseError {
        offset: byte_offset,
        line: before.matches('\n').count() + 1,
        column: before[line_start..].chars().count() + 1,
        reason,
    }
}

#[cfg(test)]
mod tests;
