//! The configuration of a rumprun program: JSON that it reads at start, step by step
//! (rumprun b04d422: lib/librumprun_base/config.c, doc/config.md).
//!
//! | key | value | may repeat |
//! |---|---|---|
//! | `cmdline` | arguments of the next program, as one string | yes |
//! | `rc_TESTING` | programs: `bin`, `argv`, `runmode` (`&` or `\|`) | yes |
//! | `env` | `NAME=VALUE` | yes |
//! | `hostname` | host name | yes |
//! | `net` | `if`, `cloner`, `type`, `method`, `addr`, `mask`, `gw` | no |
//! | `blk` | `source`, `path`, `fstype`, `mountpoint` | yes |
//!
//! rumprun ends the guest at the first thing it does not understand, so all of that is refused
//! here. It does not undo JSON's escapes: a `\"` stays two characters. Only `cmdline` gets over that,
//! because the splitter of arguments (parseargs.c) drops backslashes; other strings with a `"` or a
//! `\` are refused.

mod emit;
mod json;
mod parse;
mod words;

use std::net::IpAddr;

use super::DEVICE;

/// Most bytes of a configuration: rumprun copies a Multiboot module of less than 4095 bytes
/// (platform/hw/multiboot.c).
pub const CONFIG_MAX: usize = 4094;
/// Most bytes of a host name (MAXHOSTNAMELEN of NetBSD without the NUL).
pub const HOSTNAME_MAX: usize = 255;

/// The keys of the configuration.
pub(crate) const KEYS: [&str; 6] = ["cmdline", "rc_TESTING", "env", "hostname", "net", "blk"];
/// The keys of a program in `rc_TESTING`.
pub(crate) const PROGRAM_KEYS: [&str; 3] = ["bin", "argv", "runmode"];
/// The keys of `net`.
pub(crate) const NET_KEYS: [&str; 7] = ["if", "cloner", "type", "method", "addr", "mask", "gw"];
/// The keys of `blk`.
pub(crate) const BLK_KEYS: [&str; 4] = ["source", "path", "fstype", "mountpoint"];

/// A configuration: what rumprun does before it starts the programs, in this order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Configuration {
    /// The steps.
    pub steps: Vec<Step>,
}

/// One step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// `cmdline`: the next program of the binary runs with these arguments, the first of which is
    /// its name.
    Cmdline(Vec<String>),
    /// `rc_TESTING`: the next programs of the binary.
    Programs(Vec<Program>),
    /// `env`: an environment variable for all programs, `NAME=VALUE`.
    Env(String),
    /// `hostname`.
    Hostname(String),
    /// `net`: sets up a network interface.
    Net(Net),
    /// `blk`: sets up a block device and mounts it.
    Blk(Blk),
}

/// One program in `rc_TESTING`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// Its name, argument 0.
    pub bin: String,
    /// Its other arguments. rumprun's documentation calls `argv` optional and its code does not.
    pub argv: Vec<String>,
    /// How it runs.
    pub mode: RunMode,
}

/// How a program runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RunMode {
    /// The next program waits for its end.
    #[default]
    Wait,
    /// `&`: beside the next program.
    Background,
    /// `|`: its output is the next program's input.
    Pipe,
}

/// A network interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Net {
    /// Its name in the guest, `vioif0` for the first virtio card.
    pub interface: String,
    /// Whether it has to be made first, as on Xen.
    pub cloner: bool,
    /// Its address.
    pub address: Address,
}

/// Where an interface has its address from; the kind of address (`type`) follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Address {
    /// `inet`, `dhcp`.
    Dhcp,
    /// `inet6`, `auto`.
    Auto,
    /// `static`, of either kind.
    Static {
        /// The address.
        addr: IpAddr,
        /// Bits of its network, `mask`.
        prefix: u8,
        /// The gateway, of the same kind.
        gateway: Option<IpAddr>,
    },
}

/// A block device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blk {
    /// What `path` names.
    pub source: Source,
    /// The device (`/dev/ld0a`) or the file.
    pub path: String,
    /// Where it is mounted, if it is.
    pub mount: Option<Mount>,
}

/// What a [`Blk::path`] names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// `dev`: a device of the guest.
    Dev,
    /// `vnd`: a file of the guest with a disk.
    Vnd,
    /// `etfs`: a device of Xen.
    Etfs,
}

/// Where something is mounted, and as what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// `fstype`.
    pub kind: MountKind,
    /// `mountpoint`; missing directories are made.
    pub point: String,
}

/// The kinds of mounts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MountKind {
    /// `blk`: FFS, ext2 or cd9660, whichever it is.
    Blk,
    /// `kernfs`: the kernel's own files. rumprun's documentation calls it `kern`, its code does not.
    Kernfs,
}

/// Why a configuration is refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// Not JSON.
    #[error("the configuration is not JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// A value of the wrong type.
    #[error("`{key}` is {found}, expected {expected}")]
    Type {
        /// Its key.
        key: String,
        /// What it is.
        found: &'static str,
        /// What it should be.
        expected: &'static str,
    },
    /// A key that rumprun does not know.
    #[error("unknown key `{key}` in {place}: rumprun would end the guest; it knows {}", list(.known))]
    UnknownKey {
        /// The key.
        key: String,
        /// Where it is.
        place: &'static str,
        /// The keys that can be there.
        known: &'static [&'static str],
    },
    /// The key of rumprun's documentation that its code does not know.
    #[error(
        "unknown key `rc`: rumprun's documentation names it, but its code knows `rc_TESTING` only; \
         rename it"
    )]
    Rc,
    /// A key that must be there.
    #[error("{place} has no `{key}`; rumprun cannot do without it")]
    Missing {
        /// The key.
        key: &'static str,
        /// Where it should be.
        place: &'static str,
    },
    /// A key that comes twice where only one counts.
    #[error("`{key}` comes twice in {place}, of which only one counts; leave one out")]
    Repeated {
        /// The key.
        key: String,
        /// Where it is.
        place: &'static str,
    },
    /// A value that is not one of those possible.
    #[error("`{key}` is `{found}`, expected {expected}")]
    Value {
        /// Its key.
        key: &'static str,
        /// The value.
        found: String,
        /// What it should be.
        expected: &'static str,
    },
    /// A character that does not arrive.
    #[error(
        "`{key}` has the character {found:?} at byte {at}, which does not reach the program: {reason}"
    )]
    Character {
        /// The value's key.
        key: &'static str,
        /// The character.
        found: char,
        /// Its position in the value.
        at: usize,
        /// Why not.
        reason: &'static str,
    },
    /// Nothing to run.
    #[error("the configuration starts no program; give `cmdline` or `rc_TESTING`")]
    NoProgram,
    /// The last program's output goes nowhere.
    #[error(
        "the last program (`{bin}`) has the run mode `|`, and no program follows that could read"
    )]
    LastPipes {
        /// Its name.
        bin: String,
    },
    /// Too long for rumprun.
    #[error("the configuration has {found} bytes; rumprun takes at most {CONFIG_MAX}")]
    TooLong {
        /// Its size.
        found: usize,
    },
}

fn list(keys: &[&str]) -> String {
    keys.iter()
        .map(|key| format!("`{key}`"))
        .collect::<Vec<_>>()
        .join(", ")
}

impl Blk {
    /// The files of the disk that the program was started from.
    pub fn own_disk(point: impl Into<String>) -> Self {
        Self {
            source: Source::Dev,
            path: DEVICE.into(),
            mount: Some(Mount {
                kind: MountKind::Blk,
                point: point.into(),
            }),
        }
    }
}

impl Configuration {
    /// Checks all that rumprun would end the guest for, but the length.
    ///
    /// # Errors
    /// The first thing that rumprun does not take.
    pub fn check(&self) -> Result<(), ConfigError> {
        self.steps.iter().try_for_each(Step::check)?;
        let nets = self
            .steps
            .iter()
            .filter(|step| matches!(step, Step::Net(_)));
        if nets.count() > 1 {
            let (key, place) = ("net".into(), "the configuration");
            return Err(ConfigError::Repeated { key, place });
        }
        let mut last = None;
        for step in &self.steps {
            match step {
                Step::Cmdline(words) => last = words.first().map(|bin| (bin, RunMode::Wait)),
                Step::Programs(programs) => {
                    last = programs.last().map(|p| (&p.bin, p.mode)).or(last);
                }
                _ => {}
            }
        }
        match last {
            None => Err(ConfigError::NoProgram),
            Some((bin, RunMode::Pipe)) => Err(ConfigError::LastPipes { bin: bin.clone() }),
            Some(_) => Ok(()),
        }
    }
}

impl Step {
    fn check(&self) -> Result<(), ConfigError> {
        match self {
            Self::Cmdline(words) => words::check(words),
            Self::Programs(programs) => programs.iter().try_for_each(Program::check),
            Self::Env(variable) => check_env(variable),
            Self::Hostname(name) => check_hostname(name),
            Self::Net(net) => net.check(),
            Self::Blk(blk) => blk.check(),
        }
    }
}

impl Program {
    fn check(&self) -> Result<(), ConfigError> {
        check_text("bin", &self.bin)?;
        self.argv
            .iter()
            .try_for_each(|argument| check_raw("argv", argument))
    }
}

impl Net {
    fn check(&self) -> Result<(), ConfigError> {
        check_text("if", &self.interface)?;
        let Address::Static {
            addr,
            prefix,
            gateway,
        } = &self.address
        else {
            return Ok(());
        };
        let (most, expected) = match addr {
            IpAddr::V4(_) => (32, "a number of bits, at most 32"),
            IpAddr::V6(_) => (128, "a number of bits, at most 128"),
        };
        if *prefix > most {
            let found = prefix.to_string();
            return Err(ConfigError::Value {
                key: "mask",
                found,
                expected,
            });
        }
        match gateway.filter(|gateway| gateway.is_ipv4() != addr.is_ipv4()) {
            Some(gateway) => Err(ConfigError::Value {
                key: "gw",
                found: gateway.to_string(),
                expected: "an address of the same kind as `addr`",
            }),
            None => Ok(()),
        }
    }
}

impl Blk {
    fn check(&self) -> Result<(), ConfigError> {
        check_text("path", &self.path)?;
        let Some(mount) = &self.mount else {
            return Ok(());
        };
        check_raw("mountpoint", &mount.point)?;
        if mount.point.starts_with('/') {
            return Ok(());
        }
        Err(ConfigError::Value {
            key: "mountpoint",
            found: mount.point.clone(),
            expected: "a path that begins with `/`",
        })
    }
}

fn check_env(variable: &str) -> Result<(), ConfigError> {
    check_raw("env", variable)?;
    match variable.find('=') {
        Some(at) if at > 0 => Ok(()),
        _ => Err(ConfigError::Value {
            key: "env",
            found: variable.into(),
            expected: "NAME=VALUE",
        }),
    }
}

fn check_hostname(name: &str) -> Result<(), ConfigError> {
    check_text("hostname", name)?;
    if name.len() <= HOSTNAME_MAX {
        return Ok(());
    }
    Err(ConfigError::Value {
        key: "hostname",
        found: name.into(),
        expected: "at most 255 bytes",
    })
}

/// A string that must not be empty.
fn check_text(key: &'static str, text: &str) -> Result<(), ConfigError> {
    if text.is_empty() {
        return Err(ConfigError::Value {
            key,
            found: String::new(),
            expected: "a text",
        });
    }
    check_raw(key, text)
}

/// A string that rumprun takes as it is in the JSON, so nothing in it may need an escape.
fn check_raw(key: &'static str, text: &str) -> Result<(), ConfigError> {
    let escaped = |&(_, c): &(usize, char)| c.is_control() || c == '"' || c == '\\';
    match text.char_indices().find(escaped) {
        Some((at, found)) => Err(ConfigError::Character {
            key,
            found,
            at,
            reason: "JSON has to escape it, and rumprun does not undo that",
        }),
        None => Ok(()),
    }
}
