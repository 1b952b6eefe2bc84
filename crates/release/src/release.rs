//! A release that was opened and checked.

use std::path::{Path, PathBuf};

use crate::app::AppFile;
use crate::bare::{Bare, is_bare};
use crate::boot::BootScript;
use crate::installed::Installed;
use crate::locate::{locate, read_term};
use crate::packed::Packed;
use crate::parts::Search;
use crate::read;
use crate::rel::{RelFile, StartType};
use crate::tree::GuestPath;
use crate::walk::Mount;
use crate::{Error, Places, StartOptions, archive};

pub use boot_contract::release::Flavour;

/// One application of the release.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Application {
    /// Its directory, `lib/NAME-VERSION`.
    pub directory: PathBuf,
    /// How it is started.
    pub start: StartType,
    /// What its `.app` file says.
    pub app: AppFile,
}

/// A release with everything its `.rel` file promises.
#[derive(Debug)]
pub struct Release {
    pub(crate) mount: Mount,
    pub(crate) rel_path: PathBuf,
    pub(crate) rel: RelFile,
    pub(crate) applications: Vec<Application>,
    pub(crate) flavour: Flavour,
    /// `erts-VERSION` on the host.
    pub(crate) erts: PathBuf,
    /// What is special if there is nothing but a `.rel` file.
    pub(crate) bare: Option<Bare>,
    /// The archive that it is in.
    pub(crate) packed: Option<Packed>,
}

impl Release {
    /// Opens a release, given its root directory, a `.rel` file in it, or an archive of it.
    /// ([`survey`](Self::survey) takes a `.rel` file outside any release, too.)
    ///
    /// Checks that all applications, the run-time system and its version, and a boot script are
    /// there, and that the metadata is well-formed.
    ///
    /// # Errors
    /// The first thing that is wrong; see [`Error`].
    pub fn open(path: &Path) -> Result<Self, Error> {
        let (release, problems) = Self::survey(path, &Places::default())?;
        problems.into_iter().next().map_or(Ok(release), Err)
    }

    /// As [`open`](Self::open), but goes on after each problem: the release as far as it is
    /// usable (without the applications that are not there), and all that is wrong with it.
    ///
    /// # Errors
    /// There is no release, or its `.rel` file cannot be read.
    pub fn survey(path: &Path, places: &Places) -> Result<(Self, Vec<Error>), Error> {
        if is_bare(path) {
            return Self::survey_bare(path, places);
        }
        if !archive::is_archive(path) {
            return Self::survey_folder(path, places);
        }
        let packed = Packed::unpack(path, places)?;
        let found = Self::survey_folder(&packed.root(), places);
        let (mut release, problems) = found.map_err(|error| packed.explain(error))?;
        release.packed = Some(packed);
        let problems = problems.into_iter().map(|error| release.explain(error));
        let problems = problems.collect();
        Ok((release, problems))
    }

    fn survey_folder(path: &Path, places: &Places) -> Result<(Self, Vec<Error>), Error> {
        let located = locate(path)?;
        let mut problems = Vec::new();
        if !places.lib_dirs.is_empty() {
            problems.push(Error::NotBare { path: path.into() });
        }
        let named = noted(Installed::named(places, &located.rel.erts), &mut problems);
        let named_is_sound = named.is_some();
        let installed = named.flatten();
        let search = Search {
            located: &located,
            installed: installed.as_ref(),
        };
        let mut missing = Vec::new();
        let applications = search.applications(&mut missing);
        let own = located.root.join(format!("erts-{}", located.rel.erts));
        let mut release = Self {
            mount: Mount::new(&located.root, "")?,
            erts: installed.map_or(own, |installed| installed.erts),
            rel_path: located.rel_path,
            rel: located.rel,
            applications,
            flavour: Flavour::Systools,
            bare: None,
            packed: None,
        };
        release.flavour = release.guess_flavour();
        if named_is_sound {
            noted(release.check_emulator(), &mut problems);
        }
        // Without a run-time system, applications of OTP are often missing, too.
        problems.extend(missing);
        noted(release.check_config(), &mut problems);
        noted(release.check_boot(), &mut problems);
        Ok((release, problems))
    }

    /// An error that names files as the user knows them.
    pub(crate) fn explain(&self, error: Error) -> Error {
        match &self.packed {
            Some(packed) => packed.explain(error),
            None => error,
        }
    }

    /// A path as the user knows it.
    pub(crate) fn shown(&self, path: &Path) -> PathBuf {
        match &self.packed {
            Some(packed) => packed.shown(path),
            None => path.into(),
        }
    }

    /// Name of the release.
    pub fn name(&self) -> &str {
        &self.rel.name
    }

    /// Version of the release.
    pub fn version(&self) -> &str {
        &self.rel.version
    }

    /// Version of its run-time system.
    pub fn erts_version(&self) -> &str {
        &self.rel.erts
    }

    /// Its root directory on the host.
    pub fn root(&self) -> &Path {
        &self.mount.host
    }

    /// Its `.rel` file.
    pub fn rel_path(&self) -> &Path {
        &self.rel_path
    }

    /// What built it.
    pub fn flavour(&self) -> Flavour {
        self.flavour
    }

    /// Its applications, in the order of the `.rel` file.
    pub fn applications(&self) -> &[Application] {
        &self.applications
    }

    /// The emulator on the host, `erts-VERSION/bin/beam.smp`.
    pub fn emulator(&self) -> PathBuf {
        self.erts_bin().join("beam.smp")
    }

    /// The boot script that [`start`](Self::start) uses with these options, as the release has
    /// it.
    ///
    /// # Errors
    /// It is missing or malformed.
    pub fn boot_script(&self, options: &StartOptions) -> Result<BootScript, Error> {
        let boot = self.boot(options).map_err(|error| self.explain(error))?;
        Ok(boot.1)
    }

    /// The boot script and its place in the guest.
    pub(crate) fn boot(&self, options: &StartOptions) -> Result<(GuestPath, BootScript), Error> {
        let path = self.boot_path(options)?;
        let place = self.mount.guest_path(&path)?;
        let script = match &self.bare {
            None => self.read_boot(&path)?,
            Some(Bare { script }) => {
                let script = script.clone();
                script.ok_or(Error::NoBootScript { tried: vec![path] })?
            }
        };
        Ok((place, script))
    }

    /// Where the files of this version are on the host: `releases/VERSION`, or beside a bare `.rel`.
    pub(crate) fn version_dir(&self) -> PathBuf {
        if self.bare.is_some() {
            return self.root().into();
        }
        self.root().join("releases").join(&self.rel.version)
    }

    pub(crate) fn erts_bin(&self) -> PathBuf {
        self.erts.join("bin")
    }

    pub(crate) fn read_boot(&self, path: &Path) -> Result<BootScript, Error> {
        let bytes = read::metadata_file(path)?;
        BootScript::parse(&bytes).map_err(|error| Error::Boot {
            path: path.into(),
            error,
        })
    }

    /// relx prefers `NAME.boot`, the others `start.boot`. A script that was made is in no file, and
    /// one beside a bare `.rel` file is of no account.
    pub(crate) fn default_boot_path(&self) -> Result<PathBuf, Error> {
        if self.bare.is_some() {
            return Ok(self.version_dir().join("start.boot"));
        }
        let mut names = ["start".into(), self.rel.name.clone()];
        if self.flavour == Flavour::Relx {
            names.reverse();
        }
        self.first_boot_path(&names)
    }

    /// The first of these boot scripts (without extension) that exists.
    pub(crate) fn first_boot_path(&self, names: &[String]) -> Result<PathBuf, Error> {
        let tried: Vec<_> = names
            .iter()
            .filter(|name| !name.contains('/'))
            .map(|name| self.version_dir().join(format!("{name}.boot")))
            .collect();
        let found = tried.iter().find(|path| path.is_file()).cloned();
        found.ok_or(Error::NoBootScript { tried })
    }

    fn guess_flavour(&self) -> Flavour {
        let has = |file: &str| self.version_dir().join(file).is_file();
        if has("env.sh") || has("elixir") {
            Flavour::Mix
        } else if has("vm.args") || has("vm.args.src") {
            Flavour::Relx
        } else {
            Flavour::Systools
        }
    }

    fn check_boot(&self) -> Result<(), Error> {
        let path = self.default_boot_path()?;
        self.read_boot(&path).map(drop)
    }

    /// A configuration that the emulator could not read would end the boot; one of relx may have
    /// variables that are replaced before (`RELX_REPLACE_OS_VARS`).
    pub(crate) fn check_config(&self) -> Result<(), Error> {
        let path = self.version_dir().join("sys.config");
        if !path.is_file() {
            return Ok(());
        }
        let has_variables = |text: &[u8]| text.windows(2).any(|two| two == b"${");
        if self.flavour == Flavour::Relx && has_variables(&read::metadata_file(&path)?) {
            return Ok(());
        }
        read_term(&path).map(drop)
    }
}

/// The result, or nothing with one more problem.
pub(crate) fn noted<T>(result: Result<T, Error>, problems: &mut Vec<Error>) -> Option<T> {
    result.map_err(|error| problems.push(error)).ok()
}
