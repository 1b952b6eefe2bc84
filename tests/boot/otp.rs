//! `examples/otp_apps`: OTP's applications at work, in the guest as on this host.

use boot_contract::status::Ending;
use qemu::{End, Forward, Guest, HostPort, Machine, Profile, Verdict};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;
use std::time::Duration;
use tests::{boot, make_image, output, release, shared_folder, succeed};

pub(crate) const LONG: Duration = Duration::from_secs(400);

/// Flags of the emulator for a node that needs no epmd.
const PLAIN: &str =
    "-noshell\n-noinput\n-setcookie otp_apps\n-start_epmd false\n-erl_epmd_port 4370\n";
/// For a node that has epmd beside it and talks to others by TLS only.
const SECURE: &str = "-noshell\n-noinput\n-setcookie otp_apps\n-start_epmd true\n-proto_dist inet_tls\n\
                      -ssl_dist_optfile /tls/distribution.conf\n";

/// The image whose nodes need no epmd.
pub(crate) static PLAIN_IMAGE: LazyLock<PathBuf> = LazyLock::new(|| image("otp_plain", PLAIN));
/// The image whose nodes have epmd, and TLS between them.
pub(crate) static SECURE_IMAGE: LazyLock<PathBuf> = LazyLock::new(|| image("otp_secure", SECURE));

/// The release with other flags of the emulator, the programs that os_mon uses, and certificates.
fn image(name: &str, vm_args: &str) -> PathBuf {
    let copy = shared_folder().join(name);
    // Nothing is there on the first run.
    let _ = std::fs::remove_dir_all(&copy);
    succeed(
        Command::new("cp")
            .arg("-r")
            .arg(release("otp_apps"))
            .arg(&copy),
    );
    std::fs::write(copy.join("releases/1.0.0/vm.args"), vm_args).unwrap();
    let files = ["ca.pem", "cert.pem", "key.pem", "distribution.conf"].map(|file| {
        let host = CERTIFICATES.join(file);
        format!("--add={}:/tls/{file}", host.display())
    });
    let programs = ["/bin/sh", "/bin/df"].map(|program| format!("--add={program}"));
    make_image(name, &copy, &[&files[..], &programs[..]].concat())
}

/// `ca.pem`; `cert.pem` and `key.pem` for every address that the tests use; what the distribution
/// needs to use them below `/tls`.
pub(crate) static CERTIFICATES: LazyLock<PathBuf> = LazyLock::new(|| {
    let folder = shared_folder().join("certificates");
    std::fs::create_dir_all(&folder).unwrap();
    let request = |name: &str, more: &[&str]| {
        let curve = [
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
        ];
        let mut openssl = Command::new("openssl");
        openssl
            .current_dir(&folder)
            .args(["req", "-x509", "-days", "2"])
            .args(curve);
        succeed(openssl.args(["-subj", name]).args(more));
    };
    request("/CN=authority", &["-keyout", "ca.key", "-out", "ca.pem"]);
    // The distribution over TLS looks for addresses among the host names.
    let addresses = ["127.0.0.1", "10.9.0.1", "10.9.0.2"];
    let addresses = addresses.map(|address| format!(",DNS:{address},IP:{address}"));
    let names = format!("subjectAltName=DNS:localhost{}", addresses.concat());
    let signed = ["-CA", "ca.pem", "-CAkey", "ca.key", "-addext", &names];
    request(
        "/CN=localhost",
        &[&signed[..], &["-keyout", "key.pem", "-out", "cert.pem"]].concat(),
    );
    std::fs::write(
        folder.join("distribution.conf"),
        distribution(Path::new("/tls")),
    )
    .unwrap();
    folder
});

/// Options of the distribution over TLS (`-ssl_dist_optfile`), with certificates in `folder`.
pub(crate) fn distribution(folder: &Path) -> String {
    let files = [
        ("certfile", "cert.pem"),
        ("keyfile", "key.pem"),
        ("cacertfile", "ca.pem"),
    ];
    let files = files.map(|(key, file)| format!("{{{key}, {:?}}}, ", folder.join(file)));
    let options = files.concat() + "{verify, verify_peer}";
    format!("[{{server, [{options}, {{fail_if_no_peer_cert, true}}]}}, {{client, [{options}]}}].\n")
}

/// A machine that does one of the things of `otp_apps_app.erl`.
pub(crate) fn machine(image: &Path, does: &str) -> Machine {
    let (boot, folder) = boot(&Profile::named("microvm").unwrap(), image);
    Machine::new(Profile::named("microvm").unwrap(), boot)
        .hold(folder)
        .memory_mib(384)
        .kernel_word(&format!("env.OTP_APPS={does}"))
}

/// More flags for the emulator.
pub(crate) fn with_flags(machine: Machine, flags: &str) -> Machine {
    let words = flags.split(' ').map(|flag| format!("arg={flag}"));
    words.fold(machine, |machine, word| machine.kernel_word(&word))
}

pub(crate) fn forward(machine: Machine, ports: &[u16]) -> Machine {
    let forward = |&guest| Forward {
        host: HostPort::Any,
        guest,
    };
    ports.iter().map(forward).fold(machine, Machine::forward)
}

/// Demands that the release ends with status 0; gives what its checks said.
pub(crate) fn results(guest: &mut Guest) -> Vec<String> {
    let end = guest
        .wait_end(LONG)
        .unwrap_or_else(|error| panic!("{error}"));
    assert!(end.is_success(), "{end}\n{}", guest.console());
    lines(&guest.console())
}

fn lines(said: &str) -> Vec<String> {
    let lines = said.lines().filter(|line| line.starts_with("otp_apps: "));
    lines.map(|line| line.trim_end().to_owned()).collect()
}

/// The release on this host.
fn on_this_host() -> Vec<String> {
    let root = release("otp_apps");
    let programs = root.join("erts-13.1.5/bin");
    let script = root.join("releases/1.0.0/start");
    let mut erl = Command::new(programs.join("erlexec"));
    erl.env("ROOTDIR", &root)
        .env("BINDIR", &programs)
        .env("EMU", "beam")
        .env("LANG", "C.UTF-8");
    erl.arg("-boot")
        .arg(&script)
        .arg("-config")
        .arg(script.with_file_name("sys"));
    let result = output(erl.args(["-noshell", "-noinput", "-mode", "embedded"]));
    let said = String::from_utf8_lossy(&result.stdout);
    assert!(result.status.success(), "{said}");
    lines(&said)
}

fn is_about_alarms(line: &str) -> bool {
    line.starts_with("otp_apps: os_mon: no alarm")
}

#[test]
fn applications_work_as_on_this_host() {
    let mut guest = machine(&PLAIN_IMAGE, "check").start().unwrap();
    let found = results(&mut guest);
    // How full this host is says nothing about the guest.
    let (quiet, found): (Vec<_>, _) = found.into_iter().partition(|line| is_about_alarms(line));
    assert_eq!(quiet, ["otp_apps: os_mon: no alarm: []"]);
    let mut expected = on_this_host();
    expected.retain(|line| !is_about_alarms(line));
    assert_eq!(found, expected);
    assert!(found.len() >= 50, "{found:#?}");
}

#[test]
fn a_full_file_system_hurts_nobody() {
    let mut guest = machine(&PLAIN_IMAGE, "disk_full").start().unwrap();
    let found = results(&mut guest);
    assert!(
        found
            .iter()
            .any(|line| line.contains("write says so: {true,{error,enospc}")),
        "{found:#?}"
    );
}

/// `heart` ends the first process, and with it the machine: there is nothing to restart it.
#[test]
fn a_stopped_heart_ends_the_machine() {
    // The shortest time that heart takes (erts: heart.c).
    let machine = machine(&PLAIN_IMAGE, "heart").kernel_word("env.HEART_BEAT_TIMEOUT=11");
    let mut guest = with_flags(machine, "-heart").start().unwrap();
    let end = guest.wait_end(LONG).unwrap();
    let verdict = Verdict {
        ending: Ending::Signal,
        status: 9,
    };
    assert_eq!(end, End::Guest(verdict), "{}", guest.console());
    assert!(
        guest.console().contains("heart-beat time-out"),
        "{}",
        guest.console()
    );
}
