//! Compressing one block, and unpacking it.

use std::io::{self, Read};

use super::Compression;

/// Zstandard's level for blocks and streams; more takes far longer and gains little
/// (docs/adr/0008-disk-formats.md).
pub(super) const ZSTD_LEVEL: i32 = 15;
/// Deflate's level, of 9.
pub(super) const DEFLATE_LEVEL: u32 = 9;

/// How a block is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Packing {
    /// One Zstandard frame.
    Zstd,
    /// A bare Deflate stream.
    Deflate,
    /// A Deflate stream with zlib's head and checksum (RFC 1950).
    Zlib,
}

impl From<Compression> for Packing {
    fn from(compression: Compression) -> Self {
        match compression {
            Compression::Zstd => Self::Zstd,
            Compression::Deflate => Self::Deflate,
        }
    }
}

/// Packs blocks, one after the other.
pub(super) enum Packer {
    Zstd(zstd::bulk::Compressor<'static>),
    Deflate(flate2::Compress),
}

impl Packer {
    pub(super) fn new(packing: Packing) -> io::Result<Self> {
        let level = flate2::Compression::new(DEFLATE_LEVEL);
        Ok(match packing {
            Packing::Zstd => Self::Zstd(zstd::bulk::Compressor::new(ZSTD_LEVEL)?),
            Packing::Deflate => Self::Deflate(flate2::Compress::new(level, false)),
            Packing::Zlib => Self::Deflate(flate2::Compress::new(level, true)),
        })
    }

    /// The packed form of a block; `None` if that is not shorter.
    pub(super) fn pack(&mut self, block: &[u8]) -> io::Result<Option<Vec<u8>>> {
        let packed = self.pack_always(block)?;
        Ok((packed.len() < block.len()).then_some(packed))
    }

    /// The packed form of a block, longer than the block if need be.
    pub(super) fn pack_always(&mut self, block: &[u8]) -> io::Result<Vec<u8>> {
        match self {
            Self::Zstd(compressor) => compressor.compress(block),
            Self::Deflate(compressor) => {
                compressor.reset();
                // Room for a block that does not get shorter: Deflate adds 5 bytes to each 16 KiB.
                let mut packed = Vec::with_capacity(block.len() + block.len() / 1024 + 64);
                compressor.compress_vec(block, &mut packed, flate2::FlushCompress::Finish)?;
                Ok(packed)
            }
        }
    }
}

/// Unpacks a block that fills `block`; what follows it in `packed` is ignored.
pub(super) fn unpack(packing: Packing, packed: &[u8], block: &mut [u8]) -> io::Result<()> {
    match packing {
        Packing::Zstd => zstd::stream::read::Decoder::with_buffer(packed)?
            .single_frame()
            .read_exact(block),
        Packing::Deflate => flate2::read::DeflateDecoder::new(packed).read_exact(block),
        Packing::Zlib => flate2::read::ZlibDecoder::new(packed).read_exact(block),
    }
}

#[cfg(test)]
mod tests {
    use super::{Packer, Packing, unpack};
    use proptest::{collection::vec, prelude::any, proptest};

    proptest! {
        #[test]
        fn blocks_are_unpacked_as_they_were(words in vec(any::<u8>(), 1..300), repeat in 1usize..20) {
            let block = words.repeat(repeat);
            for packing in [Packing::Zstd, Packing::Deflate, Packing::Zlib] {
                let Some(mut packed) = Packer::new(packing).unwrap().pack(&block).unwrap() else {
                    continue;
                };
                assert!(packed.len() < block.len());
                packed.extend([0xff; 100]);
                let mut found = vec![0; block.len()];
                unpack(packing, &packed, &mut found).unwrap();
                assert_eq!(found, block);
            }
        }
    }
}
