//! The constants of a module (`LitT`).
//!
//! ```text
//! size of the table (4), the table, compressed with zlib       until OTP 27
//! 0 (4), the table                                             since OTP 28
//! count (4), then for each constant: size (4), a term          the table
//! ```

use flate2::Compression;
use flate2::read::{ZlibDecoder, ZlibEncoder};
use release::term::Term;
use release::term::etf::{self, DecodeError};

use crate::cursor::Cursor;
use crate::gzip::limited;
use crate::{BeamError, ChunkId, SIZE_LIMIT};

/// The constants, each a term in External Term Format.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Literals {
    /// The encoded terms, in order.
    pub encoded: Vec<Vec<u8>>,
}

impl Literals {
    /// Reads the chunk.
    pub(crate) fn parse(data: &[u8]) -> Result<Self, BeamError> {
        let malformed = BeamError::Malformed(ChunkId::LITERALS);
        let mut cursor = Cursor(data);
        let Some(size) = cursor.u32() else {
            return Err(malformed);
        };
        if size == 0 {
            return Self::parse_table(cursor.0).ok_or(malformed);
        }
        if size as usize > SIZE_LIMIT {
            return Err(BeamError::TooLarge);
        }
        let table = limited(ZlibDecoder::new(cursor.0), size as usize).flatten();
        let table = table.filter(|table| table.len() == size as usize);
        let found = table.and_then(|table| Self::parse_table(&table));
        found.ok_or(malformed)
    }

    fn parse_table(table: &[u8]) -> Option<Self> {
        let mut cursor = Cursor(table);
        let count = cursor.count(4)?;
        let literal = |_| {
            let size = cursor.u32()? as usize;
            cursor.take(size).map(<[u8]>::to_vec)
        };
        let encoded = (0..count).map(literal).collect::<Option<_>>()?;
        cursor.is_empty().then_some(Self { encoded })
    }

    /// The chunk's content, compressed or as OTP 28 writes it.
    pub fn emit(&self, compressed: bool) -> Vec<u8> {
        let mut table = (self.encoded.len() as u32).to_be_bytes().to_vec();
        for literal in &self.encoded {
            table.extend((literal.len() as u32).to_be_bytes());
            table.extend(literal);
        }
        if !compressed {
            table.splice(..0, [0; 4]);
            return table;
        }
        let mut out = (table.len() as u32).to_be_bytes().to_vec();
        let mut encoder = ZlibEncoder::new(table.as_slice(), Compression::default());
        // Reading from memory into memory does not fail.
        let _ = std::io::copy(&mut encoder, &mut out);
        out
    }

    /// The terms, in order. One that cannot be written down (see [`Term`]) does not hide the
    /// others.
    pub fn terms(&self) -> impl Iterator<Item = Result<Term, DecodeError>> {
        self.encoded
            .iter()
            .map(|bytes| etf::decode(bytes).map(|(term, _)| term))
    }
}

#[cfg(test)]
mod tests {
    use super::Literals;
    use crate::BeamError;
    use proptest::prelude::{any, prop, prop_assert_eq, proptest};
    use release::term::Term;

    #[test]
    fn a_size_that_lies_is_refused() {
        let mut data = Literals::default().emit(true);
        assert_eq!(Literals::parse(&data), Ok(Literals::default()));
        for size in [3, 5] {
            data[3] = size;
            assert!(matches!(
                Literals::parse(&data),
                Err(BeamError::Malformed(_))
            ));
        }
        data[0] = 0xff;
        assert_eq!(Literals::parse(&data), Err(BeamError::TooLarge));
    }

    /// What `beam_asm` of OTP 28 writes for the constant `[a]`.
    #[test]
    fn tables_of_otp_28_are_not_compressed() {
        let data = b"\0\0\0\0\0\0\0\x01\0\0\0\x0a\x83\x6c\0\0\0\x01\x77\x01a\x6a";
        let literals = Literals::parse(data).unwrap();
        let terms: Vec<_> = literals.terms().map(Result::unwrap).collect();
        assert_eq!(terms, [Term::List(vec![Term::atom("a")])]);
        assert_eq!(literals.emit(false), data);
    }

    proptest! {
        #[test]
        fn parse_undoes_emit(encoded in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..30), 0..5), compressed in any::<bool>()) {
            let literals = Literals { encoded };
            prop_assert_eq!(Literals::parse(&literals.emit(compressed)), Ok(literals));
        }

        #[test]
        fn any_bytes_are_survived(mut bytes in prop::collection::vec(any::<u8>(), 4..60)) {
            let _ = Literals::parse(&bytes);
            bytes[..4].fill(0);
            let _ = Literals::parse(&bytes);
        }
    }
}
