//! The file in the root archive that tells the kernel what to run.
//!
//! Lines of `keyword value`; `\n` and `\\` in a value stand for a newline and a backslash; empty
//! lines and lines starting with `#` are skipped. Keywords:
//!
//! | keyword | value | how often |
//! |---|---|---|
//! | `exec` | absolute path of the program, which becomes process 1 | once, unless there is a release |
//! | `arg` | one argument, `argv[0]` first | any number |
//! | `env` | `NAME=VALUE` | any number |
//! | `beside` | absolute path of a program that is started before it, without arguments | any number |
//! | `cwd` | working directory | at most once |
//! | `hostname` | host name | at most once |
//! | `release.…` | see [`crate::release`]: program and arguments follow from it at boot, with `env`, `arg` and `hostname` as what was asked for | at most once each |

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::release::Release;

/// Path of the file inside the root archive.
pub const PATH: &str = "/etc/unibeam/init";

/// What to run, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Init {
    /// Absolute path of the program.
    pub exec: String,
    /// Arguments, `argv[0]` first.
    pub args: Vec<String>,
    /// Environment as (name, value).
    pub env: Vec<(String, String)>,
    /// Absolute paths of programs that are started before it, with the same environment.
    pub beside: Vec<String>,
    /// Working directory, `/` if empty.
    pub cwd: String,
    /// Host name, the kernel's default if empty.
    pub hostname: String,
    /// The release from which program and arguments follow at boot.
    pub release: Option<Release>,
}

/// Why a text is not a valid init file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ParseError {
    /// The file is not UTF-8.
    NotUtf8,
    /// A line has an unknown keyword.
    UnknownKeyword {
        /// Line number, from 1.
        line: usize,
        /// The keyword found.
        keyword: String,
    },
    /// An `env` line without `=`.
    EnvWithoutEquals {
        /// Line number, from 1.
        line: usize,
    },
    /// There is neither an `exec` line nor a release.
    NoProgram,
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotUtf8 => write!(f, "{PATH} is not UTF-8 text"),
            Self::UnknownKeyword { line, keyword } => {
                write!(f, "{PATH}:{line}: unknown keyword `{keyword}`")
            }
            Self::EnvWithoutEquals { line } => {
                write!(f, "{PATH}:{line}: `env` expects NAME=VALUE")
            }
            Self::NoProgram => write!(f, "{PATH} has neither an `exec` line nor a release"),
        }
    }
}

impl core::error::Error for ParseError {}

impl Init {
    /// Reads the file's content.
    ///
    /// # Errors
    /// The first thing that is wrong, with its line.
    pub fn parse(bytes: &[u8]) -> Result<Self, ParseError> {
        let text = core::str::from_utf8(bytes).map_err(|_| ParseError::NotUtf8)?;
        let mut init = Self::default();
        for (index, line) in text.split('\n').enumerate() {
            if !line.is_empty() && !line.starts_with('#') {
                init.apply(index + 1, line)?;
            }
        }
        if init.exec.is_empty() && init.release.is_none() {
            return Err(ParseError::NoProgram);
        }
        Ok(init)
    }

    fn apply(&mut self, number: usize, line: &str) -> Result<(), ParseError> {
        let (keyword, value) = line.split_once(' ').unwrap_or((line, ""));
        let value = unescape(value);
        match keyword {
            "exec" => self.exec = value,
            "arg" => self.args.push(value),
            "env" => {
                let (name, value) = value
                    .split_once('=')
                    .ok_or(ParseError::EnvWithoutEquals { line: number })?;
                self.env.push((name.into(), value.into()));
            }
            "beside" => self.beside.push(value),
            "cwd" => self.cwd = value,
            "hostname" => self.hostname = value,
            other => {
                if !self.apply_to_release(other, value) {
                    return Err(ParseError::UnknownKeyword {
                        line: number,
                        keyword: other.into(),
                    });
                }
            }
        }
        Ok(())
    }

    fn apply_to_release(&mut self, keyword: &str, value: String) -> bool {
        let Some(keyword) = keyword.strip_prefix("release.") else {
            return false;
        };
        let release = self.release.get_or_insert_default();
        release.apply(keyword, value)
    }

    /// Writes the file's content; [`parse`](Self::parse) reads it back.
    pub fn emit(&self) -> String {
        let mut text = String::new();
        let mut line = |keyword: &str, value: &str| {
            text.push_str(keyword);
            text.push(' ');
            escape(value, &mut text);
            text.push('\n');
        };
        if !self.exec.is_empty() {
            line("exec", &self.exec);
        }
        for (keyword, value) in self.release.iter().flat_map(Release::lines) {
            line(keyword, value);
        }
        for arg in &self.args {
            line("arg", arg);
        }
        for (name, value) in &self.env {
            line("env", &alloc::format!("{name}={value}"));
        }
        for path in &self.beside {
            line("beside", path);
        }
        for (keyword, value) in [("cwd", &self.cwd), ("hostname", &self.hostname)] {
            if !value.is_empty() {
                line(keyword, value);
            }
        }
        text
    }
}

fn escape(value: &str, out: &mut String) {
    for c in value.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            c => out.push(c),
        }
    }
}

fn unescape(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => out.push(if chars.next() == Some('n') {
                '\n'
            } else {
                '\\'
            }),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{Init, ParseError};
    use crate::release::{Flavour, Release};

    #[test]
    fn emit_and_parse_are_twins() {
        let init = Init {
            exec: "/erts/bin/beam.smp".into(),
            args: ["beam.smp", "", "a\nb", "c\\n d "].map(Into::into).into(),
            env: [("A".into(), "x=y\\".into())].into(),
            beside: ["/erts/bin/epmd".into()].into(),
            cwd: "/".into(),
            hostname: "hello".into(),
            release: None,
        };
        assert_eq!(Init::parse(init.emit().as_bytes()), Ok(init));
    }

    #[test]
    fn a_release_stands_for_program_and_arguments() {
        let init = Init {
            release: Some(Release {
                flavour: Flavour::Mix,
                name: "shop".into(),
                version: "1.0 \n".into(),
                erts: "13.1.5".into(),
                elixir: "1.14.0".into(),
                boot: "start".into(),
                mode: "interactive".into(),
                console: true,
            }),
            ..Init::default()
        };
        assert_eq!(Init::parse(init.emit().as_bytes()), Ok(init));
        let error = Init::parse(b"release.flavour rebar").unwrap_err();
        assert!(matches!(error, ParseError::UnknownKeyword { line: 1, .. }));
    }

    #[test]
    fn errors_name_the_line() {
        let error = Init::parse(b"exec /x\n\nfoo bar").unwrap_err();
        assert_eq!(
            error,
            ParseError::UnknownKeyword {
                line: 3,
                keyword: "foo".into()
            }
        );
        assert_eq!(Init::parse(b"# nothing"), Err(ParseError::NoProgram));
    }
}
