//! The fuzzers' corpora as an ordinary test.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use image::fuzz;

/// Runs an entry point over a corpus; gives the number of its files that it reads to the end.
fn replay(corpus: &str, entry: fn(&[u8]) -> bool) -> usize {
    let folder = format!("{}/../../fuzz/corpus/{corpus}", env!("CARGO_MANIFEST_DIR"));
    let files = std::fs::read_dir(folder).unwrap();
    let read = files.map(|file| std::fs::read(file.unwrap().path()).unwrap());
    read.filter(|bytes| entry(bytes)).count()
}

#[test]
fn containers() {
    // qcow2 and VMDK, each bare and packed, VHD, and as raw disks `raw` and `empty`.
    assert_eq!(replay("image_container", fuzz::container), 7);
}

#[test]
fn archives() {
    assert_eq!(replay("image_archive", fuzz::archive), 3);
}

#[test]
fn configurations_of_rumprun() {
    assert_eq!(replay("image_rumprun_config", fuzz::rumprun_config), 4);
}

#[test]
fn multiboot_programs() {
    assert_eq!(replay("image_multiboot", fuzz::multiboot), 4);
}

#[test]
fn rofs() {
    assert_eq!(replay("image_rofs", fuzz::rofs), 2);
}

#[test]
fn disks_for_osv() {
    // With a loader, and without one; another whose root is damaged.
    let read = |bytes: &[u8]| fuzz::osv(bytes).unwrap();
    assert_eq!(replay("image_osv", read), 2);
}

#[test]
fn iso_9660() {
    assert_eq!(replay("image_iso", fuzz::iso), 1);
}
