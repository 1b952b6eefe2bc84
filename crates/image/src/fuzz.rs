//! Entry points for fuzzers; the corpus under `fuzz/corpus` also runs as an ordinary test.

use std::io::{self, Cursor, Read, Seek, SeekFrom, Write};

use boot_contract::disk::SECTOR;
use tempfile::NamedTempFile;

use crate::elf::{HIGHEST, LOWEST};
use crate::formats::{Container, unpack_gce};
use crate::iso;
use crate::osv::{BaseFile, OsvImage};
use crate::rofs;
use crate::rumprun::config::Configuration;
use crate::rumprun::multiboot::Program;

/// Bytes read from each end of a disk: a few blocks of any format.
const LOOK: u64 = 1 << 20;

/// A container: it can be read at both ends, which gives as much as there is, or not (`false`).
pub fn container(bytes: &[u8]) -> bool {
    let Ok(mut disk) = Container::open(Cursor::new(bytes)) else {
        return false;
    };
    let Ok(size) = disk.seek(SeekFrom::End(0)) else {
        return false;
    };
    [0, size.saturating_sub(LOOK)].into_iter().all(|start| {
        let mut found = Vec::new();
        let read = disk
            .seek(SeekFrom::Start(start))
            .and_then(|_| (&mut disk).take(LOOK).read_to_end(&mut found));
        assert!(read.is_err() || found.len() as u64 == size.min(LOOK));
        read.is_ok()
    })
}

/// An unpacked archive with a disk: what is written stays inside the disk; `false` if there is
/// none.
pub fn archive(mut bytes: &[u8]) -> bool {
    let size_max = 1 << 20;
    let mut disk = Cursor::new(Vec::new());
    match unpack_gce(&mut bytes, size_max, &mut disk) {
        Ok(size) => {
            assert!(size <= size_max && disk.into_inner().len() as u64 <= size);
            true
        }
        Err(_) => false,
    }
}

/// A file system of OSv: every file of it can be read; `false` if it is none.
pub fn rofs(bytes: &[u8]) -> bool {
    let Ok(mut reader) = rofs::Reader::open(Cursor::new(bytes)) else {
        return false;
    };
    for entry in reader.entries().to_vec() {
        let data = reader.data(&entry);
        assert!(data.is_ok_and(|data| data.len() <= bytes.len()));
    }
    true
}

/// A configuration of rumprun: what is accepted is written so that it is read back as the same, unless
/// it is too long; `false` if it is refused.
pub fn rumprun_config(bytes: &[u8]) -> bool {
    let Ok(configuration) = Configuration::parse(bytes) else {
        return false;
    };
    let Ok(text) = configuration.emit() else {
        return false;
    };
    let again = Configuration::parse(text.as_bytes());
    assert_eq!(again.ok(), Some(configuration));
    true
}

/// A Multiboot program: what would be loaded lies in the file and in the memory that can be filled;
/// `false` if it is refused.
pub fn multiboot(bytes: &[u8]) -> bool {
    let Ok(program) = Program::parse(bytes) else {
        return false;
    };
    for segment in &program.segments {
        let end = u64::from(segment.paddr) + u64::from(segment.mem_size);
        assert!(u64::from(segment.paddr) >= LOWEST && end <= HIGHEST);
        assert!(segment.file_size <= segment.mem_size);
        assert!(segment.offset + u64::from(segment.file_size) <= bytes.len() as u64);
    }
    let entry = u64::from(program.entry);
    assert!(
        program
            .segments
            .iter()
            .any(|segment| segment.contains(entry))
    );
    true
}

/// A file system of ISO 9660: every file of it can be read; `false` if it is none.
pub fn iso(bytes: &[u8]) -> bool {
    let Ok(mut reader) = iso::Reader::open(Cursor::new(bytes)) else {
        return false;
    };
    for entry in reader.entries().to_vec() {
        let data = reader.data(&entry);
        assert!(data.is_ok_and(|data| data.len() <= bytes.len()));
    }
    true
}

/// A disk for OSv, from a short description ([`sparse_disk`]): as an image and as a base; `false` if
/// it is no image.
///
/// # Errors
/// The temporary file cannot be written.
pub fn osv(bytes: &[u8]) -> io::Result<bool> {
    let disk = sparse_disk(bytes)?;
    if let Ok(base) = BaseFile::open(disk.path()) {
        assert!(!base.kernel().is_empty());
    }
    let Ok(image) = OsvImage::open(disk.path()) else {
        return Ok(false);
    };
    let kernel = image.kernel();
    assert!(image.boots || matches!(kernel, Ok(None)));
    Ok(image.read_manifest().is_ok())
}

/// Bytes of the head of a run in [`sparse_disk`].
const RUN_HEAD: usize = 6;

/// A raw disk from a short description, so that a fuzzer need not carry its zeros: a byte with its
/// size in MiB (of 64 at most), then runs of a sector's number (4 bytes), a length (2 bytes, both
/// little-endian) and that many bytes, or as many as there are. Runs outside the disk are left
/// out.
///
/// # Errors
/// The temporary file cannot be written.
pub fn sparse_disk(bytes: &[u8]) -> io::Result<NamedTempFile> {
    let mut disk = NamedTempFile::new()?;
    let (first, mut rest) = bytes.split_first().unwrap_or((&0, &[]));
    let size = u64::from(first % 64 + 1) << 20;
    disk.as_file().set_len(size)?;
    while let Some((head, data)) = rest.split_first_chunk::<RUN_HEAD>() {
        let start = u64::from(u32::from_le_bytes([head[0], head[1], head[2], head[3]])) * SECTOR;
        let length = usize::from(u16::from_le_bytes([head[4], head[5]])).min(data.len());
        if start + length as u64 <= size {
            disk.seek(SeekFrom::Start(start))?;
            disk.write_all(&data[..length])?;
        }
        rest = &data[length..];
    }
    Ok(disk)
}

/// The short description of a disk of whole MiB.
pub fn describe_disk(disk: &[u8]) -> Vec<u8> {
    let mut bytes = vec![(disk.len() >> 20).saturating_sub(1) as u8];
    for (sector, data) in (0_u32..).zip(disk.chunks(SECTOR as usize)) {
        let length = data
            .iter()
            .rposition(|&byte| byte != 0)
            .map_or(0, |last| last + 1);
        if length > 0 {
            bytes.extend(sector.to_le_bytes());
            bytes.extend((length as u16).to_le_bytes());
            bytes.extend(&data[..length]);
        }
    }
    bytes
}
