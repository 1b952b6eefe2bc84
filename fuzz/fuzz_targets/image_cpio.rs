//! Reads arbitrary bytes as a root archive.
#![no_main]

use std::io::Cursor;

use image::cpio::Reader;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok(mut reader) = Reader::new(Cursor::new(bytes)) else {
        return;
    };
    while let Ok(Some(entry)) = reader.next_entry() {
        let data = reader.data(&entry).expect("an entry's data lies in the archive");
        assert_eq!(data.len() as u64, entry.size);
    }
});
