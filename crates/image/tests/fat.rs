//! Volumes of every size: `fsck.fat` accepts them and the reader finds the files.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::process::Command;

use common::oracle;
use image::fat::{FatError, FatType, ReadVolume, Volume};

/// Plans a volume for a file of `size` bytes, writes its tables to a sparse file and lets the
/// oracle and the reader check it. The type it has, `None` if no volume has this size.
fn check(sectors: u64, size: u64) -> Option<FatType> {
    let files = [
        ("EFI/BOOT/BOOTX64.EFI", 1000),
        ("UNIBEAM/ROOT.CPIO", size),
        ("EMPTY", 0),
    ];
    let volume = match Volume::plan(sectors, &files) {
        Err(FatError::TooLarge { .. }) => return None,
        result => result.unwrap(),
    };
    let path = tempfile::NamedTempFile::new().unwrap().into_temp_path();
    let file = File::create(&path).unwrap();
    file.set_len(sectors * 512).unwrap();
    for (offset, bytes) in volume.emit(2048, 0x1234_5678).unwrap() {
        file.write_all_at(&bytes, offset).unwrap();
    }
    oracle(Command::new("fsck.fat").arg("-n").arg(&path));
    let mut reader = ReadVolume::open(File::open(&path).unwrap(), 0, sectors).unwrap();
    for planned in &volume.files()[..2] {
        let found = reader.find(&planned.path).unwrap();
        assert_eq!((found.offset, found.size), (planned.offset, planned.size));
        assert_eq!(found.offset % 4096, 0);
    }
    assert_eq!(reader.find("EMPTY").unwrap().size, 0);
    for missing in [
        "EFI",
        "EFI/BOOT",
        "NONE",
        "EMPTY/X",
        "UNIBEAM/root.cpio",
        "",
    ] {
        assert!(
            matches!(reader.find(missing), Err(FatError::NotFound { .. })),
            "{missing}"
        );
    }
    Some(volume.fat_type())
}

#[test]
fn fat32_begins_at_256_mib() {
    let mut types = Vec::new();
    // In steps of less than a MiB, around 65525 clusters.
    for sectors in (523_000..527_000).step_by(100) {
        types.push(check(sectors, 250 << 20));
    }
    let first = |wanted| types.iter().position(|&found| found == wanted).unwrap();
    assert_eq!(types[0], Some(FatType::Fat16));
    assert_eq!(types[types.len() - 1], Some(FatType::Fat32));
    assert!(
        first(None) < first(Some(FatType::Fat32)),
        "counts near the limit are avoided"
    );
}

#[test]
fn the_smallest_volume_has_16_mib() {
    assert_eq!(check(16 << 11, 1 << 20), None);
    assert_eq!(check(17 << 11, 1 << 20), Some(FatType::Fat16));
    assert_eq!(check(17 << 11, 17 << 20), None);
}

#[test]
fn a_volume_of_5_gib_holds_a_file_of_almost_4_gib() {
    assert_eq!(check(5 << 21, (4 << 30) - 4096), Some(FatType::Fat32));
    let error = Volume::plan(5 << 21, &[("A", (4 << 30) - 4095)]).unwrap_err();
    assert!(matches!(error, FatError::FileTooLarge { .. }), "{error}");
}

#[test]
fn names_that_need_more_are_refused() {
    for name in ["lower", "A.B.C", ".A", "LONGERTHAN13.X", "A B"] {
        let volume = Volume::plan(20 << 11, &[(name, 1)]).unwrap();
        assert!(
            matches!(volume.emit(0, 0), Err(FatError::Name { .. })),
            "{name}"
        );
    }
}
