//! Entry points for fuzzers; the corpus under `fuzz/corpus` also runs as an ordinary test.

use std::path::Path;

use image::DiskImage;

use crate::{Inspected, extract};

/// An image, in the short form of [`image::fuzz::sparse_disk`]: it is opened, looked into and
/// extracted, or not (`false`). What is extracted stays in its folder.
pub fn image(bytes: &[u8]) -> bool {
    let (Ok(disk), Ok(folder)) = (image::fuzz::sparse_disk(bytes), tempfile::tempdir()) else {
        return false;
    };
    let Ok(image) = DiskImage::open(disk.path()) else {
        return false;
    };
    let Ok(inspected) = Inspected::of_image(&image) else {
        return false;
    };
    let (parent, target) = (folder.path().join("a"), folder.path().join("a/b"));
    if std::fs::create_dir(&parent).is_err() {
        return false;
    }
    let extracted = extract(&inspected.contents, &|_| true, &target);
    let names = |path: &Path| -> Vec<_> {
        let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
        entries.map(|entry| entry.file_name()).collect()
    };
    assert_eq!(names(folder.path()), ["a"]);
    let expected: &[&str] = if extracted.is_ok() { &["b"] } else { &[] };
    assert_eq!(names(&parent), expected);
    extracted.is_ok()
}
