//! Every fuzz entry over its committed corpus.
#![allow(clippy::unwrap_used, reason = "helper of tests")]

use std::fs;
use std::path::Path;

fn each(corpus: &str, entry: fn(&[u8])) {
    each_cut(corpus, entry, 1);
}

/// Each file, and every beginning of it that is a multiple of `step` long, as from a transfer that
/// broke off.
fn each_cut(corpus: &str, entry: fn(&[u8]), step: usize) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../fuzz/corpus")
        .join(corpus);
    let mut count = 0;
    for file in fs::read_dir(directory).unwrap() {
        let bytes = fs::read(file.unwrap().path()).unwrap();
        entry(&bytes);
        let sizes = (0..bytes.len()).step_by(step);
        sizes.for_each(|size| entry(&bytes[..size]));
        count += 1;
    }
    assert!(count > 0, "the corpus is empty");
}

#[test]
fn term_text() {
    each("release_term_text", release::fuzz::term_text);
}

#[test]
fn etf() {
    each("release_etf", release::fuzz::etf);
}

#[test]
fn vm_args() {
    each("release_vm_args", release::fuzz::vm_args);
}

#[test]
fn env_sh() {
    each("release_env_sh", release::fuzz::env_sh);
}

#[test]
fn archive() {
    // Each makes files, which takes its time.
    each_cut("release_archive", release::fuzz::archive, 100);
}

#[test]
fn script() {
    each_cut("release_script", release::fuzz::script, 7);
}

#[test]
fn template() {
    each("release_template", release::fuzz::template);
}
