//! Entry points for fuzzers; the corpus under `fuzz/corpus` also runs as an ordinary test.

use crate::elf::{Elf, is_elf};
use crate::relink::Relink;

/// ELF headers: only what starts like ELF is read as ELF, and names are never empty of meaning.
pub fn elf(bytes: &[u8]) {
    if let Ok(elf) = Elf::parse(bytes) {
        assert!(is_elf(bytes));
        let names = elf.needed.iter().chain(&elf.soname).chain(&elf.interpreter);
        assert!(names.into_iter().all(|name| name.len() < bytes.len()));
        assert!(elf.versions_needed.len() < bytes.len());
        let _ = crate::elf::calls(bytes, "f");
        if let Some(stripped) = crate::elf::strip(bytes) {
            assert_eq!(Elf::parse(&stripped), Ok(elf));
            assert_eq!(crate::elf::strip(&stripped), None);
        }
    }
}

/// Rewriting: what comes out is sound, and has what was asked for.
pub fn relink(bytes: &[u8]) {
    let mut changes = Relink {
        runpath: Some(vec!["/lib".into()]),
        needed: vec!["libx.so".into()],
        imports: [("f".into(), "g".into())].into(),
        interpreter: Some("/lib/ld.so".into()),
    };
    for _ in 0..3 {
        if let Ok(changed) = changes.apply(bytes) {
            let elf = Elf::parse(&changed);
            let sound = elf
                .as_ref()
                .is_ok_and(|elf| elf.needed.contains(&"libx.so".into()) && elf.runpath == ["/lib"]);
            assert!(sound, "{elf:?}");
            if changes.interpreter.is_some() {
                let interpreter = elf.ok().and_then(|elf| elf.interpreter);
                assert_eq!(interpreter, changes.interpreter);
            }
        }
        match changes.interpreter.is_some() {
            true => changes.interpreter = None,
            false => changes.imports.clear(),
        }
    }
}
