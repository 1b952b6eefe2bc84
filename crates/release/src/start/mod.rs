//! How the emulator is started in the guest: the work that the release's start script and
//! `erlexec` do on an ordinary machine, done while the image is made.

mod loading;
mod mix;
mod plain;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use boot_contract::init::Init;

use crate::erlexec::{CommandLine, expand, sort_flags};
use crate::release::{Flavour, Release};
use crate::tree::{self, GuestPath, TreeEntry};
use crate::{Error, GUEST_ROOT, read, vm_args};

pub use loading::CodeLoading;

/// `HOME` in the guest, unless the release has its own.
pub(crate) const HOME: &str = "/root";

/// `PATH` behind the release's own directories.
pub(crate) const BASE_PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// Port of the distribution without `epmd` (the registered port of `epmd` itself is 4369).
pub(crate) const DISTRIBUTION_PORT: u16 = 4370;

/// The kind of terminal that is taken for granted on the console.
const TERMINAL: &str = "xterm";

/// Bytes of a crash dump that are shown on the console: what happened, and what each of a few
/// schedulers was doing.
pub(crate) const CRASH_DUMP_HEAD: usize = 4096;

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
    /// Program, arguments, environment.
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

/// What a start script hands to `erlexec`.
#[derive(Debug, Default)]
pub(crate) struct Script {
    /// Arguments of `erlexec`.
    words: Vec<String>,
    /// Its environment.
    env: BTreeMap<String, String>,
    /// Host files for guest paths that differ from the release's own (`vm.args` from a template).
    replaced: BTreeMap<String, Vec<u8>>,
    files: Vec<TreeEntry>,
    notes: Vec<Note>,
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
        let mut script = match self.flavour {
            Flavour::Mix => self.mix_script(options)?,
            Flavour::Relx => self.relx_script(options)?,
            Flavour::Systools => self.systools_script(options)?,
        };
        if options.console {
            script
                .env
                .entry("TERM".into())
                .or_insert_with(|| TERMINAL.into());
        }
        let mut words = expand(&script.words, &mut |name| {
            self.read_args_file(name, &script.replaced)
        })?;
        if options.console && self.flavour != Flavour::Mix {
            words.retain(|word| !matches!(word.as_str(), "-noshell" | "-noinput"));
        }
        let line = sort_flags(&words)?;
        let distribution = distribution_words(&line);
        if !distribution.is_empty() {
            let port = DISTRIBUTION_PORT;
            script.notes.push(Note::NoEpmd { port });
        }
        let beside = self.programs_beside(&line, &mut script);
        let env = self.environment(&line, &script.env, options);
        let home = home(&env).to_string();
        let args = self.emulator_arguments(&line, &distribution, &script.env, &home);
        script
            .files
            .extend(GuestPath::new(&home).map(TreeEntry::directory));
        Ok(Start {
            init: Init {
                exec: guest_file(&self.guest_bin(), "beam.smp"),
                args,
                env,
                beside,
                cwd: GUEST_ROOT.into(),
                hostname: options.hostname.clone(),
            },
            files: tree::merge(script.files),
            notes: script.notes,
        })
    }

    /// Programs that run beside the emulator, with their files: `epmd`, if the release asks for it.
    fn programs_beside(&self, line: &CommandLine, script: &mut Script) -> Vec<String> {
        let asks = |words: &[String]| words == ["-start_epmd", "true"];
        if !line.arguments.windows(2).any(asks) {
            return Vec::new();
        }
        let host = self.erts_bin().join("epmd");
        let path = guest_file(&self.guest_bin(), "epmd");
        match GuestPath::new(&path) {
            Some(guest) if host.is_file() => {
                script.files.push(TreeEntry::host_file(guest, &host, true));
                vec![path]
            }
            _ => {
                script.notes.push(Note::EpmdMissing);
                Vec::new()
            }
        }
    }

    /// The boot script that is used with these options.
    pub(crate) fn boot_path(&self, options: &StartOptions) -> Result<PathBuf, Error> {
        match self.flavour {
            Flavour::Mix => self.first_boot_path(&[self.mix_boot_name(options)?]),
            _ => self.default_boot_path(),
        }
    }

    /// `BINDIR` in the guest.
    fn guest_bin(&self) -> String {
        format!("{GUEST_ROOT}/erts-{}/bin", self.rel.erts)
    }

    /// `releases/VERSION` in the guest.
    fn guest_version_dir(&self) -> String {
        format!("{GUEST_ROOT}/releases/{}", self.rel.version)
    }

    /// `argv` as `erlexec` builds it.
    fn emulator_arguments(
        &self,
        line: &CommandLine,
        distribution: &[String],
        env: &BTreeMap<String, String>,
        home: &str,
    ) -> Vec<String> {
        let bin = self.guest_bin();
        let progname = env.get("PROGNAME").map_or("erl", String::as_str);
        let mut args = vec![guest_file(&bin, "beam.smp")];
        args.extend(line.emulator.iter().cloned());
        let fixed = [
            "--",
            "-root",
            GUEST_ROOT,
            "-bindir",
            &bin,
            "-progname",
            progname,
            "--",
            "-home",
            home,
        ];
        args.extend(fixed.map(String::from));
        if let Some(port) = env.get("ERL_EPMD_PORT") {
            args.extend(["-epmd_port".into(), port.clone()]);
        }
        args.push("--".into());
        args.extend(distribution.iter().cloned());
        args.extend(line.arguments.iter().cloned());
        args
    }

    /// What `erlexec` sets, what the script exports, `-env`, and what the user wants, each over
    /// the ones before.
    fn environment(
        &self,
        line: &CommandLine,
        script: &BTreeMap<String, String>,
        options: &StartOptions,
    ) -> Vec<(String, String)> {
        let bin = self.guest_bin();
        let mut env = BTreeMap::from([
            ("PATH".into(), format!("{bin}:{GUEST_ROOT}/bin:{BASE_PATH}")),
            ("BINDIR".into(), bin),
            ("ROOTDIR".into(), GUEST_ROOT.into()),
            ("EMU".into(), "beam".into()),
            ("PROGNAME".into(), "erl".into()),
            ("HOME".into(), HOME.into()),
            ("LANG".into(), "C.UTF-8".into()),
        ]);
        env.extend(script.clone());
        env.extend(line.env.clone());
        env.extend(options.env.clone());
        // A crash dump in a file would fill the guest's memory and be lost with it: its head goes
        // to the console (erl(1)). A release that says where its dump goes keeps its word.
        if !env.contains_key("ERL_CRASH_DUMP") && !env.contains_key("ERL_CRASH_DUMP_SECONDS") {
            env.insert("ERL_CRASH_DUMP".into(), "/dev/console".into());
            env.entry("ERL_CRASH_DUMP_BYTES".into())
                .or_insert_with(|| CRASH_DUMP_HEAD.to_string());
        }
        env.into_iter().collect()
    }

    /// Words of an arguments file, given by its path in the guest.
    fn read_args_file(
        &self,
        name: &str,
        replaced: &BTreeMap<String, Vec<u8>>,
    ) -> Result<Vec<String>, Error> {
        let guest = GuestPath::new(GUEST_ROOT)
            .and_then(|root| {
                if name.starts_with('/') {
                    GuestPath::new(name)
                } else {
                    root.joined(name)
                }
            })
            .ok_or_else(|| Error::OutsideRelease(name.into()))?;
        let below = guest.to_string();
        let below = below
            .strip_prefix(GUEST_ROOT)
            .and_then(|below| below.strip_prefix('/'))
            .ok_or_else(|| Error::OutsideRelease(name.into()))?;
        let path = self.root().join(below);
        let bytes = match replaced.get(&guest.to_string()) {
            Some(bytes) => bytes.clone(),
            None => read::metadata_file(&path)?,
        };
        vm_args::parse(&bytes).map_err(|error| Error::VmArgs { path, error })
    }

    /// The text of a file of the release that must be UTF-8.
    fn read_text(&self, path: &Path) -> Result<String, Error> {
        String::from_utf8(read::metadata_file(path)?)
            .map_err(|_| Error::NotUtf8 { path: path.into() })
    }

    fn guest(&self, path: &Path) -> Result<GuestPath, Error> {
        self.mount.guest_path(path)
    }
}

/// `HOME` of the emulator.
fn home(env: &[(String, String)]) -> &str {
    let home = env.iter().find(|(name, _)| name == "HOME");
    home.map_or(HOME, |(_, value)| value.as_str())
}

fn guest_file(directory: &str, name: &str) -> String {
    format!("{directory}/{name}")
}

/// Flags that let a distributed node live without `epmd`, unless the release decides itself.
fn distribution_words(line: &CommandLine) -> Vec<String> {
    const DECISIONS: [&str; 4] = ["-start_epmd", "-no_epmd", "-epmd_module", "-erl_epmd_port"];
    let decided = |word: &String| DECISIONS.contains(&word.as_str());
    if !line.distributed || line.arguments.iter().any(decided) {
        return Vec::new();
    }
    let port = DISTRIBUTION_PORT.to_string();
    ["-start_epmd", "false", "-erl_epmd_port", &port]
        .map(String::from)
        .to_vec()
}
