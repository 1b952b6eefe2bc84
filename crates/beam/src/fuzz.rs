//! Entry points for fuzzers; the corpus under `fuzz/corpus` also runs as an ordinary test.

use crate::{Beam, uncompressed};

/// Modules: what is read and written again is the same, and everything in it can be asked for
/// without harm.
pub fn file(bytes: &[u8]) {
    let Ok(plain) = uncompressed(bytes) else {
        return;
    };
    let Ok(beam) = Beam::parse(&plain) else {
        return;
    };
    assert_eq!(Beam::parse(&beam.emit()).as_ref(), Ok(&beam));
    if let Ok(stripped) = beam.strip() {
        assert!(stripped.emit().len() <= beam.emit().len());
        assert!(!stripped.has_debug_info());
        assert_eq!(stripped.module(), beam.module());
        assert_eq!(stripped.imports(), beam.imports());
    }
    let _ = (beam.exports(), beam.attributes(), beam.compile_info());
    if let Ok(code) = beam.code() {
        let count = code.instructions().count();
        assert!(count <= bytes.len().max(plain.len()));
    }
    if let Ok(literals) = beam.literals() {
        assert!(literals.terms().count() <= literals.emit(false).len());
    }
}
