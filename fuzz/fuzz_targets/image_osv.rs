//! Reads a disk, from a short description, as one that boots OSv.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let read = image::fuzz::osv(bytes);
    assert!(read.is_ok(), "no temporary file");
});
