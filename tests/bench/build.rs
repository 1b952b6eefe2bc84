//! What is in an image, and what making it costs.

use crate::table::Figure;
use image::DiskImage;
use nix::sys::resource::{UsageWho, getrusage};
use std::fs;
use std::ops::Range;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;
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
    image_seconds(&release(example), folder)
}

fn image_seconds(release: &Path, folder: &Path) -> f64 {
    let mut command = unibeam();
    command.arg("image").arg(release).arg("-q");
    timed(command.arg("-o").arg(folder.join("a.img")))
}

fn timed(command: &mut Command) -> f64 {
    let before = Instant::now();
    succeed(command);
    before.elapsed().as_secs_f64()
}

/// Bytes of a file that makes a release large: what photographs and machine-learning models are.
const LARGE_FILE: usize = 1 << 20;

/// `unibeam image` of a release of 200 MB and of one of 400 MB, beside `cp -r` of the same folder:
/// the best of five each, in turns, so that both meet the same machine. After [`cost()`], for the
/// same reason.
pub(crate) fn large() -> Vec<Figure> {
    let folder = scratch();
    let grown = folder.path().join("release");
    succeed(
        Command::new("cp")
            .arg("-r")
            .arg(release("hello"))
            .arg(&grown),
    );
    let [(small_image, small_copy), (image, copy)] = [0..200, 200..400].map(|files| {
        grow(&grown, files);
        best(&grown, folder.path())
    });
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).unwrap();
    let peak = u64::try_from(usage.max_rss()).unwrap() * KIB;
    vec![
        Figure::new("unibeam image, 200 MB: time", small_image * 1e3, "ms"),
        Figure::new("the same to cp", small_image / small_copy, "times"),
        Figure::new("unibeam image, 400 MB: time", image * 1e3, "ms"),
        Figure::new("the same to cp", image / copy, "times"),
        Figure::size("unibeam image, 400 MB: peak memory", peak),
    ]
}

/// Adds files of bytes that do not repeat.
fn grow(release: &Path, files: Range<usize>) {
    let priv_dir = release.join("lib/hello-1.0.0/priv");
    fs::create_dir_all(&priv_dir).unwrap();
    for number in files {
        let mut state = number as u32 + 1;
        let bytes: Vec<u8> = (0..LARGE_FILE).map(|_| next(&mut state)).collect();
        fs::write(priv_dir.join(format!("{number}.bin")), bytes).unwrap();
    }
}

/// A byte of a 32-bit xorshift generator (Marsaglia, "Xorshift RNGs", 2003).
fn next(state: &mut u32) -> u8 {
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    state.to_le_bytes()[0]
}

/// The best times of `unibeam image` and `cp -r`.
fn best(release: &Path, folder: &Path) -> (f64, f64) {
    let copy = folder.join("copy");
    (0..5).fold((f64::INFINITY, f64::INFINITY), |(image, cp), _| {
        let image = image.min(image_seconds(release, folder));
        let cp = cp.min(timed(Command::new("cp").arg("-r").arg(release).arg(&copy)));
        fs::remove_dir_all(&copy).unwrap();
        (image, cp)
    })
}
