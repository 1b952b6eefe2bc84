//! A `.rel` file outside any release: its applications are looked for in folders that the user
//! names, and its boot script is made here.

use std::path::{Path, PathBuf};

use crate::app::AppFile;
use crate::boot::BootScript;
use crate::installed::{Installed, proposal};
use crate::locate::{self, read_term};
use crate::read;
use crate::rel::{RelApplication, RelFile};
use crate::release::{Application, Flavour, noted};
use crate::systools::{AppSpec, ScriptOptions, make_script};
use crate::walk::Mount;
use crate::{Error, Places, Release};

/// Whether a path means such a file.
pub(crate) fn is_bare(path: &Path) -> bool {
    let is_rel = path.extension().is_some_and(|extension| extension == "rel");
    let real = path.canonicalize();
    is_rel && real.is_ok_and(|path| path.is_file() && locate::root_of(&path).is_none())
}

/// What is special about the release that such a file describes.
#[derive(Debug)]
pub(crate) struct Bare {
    /// Its boot script, if one could be made.
    pub(crate) script: Option<BootScript>,
}

impl Release {
    /// The release that a bare file describes, as far as its parts are there.
    pub(crate) fn survey_bare(path: &Path, places: &Places) -> Result<(Self, Vec<Error>), Error> {
        let path = path.canonicalize().map_err(|source| Error::Read {
            path: path.into(),
            source,
        })?;
        let rel = locate::read_rel(&path)?;
        let folder = path.parent().unwrap_or(&path);
        let mut problems = Vec::new();
        let installed = noted(installed(&path, &rel, places), &mut problems);
        let library = Library::new(places, installed.as_ref())?;
        let named = rel.applications.iter();
        let found = named.filter_map(|named| noted(library.find(&path, named), &mut problems));
        let (applications, specs): (Vec<_>, Vec<_>) = found.unzip();
        let is_whole = applications.len() == rel.applications.len();
        let script = is_whole.then(|| script(&path, &rel, specs));
        let script = script.and_then(|script| noted(script, &mut problems));
        let own = folder.join(format!("erts-{}", rel.erts));
        let release = Self {
            mount: Mount::new(folder, &format!("releases/{}", rel.version))?,
            erts: installed.map_or(own, |installed| installed.erts),
            rel_path: path,
            rel,
            applications,
            flavour: Flavour::Systools,
            packed: None,
            bare: Some(Bare { script }),
        };
        if problems.is_empty() {
            noted(release.check_emulator(), &mut problems);
        }
        noted(release.check_config(), &mut problems);
        Ok((release, problems))
    }
}

/// The run-time system, which has to be named.
fn installed(path: &Path, rel: &RelFile, places: &Places) -> Result<Installed, Error> {
    let named = Installed::named(places, &rel.erts)?;
    named.ok_or_else(|| Error::NoErtsNamed {
        rel: path.into(),
        version: rel.erts.clone(),
        proposal: proposal(&rel.erts),
    })
}

fn script(path: &Path, rel: &RelFile, specs: Vec<AppSpec>) -> Result<BootScript, Error> {
    make_script(rel, specs, ScriptOptions::default()).map_err(|error| Error::Script {
        rel: path.into(),
        error: Box::new(error),
    })
}

/// Where applications are looked for.
struct Library {
    /// Their directories `ebin`, in order.
    ebins: Vec<PathBuf>,
    /// The folders as they were named.
    folders: Vec<PathBuf>,
}

impl Library {
    /// The folders that the user names, then those of `ERL_LIBS`, then that of the installed Erlang.
    fn new(places: &Places, installed: Option<&Installed>) -> Result<Self, Error> {
        let mut folders = places.lib_dirs.clone();
        folders.extend(places.erl_libs.iter().filter(|path| path.is_dir()).cloned());
        folders.extend(installed.and_then(|installed| installed.lib.clone()));
        let mut ebins = Vec::new();
        for folder in &folders {
            let inside = read::directory(folder)?;
            let directories = std::iter::once(folder).chain(&inside);
            let ebin = directories.map(|directory| directory.join("ebin"));
            ebins.extend(ebin.filter(|ebin| ebin.is_dir()));
        }
        Ok(Self { ebins, folders })
    }

    /// The first application of the right version, as `read_application` finds it (OTP:
    /// lib/sasl/src/systools_make.erl); else why the first candidate is none.
    fn find(&self, rel: &Path, wanted: &RelApplication) -> Result<(Application, AppSpec), Error> {
        let mut first = None;
        for ebin in &self.ebins {
            let path = ebin.join(format!("{}.app", wanted.name));
            if !path.is_file() {
                continue;
            }
            match candidate(&path, wanted) {
                Ok((_, spec)) if spec.name != wanted.name => {
                    return Err(mismatch(path, &spec, wanted));
                }
                Ok(found) => return Ok(found),
                // A description that is of no use is an error whatever comes later.
                Err(error @ (Error::Spec { .. } | Error::App { .. })) => return Err(error),
                Err(error) => first = first.or(Some(error)),
            }
        }
        Err(first.unwrap_or_else(|| Error::NoApplication {
            rel: rel.into(),
            application: format!("{} {}", wanted.name, wanted.version),
            folders: self.folders.clone(),
        }))
    }
}

fn candidate(path: &Path, wanted: &RelApplication) -> Result<(Application, AppSpec), Error> {
    let path = path.canonicalize().map_err(|source| Error::Read {
        path: path.into(),
        source,
    })?;
    let term = read_term(&path)?;
    let spec = AppSpec::from_term(&term).map_err(|error| Error::Spec {
        path: path.clone(),
        error,
    })?;
    let app = AppFile::from_term(&term).map_err(|error| Error::App {
        path: path.clone(),
        error,
    })?;
    if spec.version != wanted.version {
        return Err(mismatch(path, &spec, wanted));
    }
    let directory = path.ancestors().nth(2).unwrap_or(&path);
    let application = Application {
        directory: directory.into(),
        start: wanted.start,
        app,
    };
    Ok((application, spec))
}

fn mismatch(path: PathBuf, found: &AppSpec, wanted: &RelApplication) -> Error {
    Error::AppMismatch {
        path,
        found: format!("{} {}", found.name, found.version),
        expected: format!("{} {}", wanted.name, wanted.version),
    }
}
