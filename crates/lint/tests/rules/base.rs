//! What the base lacks that an image boots.

use super::{BASE, Made, by_code, demand, refuse};
use bases::osv::Osv;
use bases::{Base, Content, Settings};
use erts::Sysroot;
use lint::{Code, Finding, Subject};
use release::{Places, Release, StartOptions};
use std::fs;
use std::path::Path;

/// A file that is taken for a kernel of OSv, and has nothing for programs.
fn bare_kernel(folder: &Path) -> Osv {
    let mut kernel = vec![0; 512];
    kernel[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
    // ET_EXEC, EM_X86_64, version 1, and the sizes of the headers (gABI, "ELF Header").
    kernel[16..24].copy_from_slice(&[2, 0, 62, 0, 1, 0, 0, 0]);
    kernel[52] = 64;
    kernel[54] = 56;
    kernel[58] = 64;
    kernel[100..100 + 25].copy_from_slice(b"OSv options\0\0OSv v0.57.0\n");
    let path = folder.join("loader.elf");
    fs::write(&path, kernel).unwrap();
    Osv::open(&path).unwrap()
}

/// What is found in a release that OSv is to run, with these variables.
fn check_on_osv(made: &Made, env: &[(&str, &str)]) -> Vec<Finding> {
    let osv = bare_kernel(made.directory.path());
    let (release, _) = Release::survey(&made.root, &Places::default()).unwrap();
    let env = env
        .iter()
        .map(|(name, value)| (name.to_string(), value.to_string()));
    let options = StartOptions {
        env: env.collect(),
        ..StartOptions::default()
    };
    let start = release.start(&options).unwrap();
    let (tree, _) = release.survey_tree(&options);
    let (closure, _) = lint::survey(&tree, &Sysroot::new(Path::new("/")).unwrap());
    let subject = Subject::new(&release, &options, Some(&start), &tree, 1 << 30).without_ports();
    let mut findings = lint::check(&subject);
    findings.extend(lint::objections(osv.objections(Content {
        release: &release,
        start: &start,
        tree: tree.clone(),
        libraries: closure.unwrap().entries,
        settings: &Settings::default(),
    })));
    findings
}

#[test]
fn what_a_base_lacks() {
    let made = Made::new(&["sasl", "os_mon"]);
    made.compile(
        "spawner",
        "-module(spawner).\n-export([a/0]).\na() -> os:cmd(\"uptime\").\n",
        &[],
    );
    let findings = check_on_osv(&made, &[]);
    let [_, symbols, ports] = BASE;
    demand(
        &findings,
        &[
            (symbols, "beam.smp needs "),
            (ports, "spawner:a/0 calls os:cmd/1 with `uptime`"),
            (ports, "os_mon starts `/bin/sh`"),
        ],
    );
    let texts = &by_code(&findings)[&symbols];
    assert!(
        texts.iter().any(|text| text.contains("epoll_wait")),
        "{texts:#?}"
    );
    // Programs beside the emulator never run there.
    assert!(
        !texts.iter().any(|text| text.contains("erl_child_setup")),
        "{texts:#?}"
    );
    refuse(
        &findings,
        &[Code::NoShell, Code::KnownProgram, Code::RuntimeHelper],
    );
}

#[test]
fn what_a_base_refuses() {
    let made = Made::new(&[]);
    let findings = check_on_osv(&made, &[("ERL_ZFLAGS", "-sname hello")]);
    demand(&findings, &[(Code::BaseRefuses, "has no cookie")]);
    let findings = check_on_osv(&made, &[("ERL_ZFLAGS", "-sname hello -setcookie x")]);
    refuse(&findings, &[Code::BaseRefuses]);
}
