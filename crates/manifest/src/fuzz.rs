//! Entry points for fuzzers; the corpus under `fuzz/corpus` also runs as an ordinary test.

use crate::{Manifest, copyright, deb822};

/// A manifest: what is read can be written, and is then read as the same (`false`: it is none).
pub fn manifest(bytes: &[u8]) -> bool {
    let Ok(manifest) = Manifest::parse(bytes) else {
        return false;
    };
    assert_eq!(Manifest::parse(manifest.emit().as_bytes()), Ok(manifest));
    true
}

/// A control file: its paragraphs survive being written and read; `false` if there is none.
pub fn control(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    let paragraphs: Vec<_> = deb822::paragraphs(&text).collect();
    let emitted = deb822::emit(&paragraphs);
    assert!(deb822::paragraphs(&emitted).eq(paragraphs.iter().cloned()));
    copyright::licenses(&text);
    !paragraphs.is_empty()
}
