//! Entry points for fuzzers; the corpus under `fuzz/corpus` also runs as an ordinary test.

use crate::elf::{Elf, is_elf};

/// ELF headers: only what starts like ELF is read as ELF, and names are never empty of meaning.
pub fn elf(bytes: &[u8]) {
    if let Ok(elf) = Elf::parse(bytes) {
        assert!(is_elf(bytes));
        let names = elf.needed.iter().chain(&elf.soname).chain(&elf.interpreter);
        assert!(names.into_iter().all(|name| name.len() < bytes.len()));
        assert!(elf.versions_needed.len() < bytes.len());
        let _ = crate::elf::calls(bytes, "f");
    }
}
