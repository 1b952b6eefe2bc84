//! Rules of the house that no lint knows.
#![allow(
    clippy::unwrap_used,
    reason = "a test fails by panicking; helpers outside #[test] too"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The files that git knows, matching a pattern.
fn tracked(pattern: &str) -> Vec<PathBuf> {
    let output = Command::new("git")
        .args([
            "ls-files",
            "--cached",
            "--others",
            "--exclude-standard",
            pattern,
        ])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "git ls-files failed");
    let list = String::from_utf8(output.stdout).unwrap();
    let files: Vec<_> = list
        .lines()
        .map(|line| root().join(line))
        .filter(|p| p.exists())
        .collect();
    assert!(!files.is_empty(), "no file matches {pattern}");
    files
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}

#[test]
fn every_member_inherits_the_lints() {
    for manifest in tracked("*/Cargo.toml") {
        // Not a member (it needs another toolchain); the one that lifts `unsafe_code` and repeats
        // the rest.
        if manifest.ends_with("fuzz/Cargo.toml") || manifest.ends_with("machine/Cargo.toml") {
            continue;
        }
        let text = read(&manifest);
        assert!(
            text.contains("[lints]\nworkspace = true"),
            "{}",
            manifest.display()
        );
    }
}

/// Crates that may lift `unsafe_code`: the kernel's unsafe half, the boot stage, the vDSO, OSv's shim,
/// and the probes, which call what safe wrappers keep from happening.
const MAY_BE_UNSAFE: [&str; 5] = [
    "crates/machine/",
    "crates/boot-bios/",
    "crates/osv-shim/",
    "crates/vdso/",
    "tests/probes/",
];

#[test]
fn unsafe_code_stays_in_its_crates() {
    for file in tracked("*.rs") {
        let name = file.display().to_string();
        let lifted = read(&file).contains(concat!("allow(", "unsafe_code"));
        let permitted = MAY_BE_UNSAFE.iter().any(|folder| name.contains(folder));
        assert!(!lifted || permitted, "{name} lifts unsafe_code");
    }
}

/// Host crates know nothing of the guest's, and the other way round; both know the contracts.
#[test]
fn the_halves_meet_only_in_the_contracts() {
    let guest = ["kernel", "machine", "vfs", "net", "boot-bios"].as_slice();
    let host = [
        "release", "beam", "erts", "lint", "manifest", "image", "inspect", "qemu", "unibeam",
    ]
    .as_slice();
    for (half, other) in [(guest, host), (host, guest)] {
        for name in half {
            let text = read(&root().join(format!("crates/{name}/Cargo.toml")));
            let normal = text.split("[dev-dependencies]").next().unwrap();
            for forbidden in other {
                let line = format!("\n{forbidden}.workspace");
                assert!(!normal.contains(&line), "{name} depends on {forbidden}");
            }
        }
    }
}

#[test]
fn boot_tests_are_never_ignored() {
    for file in tracked("tests/boot/*.rs") {
        assert!(
            !read(&file).contains("#[ignore"),
            "{} ignores a test",
            file.display()
        );
    }
}

#[test]
fn files_stay_readable() {
    for file in tracked("*.rs") {
        let lines = read(&file).lines().count();
        assert!(
            lines <= 800,
            "{} has {lines} lines; split it",
            file.display()
        );
    }
}

#[test]
fn every_promise_names_its_test_or_is_pending() {
    let page = read(&root().join("docs/promises.md"));
    let rows: Vec<_> = page
        .lines()
        .filter(|line| line.starts_with("| "))
        .skip(1)
        .collect();
    assert!(!rows.is_empty());
    for row in rows {
        assert!(
            row.contains("pending") || row.contains('`'),
            "no test: {row}"
        );
    }
}

#[test]
fn links_in_documents_lead_somewhere() {
    for file in tracked("*.md") {
        for target in links(&read(&file)) {
            let path = file.parent().unwrap().join(&target);
            assert!(path.exists(), "{}: no {target}", file.display());
        }
    }
}

/// Targets of links to files of the repository.
fn links(text: &str) -> Vec<String> {
    text.split("](")
        .skip(1)
        .filter_map(|rest| rest.split_once(')'))
        .map(|(target, _)| target.split('#').next().unwrap().to_owned())
        .filter(|target| !target.is_empty() && !target.contains("://"))
        .collect()
}
