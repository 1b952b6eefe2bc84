//! Values of flags, each checked while the command line is parsed.

use boot_contract::cmdline;
use clap::ValueEnum;
use qemu::{Accel, AccelChoice, Forward, HostPort};
use std::convert::Infallible;
use std::num::ParseIntError;
use std::path::PathBuf;
use std::str::FromStr;

/// Why a value is refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ValueError {
    #[error("expected a size such as 256, 256M or 1G")]
    Memory,
    #[error("expected a size such as 256, 256M, 4G or 1T")]
    DiskSize,
    #[error("expected [HOST:]GUEST with ports from 1 to 65535, such as 8080:80")]
    Port(#[source] Option<ParseIntError>),
    #[error("expected PORT/PATH, such as 8080/health")]
    Endpoint,
    #[error("expected NAME=VALUE with a name of letters, digits and underscores")]
    EnvName,
    #[error(
        "the kernel's command line cannot hold this value: no control characters, and no double quotes at its ends or beside spaces"
    )]
    Unquotable,
    #[error("expected one word such as ip=none")]
    EmptyWord,
}

/// An amount of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Memory(u32);

impl Memory {
    /// The amount in MiB.
    pub(crate) const fn mib(self) -> u32 {
        self.0
    }
}

impl FromStr for Memory {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let (digits, unit) = match text.strip_suffix(['G', 'g']) {
            Some(digits) => (digits, 1024),
            None => (text.strip_suffix(['M', 'm']).unwrap_or(text), 1),
        };
        let count: u32 = digits.parse().map_err(|_| ValueError::Memory)?;
        match count.checked_mul(unit) {
            Some(mib @ 1..) => Ok(Self(mib)),
            _ => Err(ValueError::Memory),
        }
    }
}

/// Size of a disk or of a part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DiskSize(u64);

impl DiskSize {
    /// The size in bytes.
    pub(crate) const fn bytes(self) -> u64 {
        self.0
    }
}

impl FromStr for DiskSize {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let (digits, shift) = match text.char_indices().next_back() {
            Some((end, 'M' | 'm')) => (&text[..end], 20),
            Some((end, 'G' | 'g')) => (&text[..end], 30),
            Some((end, 'T' | 't')) => (&text[..end], 40),
            _ => (text, 20),
        };
        let count: u64 = digits.parse().map_err(|_| ValueError::DiskSize)?;
        match count.checked_mul(1 << shift) {
            Some(bytes @ 1..) => Ok(Self(bytes)),
            _ => Err(ValueError::DiskSize),
        }
    }
}

/// A forwarded port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PortArg(pub(crate) Forward);

impl FromStr for PortArg {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let (host, guest) = match text.split_once(':') {
            Some((host, guest)) => (HostPort::Fixed(port(host)?), guest),
            None => (HostPort::Any, text),
        };
        Ok(Self(Forward {
            host,
            guest: port(guest)?,
        }))
    }
}

fn port(text: &str) -> Result<u16, ValueError> {
    match text.parse() {
        Ok(0) => Err(ValueError::Port(None)),
        Ok(port) => Ok(port),
        Err(error) => Err(ValueError::Port(Some(error))),
    }
}

/// A page of the guest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Endpoint {
    /// Port of the guest.
    pub(crate) port: u16,
    /// Path with its leading slash.
    pub(crate) path: String,
}

impl FromStr for Endpoint {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let slash = text.find('/').ok_or(ValueError::Endpoint)?;
        let (number, path) = text.split_at(slash);
        let acceptable = path.chars().all(|c| c.is_ascii_graphic());
        match port(number) {
            Ok(port) if acceptable => Ok(Self {
                port,
                path: path.into(),
            }),
            _ => Err(ValueError::Endpoint),
        }
    }
}

/// A file of this host for the image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AddedFile {
    /// The file.
    pub(crate) host: PathBuf,
    /// Its path in the guest.
    pub(crate) guest: PathBuf,
}

impl FromStr for AddedFile {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        let (host, guest) = text.rsplit_once(':').unwrap_or((text, text));
        Ok(Self {
            host: host.into(),
            guest: guest.into(),
        })
    }
}

/// An environment variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EnvVar {
    /// The name.
    pub(crate) name: String,
    /// The value.
    pub(crate) value: String,
}

impl FromStr for EnvVar {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let (name, value) = text.split_once('=').ok_or(ValueError::EnvName)?;
        let valid = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if name.is_empty() || !name.chars().all(valid) {
            return Err(ValueError::EnvName);
        }
        let variable = Self {
            name: name.into(),
            value: value.into(),
        };
        check_quotable(&variable.kernel_word())?;
        Ok(variable)
    }
}

impl EnvVar {
    /// The variable as a word of the kernel's command line.
    pub(crate) fn kernel_word(&self) -> String {
        format!("env.{}={}", self.name, self.value)
    }
}

/// A word for the kernel's command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KernelWord(pub(crate) String);

impl FromStr for KernelWord {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        if text.trim().is_empty() || text.starts_with(char::is_whitespace) {
            return Err(ValueError::EmptyWord);
        }
        check_quotable(text)?;
        Ok(Self(text.into()))
    }
}

impl KernelWord {
    /// The word as it stands on the command line.
    pub(crate) fn quoted(&self) -> String {
        qemu::quote_word(&self.0)
    }
}

/// A word must come out of the kernel's grammar as it went in, and leave the next one alone.
fn check_quotable(word: &str) -> Result<(), ValueError> {
    let line = format!("{} next", qemu::quote_word(word));
    let expected = word.split_once('=').unwrap_or((word, ""));
    let survives = cmdline::words(&line).eq([expected, ("next", "")]);
    if survives && !word.contains(char::is_control) {
        Ok(())
    } else {
        Err(ValueError::Unquotable)
    }
}

/// What executes the guest: the host's CPU, QEMU's translator, or the better of those that work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum AccelArg {
    Auto,
    Kvm,
    Tcg,
}

impl From<AccelArg> for AccelChoice {
    fn from(arg: AccelArg) -> Self {
        match arg {
            AccelArg::Auto => Self::Auto,
            AccelArg::Kvm => Self::Use(Accel::Kvm),
            AccelArg::Tcg => Self::Use(Accel::Tcg),
        }
    }
}

/// The network card: connected through QEMU's user network, or absent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Net {
    User,
    None,
}

#[cfg(test)]
mod tests {
    use super::cmdline;
    use super::{Endpoint, EnvVar, KernelWord, Memory, PortArg, ValueError};
    use qemu::HostPort;

    #[test]
    fn memory_has_units() {
        let mib = |text: &str| text.parse().map(Memory::mib);
        assert_eq!(mib("256"), Ok(256));
        assert_eq!(mib("96m"), Ok(96));
        assert_eq!(mib("2G"), Ok(2048));
        for bad in ["", "0", "G", "1.5G", "-1", "99999999G", "1T"] {
            assert_eq!(mib(bad), Err(ValueError::Memory), "{bad}");
        }
    }

    #[test]
    fn ports_may_leave_the_host_open() {
        let port: PortArg = "8080:80".parse().unwrap();
        assert_eq!((port.0.host, port.0.guest), (HostPort::Fixed(8080), 80));
        let port: PortArg = "80".parse().unwrap();
        assert_eq!((port.0.host, port.0.guest), (HostPort::Any, 80));
        for bad in ["", ":80", "0:80", "80:0", "70000", "a:b", "1:2:3"] {
            assert!(bad.parse::<PortArg>().is_err(), "{bad}");
        }
    }

    #[test]
    fn endpoints_have_a_port_and_a_path() {
        let endpoint: Endpoint = "8080/a/b?c=1".parse().unwrap();
        assert_eq!((endpoint.port, endpoint.path.as_str()), (8080, "/a/b?c=1"));
        for bad in ["", "8080", "/x", "x/y", "80/a b", "80/a\r\nX: y"] {
            assert!(bad.parse::<Endpoint>().is_err(), "{bad}");
        }
    }

    #[test]
    fn variables_survive_the_kernels_grammar() {
        let variable: EnvVar = "GREETING=hello = world".parse().unwrap();
        let line = format!("\"{}\"", variable.kernel_word());
        let words: Vec<_> = cmdline::words(&line).collect();
        assert_eq!(words, [("env.GREETING", "hello = world")]);
    }

    #[test]
    fn what_the_grammar_cannot_hold_is_refused() {
        assert_eq!("A=\"".parse::<EnvVar>(), Err(ValueError::Unquotable));
        assert_eq!("A=b\nc".parse::<EnvVar>(), Err(ValueError::Unquotable));
        for bad in ["A", "=b", "A B=c", "A.B=c"] {
            assert_eq!(bad.parse::<EnvVar>(), Err(ValueError::EnvName), "{bad}");
        }
        assert!("arg=halt(\"slogan\").".parse::<KernelWord>().is_ok());
        assert_eq!(
            "arg=halt(\"a b\").".parse::<KernelWord>(),
            Err(ValueError::Unquotable)
        );
        assert_eq!(" ".parse::<KernelWord>(), Err(ValueError::EmptyWord));
    }
}
