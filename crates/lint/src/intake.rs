//! What is wrong with the release itself: the errors of [`release`], and a boot script that does
//! not fit the rest.

use std::collections::BTreeSet;

use release::boot::BootScript;
use release::term::Term;
use release::{Error, GUEST_ROOT};

use crate::finding::{Finding, Place};
use crate::subject::Subject;
use crate::table::Code;

/// What is wrong with a release.
#[derive(Debug, thiserror::Error)]
pub enum IntakeFact {
    /// What stops `unibeam image`.
    #[error(transparent)]
    Error(#[from] Error),
    /// Something that is to be added to the image cannot be.
    #[error("{0}")]
    Added(String),
    /// The boot script names an application's directory that is not there.
    #[error(
        "the boot script loads applications from {directory}, which is not in the release{}",
        .other.as_ref().map(|other| format!("; there is {other}")).unwrap_or_default()
    )]
    Directory {
        /// What it names.
        directory: String,
        /// Another version that is there.
        other: Option<String>,
    },
    /// The boot script is of another release.
    #[error("the boot script is that of {found}, the release is {expected}")]
    Identity {
        /// Name and version in the boot script.
        found: String,
        /// Name and version of the release.
        expected: String,
    },
    /// An application of the release is not in the boot script.
    #[error("the boot script does not load {application}, which the `.rel` file names")]
    NotLoaded {
        /// Name and version.
        application: String,
    },
    /// A module is not there.
    #[error(
        "the boot script loads the module {module}, which is in none of the applications' `ebin`"
    )]
    Module {
        /// Its name.
        module: String,
    },
}

impl IntakeFact {
    /// The rule that it belongs to.
    pub fn code(&self) -> Code {
        match self {
            Self::Error(error) => code_of(error),
            Self::Added(_) => Code::Unreadable,
            Self::Directory { .. } | Self::Identity { .. } | Self::NotLoaded { .. } => {
                Code::BootMismatch
            }
            Self::Module { .. } => Code::MissingModule,
        }
    }
}

fn code_of(error: &Error) -> Code {
    match error {
        Error::Packed { error, .. } => code_of(error),
        Error::Read { .. } | Error::TooLarge { .. } => Code::Unreadable,
        Error::NoErts { .. }
        | Error::NoErtsNamed { .. }
        | Error::NotErts { .. }
        | Error::OtherErts { .. }
        | Error::ErtsVersion { .. }
        | Error::WrongArchitecture { .. }
        | Error::NoEmulator { .. } => Code::RuntimeSystem,
        Error::MissingApplication { .. }
        | Error::NoApplication { .. }
        | Error::AppMismatch { .. } => Code::Application,
        Error::NoBootScript { .. } | Error::Boot { .. } | Error::Script { .. } => Code::BootScript,
        Error::Text { .. }
        | Error::Rel { .. }
        | Error::App { .. }
        | Error::Spec { .. }
        | Error::VmArgs { .. }
        | Error::NotUtf8 { .. } => Code::Malformed,
        Error::EscapingSymlink { .. } | Error::BrokenSymlink { .. } | Error::SpecialFile { .. } => {
            Code::UnfitFile
        }
        Error::Flags(_) => Code::UnknownFlag,
        Error::Distribution(_) | Error::OutsideRelease(_) => Code::StartUnknown,
        _ => Code::Unusable,
    }
}

/// An error of the release as a finding.
pub fn release_error(error: Error) -> Finding {
    Finding::new(IntakeFact::Error(error))
}

/// Looks for a boot script that does not fit the rest. One that cannot be read is not judged here:
/// reading the release tells.
pub(crate) fn check(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    let Ok(script) = subject.release.boot_script(subject.options) else {
        return;
    };
    let facts = identity(subject, &script)
        .into_iter()
        .chain(directories(subject, &script))
        .chain(applications(subject, &script))
        .chain(modules(subject, &script));
    findings.extend(facts.map(|fact| {
        let name = format!("the boot script of {}", subject.release.name());
        Finding::new(fact).at(Place::file(name))
    }));
}

fn identity(subject: &Subject<'_>, script: &BootScript) -> Option<IntakeFact> {
    let release = subject.release;
    let expected = format!("{} {}", release.name(), release.version());
    let found = format!("{} {}", script.name, script.version);
    (found != expected).then_some(IntakeFact::Identity { found, expected })
}

/// Directories of `{path, […]}` below `$ROOT/lib` (or a variable for it) that are not there.
fn directories(subject: &Subject<'_>, script: &BootScript) -> Vec<IntakeFact> {
    let named = script.instructions.iter().filter_map(paths).flatten();
    let missing: BTreeSet<_> = named.filter_map(|path| missing(subject, &path)).collect();
    let fact = |directory: String| IntakeFact::Directory {
        other: subject.other_version(&directory),
        directory: format!("lib/{directory}"),
    };
    missing.into_iter().map(fact).collect()
}

/// The application's directory in a path of code, if it is not there. Only paths that lead into the
/// release are known.
fn missing(subject: &Subject<'_>, path: &str) -> Option<String> {
    let mut parts = path
        .split('/')
        .skip_while(|part| part.starts_with('$') || *part == "lib");
    let directory = parts.next()?;
    let is_there = subject.has(&format!("{GUEST_ROOT}/lib/{directory}"));
    (path.starts_with('$') && !is_there).then(|| directory.into())
}

/// The directories that an instruction adds to the path of code.
fn paths(instruction: &Term) -> Option<Vec<String>> {
    let [list] = instruction.tagged("path")? else {
        return None;
    };
    Some(list.as_list()?.iter().filter_map(Term::to_text).collect())
}

/// Applications of the `.rel` file that the script does not load.
fn applications(subject: &Subject<'_>, script: &BootScript) -> Vec<IntakeFact> {
    let loaded: BTreeSet<_> = script
        .instructions
        .iter()
        .filter_map(loaded_application)
        .collect();
    let release = subject.release.applications().iter();
    release
        .filter(|application| application.start != release::rel::StartType::None)
        .filter(|application| application.app.name != "kernel")
        .filter(|application| !loaded.contains(application.app.name.as_str()))
        .map(|application| IntakeFact::NotLoaded {
            application: format!("{} {}", application.app.name, application.app.version),
        })
        .collect()
}

/// `{apply, {application, load, [{application, Name, _}]}}`.
fn loaded_application(instruction: &Term) -> Option<&str> {
    let [call] = instruction.tagged("apply")? else {
        return None;
    };
    let [function, arguments] = call.tagged("application")? else {
        return None;
    };
    let [name, ..] = arguments.as_list()?.first()?.tagged("application")? else {
        return None;
    };
    (function.as_atom()? == "load").then(|| name.as_atom())?
}

/// Modules of `{primLoad, […]}` that are nowhere. Those that are preloaded are in the emulator; those
/// of an application that is missing are missing with it.
fn modules(subject: &Subject<'_>, script: &BootScript) -> Vec<IntakeFact> {
    let mut loaded = BTreeSet::new();
    let mut is_there = true;
    for instruction in &script.instructions {
        if let Some(paths) = paths(instruction) {
            is_there = paths.iter().any(|path| missing(subject, path).is_none());
        }
        if let Some([Term::List(modules)]) = instruction.tagged("primLoad")
            && is_there
        {
            loaded.extend(modules.iter().filter_map(Term::as_atom));
        }
    }
    let known = subject.module_names();
    let missing = loaded.into_iter().filter(|module| !known.contains(*module));
    missing
        .map(|module| IntakeFact::Module {
            module: module.into(),
        })
        .collect()
}
