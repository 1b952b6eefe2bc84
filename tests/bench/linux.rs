//! A Linux guest to compare with: Debian's kernel for virtual machines, fetched when asked for.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use tests::repository;

/// Debian's package that depends on the current kernel.
const META_PACKAGE: &str = "linux-image-cloud-amd64";

/// Words for a machine under TCG: Linux takes the time-stamp counter for unstable there, and the
/// timer's interrupt for lost. The self-tests of its ciphers only make the boot longer.
const CMDLINE: &str =
    "console=ttyS0 quiet panic=-1 reboot=t no_timer_check tsc=reliable cryptomgr.notests";

/// The kernel's command line for a program as the only one.
pub(crate) fn cmdline(program: &str) -> String {
    format!("{CMDLINE} rdinit={program}")
}

/// The kernel, from an earlier run or from Debian's archive.
///
/// # Errors
/// Why there is none, as a sentence.
pub(crate) fn kernel() -> Result<PathBuf, String> {
    let folder = repository().join("target/linux-guest");
    if let Some(kernel) = find(&folder) {
        return Ok(kernel);
    }
    fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let package = package()?;
    eprintln!("fetching {package}");
    run(Command::new("apt-get")
        .args(["-q", "download", &package])
        .current_dir(&folder))?;
    let archive = first(&folder, "linux-image-").ok_or("apt-get left no package")?;
    run(Command::new("dpkg-deb")
        .arg("-x")
        .arg(&archive)
        .arg(&folder))?;
    find(&folder).ok_or_else(|| format!("{} holds no kernel", archive.display()))
}

fn find(folder: &Path) -> Option<PathBuf> {
    first(&folder.join("boot"), "vmlinuz-")
}

fn first(folder: &Path, prefix: &str) -> Option<PathBuf> {
    let entries = fs::read_dir(folder).ok()?;
    let named = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default();
        name.to_string_lossy().starts_with(prefix)
    };
    entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(named)
}

/// The package with the current kernel.
fn package() -> Result<String, String> {
    let text = run(Command::new("apt-cache").args(["depends", META_PACKAGE]))?;
    text.split_whitespace()
        .find(|word| word.starts_with("linux-image-") && *word != META_PACKAGE)
        .map(str::to_owned)
        .ok_or_else(|| format!("apt knows no {META_PACKAGE}; this needs Debian 12's archive"))
}

/// Runs a command of Debian's; gives its standard output.
fn run(command: &mut Command) -> Result<String, String> {
    let result = command
        .output()
        .map_err(|error| format!("{command:?}: {error}"))?;
    if result.status.success() {
        return Ok(String::from_utf8_lossy(&result.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&result.stderr);
    Err(format!("{command:?}: {}", said.trim()))
}
