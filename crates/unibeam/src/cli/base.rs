//! What the image boots, and the machine's network.

use bases::osv::LaunchMode;
use bases::{Address, Family, Network, Settings};
use clap::{Args, ValueEnum};
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::str::FromStr;

use super::KernelWord;

/// What an image boots, and what it is told.
#[derive(Clone, Debug, Args)]
pub(crate) struct BaseArgs {
    /// What the image boots: `unibeam` (its own kernel), `osv:FILE` (a disk image or kernel of OSv),
    /// or `osv:NAME` (one that `unibeam base add` keeps)
    #[arg(long, value_name = "BASE", default_value = "unibeam")]
    pub(crate) base: BaseArg,

    /// Who loads the emulator on OSv: Linux's dynamic linker, or the one in the kernel [default: the
    /// first that the kernel can]
    #[arg(long, value_name = "HOW", value_enum)]
    pub(crate) osv_launch: Option<LaunchArg>,

    /// IPv4 address of the first network card, with its prefix, such as 10.0.0.2/24; `dhcp` asks
    /// for one, `none` goes without
    #[arg(long, value_name = "ADDR", default_value = "dhcp")]
    pub(crate) ip: Address,

    /// The default gateway
    #[arg(long, value_name = "ADDR")]
    pub(crate) gateway: Option<Ipv4Addr>,

    /// A name server; repeatable
    #[arg(long, value_name = "ADDR")]
    pub(crate) dns: Vec<IpAddr>,

    /// Cookie of a distributed node, on a base that cannot keep one in a file
    #[arg(long, value_name = "COOKIE", value_parser = cookie)]
    pub(crate) cookie: Option<String>,

    /// A word for the kernel's command line, such as `ip6=none`; repeatable
    #[arg(long, value_name = "WORD")]
    pub(crate) kernel_arg: Vec<KernelWord>,
}

impl BaseArgs {
    /// What is said about the machine, in no base's own grammar but for the kernel's words.
    pub(crate) fn settings(&self) -> Settings {
        let word = |word: &KernelWord| match self.base {
            BaseArg::Unibeam => word.quoted(),
            _ => word.0.clone(),
        };
        Settings {
            network: Network {
                address: self.ip,
                gateway: self.gateway,
                dns: self.dns.clone(),
            },
            kernel_words: self.kernel_arg.iter().map(word).collect(),
            cookie: self.cookie.clone(),
            launch: self.osv_launch.map(Into::into),
        }
    }
}

/// What an image boots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum BaseArg {
    /// Our own kernel.
    Unibeam,
    /// OSv, in a file or under a name.
    Osv(PathBuf),
}

/// Why a base is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected `unibeam`, `osv:FILE` or `osv:NAME` (`unibeam base list` shows the names)")]
pub(crate) struct NoSuchBase;

impl FromStr for BaseArg {
    type Err = NoSuchBase;

    fn from_str(text: &str) -> Result<Self, NoSuchBase> {
        match text.split_once(':') {
            None if text == Family::Unibeam.name() => Ok(Self::Unibeam),
            Some((family, what)) if family == Family::Osv.name() && !what.is_empty() => {
                Ok(Self::Osv(what.into()))
            }
            _ => Err(NoSuchBase),
        }
    }
}

/// Who loads the emulator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LaunchArg {
    LdLinux,
    Kernel,
}

impl From<LaunchArg> for LaunchMode {
    fn from(arg: LaunchArg) -> Self {
        match arg {
            LaunchArg::LdLinux => Self::LdLinux,
            LaunchArg::Kernel => Self::Kernel,
        }
    }
}

/// Why a cookie is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected up to 255 printable characters without spaces")]
struct NoCookie;

/// A cookie is an atom (erl(1)).
fn cookie(text: &str) -> Result<String, NoCookie> {
    let printable = text.chars().all(|c| !c.is_control() && !c.is_whitespace());
    let fits = (1..=255).contains(&text.chars().count());
    if printable && fits {
        Ok(text.into())
    } else {
        Err(NoCookie)
    }
}

/// `unibeam base`: the files of bases, under names.
#[derive(Debug, Args)]
pub(crate) struct BaseCommandArgs {
    #[command(subcommand)]
    pub(crate) command: BaseCommand,
}

/// What is done with them.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum BaseCommand {
    /// Keep a copy of a file under a name, for `--base FAMILY:NAME`
    Add {
        /// What the file is: `osv`
        #[arg(value_name = "FAMILY", value_parser = ["osv"])]
        family: String,
        /// The file
        file: PathBuf,
        /// Its name [default: the file's, without its extension]
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
    },
    /// Show the names, and what is behind them
    List {
        /// Report as JSON on standard output
        #[arg(long)]
        json: bool,
    },
    /// Show what is known of a base: its kernel's version, and what it can do
    Inspect {
        /// FAMILY:NAME or FAMILY:FILE
        base: BaseArg,
        /// Report as JSON on standard output
        #[arg(long)]
        json: bool,
    },
    /// Forget a name, and remove the copy
    Remove {
        /// The name
        name: String,
    },
}

#[cfg(test)]
mod tests {
    use super::{BaseArg, NoSuchBase, cookie};

    #[test]
    fn a_base_is_a_family_and_a_file_or_name() {
        assert_eq!("unibeam".parse(), Ok(BaseArg::Unibeam));
        let osv = BaseArg::Osv("C:/loader.img".into());
        assert_eq!("osv:C:/loader.img".parse(), Ok(osv));
        for bad in ["", "osv", "osv:", "unibeam:x", "linux:x"] {
            assert_eq!(bad.parse::<BaseArg>(), Err(NoSuchBase), "{bad}");
        }
    }

    #[test]
    fn a_cookie_is_one_word() {
        assert!(cookie("s3cret-+/=").is_ok());
        for bad in ["", "a b", "a\n", &"x".repeat(256)] {
            assert!(cookie(bad).is_err(), "{bad}");
        }
    }
}
