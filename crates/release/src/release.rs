//! A release that was opened and checked.

use std::path::{Path, PathBuf};

use boot_contract::events::{APPLICATION_STARTED, READY_DEVICE};

use crate::app::AppFile;
use crate::boot::BootScript;
use crate::locate::{Located, locate, read_term};
use crate::packed::Packed;
use crate::read;
use crate::rel::{RelApplication, RelFile, StartType};
use crate::tree::{self, TreeEntry};
use crate::walk::{Walk, guest_path};
use crate::{Error, Places, StartOptions, archive};

/// Directories of an application that nothing needs at run time.
const BUILD_DIRECTORIES: [&str; 10] = [
    "src", "include", "doc", "docs", "examples", "test", "c_src", "emacs", "man", "html",
];

/// What built a release, which decides how it is started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flavour {
    /// OTP's own tools (`systools`, `reltool`): started by `start_erl`.
    Systools,
    /// relx (`rebar3 release`) with its extended start script.
    Relx,
    /// `mix release`.
    Mix,
}

impl Flavour {
    /// Its name for people and machines.
    pub fn name(self) -> &'static str {
        match self {
            Self::Systools => "systools",
            Self::Relx => "relx",
            Self::Mix => "mix",
        }
    }
}

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
    pub(crate) root: PathBuf,
    pub(crate) rel_path: PathBuf,
    pub(crate) rel: RelFile,
    pub(crate) applications: Vec<Application>,
    pub(crate) flavour: Flavour,
    /// The archive that it is in.
    pub(crate) packed: Option<Packed>,
}

impl Release {
    /// Opens a release, given its root directory, a `.rel` file in it, or an archive of it.
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
        if !archive::is_archive(path) {
            return Self::survey_folder(path);
        }
        let packed = Packed::unpack(path, places)?;
        let found = Self::survey_folder(&packed.root());
        let (mut release, problems) = found.map_err(|error| packed.explain(error))?;
        release.packed = Some(packed);
        let problems = problems.into_iter().map(|error| release.explain(error));
        let problems = problems.collect();
        Ok((release, problems))
    }

    fn survey_folder(path: &Path) -> Result<(Self, Vec<Error>), Error> {
        let Located {
            root,
            rel_path,
            rel,
        } = locate(path)?;
        let mut problems = Vec::new();
        let applications = rel
            .applications
            .iter()
            .filter_map(|application| {
                find_application(&root, &rel_path, application)
                    .map_err(|error| problems.push(error))
                    .ok()
            })
            .collect();
        let mut release = Self {
            root,
            rel_path,
            rel,
            applications,
            flavour: Flavour::Systools,
            packed: None,
        };
        release.flavour = release.guess_flavour();
        let boot = release
            .default_boot_path()
            .and_then(|path| release.read_boot(&path).map(drop));
        for check in [release.check_emulator(), release.check_config(), boot] {
            problems.extend(check.err());
        }
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
        &self.root
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
        self.boot_path(options)
            .and_then(|path| self.read_boot(&path))
            .map_err(|error| self.explain(error))
    }

    /// The files of the release for the guest, below [`GUEST_ROOT`](crate::GUEST_ROOT): sorted,
    /// with the boot script edited so that its last instruction reports readiness.
    ///
    /// Left out are the sources and documents of applications, applications that are in `lib` but
    /// not in the `.rel`, other versions, and `bin` with the start scripts. The files that
    /// [`start`](Self::start) adds are not among them.
    ///
    /// # Errors
    /// An unreadable or special file, or a symbolic link that leads out of the release.
    pub fn tree(&self, options: &StartOptions) -> Result<Vec<TreeEntry>, Error> {
        let (entries, problems) = self.survey_tree(options);
        problems.into_iter().next().map_or(Ok(entries), Err)
    }

    /// As [`tree`](Self::tree), but leaves out what cannot be part of an image, and says why.
    pub fn survey_tree(&self, options: &StartOptions) -> (Vec<TreeEntry>, Vec<Error>) {
        let mut walk = Walk::new(&self.root);
        let everything = |_: &Path| true;
        for application in &self.applications {
            let directory = &application.directory;
            let wanted = |path: &Path| !is_build_directory(directory, path);
            walk.add(directory, &wanted);
        }
        walk.add(&self.erts_bin(), &everything);
        walk.add(&self.version_dir(), &everything);
        for file in ["COOKIE", "RELEASES", "start_erl.data"] {
            walk.add(&self.root.join("releases").join(file), &everything);
        }
        let Walk {
            mut entries,
            mut problems,
            ..
        } = self.add_overlays(walk);
        match self.edited_boot_script(options) {
            Ok(entry) => entries.push(entry),
            Err(error) => problems.push(error),
        }
        let problems = problems.into_iter().map(|error| self.explain(error));
        (tree::merge(entries), problems.collect())
    }

    fn add_overlays<'a>(&self, mut walk: Walk<'a>) -> Walk<'a> {
        match read::directory(&self.root) {
            Ok(paths) => {
                let overlays = paths.iter().filter(|path| self.is_overlay(path));
                overlays.for_each(|path| walk.add(path, &|_| true));
            }
            Err(error) => walk.problems.push(error),
        }
        walk
    }

    fn edited_boot_script(&self, options: &StartOptions) -> Result<TreeEntry, Error> {
        let path = self.boot_path(options)?;
        let mut script = self.read_boot(&path)?;
        script.report_ready(READY_DEVICE, APPLICATION_STARTED);
        Ok(TreeEntry::bytes(
            guest_path(&self.root, &path)?,
            script.emit(),
        ))
    }

    pub(crate) fn version_dir(&self) -> PathBuf {
        self.root.join("releases").join(&self.rel.version)
    }

    pub(crate) fn erts_bin(&self) -> PathBuf {
        let directory = format!("erts-{}", self.rel.erts);
        self.root.join(directory).join("bin")
    }

    fn read_boot(&self, path: &Path) -> Result<BootScript, Error> {
        let bytes = read::metadata_file(path)?;
        BootScript::parse(&bytes).map_err(|error| Error::Boot {
            path: path.into(),
            error,
        })
    }

    /// relx prefers `NAME.boot`, the others `start.boot`.
    pub(crate) fn default_boot_path(&self) -> Result<PathBuf, Error> {
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

    fn check_emulator(&self) -> Result<(), Error> {
        let path = self.emulator();
        if !path.is_file() {
            let found = self.erts_versions()?;
            return Err(
                if found.is_empty() || found.contains(&format!("erts-{}", self.rel.erts)) {
                    Error::NoErts { path }
                } else {
                    Error::ErtsVersion {
                        rel: self.rel_path.clone(),
                        expected: self.rel.erts.clone(),
                        found,
                    }
                },
            );
        }
        match elf_problem(&read::head(&path, ELF_HEAD)?) {
            None => Ok(()),
            Some(found) => Err(Error::WrongArchitecture { path, found }),
        }
    }

    fn erts_versions(&self) -> Result<Vec<String>, Error> {
        let names = read::directory(&self.root)?;
        let names = names.iter().filter_map(|path| path.file_name()?.to_str());
        Ok(names
            .filter(|name| name.starts_with("erts-"))
            .map(Into::into)
            .collect())
    }

    /// A configuration that the emulator could not read would end the boot.
    fn check_config(&self) -> Result<(), Error> {
        let path = self.version_dir().join("sys.config");
        if path.is_file() {
            read_term(&path)?;
        }
        Ok(())
    }

    /// Files that the release brings besides the usual ones.
    fn is_overlay(&self, path: &Path) -> bool {
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        !matches!(name, "bin" | "lib" | "releases" | "tmp" | "log") && !name.starts_with("erts-")
    }
}

fn is_build_directory(application: &Path, path: &Path) -> bool {
    path.parent() == Some(application)
        && path.is_dir()
        && BUILD_DIRECTORIES.iter().any(|name| path.ends_with(name))
}

fn find_application(
    root: &Path,
    rel_path: &Path,
    application: &RelApplication,
) -> Result<Application, Error> {
    let RelApplication { name, version, .. } = application;
    let lib = root.join("lib");
    let directory = lib.join(format!("{name}-{version}"));
    if !directory.is_dir() {
        return Err(Error::MissingApplication {
            rel: rel_path.into(),
            name: name.clone(),
            version: version.clone(),
            dir: directory,
            found: other_versions(&lib, name)?,
        });
    }
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

fn other_versions(lib: &Path, name: &str) -> Result<Vec<String>, Error> {
    let paths = read::directory(lib)?;
    let names = paths.iter().filter_map(|path| path.file_name()?.to_str());
    let versions = names.filter_map(|found| found.strip_prefix(name)?.strip_prefix('-'));
    Ok(versions.map(Into::into).collect())
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
