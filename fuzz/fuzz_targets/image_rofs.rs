//! Reads arbitrary bytes as the root file system of OSv.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    image::fuzz::rofs(bytes);
});
