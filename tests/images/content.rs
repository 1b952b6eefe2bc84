//! What is in an image, and what is said about it.

use boot_contract::init::{self, Init};
use boot_contract::release::Flavour;
use image::DiskImage;
use serde_json::Value;
use std::path::Path;
use std::process::Command;
use tests::{image, output, release, scratch, succeed, unibeam};

/// A file of the root archive.
fn file(image: &Path, path: &str) -> Vec<u8> {
    let folder = scratch();
    let root = folder.path().join("root.cpio");
    let image = DiskImage::open(image).unwrap();
    image
        .copy(image.root, &mut std::fs::File::create(&root).unwrap())
        .unwrap();
    let extract = ["-i", "--quiet", "--to-stdout", path.trim_start_matches('/')];
    let input = std::fs::File::open(&root).unwrap();
    let result = output(Command::new("cpio").args(extract).stdin(input));
    assert!(result.status.success(), "{result:?}");
    result.stdout
}

#[test]
fn the_start_is_that_of_the_release() {
    let init = Init::parse(&file(&image("hello"), init::PATH)).unwrap();
    assert_eq!(init.hostname, "hello");
    let release = init.release.unwrap();
    assert_eq!(release.flavour, Flavour::Relx);
    let facts = [release.name, release.version, release.erts, release.boot];
    assert_eq!(facts, ["hello", "1.0.0", "13.1.5", "start"]);
}

#[test]
fn the_manifest_names_parts_and_origins_and_no_secrets() {
    let folder = scratch();
    let path = folder.path().join("a.img");
    let mut command = unibeam();
    command
        .arg("image")
        .arg(release("crypto_check"))
        .arg("-o")
        .arg(&path);
    command.args([
        "--env",
        "TOKEN=s3cret",
        "--kernel-arg",
        "env.KEY=s3cret",
        "--json",
    ]);
    let report: Value = serde_json::from_str(&succeed(&mut command)).unwrap();
    let manifest = DiskImage::open(&path)
        .unwrap()
        .read_manifest()
        .unwrap()
        .unwrap();
    assert_eq!(report["digest"], manifest.digest);
    assert_eq!(
        (manifest.release.name.as_str(), manifest.schema),
        ("crypto_check", 1)
    );
    let names: Vec<_> = manifest
        .applications
        .iter()
        .map(|app| app.name.as_str())
        .collect();
    assert_eq!(names, ["kernel", "stdlib", "crypto", "crypto_check"]);
    assert!(manifest.applications.iter().all(|app| app.size > 0));
    assert!(!manifest.emit().contains("s3cret"));
    for name in ["TOKEN", "BINDIR"] {
        assert!(manifest.boot.environment.iter().any(|found| found == name));
    }
    // These tests run on Debian, whose Erlang and OpenSSL the example is made of.
    let find = |soname| {
        let mut libraries = manifest.libraries.iter();
        libraries
            .find(|library| library.soname.as_deref() == Some(soname))
            .unwrap()
    };
    let crypto = find("libcrypto.so.3");
    let nif = "/release/lib/crypto-5.1.2/priv/lib/crypto.so";
    assert!(crypto.needed_by.iter().any(|user| user == nif));
    let package = crypto.package.as_ref().unwrap();
    let version = ["-W", "-f", "${Version}", "libssl3"];
    assert_eq!(
        package.version,
        succeed(Command::new("dpkg-query").args(version))
    );
    assert!(package.licenses.iter().any(|name| name == "Apache-2.0"));
    let runtime = manifest.runtime.package.unwrap();
    assert_eq!(runtime.name, "erlang-base");
}

#[test]
fn flags_change_environment_host_name_and_command_line() {
    let folder = scratch();
    let path = folder.path().join("a.img");
    let mut command = unibeam();
    command
        .arg("image")
        .arg(release("hello_elixir"))
        .arg("-o")
        .arg(&path);
    command.args(["--env", "GREETING=good day", "--hostname", "shop", "-q"]);
    command.args(["--kernel-arg", "ip=none", "--kernel-arg", "env.A=b c"]);
    assert_eq!(succeed(&mut command), "");
    let init = Init::parse(&file(&path, init::PATH)).unwrap();
    assert_eq!(init.hostname, "shop");
    assert!(
        init.env.contains(&("GREETING".into(), "good day".into())),
        "{:?}",
        init.env
    );
    let image = DiskImage::open(&path).unwrap();
    assert_eq!(image.cmdline, "ip=none \"env.A=b c\"");
}

#[test]
fn a_dry_run_writes_nothing_and_shows_the_plan() {
    let folder = scratch();
    let path = folder.path().join("a.img");
    let mut command = unibeam();
    command
        .arg("image")
        .arg(release("hello"))
        .arg("-o")
        .arg(&path)
        .arg("--dry-run");
    let plan = succeed(&mut command);
    assert!(plan.contains("EFI system partition"), "{plan}");
    assert!(!path.exists());
}

#[test]
fn the_summary_ends_with_the_next_command() {
    let folder = scratch();
    let mut command = unibeam();
    command
        .current_dir(&folder)
        .arg("image")
        .arg(release("hello"))
        .args(["-o", "h.img"]);
    let said = succeed(&mut command);
    assert!(
        said.starts_with("h.img: hello 1.0.0 on ERTS 13.1.5, "),
        "{said}"
    );
    assert!(said.ends_with("\nnext: unibeam run h.img\n"), "{said}");
}

#[test]
fn the_json_report_has_exactly_the_documented_fields() {
    let folder = scratch();
    let mut command = unibeam();
    command
        .current_dir(&folder)
        .arg("image")
        .arg(release("hello"))
        .args(["-o", "h.img", "--json"]);
    let report: Value = serde_json::from_str(&succeed(&mut command)).unwrap();
    let fields: Vec<_> = report
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    let expected = [
        "built_with",
        "compression",
        "digest",
        "erts",
        "file_size",
        "format",
        "image",
        "left_out",
        "libraries",
        "notes",
        "plan",
        "release",
        "trimmed",
        "version",
    ];
    assert_eq!(fields, expected);
    assert_eq!(report["release"], "hello");
    assert_eq!(report["digest"].as_str().unwrap().len(), 64);
}

/// A module as the image holds it.
fn module(image: &Path) -> Vec<u8> {
    file(image, "/release/lib/stdlib-4.2/ebin/lists.beam")
}

/// The rules that did something, with what they saved, by the report.
fn trimmed(report: &Value) -> Vec<(String, i64)> {
    let rows = report["trimmed"].as_array().unwrap().iter();
    let row = |row: &Value| {
        let name = row["rule"].as_str().unwrap().to_owned();
        (name, row["saved"].as_i64().unwrap())
    };
    rows.map(row).collect()
}

/// Makes an image of `hello`; gives the report.
fn made(folder: &Path, name: &str, flags: &[&str]) -> Value {
    let mut command = unibeam();
    command.current_dir(folder).arg("image");
    command.arg(release("hello")).args(["-o", name, "--json"]);
    serde_json::from_str(&succeed(command.args(flags))).unwrap()
}

#[test]
fn rules_are_switched_by_flags() {
    let folder = scratch();
    let names = |flags: &[&str]| -> Vec<String> {
        let report = made(folder.path(), "h.img", flags);
        trimmed(&report).into_iter().map(|(name, _)| name).collect()
    };
    let default = ["build-tools", "launchers", "remote-control"];
    assert_eq!(names(&[]), default);
    assert_eq!(names(&["--keep", "launchers"]), [default[0], default[2]]);
    assert_eq!(names(&["--keep", "all"]), [""; 0]);
    let erl = file(&folder.path().join("h.img"), "/release/erts-13.1.5/bin/erl");
    assert!(erl.starts_with(b"#!/bin/sh"));
    let stripped = [default.as_slice(), &["debug-info"]].concat();
    assert_eq!(names(&["--trim", "debug-info"]), stripped);
}

/// The largest that a stripped and compressed image of `hello` may be, in bytes.
const SMALL: u64 = 9_000_000;

#[test]
fn a_stripped_and_compressed_image_is_small() {
    let folder = scratch();
    let folder = folder.path();
    for name in ["h.qcow2", "h.img.zst"] {
        let report = made(folder, name, &["--strip", "--compress"]);
        let size = report["file_size"].as_u64().unwrap();
        assert!(size <= SMALL, "{name} has {size} bytes");
    }
    let report = made(folder, "h.img", &["--strip"]);
    let (_, saved) = trimmed(&report).pop().unwrap();
    assert!(saved > 5_000_000, "{saved}");
    // Of a binary: a file, it would overwrite.
    let strip = "{ok,Module} = file:read_file(code:which(lists)),
        {ok,{_,Gzip}} = beam_lib:strip(Module),
        ok = file:write_file(\"lists\", zlib:gunzip(Gzip)), halt().";
    let mut erl = Command::new("erl");
    erl.current_dir(folder).args(["-noshell", "-eval", strip]);
    succeed(&mut erl);
    let expected = std::fs::read(folder.join("lists")).unwrap();
    assert_eq!(module(&folder.join("h.img")), expected);
}
