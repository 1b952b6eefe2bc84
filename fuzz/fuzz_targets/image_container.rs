//! Reads arbitrary bytes as the container of a disk: qcow2, VHD, VHDX, VMDK.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    image::fuzz::container(bytes);
});
