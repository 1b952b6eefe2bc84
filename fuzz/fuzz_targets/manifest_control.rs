//! Reads arbitrary bytes as a control file of Debian.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    manifest::fuzz::control(bytes);
});
