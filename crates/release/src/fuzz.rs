//! Entry points for fuzzers, one per parser of foreign bytes. Each panics if a promise is broken;
//! the corpus under `fuzz/corpus` also runs as an ordinary test.

use crate::app::AppFile;
use crate::boot::BootScript;
use crate::rel::RelFile;
use crate::term::{etf, text};
use crate::{env_sh, vm_args};

/// Term text: what is read and written again is the same, and is read as a `.rel` and an `.app`
/// file without harm.
pub fn term_text(bytes: &[u8]) {
    let Ok(terms) = text::parse(bytes) else {
        return;
    };
    for term in terms {
        let again = text::parse_one(text::emit(&term).as_bytes());
        assert_eq!(again.as_ref(), Ok(&term));
        let _ = AppFile::from_term(&term);
        if let Ok(rel) = RelFile::from_term(&term) {
            assert_eq!(RelFile::from_term(&rel.to_term()).as_ref(), Ok(&rel));
        }
    }
}

/// External Term Format: what is read and written again is the same term, and so is a boot
/// script.
pub fn etf(bytes: &[u8]) {
    let Ok((term, style)) = etf::decode(bytes) else {
        return;
    };
    let again = etf::decode(&etf::emit(&term, style));
    assert_eq!(again.map(|(term, _)| term).as_ref(), Ok(&term));
    if let Ok(script) = BootScript::parse(bytes) {
        let again = BootScript::parse(&script.emit());
        assert_eq!(
            again.map(|script| script.instructions),
            Ok(script.instructions)
        );
    }
}

/// Arguments files: what is read and written again is the same.
pub fn vm_args(bytes: &[u8]) {
    if let Ok(arguments) = vm_args::parse(bytes) {
        assert_eq!(
            vm_args::parse(vm_args::emit(&arguments).as_bytes()),
            Ok(arguments)
        );
    }
}

/// `env.sh`: no line is both applied and reported.
pub fn env_sh(bytes: &[u8]) {
    if let Ok(script) = std::str::from_utf8(bytes) {
        let mut env = std::collections::BTreeMap::new();
        let ignored = env_sh::apply(script, &mut env);
        assert!(ignored.len() + env.len() <= script.lines().count());
    }
}
