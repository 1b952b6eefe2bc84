//! Files that are compressed as a whole: by the compiler's option `compressed`, and by
//! `beam_lib:strip/1`.

use std::borrow::Cow;
use std::io::Read as _;

use flate2::read::GzDecoder;

use crate::BeamError;

/// Most bytes that an uncompressed module, or its literals, may have. The largest modules of
/// OTP 25 and Elixir 1.14 have less than 2 MiB.
pub const SIZE_LIMIT: usize = 64 << 20;

/// First bytes of a compressed file (RFC 1952, section 2.3.1).
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// Whether a file with this start is compressed.
pub fn is_compressed(head: &[u8]) -> bool {
    head.starts_with(&GZIP)
}

/// The module's bytes: as they are, or uncompressed.
///
/// # Errors
/// [`BeamError::Gzip`] or [`BeamError::TooLarge`].
pub fn uncompressed(bytes: &[u8]) -> Result<Cow<'_, [u8]>, BeamError> {
    if !is_compressed(bytes) {
        return Ok(Cow::Borrowed(bytes));
    }
    limited(GzDecoder::new(bytes), SIZE_LIMIT)
        .ok_or(BeamError::Gzip)?
        .map(Cow::Owned)
        .ok_or(BeamError::TooLarge)
}

/// Everything that a decoder gives: `None` if its input is damaged, `Some(None)` if it is more
/// than `limit` bytes.
pub(crate) fn limited(decoder: impl std::io::Read, limit: usize) -> Option<Option<Vec<u8>>> {
    let mut plain = Vec::new();
    let mut decoder = decoder.take(limit as u64 + 1);
    decoder.read_to_end(&mut plain).ok()?;
    Some((plain.len() <= limit).then_some(plain))
}

#[cfg(test)]
mod tests {
    use super::{SIZE_LIMIT, uncompressed};
    use crate::BeamError;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use std::borrow::Cow;
    use std::io::Write as _;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn compressed_files_are_uncompressed_and_others_left_alone() {
        assert_eq!(uncompressed(b"FOR1"), Ok(Cow::Borrowed(&b"FOR1"[..])));
        assert_eq!(uncompressed(&gzip(b"FOR1")).unwrap(), &b"FOR1"[..]);
    }

    #[test]
    fn damage_and_bombs_are_refused() {
        let mut bytes = gzip(b"FOR1");
        bytes.pop();
        assert_eq!(uncompressed(&bytes), Err(BeamError::Gzip));
        let bomb = gzip(&vec![0; SIZE_LIMIT + 1]);
        assert!(bomb.len() < 1 << 20);
        assert_eq!(uncompressed(&bomb), Err(BeamError::TooLarge));
    }
}
