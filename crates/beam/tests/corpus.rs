//! The fuzz entry over its committed corpus.
#![allow(clippy::unwrap_used, reason = "helper of tests")]

use std::fs;
use std::path::Path;

#[test]
fn file() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/beam_file");
    for file in fs::read_dir(directory).unwrap() {
        let bytes = fs::read(file.unwrap().path()).unwrap();
        (0..=bytes.len()).for_each(|size| beam::fuzz::file(&bytes[..size]));
        // Every byte changed once: damage inside the chunks, too.
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x5a;
            beam::fuzz::file(&damaged);
        }
    }
}
