//! Reads arbitrary bytes as the manifest of an image.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    manifest::fuzz::manifest(bytes);
});
