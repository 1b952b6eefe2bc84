//! A raw disk that is compressed as a whole: `app.img.zst`, `app.img.gz`.

use std::io::{self, Read, Seek, Write};

use super::packing::{DEFLATE_LEVEL, ZSTD_LEVEL};
use super::{Compression, Raw};

/// Bytes carried over at a time.
const BLOCK: usize = 1 << 20;

/// Writes the disk. Uncompressed, what is 0 is written, too: plain disks are not made here, but
/// where holes can be left out.
pub(super) fn write<R: Read + Seek>(
    raw: &mut Raw<R>,
    compression: Option<Compression>,
    out: &mut dyn Write,
) -> io::Result<()> {
    match compression {
        None => copy(raw, out),
        Some(Compression::Zstd) => {
            let mut encoder = zstd::Encoder::new(out, ZSTD_LEVEL)?;
            encoder.set_pledged_src_size(Some(raw.size()))?;
            encoder.include_checksum(true)?;
            copy(raw, &mut encoder)?;
            encoder.finish().map(drop)
        }
        Some(Compression::Deflate) => {
            let mut encoder = gzip(out);
            copy(raw, &mut encoder)?;
            encoder.finish().map(drop)
        }
    }
}

/// A gzip stream without name and time.
pub(super) fn gzip<W: Write>(out: W) -> flate2::write::GzEncoder<W> {
    flate2::write::GzEncoder::new(out, flate2::Compression::new(DEFLATE_LEVEL))
}

fn copy<R: Read + Seek>(raw: &mut Raw<R>, out: &mut dyn Write) -> io::Result<()> {
    let mut buffer = vec![0; BLOCK];
    for block in 0..raw.blocks(BLOCK as u64) {
        if !raw.read(block, &mut buffer)? {
            buffer.fill(0);
        }
        let left = raw.size() - block * BLOCK as u64;
        out.write_all(&buffer[..left.min(BLOCK as u64) as usize])?;
    }
    Ok(())
}
