//! The example releases on every machine, through `unibeam test`.

use serde_json::Value;
use std::path::Path;
use std::process::Command;
use tests::{image, image_with, make_image, output, release, repository, succeed, unibeam};

/// Runs `unibeam test --json` on an example; what must hold is in the flags.
fn test(example: &str, flags: &[&str]) -> Value {
    test_image(&image(example), flags)
}

/// As [`test`], on an image.
pub(crate) fn test_image(image: &Path, flags: &[&str]) -> Value {
    let mut command = unibeam();
    command
        .arg("test")
        .arg(image)
        .args(["--json", "--timeout", "240"])
        .args(flags);
    let result = output(emulated(&mut command));
    let said = String::from_utf8_lossy(&result.stdout);
    let errors = String::from_utf8_lossy(&result.stderr);
    assert!(
        result.status.success(),
        "{command:?}: {}\n{said}{errors}",
        result.status
    );
    serde_json::from_str(&said).unwrap()
}

/// The same outcome on every host.
fn emulated(command: &mut Command) -> &mut Command {
    command.env("UNIBEAM_ACCEL", "tcg")
}

/// Boots `hello`, fetches its page and stops it through its own page with status 0.
fn hello_on(machine: &str, flags: &[&str]) {
    let expectations = [
        "--machine",
        machine,
        "--http",
        "8080/",
        "--expect",
        "Hello from unibeam",
        "--stop",
        "8080/stop?status=0",
    ];
    let report = test("hello", &[&expectations, flags].concat());
    assert!(
        report["page"]["body"]
            .as_str()
            .unwrap()
            .contains("ERTS 13.1.5"),
        "{report}"
    );
    assert_eq!(report["ending"], "the release ended with status 0");
    assert!(report["application_started_ms"].as_f64().unwrap() > 0.0);
    let events = report["events"].as_array().unwrap();
    let names: Vec<_> = events
        .iter()
        .map(|event| event["name"].as_str().unwrap())
        .collect();
    for name in [
        "kernel-up",
        "root-ready",
        "erts-started",
        "application-started",
        "exit",
    ] {
        assert!(names.contains(&name), "no event {name} in {names:?}");
    }
}

#[test]
fn hello_on_kvm_pc() {
    hello_on("kvm-pc", &[]);
}

/// Modules that nobody has used yet are loaded for the page.
#[test]
fn hello_with_interactive_code_loading() {
    let flags = ["--code-loading", "interactive"].map(String::from);
    let image = make_image("interactive", &release("hello"), &flags);
    let flags = [
        "--machine",
        "microvm",
        "--http",
        "8080/",
        "--stop",
        "8080/stop?status=0",
    ];
    let report = test_image(&image, &flags);
    assert_eq!(report["ending"], "the release ended with status 0");
}

/// QEMU reads its own format, packed; the image as a whole unpacked is what the others boot. The
/// smallest image, too: with stripped modules.
#[test]
fn hello_from_packed_qcow2() {
    let flags = "--format qcow2 --compress --data 64M --strip".split(' ');
    let flags: Vec<_> = flags.map(String::from).collect();
    let image = make_image("packed", &release("hello"), &flags);
    let report = test_image(&image, &["--http", "8080/", "--stop", "8080/stop?status=0"]);
    assert_eq!(report["ending"], "the release ended with status 0");
    let command = report["command"].as_str().unwrap();
    assert!(command.contains("format=qcow2"), "{command}");
}

#[test]
fn hello_on_kvm_q35() {
    hello_on("kvm-q35", &[]);
}

#[test]
fn hello_on_pc_ide() {
    hello_on("pc-ide", &[]);
}

#[test]
fn hello_on_q35_direct() {
    hello_on("q35-direct", &[]);
}

#[test]
fn hello_on_microvm() {
    hello_on("microvm", &[]);
}

#[test]
fn hello_on_two_cpus() {
    hello_on("kvm-q35", &["--smp", "2"]);
}

#[test]
fn hello_on_four_cpus() {
    hello_on("kvm-pc", &["--smp", "4"]);
}

/// Keeps all processors busy for a while; ERTS sees each of them and binds a scheduler to it.
fn all_processors_work(machine: &str, cpus: &str) {
    let numbers: Vec<_> = (0..cpus.parse().unwrap())
        .map(|n: u8| n.to_string())
        .collect();
    let bound = numbers.join(",");
    let online =
        format!("smp: {cpus} schedulers online of {cpus} processors, bound to {{{bound}}}");
    let report = test(
        "smp_check",
        &[
            "--machine",
            machine,
            "--smp",
            cpus,
            "-m",
            "512M",
            "--status",
            "0",
            "--expect",
            &online,
        ],
    );
    assert_eq!(report["ending"], "the release ended with status 0");
}

#[test]
fn two_processors_work() {
    all_processors_work("kvm-q35", "2");
}

#[test]
fn four_processors_work() {
    all_processors_work("microvm", "4");
}

#[test]
fn elixir_serves_and_stops() {
    let flags = [
        "--http",
        "4000/",
        "--expect",
        "Grüße aus unibeam ⚡",
        "--stop",
        "4000/stop",
    ];
    let report = test("hello_elixir", &flags);
    assert!(
        report["page"]["body"]
            .as_str()
            .unwrap()
            .contains("Elixir 1.14"),
        "{report}"
    );
}

#[test]
fn elixir_reads_its_environment_when_it_boots() {
    let flags = [
        "--env",
        "GREETING=good day",
        "--http",
        "4000/",
        "--expect",
        "good day",
        "--stop",
        "4000/stop",
    ];
    test("hello_elixir", &flags);
}

#[test]
fn elixirs_library_works() {
    let flags = ["/bin/cat", "/bin/sh"].map(|program| format!("--add={program}"));
    let image = image_with("elixir_check", &flags);
    test_image(&image, &["--status", "0", "--expect", "elixir: 0 failed"]);
}

#[test]
fn the_crypto_nif_works_and_the_release_ends_by_itself() {
    test(
        "crypto_check",
        &["--status", "0", "--expect", "crypto: rsa_sign true"],
    );
}

/// What the example's commands are made of; `unibeam image --add` takes them from this host.
const PROGRAMS: [&str; 7] = [
    "/bin/cat",
    "/bin/ls",
    "/bin/rm",
    "/bin/sh",
    "/bin/sleep",
    "/usr/bin/sort",
    "/usr/bin/tr",
];

#[test]
fn ports_and_shell_commands_work_and_leave_nothing_behind() {
    let flags: Vec<_> = PROGRAMS
        .iter()
        .map(|program| format!("--add={program}"))
        .collect();
    let image = image_with("ports", &flags);
    test_image(&image, &["--status", "0", "--expect", "ports: 0 failed"]);
}

/// The example as its build leaves it beside the release: a `.rel` file and compiled modules. What a
/// build tool does further, and OTP, is done here.
#[test]
fn a_bare_rel_file() {
    let build = repository().join("examples/hello/_build");
    let root = succeed(Command::new("erl").args([
        "-noshell",
        "-eval",
        "io:put_chars(code:root_dir()),halt().",
    ]));
    let flags = ["--erts", &root, "--lib-dir", build.to_str().unwrap()];
    let image = make_image("bare", &build.join("hello.rel"), &flags.map(String::from));
    let page = ["--http", "8080/", "--expect", "Hello from unibeam"];
    let report = test_image(&image, &page);
    assert_eq!(report["ending"], "the release ended with status 0");
}
