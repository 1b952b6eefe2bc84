//! From a release and its environment to the emulator's `argv`.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use boot_contract::init::Init;
use boot_contract::release::{Flavour, Release};

use crate::emulator;
use crate::erlexec::{CommandLine, FlagWords, expand, sort_flags};
use crate::error::Error;
use crate::otp::Otp;
use crate::{Files, GUEST_ROOT, HOME, Launch, Note, Unset, vm_args};

/// An environment.
pub(crate) type Env = BTreeMap<String, String>;

/// The kind of terminal that is taken for granted on the console.
const TERMINAL: &str = "xterm";

/// What a start script hands to `erlexec`.
#[derive(Debug, Default)]
pub(crate) struct Script {
    /// Arguments of `erlexec`.
    pub(crate) words: Vec<String>,
    /// Its environment.
    pub(crate) env: Env,
}

/// A start that is being made out.
pub(crate) struct Start<'a, F: Files> {
    pub(crate) release: &'a Release,
    /// Environment, arguments and host name that were asked for.
    pub(crate) wanted: &'a Init,
    files: &'a mut F,
    /// What the start writes, which shadows what is there.
    written: BTreeMap<String, Vec<u8>>,
    pub(crate) notes: Vec<Note>,
    pub(crate) unset: Vec<Unset>,
}

impl<'a, F: Files> Start<'a, F> {
    pub(crate) fn new(release: &'a Release, wanted: &'a Init, files: &'a mut F) -> Self {
        Self {
            release,
            wanted,
            files,
            written: BTreeMap::new(),
            notes: Vec::new(),
            unset: Vec::new(),
        }
    }

    pub(crate) fn run(mut self) -> Result<Launch, Error<F::Error>> {
        let script = match self.release.flavour {
            Flavour::Systools => self.systools_script(),
            Flavour::Relx => self.relx_script()?,
            Flavour::Mix => self.mix_script()?,
        };
        let line = self.command_line(&script)?;
        let distribution = distribution_words(&line);
        if !distribution.is_empty() {
            self.notes.push(Note::NoEpmd {
                port: DISTRIBUTION_PORT,
            });
        }
        let bin = self.bin();
        let exec = emulator::program(&bin, &line);
        if line.names_emulator() && !self.files.has(&exec) {
            return Err(Error::NoEmulator { path: exec });
        }
        let beside = self.programs_beside(&line);
        let env = emulator::environment(&bin, &line, &script.env, self.wanted);
        let home = home(&env);
        let args = emulator::arguments(self.otp(), &exec, &line, &distribution, &script.env, &home);
        Ok(Launch {
            home,
            init: Init {
                args,
                env,
                exec,
                beside,
                cwd: GUEST_ROOT.into(),
                hostname: self.wanted.hostname.clone(),
                release: None,
            },
            files: self.written.into_iter().collect(),
            notes: self.notes,
            unset: self.unset,
        })
    }

    /// What the user asks for, in the environment of a script: with a home, a terminal, and the
    /// name of the host, as containers have it.
    pub(crate) fn env(&self) -> Env {
        let mut env = Env::from([("HOME".into(), HOME.into())]);
        if !self.wanted.hostname.is_empty() {
            env.insert("HOSTNAME".into(), self.wanted.hostname.clone());
        }
        if self.release.console {
            env.insert("TERM".into(), TERMINAL.into());
        }
        env.extend(self.wanted.env.iter().cloned());
        env
    }

    /// When modules are loaded, as the image says, if the variable for it was not given.
    pub(crate) fn mode(&self, variable: &str) -> Option<&'a str> {
        let mut given = self.wanted.env.iter();
        let is_given = given.any(|(name, value)| name == variable && !value.is_empty());
        let mode = self.release.mode.as_str();
        (!mode.is_empty() && !is_given).then_some(mode)
    }

    /// What `erlexec` makes of the script's words, the files that they name, and its variables.
    fn command_line(&mut self, script: &Script) -> Result<CommandLine, Error<F::Error>> {
        let flags = |name: &str| match script.env.get(name) {
            None => Ok(Vec::new()),
            Some(text) => vm_args::parse_variable(text).map_err(|error| Error::VmArgs {
                path: name.to_string(),
                error,
            }),
        };
        let sources = FlagWords {
            before: flags("ERL_AFLAGS")?,
            words: script.words.clone(),
            after: [flags("ERL_FLAGS")?, flags("ERL_ZFLAGS")?],
        };
        let otp = self.otp();
        let mut words = expand(sources, otp, &mut |name| self.arguments_file(name))?;
        // A shell needs the console; Elixir's is one that starts without Erlang's.
        if self.release.console && self.release.flavour != Flavour::Mix {
            words.retain(|word| !matches!(word.as_str(), "-noshell" | "-noinput"));
        }
        Ok(sort_flags(&words, otp)?)
    }

    fn arguments_file(&mut self, name: &str) -> Result<Vec<String>, Error<F::Error>> {
        let path = absolute(name);
        let bytes = self
            .read(&path)?
            .ok_or_else(|| Error::Missing { path: path.clone() })?;
        vm_args::parse(&bytes).map_err(|error| Error::VmArgs { path, error })
    }

    /// Programs that run beside the emulator: `epmd`, if the release asks for it.
    fn programs_beside(&mut self, line: &CommandLine) -> Vec<String> {
        let asks = |words: &[String]| words == ["-start_epmd", "true"];
        if !line.arguments.windows(2).any(asks) {
            return Vec::new();
        }
        let path = guest_file(&self.bin(), "epmd");
        if self.files.has(&path) {
            return [path].into();
        }
        self.notes.push(Note::EpmdMissing);
        Vec::new()
    }

    /// A file's content, if there is one.
    pub(crate) fn read(&mut self, path: &str) -> Result<Option<Vec<u8>>, Error<F::Error>> {
        match self.written.get(path) {
            Some(bytes) => Ok(Some(bytes.clone())),
            None => self.files.read(path).map_err(Error::Files),
        }
    }

    /// A text file's content, if there is one.
    pub(crate) fn text(&mut self, path: &str) -> Result<Option<String>, Error<F::Error>> {
        let Some(bytes) = self.read(path)? else {
            return Ok(None);
        };
        let text = String::from_utf8(bytes);
        text.map(Some)
            .map_err(|_| Error::NotUtf8 { path: path.into() })
    }

    pub(crate) fn has(&self, path: &str) -> bool {
        self.written.contains_key(path) || self.files.has(path)
    }

    pub(crate) fn write(&mut self, path: String, text: String) {
        self.written.insert(path, text.into_bytes());
    }

    fn otp(&self) -> Otp {
        Otp::nearest(&self.release.erts)
    }

    /// `BINDIR`.
    pub(crate) fn bin(&self) -> String {
        format!("{GUEST_ROOT}/erts-{}/bin", self.release.erts)
    }

    /// `releases/VERSION`.
    pub(crate) fn version_dir(&self) -> String {
        format!("{GUEST_ROOT}/releases/{}", self.release.version)
    }

    /// A file in `releases/VERSION`.
    pub(crate) fn version_file(&self, name: &str) -> String {
        guest_file(&self.version_dir(), name)
    }
}

/// Port of the distribution without `epmd` (the registered port of `epmd` itself is 4369).
pub(crate) const DISTRIBUTION_PORT: u16 = 4370;

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

/// `HOME` of the emulator.
fn home(env: &[(String, String)]) -> String {
    let home = env.iter().find(|(name, _)| name == "HOME");
    home.map_or(HOME, |(_, value)| value.as_str()).into()
}

pub(crate) fn guest_file(directory: &str, name: &str) -> String {
    format!("{directory}/{name}")
}

/// A path as seen from the root; the emulator starts in the release's.
fn absolute(path: &str) -> String {
    if path.starts_with('/') {
        path.into()
    } else {
        guest_file(GUEST_ROOT, path)
    }
}

/// As `${NAME:-value}`: an empty variable counts as none.
pub(crate) fn set_defaults(env: &mut Env, defaults: &[(&str, &str)]) {
    for (name, value) in defaults {
        if env.get(*name).is_none_or(String::is_empty) {
            env.insert((*name).into(), (*value).into());
        }
    }
}

/// Sets variables, whatever they were.
pub(crate) fn set(env: &mut Env, values: &[(&str, &str)]) {
    for (name, value) in values {
        env.insert((*name).into(), (*value).into());
    }
}
