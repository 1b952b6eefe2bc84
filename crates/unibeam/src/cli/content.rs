//! What goes into an image: the release, what it needs, and how it starts. The same flags for every
//! command that looks at a release.

use super::{AddedFile, BaseArgs, EnvVar, HostName, KeepArg, LoadingArg, TrimArg, trim};
use clap::{Args, Command, FromArgMatches};
use erts::RuleSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// Where the parts of a release are that it does not have itself.
#[derive(Clone, Debug, Args)]
pub(crate) struct PlaceArgs {
    /// The Erlang for a release that was built without one: its root (such as /usr/lib/erlang) or
    /// its erts-VERSION folder
    #[arg(long, value_name = "DIR")]
    pub(crate) erts: Option<PathBuf>,

    /// Where the applications of a .rel file are that is in no release (ERL_LIBS and --erts come
    /// after it); repeatable
    #[arg(long, value_name = "DIR")]
    pub(crate) lib_dir: Vec<PathBuf>,

    /// Where to look for the shared libraries that the release's run-time system needs
    #[arg(long, value_name = "DIR", default_value = "/")]
    pub(crate) sysroot: PathBuf,
}

/// The release and everything that is said about it.
#[derive(Debug, Args)]
pub(crate) struct ContentArgs {
    /// The release: its folder (as made by `mix release`, rebar3 or relx), an archive of it
    /// (.tar.gz), the .rel file in it, or a .rel file that is in none
    // clap's derived group has no members if there are flattened fields, and the group tells whether
    // an optional `ContentArgs` is given.
    #[arg(group = "ContentArgs")]
    pub(crate) release: PathBuf,

    #[command(flatten)]
    pub(crate) places: PlaceArgs,

    #[command(flatten)]
    pub(crate) base: BaseArgs,

    /// An environment variable for the release; repeatable
    #[arg(short, long, value_name = "NAME=VALUE")]
    pub(crate) env: Vec<EnvVar>,

    /// Also put this file (a program for ports and `os:cmd`, say) into the image, with the shared
    /// libraries it needs; repeatable
    #[arg(long, value_name = "FILE[:PATH]")]
    pub(crate) add: Vec<AddedFile>,

    /// Do not apply this rule for what is left out of an image (docs/trim.md lists them), or
    /// `all`; repeatable
    #[arg(long, value_name = "RULE")]
    pub(crate) keep: Vec<KeepArg>,

    /// Also apply this rule, which does not apply by default; repeatable
    #[arg(long, value_name = "RULE")]
    pub(crate) trim: Vec<TrimArg>,

    /// Apply all rules that do not by default: no debug information in modules,
    /// and no symbols in native code
    #[arg(long)]
    pub(crate) strip: bool,

    /// The guest's host name [default: the release's name]
    #[arg(long, value_name = "NAME")]
    pub(crate) hostname: Option<HostName>,

    /// When modules are loaded: all of them at boot, for which a boot takes about twice as long, or
    /// each when it is first used, for which its first user waits [default: as the release says,
    /// else embedded]
    #[arg(long, value_name = "MODE", value_enum)]
    pub(crate) code_loading: Option<LoadingArg>,

    /// Start a shell on the console (Erlang's, or IEx), for `unibeam run` in a terminal
    #[arg(long)]
    pub(crate) console: bool,
}

/// The file that says what flags do not.
#[derive(Debug, Args)]
pub(crate) struct ConfigArgs {
    /// Take what the flags do not say from this file [default: unibeam.toml, if it is here]
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,

    /// Do not read unibeam.toml
    #[arg(long, conflicts_with = "config")]
    pub(crate) no_config: bool,
}

impl PlaceArgs {
    /// The flags as they were given.
    fn words(&self) -> String {
        let erts = self.erts.iter().map(|path| ("--erts", path));
        let lib_dirs = self.lib_dir.iter().map(|path| ("--lib-dir", path));
        let sysroot = Some(&self.sysroot).filter(|path| *path != Path::new("/"));
        let sysroot = sysroot.map(|path| ("--sysroot", path));
        let words = erts.chain(lib_dirs).chain(sysroot);
        let words = words.map(|(flag, path)| format!(" {flag} {}", path.display()));
        words.collect()
    }
}

impl ContentArgs {
    /// A release of which nothing is said but where its parts are.
    ///
    /// # Errors
    /// The path is not one that the command line takes.
    pub(crate) fn plain(release: &Path, places: &PlaceArgs) -> Result<Self, clap::Error> {
        let words = [OsStr::new("release"), OsStr::new("--"), release.as_os_str()];
        let command = Self::augment_args(Command::new("release"));
        let plain = Self::from_arg_matches(&command.try_get_matches_from(words)?)?;
        Ok(Self {
            places: places.clone(),
            ..plain
        })
    }

    /// The release and where its parts are, for a command to type next.
    pub(crate) fn words(&self) -> String {
        format!("{}{}", self.release.display(), self.places.words())
    }

    /// The rules for what is left out.
    pub(crate) fn rules(&self) -> RuleSet {
        trim::rules(&self.keep, &self.trim, self.strip)
    }
}
