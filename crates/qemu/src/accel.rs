//! What executes the guest: KVM where it truly works, else emulation (TCG).
//!
//! That `/dev/kvm` opens says little: under some hypervisors its ring 0 is itself emulated, hundreds
//! of times slower than TCG, or stops at the first SSE instruction. So a tiny guest is run, with a
//! deadline, and the verdict is kept until the next boot.

use crate::machine::QEMU;
use crate::profile::Cpu;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// What executes the guest's instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accel {
    /// The host's CPU.
    Kvm,
    /// QEMU's translator.
    Tcg,
}

impl Accel {
    /// Name for `-accel` and for people.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Kvm => "kvm",
            Self::Tcg => "tcg",
        }
    }

    pub(crate) fn cpu(self, cpu: &Cpu) -> &str {
        match self {
            Self::Kvm => &cpu.kvm,
            Self::Tcg => &cpu.tcg,
        }
    }
}

/// What the user asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccelChoice {
    /// KVM if [`probe_kvm`] finds it usable.
    Auto,
    /// Exactly this.
    Use(Accel),
}

impl AccelChoice {
    /// Decides; the second value says why, where there was a choice.
    pub fn decide(self) -> (Accel, Option<ProbeReport>) {
        match self {
            Self::Use(accel) => (accel, None),
            Self::Auto => {
                let report = probe_kvm();
                let accel = if report == ProbeReport::Works {
                    Accel::Kvm
                } else {
                    Accel::Tcg
                };
                (accel, Some(report))
            }
        }
    }
}

/// What a probe of KVM found.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProbeReport {
    /// The tiny guest ran to its end in time.
    #[error("KVM works")]
    Works,
    /// The device cannot be opened.
    #[error("KVM is not available: /dev/kvm cannot be opened ({0})")]
    NoDevice(io::ErrorKind),
    /// The tiny guest did not end in time or ended wrongly.
    #[error("KVM is there but cannot run a kernel, or is slower than emulation")]
    Unusable,
}

const DEVICE: &str = "/dev/kvm";

/// A sound KVM needs about 0.1 s for the probe, most of it QEMU's own start.
const PROBE_TIME: Duration = Duration::from_secs(3);

/// What the probe's guest writes to the exit port, and the status QEMU makes of it.
const PROBE_CODE: u8 = 0x2a;
const PROBE_STATUS: i32 = ((PROBE_CODE as i32) << 1) | 1;

/// The probe's guest: a boot sector that uses an SSE register (needs CR4.OSFXSR), counts to
/// two million in ring 0 and leaves through `isa-debug-exit`. 16-bit code.
const PROBE_CODE_BYTES: [u8; 32] = [
    0xfa, // cli
    0x0f, 0x20, 0xe0, // mov eax, cr4
    0x66, 0x0d, 0x00, 0x02, 0x00, 0x00, // or eax, 0x200
    0x0f, 0x22, 0xe0, // mov cr4, eax
    0x66, 0x0f, 0x6e, 0xc0, // movd xmm0, eax
    0x66, 0xb9, 0x80, 0x84, 0x1e, 0x00, // mov ecx, 2000000
    0x66, 0x49, // l: dec ecx
    0x75, 0xfc, // jnz l
    0xb0, PROBE_CODE, // mov al, PROBE_CODE
    0xe6, 0xf4, // out 0xf4, al
    0xf4, // hlt
];

/// Finds out whether KVM runs a kernel, and fast; the answer is cached until the next boot.
pub fn probe_kvm() -> ProbeReport {
    if let Err(error) = OpenOptions::new().read(true).write(true).open(DEVICE) {
        return ProbeReport::NoDevice(error.kind());
    }
    let works = cached_verdict().unwrap_or_else(|| {
        let works = probe_runs(Path::new(QEMU), Accel::Kvm).unwrap_or(false);
        // Without a cache the next run probes again.
        let _ = store_verdict(works);
        works
    });
    if works {
        ProbeReport::Works
    } else {
        ProbeReport::Unusable
    }
}

/// Runs the tiny guest; true if it ended as it should, in time.
///
/// # Errors
/// QEMU or a temporary file is not to be had.
pub fn probe_runs(program: &Path, accel: Accel) -> io::Result<bool> {
    let mut disk = tempfile::NamedTempFile::new()?;
    disk.write_all(&boot_sector(&PROBE_CODE_BYTES))?;
    // SeaBIOS reads no disk of less than a cylinder.
    disk.as_file().set_len(1 << 20)?;
    let child = Command::new(program)
        .args([
            "-machine",
            &format!("pc,accel={}", accel.name()),
            "-m",
            "16M",
        ])
        .args([
            "-nodefaults",
            "-no-user-config",
            "-display",
            "none",
            "-no-reboot",
        ])
        .args(["-device", "isa-debug-exit,iobase=0xf4,iosize=0x04"])
        .args(["-device", "ide-hd,drive=probe", "-drive"])
        .arg(format!(
            "id=probe,if=none,format=raw,snapshot=on,file={}",
            disk.path().display()
        ))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    ends_with(child, PROBE_STATUS, PROBE_TIME)
}

/// Whether a child ends with this status in time; it is gone afterwards in any case.
fn ends_with(mut child: Child, status: i32, limit: Duration) -> io::Result<bool> {
    let deadline = Instant::now() + limit;
    let (sender, ended) = mpsc::channel();
    let stdout = child.stdout.take();
    // The pipe closes when the process ends.
    thread::spawn(move || {
        drop(stdout.map(io::read_to_string));
        let _ = sender.send(());
    });
    let in_time = ended
        .recv_timeout(deadline.saturating_duration_since(Instant::now()))
        .is_ok();
    if !in_time {
        child.kill()?;
    }
    Ok(child.wait()?.code() == Some(status) && in_time)
}

/// A disk of one sector with this code.
fn boot_sector(code: &[u8]) -> [u8; 512] {
    let mut sector = [0; 512];
    sector[..code.len()].copy_from_slice(code);
    sector[510..].copy_from_slice(&[0x55, 0xaa]);
    sector
}

/// `$XDG_CACHE_HOME/unibeam/kvm` holds `BOOT-ID works|fails`.
fn cache_file() -> Option<PathBuf> {
    let cache = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| {
            let home = std::env::var_os("HOME")?;
            Some(Path::new(&home).join(".cache"))
        })?;
    Some(cache.join("unibeam/kvm"))
}

fn boot_id() -> Option<String> {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(id.trim().to_owned())
}

fn cached_verdict() -> Option<bool> {
    parse_verdict(&fs::read_to_string(cache_file()?).ok()?, &boot_id()?)
}

fn parse_verdict(text: &str, boot_id: &str) -> Option<bool> {
    match text.trim().strip_prefix(boot_id)?.trim() {
        "works" => Some(true),
        "fails" => Some(false),
        _ => None,
    }
}

fn store_verdict(works: bool) -> io::Result<()> {
    let (Some(file), Some(boot_id)) = (cache_file(), boot_id()) else {
        return Ok(());
    };
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(
        file,
        format!("{boot_id} {}\n", if works { "works" } else { "fails" }),
    )
}

#[cfg(test)]
mod tests {
    use super::{Accel, PROBE_STATUS, ends_with, parse_verdict, probe_runs};
    use std::path::Path;
    use std::process::{Child, Command, Stdio};
    use std::time::Duration;

    fn shell(script: &str) -> Child {
        let mut command = Command::new("sh");
        command.args(["-c", script]).stdout(Stdio::piped());
        command.spawn().unwrap()
    }

    #[test]
    fn only_the_right_status_in_time_counts() {
        let long = Duration::from_secs(20);
        assert!(ends_with(shell("exit 85"), PROBE_STATUS, long).unwrap());
        assert!(!ends_with(shell("exit 0"), PROBE_STATUS, long).unwrap());
        let short = Duration::from_millis(50);
        assert!(!ends_with(shell("exec sleep 20"), PROBE_STATUS, short).unwrap());
    }

    #[test]
    fn a_verdict_holds_for_one_boot() {
        assert_eq!(parse_verdict("abc works\n", "abc"), Some(true));
        assert_eq!(parse_verdict("abc fails\n", "abc"), Some(false));
        assert_eq!(parse_verdict("abc works\n", "abd"), None);
        assert_eq!(parse_verdict("abc", "abc"), None);
    }

    #[test]
    fn a_missing_program_is_an_error() {
        assert!(probe_runs(Path::new("/nonexistent/qemu"), Accel::Tcg).is_err());
    }
}
