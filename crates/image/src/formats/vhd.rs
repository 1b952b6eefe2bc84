//! VHD of fixed size (Microsoft, "Virtual Hard Disk Image Format Specification", 2006): the
//! disk's bytes, then a footer of 512 bytes.
//!
//! ```text
//!  0   8  "conectix"           40   8  original size
//!  8   4  features, 2          48   8  current size
//! 12   4  version 1.0          56   4  cylinders (2), heads (1), sectors (1)
//! 16   8  data offset, none    60   4  type, 2 = fixed
//! 24   4  time stamp           64   4  checksum
//! 28   4  creator              68  16  identifier
//! 32   8  version, host        84   1  saved state, then zeros
//! ```
//! Numbers are big-endian.

use std::io::{self, Read, Seek, SeekFrom, Write};

use super::fields::{get, put};
use super::{FormatError, Raw};

/// Bytes of the footer.
pub(super) const FOOTER: usize = 512;
const COOKIE: &[u8; 8] = b"conectix";
const FEATURES: usize = COOKIE.len();
const VERSION: usize = FEATURES + 4;
const DATA_OFFSET: usize = VERSION + 4;
const TIME: usize = DATA_OFFSET + 8;
const CREATOR: usize = TIME + 4;
const CREATOR_HOST: usize = CREATOR + 4 + 4;
const ORIGINAL_SIZE: usize = CREATOR_HOST + 4;
const SIZE: usize = ORIGINAL_SIZE + 8;
const GEOMETRY: usize = SIZE + 8;
const TYPE: usize = GEOMETRY + 4;
const CHECKSUM: usize = TYPE + 4;
const ID: usize = CHECKSUM + 4;
const _: () = assert!(ID == 68);

const FIXED: u32 = 2;
/// A disk whose size is the field [`SIZE`]: for other creators QEMU takes that of the geometry,
/// which most sizes are no multiple of (qemu `block/vpc.c`, `vpc_open`).
const CREATOR_WINDOWS: [u8; 4] = *b"win ";
const HOST_WINDOWS: [u8; 4] = *b"Wi2k";

/// Writes the disk and its footer; blocks of zeros become holes.
pub(super) fn write<R: Read + Seek, W: Write + Seek>(
    raw: &mut Raw<R>,
    digest: &[u8; 32],
    out: &mut W,
) -> io::Result<()> {
    let mut buffer = vec![0; 1 << 16];
    for block in 0..raw.blocks(buffer.len() as u64) {
        if raw.read(block, &mut buffer)? {
            out.seek(SeekFrom::Start(block * buffer.len() as u64))?;
            let left = raw.size() - block * buffer.len() as u64;
            out.write_all(&buffer[..left.min(buffer.len() as u64) as usize])?;
        }
    }
    out.seek(SeekFrom::Start(raw.size()))?;
    out.write_all(&footer(raw.size(), digest))
}

fn footer(size: u64, digest: &[u8; 32]) -> [u8; FOOTER] {
    let mut bytes = [0; FOOTER];
    put(&mut bytes, 0, COOKIE);
    put(&mut bytes, FEATURES, &2u32.to_be_bytes());
    put(&mut bytes, VERSION, &0x0001_0000u32.to_be_bytes());
    put(&mut bytes, DATA_OFFSET, &u64::MAX.to_be_bytes());
    put(&mut bytes, CREATOR, &CREATOR_WINDOWS);
    put(&mut bytes, CREATOR_HOST, &HOST_WINDOWS);
    put(&mut bytes, ORIGINAL_SIZE, &size.to_be_bytes());
    put(&mut bytes, SIZE, &size.to_be_bytes());
    put(&mut bytes, GEOMETRY, &geometry(size / 512));
    put(&mut bytes, TYPE, &FIXED.to_be_bytes());
    put(&mut bytes, ID, &digest[..16]);
    let checksum = checksum(&bytes);
    put(&mut bytes, CHECKSUM, &checksum.to_be_bytes());
    bytes
}

/// The one's complement of the sum of all bytes, without the checksum's own.
fn checksum(bytes: &[u8; FOOTER]) -> u32 {
    let own = CHECKSUM..CHECKSUM + 4;
    let others = (0..).zip(bytes).filter(|(at, _)| !own.contains(at));
    !others.map(|(_, &byte)| u32::from(byte)).sum::<u32>()
}

/// Cylinders, heads and sectors by the rule of the specification's appendix.
fn geometry(sectors: u64) -> [u8; 4] {
    let sectors = sectors.min(65535 * 16 * 255);
    let (per_track, heads, tracks) = if sectors >= 65535 * 16 * 63 {
        (255, 16, sectors / 255)
    } else {
        let tracks = sectors / 17;
        let heads = tracks.div_ceil(1024).max(4);
        if tracks < heads * 1024 && heads <= 16 {
            (17, heads, tracks)
        } else if sectors / 31 < 16 * 1024 {
            (31, 16, sectors / 31)
        } else {
            (63, 16, sectors / 63)
        }
    };
    let [low, high, ..] = (tracks / heads).to_le_bytes();
    [high, low, heads.to_le_bytes()[0], per_track]
}

/// The disk's size, if these are a footer.
///
/// # Errors
/// The footer is damaged, or that of another type.
pub(super) fn size(bytes: &[u8; FOOTER], file_size: u64) -> Result<Option<u64>, FormatError> {
    if !bytes.starts_with(COOKIE) {
        return Ok(None);
    }
    let damaged = |what| FormatError::Damaged {
        format: "VHD",
        what,
    };
    if get(bytes, CHECKSUM) != checksum(bytes).to_be_bytes() {
        return Err(damaged("the footer's checksum is wrong"));
    }
    if get(bytes, TYPE) != FIXED.to_be_bytes() {
        return Err(FormatError::Unsupported {
            format: "VHD",
            what: "of dynamic size",
        });
    }
    let size = u64::from_be_bytes(get(bytes, SIZE));
    if size.checked_add(FOOTER as u64) != Some(file_size) {
        return Err(damaged("its size is not that of the file"));
    }
    Ok(Some(size))
}

#[cfg(test)]
mod tests {
    use super::{FOOTER, footer, geometry, size};

    #[test]
    fn a_footer_is_read_back() {
        let mut bytes = footer(22 << 20, &[7; 32]);
        let file = (22 << 20) + FOOTER as u64;
        assert_eq!(size(&bytes, file).unwrap(), Some(22 << 20));
        assert!(size(&bytes, file - 512).is_err());
        bytes[60] = 1;
        assert!(size(&bytes, file).is_err());
        assert_eq!(size(&[0; FOOTER], file).unwrap(), None);
    }

    /// 602 cylinders of 4 × 17, 2080 of 16 × 63, and the largest that there is.
    #[test]
    fn geometries_follow_the_appendix() {
        assert_eq!(geometry((20 << 20) / 512), [2, 90, 4, 17]);
        assert_eq!(geometry((1 << 30) / 512), [8, 32, 16, 63]);
        assert_eq!(geometry(u64::MAX), [255, 255, 16, 255]);
    }
}
