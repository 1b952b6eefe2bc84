//! Exit statuses and console of `unibeam run`.

use boot_contract::disk::{BOOT_PACKET_LBA, SECTOR};
use boot_contract::status::EPITAPH;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use tests::{image, output, unibeam};

fn command(example: &str, flags: &[&str]) -> Command {
    command_for(&image(example), flags)
}

fn command_for(image: &Path, flags: &[&str]) -> Command {
    let mut command = unibeam();
    command.arg("run").arg(image).args(flags);
    command.env("UNIBEAM_ACCEL", "tcg").stdin(Stdio::null());
    command
}

fn run(example: &str, flags: &[&str]) -> Output {
    output(&mut command(
        example,
        &[&["--timeout", "240"], flags].concat(),
    ))
}

/// Demands an exit status; gives the console.
fn expect(result: &Output, status: i32) -> String {
    let console = String::from_utf8_lossy(&result.stdout).into_owned();
    let errors = String::from_utf8_lossy(&result.stderr);
    assert_eq!(result.status.code(), Some(status), "{console}\n{errors}");
    console
}

#[test]
fn the_console_is_standard_output() {
    let result = run("crypto_check", &["--quiet"]);
    let console = expect(&result, 0);
    assert!(console.contains("crypto: sha256 true"), "{console}");
    assert_eq!(String::from_utf8_lossy(&result.stderr), "");
}

#[test]
fn a_panic_has_its_status_and_an_epitaph() {
    let result = run("hello", &["--kernel-arg", "test=panic"]);
    let console = expect(&result, 121);
    assert!(console.contains(EPITAPH), "{console}");
    assert!(String::from_utf8_lossy(&result.stderr).contains("the kernel panicked"));
}

#[test]
fn processors_that_panic_together_leave_one_epitaph() {
    let result = run("hello", &["--smp", "4", "--kernel-arg", "test=panic"]);
    let console = expect(&result, 121);
    assert_eq!(console.matches(EPITAPH).count(), 1, "{console}");
    assert!(console.contains("asked for by test=panic"), "{console}");
}

#[test]
fn a_panic_has_its_status_without_a_disk_too() {
    let result = run(
        "hello",
        &["--machine", "microvm", "--kernel-arg", "test=panic"],
    );
    assert!(expect(&result, 121).contains(EPITAPH));
}

#[test]
fn a_write_to_the_kernels_code_faults_and_the_epitaph_names_functions() {
    let result = run("hello", &["--kernel-arg", "test=fault"]);
    let console = expect(&result, 121);
    assert!(
        console.contains("CPU exception 14 (page fault)"),
        "{console}"
    );
    assert!(
        console.contains("machine::mem::kernel_image::write_to_own_code+"),
        "{console}"
    );
    assert!(
        console.contains("called from") && console.contains(" kernel_main+"),
        "{console}"
    );
}

#[test]
fn a_stack_that_is_used_up_ends_in_an_epitaph() {
    for cpus in ["1", "2"] {
        let flags = ["--smp", cpus, "--kernel-arg", "test=overflow"];
        let console = expect(&run("hello", &flags), 121);
        assert_eq!(console.matches(EPITAPH).count(), 1, "{console}");
        assert!(
            console.contains("CPU exception 8 (double fault)"),
            "{console}"
        );
        assert!(
            console.contains("machine::mem::kernel_image::overflow_stack+"),
            "{console}"
        );
    }
}

#[test]
fn a_signal_ends_with_its_number() {
    let flags = [
        "--kernel-arg",
        "arg=-eval",
        "--kernel-arg",
        "arg=halt(abort).",
    ];
    let result = run("hello", &flags);
    assert!(expect(&result, 134).contains("killed by signal 6"));
}

#[test]
fn a_crash_of_the_beam_shows_the_head_of_its_dump() {
    let flags = [
        "--kernel-arg",
        "arg=-eval",
        "--kernel-arg",
        "arg=halt(atom_to_list(slogan)).",
    ];
    let console = expect(&run("hello", &flags), 1);
    assert!(console.contains("=erl_crash_dump:"), "{console}");
    assert!(console.contains("Slogan: slogan"), "{console}");
}

#[test]
fn memory_that_is_not_there_is_the_beams_to_complain_about() {
    let hungry = "arg=binary:copy(<<0:8000>>,900000).";
    let result = run(
        "hello",
        &["--kernel-arg", "arg=-eval", "--kernel-arg", hungry],
    );
    assert!(expect(&result, 1).contains("Cannot allocate 900000000 bytes"));
}

#[test]
fn too_little_memory_has_its_status() {
    let result = run("hello", &["-m", "48M"]);
    expect(&result, 122);
    let errors = String::from_utf8_lossy(&result.stderr);
    assert!(errors.contains("ran out of memory"), "{errors}");
}

#[test]
fn too_little_memory_for_the_root_has_the_same() {
    let console = expect(&run("hello", &["-m", "16M"]), 122);
    assert!(console.contains("unibeam: not enough memory"), "{console}");
}

#[test]
fn a_disk_without_its_boot_stage_has_its_status() {
    let directory = tempfile::tempdir().unwrap();
    let disk = directory.path().join("damaged.img");
    std::fs::copy(image("hello"), &disk).unwrap();
    let file = File::options().read(true).write(true).open(&disk).unwrap();
    let mut stage = [0; 8];
    file.read_exact_at(&mut stage, BOOT_PACKET_LBA as u64)
        .unwrap();
    let stage = u64::from_le_bytes(stage) * SECTOR;
    file.write_all_at(&[0; SECTOR as usize], stage).unwrap();
    let console = expect(&output(&mut command_for(&disk, &["--timeout", "240"])), 123);
    assert!(console.contains("no boot stage"), "{console}");
}

#[test]
fn a_time_limit_has_its_status_and_shows_the_console() {
    let result = output(&mut command("hello", &["--timeout", "1"]));
    expect(&result, 124);
    let errors = String::from_utf8_lossy(&result.stderr);
    assert!(
        errors.contains("waited 1 s for the guest to end"),
        "{errors}"
    );
}

/// The line of standard error that shows QEMU's command, by `--verbose`.
fn events_socket(line: &str) -> &str {
    line.split("id=events,path=")
        .nth(1)
        .unwrap()
        .split([' ', ','])
        .next()
        .unwrap()
}

#[test]
fn a_signal_stops_the_guest_first() {
    let mut child = command("hello", &["--verbose"])
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut errors = BufReader::new(child.stderr.take().unwrap());
    let line = errors
        .by_ref()
        .lines()
        .map(Result::unwrap)
        .find(|line| line.contains("id=events"))
        .unwrap();
    let folder = Path::new(events_socket(&line)).parent().unwrap().to_owned();
    assert!(folder.exists());
    let kill = Command::new("kill")
        .args(["-TERM", &child.id().to_string()])
        .status()
        .unwrap();
    assert!(kill.success());
    assert_eq!(child.wait().unwrap().code(), Some(128 + 15));
    assert!(!folder.exists(), "{} was left behind", folder.display());
}
