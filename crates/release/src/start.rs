//! How the emulator is started in the guest. The kernel makes it out at boot ([`launch`]), from
//! what [`Start::plan`] says; here the same is done beforehand, with the variables that the image
//! will have, so that mistakes are found and the files that are needed are known.

mod loading;

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::PathBuf;

use boot_contract::init::Init;
use launch::{Files, Launch};

use crate::release::{Flavour, Release};
use crate::term::text;
use crate::tree::{self, GuestPath, TreeEntry};
use crate::{Error, GUEST_ROOT, read};

pub use loading::CodeLoading;

/// What the user says about the start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StartOptions {
    /// Variables for the start script and the release, on top of everything the image sets.
    pub env: BTreeMap<String, String>,
    /// Arguments for the release, as given to its start script.
    pub args: Vec<String>,
    /// Host name of the guest; the kernel's default if empty.
    pub hostname: String,
    /// Start a shell on the console (Erlang's, or IEx), as the scripts' `console` and `start_iex`
    /// do.
    pub console: bool,
    /// When modules are loaded, if not when the release says (`RELEASE_MODE` of mix,
    /// `CODE_LOADING_MODE` of relx, `embedded` otherwise).
    pub code_loading: Option<CodeLoading>,
}

/// How to start the emulator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Start {
    /// What the kernel starts from.
    pub plan: Init,
    /// Program, arguments and environment that follow from it if nothing is added at boot.
    pub init: Init,
    /// Files the start needs besides those of [`Release::tree`]; they win over those.
    pub files: Vec<TreeEntry>,
    /// What the user should know.
    pub notes: Vec<Note>,
}

/// Something that differs from a start on an ordinary machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// A line of `env.sh` has no effect.
    EnvShLine {
        /// The script.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// Its text.
        text: String,
    },
    /// A template uses a variable that has no value yet.
    Unset {
        /// The template.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// The variable.
        name: String,
    },
    /// The release's start script runs a hook before the emulator.
    Hook {
        /// The script.
        path: PathBuf,
        /// The hook and its arguments.
        hook: String,
    },
    /// The release wants `epmd` to be started, and has none.
    EpmdMissing,
    /// The node is distributed, and there is no `epmd` in the guest.
    NoEpmd {
        /// Port of the distribution.
        port: u16,
    },
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EnvShLine { path, line, text } => write!(
                f,
                "{}:{line} has no effect in an image: `{text}`; set the variable with --env",
                path.display()
            ),
            Self::Unset { path, line, name } => write!(
                f,
                "{}:{line} uses the environment variable {name}, which has no value: the release starts only if it is given one at boot (`unibeam run --env {name}=VALUE`), or now with --env",
                path.display()
            ),
            Self::Hook { path, hook } => write!(
                f,
                "{} runs the hook `{hook}` before it starts the release; nothing runs it in an image",
                path.display()
            ),
            Self::EpmdMissing => write!(
                f,
                "the release asks for epmd (`-start_epmd true`), which is not among its programs: a distributed node will not start; remove the flag from vm.args"
            ),
            Self::NoEpmd { port } => write!(
                f,
                "the node is distributed without epmd and listens on port {port}; start other nodes with `-erl_epmd_port {port}`, or set `-start_epmd` in vm.args yourself"
            ),
        }
    }
}

impl Release {
    /// How the emulator is started in the guest.
    ///
    /// # Errors
    /// A file that the start needs is missing or malformed, or flags make no sense.
    pub fn start(&self, options: &StartOptions) -> Result<Start, Error> {
        self.derive_start(options)
            .map_err(|error| self.explain(error))
    }

    fn derive_start(&self, options: &StartOptions) -> Result<Start, Error> {
        let (plan, launch) = self.launch(options)?;
        if launch.unset.is_empty() {
            self.check_written(&launch)?;
        }
        Ok(Start {
            files: self.files_of(&launch)?,
            notes: [self.notes_of(&launch), self.hooks()].concat(),
            init: launch.init,
            plan,
        })
    }

    /// What the kernel will be told, and what it will make of it.
    fn launch(&self, options: &StartOptions) -> Result<(Init, Launch), Error> {
        let described = self.describe(options)?;
        let says_mode =
            |name: &String| matches!(name.as_str(), "RELEASE_MODE" | "CODE_LOADING_MODE");
        let mut env = options.env.clone();
        if options.code_loading.is_some() {
            env.retain(|name, _| !says_mode(name));
        }
        let wanted = Init {
            env: env.into_iter().collect(),
            args: options.args.clone(),
            hostname: options.hostname.clone(),
            ..Init::default()
        };
        let mut files = HostFiles(self);
        let launch = launch::launch(&described, &wanted, &mut files)
            .map_err(|error| self.launch_error(error))?;
        let plan = Init {
            release: Some(described),
            ..wanted
        };
        Ok((plan, launch))
    }

    fn describe(&self, options: &StartOptions) -> Result<boot_contract::release::Release, Error> {
        let boot = self.default_boot_path()?;
        let boot = boot.file_stem().and_then(|stem| stem.to_str());
        let version = |name: &str| {
            let mut applications = self.rel.applications.iter();
            let found = applications.find(|application| application.name == name);
            found.map(|application| application.version.clone())
        };
        Ok(boot_contract::release::Release {
            flavour: self.flavour,
            name: self.rel.name.clone(),
            version: self.rel.version.clone(),
            erts: self.rel.erts.clone(),
            elixir: version("elixir").unwrap_or_default(),
            boot: boot.unwrap_or("start").into(),
            mode: options
                .code_loading
                .map(|mode| mode.to_string())
                .unwrap_or_default(),
            console: options.console,
        })
    }

    /// A configuration that the emulator could not read would end the boot.
    fn check_written(&self, launch: &Launch) -> Result<(), Error> {
        let configurations = launch.files.iter();
        for (path, content) in configurations.filter(|(path, _)| path.ends_with(".config")) {
            text::parse_one(content).map_err(|error| Error::Text {
                path: self.template_of(path),
                error,
            })?;
        }
        Ok(())
    }

    /// What a file was made from.
    fn template_of(&self, path: &str) -> PathBuf {
        let template = self.host_path(&format!("{path}.src"));
        if template.is_file() {
            template
        } else {
            self.host_path(path)
        }
    }

    /// What the start writes, as far as it is known, and the programs that it needs.
    fn files_of(&self, launch: &Launch) -> Result<Vec<TreeEntry>, Error> {
        let mut entries: Vec<_> = GuestPath::new(&launch.home)
            .map(TreeEntry::directory)
            .into_iter()
            .collect();
        let written = launch.files.iter().filter(|_| launch.unset.is_empty());
        for (path, content) in written {
            let guest = GuestPath::new(path).ok_or_else(|| Error::OutsideRelease(path.clone()))?;
            entries.push(TreeEntry::bytes(guest, content.clone()));
        }
        // The usual emulator is part of every image.
        let emulator = Some(&launch.init.exec).filter(|path| !path.ends_with("/beam.smp"));
        for path in launch.init.beside.iter().chain(emulator) {
            let host = self.host_path(path);
            entries.extend(GuestPath::new(path).map(|at| TreeEntry::host_file(at, &host, true)));
        }
        Ok(tree::merge(entries))
    }

    fn notes_of(&self, launch: &Launch) -> Vec<Note> {
        let shown = |path: &str| self.shown(&self.host_path(path));
        let notes = launch.notes.iter().map(|note| match note {
            launch::Note::EnvShLine { path, line, text } => Note::EnvShLine {
                path: shown(path),
                line: *line,
                text: text.clone(),
            },
            launch::Note::EpmdMissing => Note::EpmdMissing,
            launch::Note::NoEpmd { port } => Note::NoEpmd { port: *port },
        });
        let unset = launch.unset.iter().map(|unset| Note::Unset {
            path: shown(&unset.path),
            line: unset.line,
            name: unset.name.clone(),
        });
        notes.chain(unset).collect()
    }

    /// Hooks of relx's script (relx: priv/templates/extended_bin): words separated by spaces, each
    /// a program and its arguments separated by bars.
    fn hooks(&self) -> Vec<Note> {
        let path = self.root().join("bin").join(&self.rel.name);
        let script = match self.flavour {
            Flavour::Relx => fs::read_to_string(&path).unwrap_or_default(),
            _ => String::new(),
        };
        let mut lines = script.lines();
        let hooks = lines.find_map(|line| line.strip_prefix("PRE_START_HOOKS=\""));
        let hooks = hooks.unwrap_or_default().trim_end_matches('"');
        let note = |hook: &str| Note::Hook {
            path: self.shown(&path),
            hook: hook.replace('|', " "),
        };
        hooks.split_whitespace().map(note).collect()
    }

    fn launch_error(&self, error: launch::Error<Error>) -> Error {
        let path = |path: String| self.host_path(&path);
        match error {
            launch::Error::Files(error) => error,
            launch::Error::Missing { path: missing } => Error::Read {
                path: path(missing),
                source: std::io::ErrorKind::NotFound.into(),
            },
            launch::Error::NotUtf8 { path: file } => Error::NotUtf8 { path: path(file) },
            launch::Error::VmArgs { path: file, error } => Error::VmArgs {
                path: path(file),
                error,
            },
            launch::Error::Flags(error) => Error::Flags(error),
            launch::Error::Distribution(kind) => Error::Distribution(kind),
            launch::Error::NoEmulator { path: program } => Error::NoEmulator {
                path: path(program),
            },
        }
    }

    /// The boot script that is used with these options.
    pub(crate) fn boot_path(&self, options: &StartOptions) -> Result<PathBuf, Error> {
        let Some((_, launch)) = self.launch(options).ok().filter(|_| self.bare.is_none()) else {
            return self.default_boot_path();
        };
        let args = &launch.init.args;
        let flag = args.windows(2).find(|words| words[0] == "-boot");
        let name = flag.and_then(|words| words[1].rsplit_once('/'));
        match name {
            Some((_, name)) => self.first_boot_path(&[name.into()]),
            None => self.default_boot_path(),
        }
    }

    /// Where a file of the guest is on this host, if it is in the release.
    fn host_path(&self, guest: &str) -> PathBuf {
        self.in_release(guest).unwrap_or_else(|| guest.into())
    }

    fn in_release(&self, guest: &str) -> Option<PathBuf> {
        let below = |directory: &str| guest.strip_prefix(directory)?.strip_prefix('/');
        let programs = format!("{GUEST_ROOT}/erts-{}/bin", self.rel.erts);
        let program = below(&programs).map(|program| self.erts_bin().join(program));
        let file = below(&self.mount.guest.to_string()).map(|file| self.root().join(file));
        program.or(file)
    }
}

/// The release's files on this host as those of the guest.
struct HostFiles<'a>(&'a Release);

impl HostFiles<'_> {
    fn host(&self, path: &str) -> Result<PathBuf, Error> {
        // Without `..`, so that nothing outside is read.
        let guest = GuestPath::new(path).map(|path| path.to_string());
        let inside = guest.and_then(|guest| self.0.in_release(&guest));
        inside.ok_or_else(|| Error::OutsideRelease(path.into()))
    }
}

impl Files for HostFiles<'_> {
    type Error = Error;

    fn read(&mut self, path: &str) -> Result<Option<Vec<u8>>, Error> {
        let host = self.host(path)?;
        if host.exists() {
            read::metadata_file(&host).map(Some)
        } else {
            Ok(None)
        }
    }

    fn has(&self, path: &str) -> bool {
        self.host(path).is_ok_and(|host| host.is_file())
    }
}
