//! Reads arbitrary bytes as a configuration of rumprun.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    image::fuzz::rumprun_config(bytes);
});
