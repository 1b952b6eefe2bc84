//! Reads arbitrary bytes as a file system of ISO 9660.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    image::fuzz::iso(bytes);
});
