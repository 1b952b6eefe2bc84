//! Reads arbitrary bytes as a Multiboot program.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    image::fuzz::multiboot(bytes);
});
