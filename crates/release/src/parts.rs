//! The parts that a `.rel` file promises: applications and the run-time system.

use std::path::{Path, PathBuf};

use crate::app::AppFile;
use crate::error::Elsewhere;
use crate::installed::{self, Installed};
use crate::locate::{Located, read_term};
use crate::rel::RelApplication;
use crate::release::{Application, noted};
use crate::{Error, Release, read};

/// Where the parts of a release are looked for.
pub(crate) struct Search<'a> {
    pub(crate) located: &'a Located,
    /// What the user names for the parts that are not in the release.
    pub(crate) installed: Option<&'a Installed>,
}

impl Search<'_> {
    /// The applications of the `.rel` file that are there, and why others are not.
    pub(crate) fn applications(&self, problems: &mut Vec<Error>) -> Vec<Application> {
        let named = self.located.rel.applications.iter();
        named
            .filter_map(|application| noted(self.application(application), problems))
            .collect()
    }

    /// An application, with what its `.app` file says.
    fn application(&self, application: &RelApplication) -> Result<Application, Error> {
        let RelApplication { name, version, .. } = application;
        let directory = self.directory(name, version)?;
        let path = directory.join("ebin").join(format!("{name}.app"));
        let app = AppFile::from_term(&read_term(&path)?).map_err(|error| Error::App {
            path: path.clone(),
            error,
        })?;
        if (&app.name, &app.version) != (name, version) {
            return Err(Error::AppMismatch {
                path,
                found: format!("{} {}", app.name, app.version),
                expected: format!("{name} {version}"),
            });
        }
        Ok(Application {
            directory,
            start: application.start,
            app,
        })
    }

    /// The release's own directory of an application, else the installed one.
    fn directory(&self, name: &str, version: &str) -> Result<PathBuf, Error> {
        let lib = self.located.root.join("lib");
        let own = lib.join(format!("{name}-{version}"));
        if own.is_dir() {
            return Ok(own);
        }
        let installed = self.installed;
        if let Some(directory) = installed.and_then(|erlang| erlang.application(name, version)) {
            return Ok(directory);
        }
        Err(Error::MissingApplication {
            rel: self.located.rel_path.clone(),
            name: name.into(),
            version: version.into(),
            elsewhere: Box::new(match self.proposal(name, version) {
                Some(root) => Elsewhere::Installed(root),
                None => Elsewhere::Versions(other_versions(&lib, name)?),
            }),
            dir: own,
        })
    }

    /// An installed Erlang that has an application.
    fn proposal(&self, name: &str, version: &str) -> Option<PathBuf> {
        if self.installed.is_some() {
            return None;
        }
        let root = installed::proposal(&self.located.rel.erts)?;
        let has = root.join(format!("lib/{name}-{version}")).is_dir();
        has.then_some(root)
    }
}

fn other_versions(lib: &Path, name: &str) -> Result<Vec<String>, Error> {
    let paths = read::directory(lib)?;
    let names = paths.iter().filter_map(|path| path.file_name()?.to_str());
    let versions = names.filter_map(|found| found.strip_prefix(name)?.strip_prefix('-'));
    Ok(versions.map(Into::into).collect())
}

impl Release {
    /// Demands an emulator of the right version, for the right machine.
    pub(crate) fn check_emulator(&self) -> Result<(), Error> {
        let path = self.emulator();
        if !path.is_file() {
            return Err(self.missing_emulator(path));
        }
        match elf_problem(&read::head(&path, ELF_HEAD)?) {
            None => Ok(()),
            Some(found) => Err(Error::WrongArchitecture { path, found }),
        }
    }

    fn missing_emulator(&self, path: PathBuf) -> Error {
        let found = installed::versions(self.root());
        if found.is_empty() || found.contains(&format!("erts-{}", self.rel.erts)) {
            return Error::NoErts {
                path,
                proposal: installed::proposal(&self.rel.erts),
            };
        }
        Error::ErtsVersion {
            rel: self.rel_path.clone(),
            expected: self.rel.erts.clone(),
            found,
        }
    }
}

/// Bytes of an ELF header up to and including `e_machine`.
const ELF_HEAD: usize = 20;
/// `e_machine` of x86-64 (ELF specification, AMD64 supplement).
const EM_X86_64: u16 = 62;

/// What a file is, if it is not an x86-64 ELF file.
fn elf_problem(head: &[u8]) -> Option<String> {
    match head {
        [0x7f, b'E', b'L', b'F', 2, 1, .., low, high] if head.len() == ELF_HEAD => {
            let machine = u16::from_le_bytes([*low, *high]);
            (machine != EM_X86_64).then(|| format!("an ELF file for machine type {machine}"))
        }
        [0x7f, b'E', b'L', b'F', ..] => Some("a 32-bit, big-endian or truncated ELF file".into()),
        [0xcf, 0xfa, 0xed, 0xfe, ..] => Some("a macOS program".into()),
        [b'#', b'!', ..] => Some("a script".into()),
        [] => Some("empty".into()),
        _ => Some("not an ELF file".into()),
    }
}
