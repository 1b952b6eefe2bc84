#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| beam::fuzz::file(bytes));
