//! Entry points for fuzzers; the corpus under `fuzz/corpus` also runs as an ordinary test.

use std::io::{Cursor, Read, Seek, SeekFrom};

use crate::formats::{Container, unpack_gce};

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
