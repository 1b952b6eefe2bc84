//! The External Term Format of `term_to_binary/1` (ERTS user's guide, chapter "External Term
//! Format"), as far as terms on disk use it.
//!
//! ```text
//! 131, tag, …                                        a term
//! 131, 80, size of the rest uncompressed (4), zlib   a compressed term
//! ```

mod decode;
mod emit;

pub use decode::decode;
pub use emit::emit;

/// First byte of every encoded term.
pub const VERSION: u8 = 131;

/// Most bytes a term may have once it is uncompressed.
pub const SIZE_LIMIT: usize = 32 << 20;

/// Most elements all lists, tuples, maps and strings of a term may have together.
pub const ELEMENT_LIMIT: usize = 4 << 20;

/// How atoms are written; OTP 26 changed it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AtomStyle {
    /// Latin-1 where possible (`ATOM_EXT`): `term_to_binary/1` until OTP 25.
    #[default]
    Latin1,
    /// Always UTF-8 (`SMALL_ATOM_UTF8_EXT`): since OTP 26.
    Utf8,
}

mod tag {
    pub(super) const COMPRESSED: u8 = 80;
    pub(super) const NEW_FLOAT: u8 = 70;
    pub(super) const BIT_BINARY: u8 = 77;
    pub(super) const SMALL_INTEGER: u8 = 97;
    pub(super) const INTEGER: u8 = 98;
    pub(super) const FLOAT: u8 = 99;
    pub(super) const ATOM: u8 = 100;
    pub(super) const SMALL_TUPLE: u8 = 104;
    pub(super) const LARGE_TUPLE: u8 = 105;
    pub(super) const NIL: u8 = 106;
    pub(super) const STRING: u8 = 107;
    pub(super) const LIST: u8 = 108;
    pub(super) const BINARY: u8 = 109;
    pub(super) const SMALL_BIG: u8 = 110;
    pub(super) const LARGE_BIG: u8 = 111;
    pub(super) const EXPORT: u8 = 113;
    pub(super) const SMALL_ATOM: u8 = 115;
    pub(super) const MAP: u8 = 116;
    pub(super) const ATOM_UTF8: u8 = 118;
    pub(super) const SMALL_ATOM_UTF8: u8 = 119;
}

/// Why bytes are not a term.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("byte {offset}: {reason}")]
pub struct DecodeError {
    /// Offset in the bytes, or in the uncompressed ones.
    pub offset: usize,
    /// What is wrong.
    pub reason: Reason,
}

/// What can be wrong with encoded bytes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// The first byte is wrong.
    #[error("not an encoded Erlang term: the first byte is not 131")]
    Version,
    /// The bytes end inside a term.
    #[error("the file is cut off: {needed} more bytes expected")]
    Truncated {
        /// How many are missing.
        needed: usize,
    },
    /// Bytes after the term.
    #[error("{0} bytes follow after the term")]
    Trailing(usize),
    /// A tag that no term on disk has.
    #[error("unsupported tag {0}")]
    Tag(u8),
    /// An atom, number or bit string with impossible content.
    #[error("malformed {0}")]
    Malformed(&'static str),
    /// The compressed data is damaged.
    #[error("the compressed data is damaged")]
    Compression,
    /// Nested too deeply.
    #[error("the term nests more than {} levels deep", super::DEPTH_LIMIT)]
    TooDeep,
    /// Too large.
    #[error("the term is larger than any real one")]
    TooLarge,
}

#[cfg(test)]
mod tests;
