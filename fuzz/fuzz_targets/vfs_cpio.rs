#![no_main]

// The reader borrows the archive, so whatever it gives lies inside; it must end and not panic.
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let entries = vfs::cpio_entries(bytes).filter_map(Result::ok);
    let content: usize = entries.map(|entry| entry.content.len()).sum();
    assert!(content <= bytes.len());
});
