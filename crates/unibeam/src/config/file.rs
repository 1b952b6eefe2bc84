//! What `unibeam.toml` may say: the flags of `unibeam image` and `unibeam check` under their own
//! names. `docs/unibeam.schema.json` is made from these types (a test compares them).

use super::checked::{Checked, Choice, Compression, EnvName, EnvText, FormatName};
use crate::cli::{
    AddedFile, BaseArg, DiskSize, HostName, KeepArg, KernelWord, LaunchArg, LoadingArg, Memory,
    RuleArg, TrimArg,
};
use bases::Address;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

/// Configuration of unibeam: what the flags of `unibeam image` and `unibeam check` say, under the
/// same names. Flags win. Relative paths start at the folder of this file.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(title = "unibeam.toml"))]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(crate) struct File {
    /// The release: its folder, an archive of it, the .rel file in it, or a .rel file that is in none.
    pub(super) release: Option<PathBuf>,
    /// The Erlang for a release that was built without one.
    pub(super) erts: Option<PathBuf>,
    /// Where the applications of a .rel file are that is in no release; those of flags are added.
    pub(super) lib_dir: Vec<PathBuf>,
    /// Where to look for the shared libraries that the release's run-time system needs.
    pub(super) sysroot: Option<PathBuf>,
    /// What the image boots: `unibeam`, `osv:FILE` or `osv:NAME`; a relative file starts here.
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub(super) base: Option<Checked<BaseArg>>,
    /// Who loads the emulator on OSv: ld-linux or kernel.
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub(super) osv_launch: Option<Choice<LaunchArg>>,
    /// Cookie of a distributed node, on a base that cannot keep one in a file.
    pub(super) cookie: Option<String>,
    /// IPv4 address of the first network card with its prefix, `dhcp` or `none`.
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub(super) ip: Option<Checked<Address>>,
    /// The default gateway.
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub(super) gateway: Option<Checked<Ipv4Addr>>,
    /// Name servers; those of flags are added.
    #[cfg_attr(test, schemars(with = "Vec<String>"))]
    pub(super) dns: Vec<Checked<IpAddr>>,
    /// Words for the kernel's command line, such as `ip6=none`; those of flags are added.
    #[cfg_attr(test, schemars(with = "Vec<String>"))]
    pub(super) kernel_arg: Vec<Checked<KernelWord>>,
    /// Environment variables for the release, by name; those of flags are added, and win.
    #[cfg_attr(test, schemars(with = "BTreeMap<String, String>"))]
    pub(super) env: BTreeMap<EnvName, EnvText>,
    /// Further files for the image, as FILE or FILE:PATH; those of flags are added.
    #[cfg_attr(test, schemars(with = "Vec<String>"))]
    pub(super) add: Vec<Checked<AddedFile>>,
    /// Rules for what is left out of an image that do not apply, or `all`; those of flags are added.
    #[cfg_attr(test, schemars(with = "Vec<String>"))]
    pub(super) keep: Vec<Checked<KeepArg>>,
    /// Rules that also apply; those of flags are added.
    #[cfg_attr(test, schemars(with = "Vec<String>"))]
    pub(super) trim: Vec<Checked<TrimArg>>,
    /// Apply all rules.
    pub(super) strip: bool,
    /// The guest's host name.
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub(super) hostname: Option<Checked<HostName>>,
    /// When modules are loaded: embedded (all at boot) or interactive (each when first used).
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub(super) code_loading: Option<Choice<LoadingArg>>,
    /// Start a shell on the console.
    pub(super) console: bool,
    /// How the image is written.
    pub(super) image: Image,
    /// What is checked.
    pub(super) check: Check,
}

/// The flags of `unibeam image` alone.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(crate) struct Image {
    /// The image to write.
    pub(super) output: Option<PathBuf>,
    /// The file's format: raw, qcow2, vhd, vhdx, vmdk or gce.
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub(super) format: Option<FormatName>,
    /// Compress the image: `true`, or the method: best, zstd or deflate.
    pub(super) compress: Option<Compression>,
    /// Size of the whole disk, in MiB or with a suffix M, G or T.
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub(super) size: Option<Checked<DiskSize>>,
    /// Size of an empty partition for data.
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub(super) data: Option<Checked<DiskSize>>,
    /// Also write a bill of materials to this file.
    pub(super) sbom: Option<PathBuf>,
    /// Sign the image with this secret key of minisign.
    pub(super) sign: Option<PathBuf>,
    /// A file whose first line is the password of that key.
    pub(super) key_password_file: Option<PathBuf>,
}

/// The flags of `unibeam check` alone.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(crate) struct Check {
    /// Memory that the machine is to have, in MiB or with a suffix M or G.
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub(super) memory: Option<Checked<Memory>>,
    /// Codes of rules whose findings are left out; those of flags are added.
    #[cfg_attr(test, schemars(with = "Vec<String>"))]
    pub(super) allow: Vec<Checked<RuleArg>>,
    /// Warnings count, too.
    pub(super) strict: bool,
}
