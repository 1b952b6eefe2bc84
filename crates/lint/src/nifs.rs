//! Modules that load a library of native functions as soon as they are loaded themselves, and
//! libraries that are not there.
//!
//! The path of the library is put together at run time, so what a module loads is not known; but its
//! last part is nearly always written in the module. A module none of whose texts names a library of
//! the release will not find one.

use std::collections::BTreeSet;
use std::path::Path;

use beam::code::op;
use beam::{Beam, BeamError};
use release::term::{Term, etf};
use release::{GUEST_ROOT, Source};

use crate::finding::{Finding, Place};
use crate::native::NativeFact;
use crate::subject::Subject;

/// Modules of OTP that go on without their library, which is there only on systems with dynamic
/// tracing and on macOS (otp: `on_load` of lib/runtime_tools/src/dyntrace.erl and of
/// lib/public_key/src/pubkey_os_cacerts.erl).
const CONTENT_WITHOUT: [&str; 2] = ["dyntrace", "pubkey_os_cacerts"];

/// Last parts of texts in a module that calls `erlang:load_nif/2` in its `on_load` function: one of
/// them should be a library's name. `None` for other modules.
///
/// # Errors
/// A chunk is malformed.
pub(crate) fn candidates(module: &Beam<'_>) -> Result<Option<BTreeSet<String>>, BeamError> {
    let imports = module.imports()?;
    let loads = |import: &beam::Import| import.module == "erlang" && import.function == "load_nif";
    if !imports.iter().any(loads) || !has_on_load(module)? {
        return Ok(None);
    }
    let mut names: BTreeSet<_> = module
        .atoms()?
        .names
        .iter()
        .map(|name| last_part(name))
        .collect();
    for literal in module.literals()?.encoded {
        if let Ok((term, _)) = etf::decode(&literal) {
            collect(&term, &mut names);
        }
    }
    Ok(Some(names))
}

fn has_on_load(module: &Beam<'_>) -> Result<bool, BeamError> {
    for instruction in module.code()?.instructions() {
        if instruction?.opcode == op::ON_LOAD {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Texts in a constant, at any depth.
fn collect(term: &Term, names: &mut BTreeSet<String>) {
    match term {
        Term::Binary(bytes) => names.extend(std::str::from_utf8(bytes).map(last_part)),
        Term::Tuple(elements) => elements.iter().for_each(|term| collect(term, names)),
        list => match (list.to_text(), list.as_list()) {
            (Some(text), _) => {
                names.insert(last_part(&text));
            }
            (None, Some(elements)) => elements.iter().for_each(|term| collect(term, names)),
            (None, None) => {}
        },
    }
}

/// `priv/native/libfoo.so` is loaded as `foo`'s path without its extension (`erlang:load_nif/2`).
fn last_part(text: &str) -> String {
    let name = text.rsplit('/').next().unwrap_or_default();
    name.strip_suffix(".so").unwrap_or(name).into()
}

/// Modules whose library is not in the release.
pub(crate) fn check(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    let libraries = libraries(subject);
    for module in &subject.modules {
        let Some(names) = module.nif_names() else {
            continue;
        };
        let known = CONTENT_WITHOUT.contains(&module.file_name.as_str());
        if !known && names.is_disjoint(&libraries) {
            let module_name = module.file_name.clone();
            let fact = NativeFact::MissingNif {
                module: module_name,
            };
            findings.push(Finding::new(fact).at(Place::file(&module.path)));
        }
    }
}

/// Names, without extension, of the shared libraries in the release.
fn libraries(subject: &Subject<'_>) -> BTreeSet<String> {
    let entries = subject.tree.iter();
    let files = entries.filter(|entry| entry.source != Source::Directory);
    let paths = files.map(|entry| entry.path.to_string());
    let inside = paths.filter(|path| Path::new(path).starts_with(GUEST_ROOT));
    inside
        .filter(|path| Path::new(path).extension().is_some_and(|e| e == "so"))
        .map(|path| last_part(&path))
        .collect()
}
