//! Servers that Debian packages, and that nobody wrote with unibeam in mind: each is checked,
//! imaged, booted and used by a client of this host (`examples/debian`).

use crate::otp::LONG;
use boot_contract::events::APPLICATION_STARTED;
use qemu::{Boot, Forward, Guest, HostPort, Machine, Profile};
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use tests::{make_image, output, repository, succeed, unibeam};

/// The port that the examples configure for HTTP.
const HTTP: u16 = 8080;

fn folder() -> PathBuf {
    repository().join("examples/debian")
}

/// The flags for what a release needs besides itself: Debian's libraries, the programs that os_mon
/// starts, and its own (`NAME/flags`).
fn flags(name: &str) -> Vec<String> {
    let sysroot = folder().join("_build/root");
    let own = fs::read_to_string(folder().join(name).join("flags")).unwrap_or_default();
    let fixed = [
        format!("--sysroot={}", sysroot.display()),
        format!("--hostname={name}"),
        "--add=/bin/sh".into(),
        "--add=/bin/df".into(),
    ];
    fixed
        .into_iter()
        .chain(own.lines().map(Into::into))
        .collect()
}

fn release(name: &str) -> PathBuf {
    let release = folder().join("_build").join(name);
    assert!(
        release.join("releases").is_dir(),
        "{name} is not built; run examples/debian/build"
    );
    release
}

/// Nothing stands in the way of a boot, and what is said of the release contains these codes.
fn check(name: &str, expected: &[&str]) {
    let mut command = unibeam();
    command.arg("check").arg(release(name)).args(flags(name));
    let result = output(command.arg("--json"));
    let report: serde_json::Value = serde_json::from_slice(&result.stdout).unwrap();
    let findings = report["findings"].as_array().unwrap();
    let has = |key: &str, value: &str| findings.iter().any(|finding| finding[key] == value);
    assert!(
        result.status.success() && !has("severity", "error"),
        "{report}"
    );
    for code in expected {
        assert!(has("code", code), "{name} has no {code}: {report}");
    }
}

fn start(name: &str, port: u16) -> Guest {
    let image = make_image(&format!("debian_{name}"), &release(name), &flags(name));
    let profile = Profile::named("kvm-q35").unwrap();
    let forward = Forward {
        host: HostPort::Any,
        guest: port,
    };
    Machine::new(profile, Boot::raw_disk(image))
        .memory_mib(1024)
        .forward(forward)
        .start()
        .unwrap()
}

/// What `curl` gets from a port of the guest.
fn curl(guest: &Guest, port: u16, path: &str, flags: &[&str]) -> String {
    let port = guest.host_port(port).unwrap();
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--show-error", "--fail", "--max-time", "100"]);
    succeed(
        curl.args(flags)
            .arg(format!("http://127.0.0.1:{port}{path}")),
    )
}

/// The power button ends the release as `init:stop/0` does.
fn stop(mut guest: Guest) {
    guest.press_power_button();
    let end = guest.wait_end(LONG).unwrap();
    assert!(end.is_success(), "{end}\n{}", guest.console());
}

/// Yaws compiles its pages when they are fetched, with the header files of its release.
#[test]
fn yaws_compiles_and_serves_a_page() {
    check("yaws", &["UB304"]);
    let mut guest = start("yaws", HTTP);
    guest
        .wait_console("Yaws: Listening to 0.0.0.0:8080", LONG)
        .unwrap();
    let page = curl(&guest, HTTP, "/", &[]);
    assert!(page.contains("yaws on ERTS 13.1.5"), "{page}");
    stop(guest);
}

/// Wings 3D has a module whose library Debian does not package. Embedded, it would not start.
#[test]
fn wings_3d_reads_a_model_without_a_window() {
    check("wings3d", &["UB210"]);
    let mut guest = start("wings3d", HTTP);
    let end = guest.wait_end(LONG).unwrap();
    let console = guest.console();
    assert!(
        end.is_success() && console.contains("e3d_mesh,polygon"),
        "{console}"
    );
}

/// `RabbitMQ` keeps a message, which comes and goes through its management interface.
#[test]
fn rabbitmq_keeps_a_message() {
    const MANAGEMENT: u16 = 15672;
    check("rabbitmq", &["UB604"]);
    let mut guest = start("rabbitmq", MANAGEMENT);
    guest
        .wait_console("Server startup complete; 3 plugins started", LONG)
        .unwrap();
    let ask = |path: &str, method: &str, body: &str| {
        let flags = ["-u", "guest:guest", "-X", method, "-d", body];
        curl(&guest, MANAGEMENT, &format!("/api/{path}"), &flags)
    };
    ask("queues/%2f/letters", "PUT", r#"{"durable": true}"#);
    let published = ask(
        "exchanges/%2f/amq.default/publish",
        "POST",
        r#"{"properties": {"delivery_mode": 2}, "routing_key": "letters", "payload": "hello", "payload_encoding": "string"}"#,
    );
    assert_eq!(published, r#"{"routed":true}"#);
    let got = ask(
        "queues/%2f/letters/get",
        "POST",
        r#"{"count": 1, "ackmode": "ack_requeue_false", "encoding": "auto"}"#,
    );
    assert!(got.contains(r#""payload":"hello""#), "{got}");
    stop(guest);
}

#[test]
fn ejabberd_tells_its_status() {
    check("ejabberd", &["UB302", "UB402"]);
    let mut guest = start("ejabberd", HTTP);
    guest.wait_event(APPLICATION_STARTED, LONG).unwrap();
    let status = curl(&guest, HTTP, "/api/status", &["-d", "{}"]);
    assert!(status.contains("is running in that node"), "{status}");
    stop(guest);
}
