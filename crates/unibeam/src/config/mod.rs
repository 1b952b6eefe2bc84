//! `unibeam.toml`: what the flags say, for those who do not want to type them each time.
//!
//! The file is turned into the flags it stands for, which are put before those of the command line
//! where these do not say otherwise. So there is one place that knows what flags mean.

mod checked;
mod file;
#[cfg(test)]
mod tests;

use crate::cli::{AddedFile, Cli};
use checked::Compression;
use clap::builder::Resettable;
use clap::parser::ValueSource;
use clap::{ArgMatches, CommandFactory, Parser};
use file::File;
use image::Format;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// The file that is read if no other is named, in the current folder.
const DEFAULT: &str = "unibeam.toml";

/// Flags of `unibeam check` that stand alone.
const ALONE: [&str; 2] = ["explain", "list"];

/// Why there is no command line to follow.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    /// The command line is wrong, or asks for help.
    #[error(transparent)]
    Usage(#[from] clap::Error),
    /// The file cannot be read.
    #[error("cannot read the configuration {}: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    /// The file is wrong.
    #[error("{}: {problem}", path.display())]
    Toml {
        path: PathBuf,
        /// What is wrong and where, with the line itself.
        problem: String,
    },
}

/// The command line, completed with what the configuration says.
///
/// # Errors
/// One of both is wrong.
pub(crate) fn parse(words: &[OsString]) -> Result<Cli, ConfigError> {
    // What cannot be understood so is told by the parser that follows.
    let given = lenient().try_get_matches_from(words);
    let Ok(given) = given else {
        return Ok(Cli::try_parse_from(words)?);
    };
    let Some((command @ ("image" | "check"), given)) = given.subcommand() else {
        return Ok(Cli::try_parse_from(words)?);
    };
    let Some(path) = place(given) else {
        return Ok(Cli::try_parse_from(words)?);
    };
    let folder = path.parent().unwrap_or(Path::new(""));
    let mut flags = Flags {
        given,
        folder,
        words: Vec::new(),
    };
    flags.add_file(&read(&path)?, command);
    // The program, the command, and then what the file says.
    let (before, after) = words.split_at(words.len().min(2));
    let whole = before.iter().chain(&flags.words).chain(after);
    Ok(Cli::try_parse_from(whole)?)
}

/// The command line without the demand for what the configuration may say.
fn lenient() -> clap::Command {
    let relax = |command: clap::Command| {
        command.mut_args(|arg| arg.required(false).requires(Resettable::Reset))
    };
    Cli::command()
        .mut_subcommand("image", relax)
        .mut_subcommand("check", relax)
}

/// The file that applies, if any.
fn place(given: &ArgMatches) -> Option<PathBuf> {
    if given.get_flag("no_config") || ALONE.iter().any(|id| is_given(given, id)) {
        return None;
    }
    match given.get_one::<PathBuf>("config") {
        Some(path) => Some(path.clone()),
        None => Some(PathBuf::from(DEFAULT)).filter(|path| path.exists()),
    }
}

/// Whether the command line has this flag, which not all commands have.
fn is_given(given: &ArgMatches, id: &str) -> bool {
    let known = given.try_contains_id(id).is_ok();
    known && given.value_source(id) == Some(ValueSource::CommandLine)
}

fn read(path: &Path) -> Result<File, ConfigError> {
    let text = fs::read_to_string(path).map_err(|source| ConfigError::Read {
        path: path.into(),
        source,
    })?;
    toml::from_str(&text).map_err(|error| ConfigError::Toml {
        path: path.into(),
        problem: error.to_string().trim_end().into(),
    })
}

/// Flags made from a configuration.
struct Flags<'a> {
    /// What the command line says.
    given: &'a ArgMatches,
    /// Where relative paths start.
    folder: &'a Path,
    words: Vec<OsString>,
}

impl Flags<'_> {
    fn add_file(&mut self, file: &File, command: &str) {
        if let Some(release) = file
            .release
            .as_ref()
            .filter(|_| !is_given(self.given, "release"))
        {
            self.words.push(self.place(release));
        }
        self.path("erts", file.erts.as_deref());
        let lib_dirs = file.lib_dir.iter().map(|path| self.place(path));
        self.all("lib-dir", lib_dirs.collect::<Vec<_>>());
        self.path("sysroot", file.sysroot.as_deref());
        self.one("base", file.base.as_ref().map(|base| self.base(&base.text)));
        self.one("osv-launch", file.osv_launch.as_ref().map(|how| &how.text));
        self.one("cookie", file.cookie.as_ref());
        self.one("ip", file.ip.as_ref().map(|ip| &ip.text));
        let gateway = file.gateway.as_ref();
        self.one("gateway", gateway.map(|gateway| &gateway.text));
        self.all("dns", file.dns.iter().map(|dns| dns.text.clone()));
        self.all(
            "kernel-arg",
            file.kernel_arg.iter().map(|word| word.text.clone()),
        );
        let env = file
            .env
            .iter()
            .map(|(name, value)| format!("{}={}", name.0, value.0));
        self.all("env", env);
        let added = file.add.iter().map(|file| self.added(&file.text));
        self.all("add", added.collect::<Vec<_>>());
        self.all("keep", file.keep.iter().map(|rule| rule.text.clone()));
        self.all("trim", file.trim.iter().map(|rule| rule.text.clone()));
        self.switch("strip", file.strip);
        self.one(
            "code-loading",
            file.code_loading.as_ref().map(|mode| &mode.text),
        );
        self.one("hostname", file.hostname.as_ref().map(|name| &name.text));
        self.switch("console", file.console);
        match command {
            "image" => self.add_image(&file.image),
            _ => self.add_check(&file.check),
        }
    }

    fn add_image(&mut self, image: &file::Image) {
        self.path("output", image.output.as_deref());
        if !self.output_says_format() {
            self.one("format", image.format.as_ref().map(|format| format.0));
        }
        match &image.compress {
            Some(Compression::Any(true)) => self.switch("compress", true),
            Some(Compression::Method(method)) => self.one("compress", Some(method)),
            Some(Compression::Any(false)) | None => {}
        }
        self.one("size", image.size.as_ref().map(|size| &size.text));
        self.one("data", image.data.as_ref().map(|size| &size.text));
        self.path("sbom", image.sbom.as_deref());
        self.path("sign", image.sign.as_deref());
        self.path("key-password-file", image.key_password_file.as_deref());
    }

    /// Whether the command line has an output whose name says the format; it is a flag, and wins.
    fn output_says_format(&self) -> bool {
        let output = self.given.get_one::<PathBuf>("output");
        output.is_some_and(|path| Format::said_by(path).is_some())
    }

    fn add_check(&mut self, check: &file::Check) {
        self.one("memory", check.memory.as_ref().map(|memory| &memory.text));
        self.all("allow", check.allow.iter().map(|rule| rule.text.clone()));
        self.switch("strict", check.strict);
    }

    /// A flag with one value, unless it is given.
    fn one(&mut self, flag: &str, value: Option<impl AsRef<OsStr>>) {
        if !is_given(self.given, &flag.replace('-', "_")) {
            self.all(flag, value);
        }
    }

    fn path(&mut self, flag: &str, path: Option<&Path>) {
        let path = path.map(|path| self.place(path));
        self.one(flag, path);
    }

    /// A flag that may come several times.
    fn all(&mut self, flag: &str, values: impl IntoIterator<Item = impl AsRef<OsStr>>) {
        for value in values {
            let mut word = OsString::from(format!("--{flag}="));
            word.push(value);
            self.words.push(word);
        }
    }

    fn switch(&mut self, flag: &str, wanted: bool) {
        if wanted && !is_given(self.given, flag) {
            self.words.push(format!("--{flag}").into());
        }
    }

    /// A path as seen from here; never taken for a flag.
    fn place(&self, path: &Path) -> OsString {
        let path = self.folder.join(path);
        let dashed = path.as_os_str().as_encoded_bytes().starts_with(b"-");
        if dashed {
            Path::new(".").join(path)
        } else {
            path
        }
        .into()
    }

    /// A base, whose file is seen from here if there is one.
    fn base(&self, text: &str) -> OsString {
        let Some((family, file)) = text.split_once(':') else {
            return text.into();
        };
        let path = self.folder.join(file);
        let mut word = OsString::from(format!("{family}:"));
        word.push(if path.exists() {
            path.as_os_str()
        } else {
            file.as_ref()
        });
        word
    }

    /// A file to be added, as FILE:PATH.
    fn added(&self, text: &str) -> OsString {
        let Ok(AddedFile { host, guest }) = AddedFile::from_str(text);
        let mut word = self.place(&host);
        word.push(":");
        word.push(guest);
        word
    }
}
