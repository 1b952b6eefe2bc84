//! Reads arbitrary bytes as a tar archive with a disk.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    image::fuzz::archive(bytes);
});
