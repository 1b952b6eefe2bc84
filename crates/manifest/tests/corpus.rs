//! The fuzzers' corpora as an ordinary test.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use manifest::fuzz;

/// Runs an entry point over a corpus; gives the number of its files that it reads to the end.
fn replay(corpus: &str, entry: fn(&[u8]) -> bool) -> usize {
    let folder = format!("{}/../../fuzz/corpus/{corpus}", env!("CARGO_MANIFEST_DIR"));
    let files = std::fs::read_dir(folder).unwrap();
    let read = files.map(|file| std::fs::read(file.unwrap().path()).unwrap());
    read.filter(|bytes| entry(bytes)).count()
}

#[test]
fn manifests() {
    // `hello` and `new-field`.
    assert_eq!(replay("manifest_json", fuzz::manifest), 2);
}

#[test]
fn control_files() {
    // All but `blank`.
    assert_eq!(replay("manifest_control", fuzz::control), 3);
}
