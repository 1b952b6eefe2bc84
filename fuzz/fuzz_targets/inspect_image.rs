//! Reads arbitrary bytes as an image: partition table, file system, archive, manifest, extraction.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    inspect::fuzz::image(bytes);
});
