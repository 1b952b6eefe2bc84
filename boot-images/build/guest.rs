//! Runs cargo for the guest programs, undisturbed by the settings of the build around it.

use std::env;
use std::error::Error;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::flags::Flags;

const TARGET: &str = "x86_64-unknown-none";

/// Where and with what to build.
pub(crate) struct Guest {
    /// The workspace's folder.
    pub(crate) workspace: PathBuf,
    /// The build script's output folder; the nested target folders lie in it.
    pub(crate) out: PathBuf,
    cargo: OsString,
    jobs: OsString,
}

impl Guest {
    /// Reads what cargo tells every build script.
    pub(crate) fn from_environment() -> Result<Self, Box<dyn Error>> {
        let get = |name| env::var_os(name).ok_or_else(|| format!("cargo did not set {name}"));
        let manifest = PathBuf::from(get("CARGO_MANIFEST_DIR")?);
        let workspace = manifest
            .parent()
            .ok_or("the package has no parent folder")?;
        Ok(Self {
            workspace: workspace.to_path_buf(),
            out: get("OUT_DIR")?.into(),
            cargo: get("CARGO")?,
            jobs: get("NUM_JOBS")?,
        })
    }

    /// Builds a program of a package and returns its file.
    pub(crate) fn build(
        &self,
        package: &str,
        bin: &str,
        flags: &Flags,
    ) -> Result<PathBuf, Box<dyn Error>> {
        let target_dir = self.out.join(package);
        let mut command = Command::new(&self.cargo);
        command
            .current_dir(&self.workspace)
            .args(["rustc", "--release", "--locked", "--features", "boot"])
            .args(["--package", package, "--bin", bin, "--target", TARGET])
            .arg("--jobs")
            .arg(&self.jobs)
            .arg("--target-dir")
            .arg(&target_dir)
            .arg("--")
            .args(link_args(package, bin, flags));
        scrub(&mut command);
        command.envs(flags.profile.iter().copied());
        command.env("CARGO_ENCODED_RUSTFLAGS", self.encoded_flags(flags));
        let status = command.status()?;
        if !status.success() {
            return Err(format!(
                "building {bin} for bare metal failed ({status}); is the target there? \
                 `rustup target add {TARGET}`"
            )
            .into());
        }
        Ok(target_dir.join(TARGET).join("release").join(bin))
    }

    /// The flags for every crate, in cargo's form; no path of this machine gets into the result.
    fn encoded_flags(&self, flags: &Flags) -> String {
        let remap = |from: &Path, to| format!("--remap-path-prefix={}={to}", from.display());
        let mut all: Vec<String> = flags.codegen.iter().map(|&flag| flag.into()).collect();
        all.push(remap(&self.workspace, "/unibeam"));
        if let Some(home) = cargo_home() {
            all.push(remap(&home, "/cargo"));
        }
        all.join("\x1f")
    }
}

/// The linker's arguments. The script's path is relative, as rustc runs in the workspace's folder,
/// so that the folder's name has no influence.
fn link_args(package: &str, bin: &str, flags: &Flags) -> Vec<String> {
    let script = flags.script.replace("{bin}", bin);
    let link = flags.link.iter().map(|arg| format!("-Clink-arg={arg}"));
    std::iter::once(format!("-Clink-arg=-Tcrates/{package}/{script}"))
        .chain(link)
        .collect()
}

fn cargo_home() -> Option<PathBuf> {
    let home = || Some(PathBuf::from(env::var_os("HOME")?).join(".cargo"));
    env::var_os("CARGO_HOME").map(PathBuf::from).or_else(home)
}

/// Variables of the outer build that would change the nested one, by prefix.
const FOREIGN: [&str; 13] = [
    "RUSTFLAGS",
    "RUSTDOCFLAGS",
    "RUSTC_WRAPPER",
    "RUSTC_WORKSPACE_WRAPPER",
    "CARGO_ENCODED_",
    "CARGO_BUILD_",
    "CARGO_TARGET_",
    "CARGO_PROFILE_",
    "CARGO_CFG_",
    "CARGO_FEATURE_",
    "CARGO_MAKEFLAGS",
    "MAKEFLAGS",
    "CLIPPY_ARGS",
];
/// The same, by whole name.
const FOREIGN_NAMES: [&str; 8] = [
    "TARGET",
    "HOST",
    "PROFILE",
    "OPT_LEVEL",
    "DEBUG",
    "NUM_JOBS",
    "OUT_DIR",
    "RUSTC_LINKER",
];

fn scrub(command: &mut Command) {
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        let by_prefix = FOREIGN.iter().any(|prefix| text.starts_with(prefix));
        if by_prefix || FOREIGN_NAMES.contains(&&*text) {
            command.env_remove(&name);
        }
    }
}
