//! What is in an image, and what making it costs.

use crate::table::Figure;
use image::DiskImage;
use nix::sys::resource::{UsageWho, getrusage};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Instant;
use tests::{image, release, scratch, succeed, unibeam};

/// Bytes in a block of `st_blocks` (stat(2)).
const BLOCK: u64 = 512;

/// Bytes in the unit of `ru_maxrss` (getrusage(2)).
const KIB: u64 = 1024;

/// Sizes of an example's image and its root archive.
pub(crate) fn sizes(example: &str) -> Vec<Figure> {
    let path = image(example);
    let metadata = fs::metadata(&path).unwrap();
    let root = DiskImage::open(&path).unwrap().root.size;
    vec![
        Figure::size(format!("{example}: image"), metadata.len()),
        Figure::size(
            format!("{example}: image, allocated"),
            metadata.blocks() * BLOCK,
        ),
        Figure::size(format!("{example}: root archive"), root),
    ]
}

/// Sizes of what is in every image.
pub(crate) fn kernel_sizes() -> Vec<Figure> {
    let parts = [
        ("kernel", boot_images::KERNEL_ELF),
        ("BIOS stage", boot_images::BIOS_STAGE),
        ("boot sector", boot_images::BOOT_SECTOR),
    ];
    let kib = |bytes: &[u8]| bytes.len() as f64 / 1024.0;
    parts
        .into_iter()
        .map(|(name, bytes)| Figure::new(name, kib(bytes), "KiB"))
        .collect()
}

/// Time (the best of five) and peak memory of `unibeam image`. The system tells the peak of all
/// children together, so nothing else may have run before.
pub(crate) fn cost(example: &str) -> Vec<Figure> {
    let folder = scratch();
    let time = (0..5)
        .map(|_| seconds(example, folder.path()))
        .fold(f64::INFINITY, f64::min);
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).unwrap();
    let peak = u64::try_from(usage.max_rss()).unwrap() * KIB;
    vec![
        Figure::new(format!("unibeam image {example}: time"), time * 1e3, "ms"),
        Figure::size(format!("unibeam image {example}: peak memory"), peak),
    ]
}

fn seconds(example: &str, folder: &Path) -> f64 {
    let mut command = unibeam();
    command
        .arg("image")
        .arg(release(example))
        .arg("-q")
        .arg("-o")
        .arg(folder.join("a.img"));
    let before = Instant::now();
    succeed(&mut command);
    before.elapsed().as_secs_f64()
}
