//! Images for OSv through the command line, with a file that is taken for its kernel: what real ones
//! do is in `tests/osv`.

use image::osv::OsvImage;
use image::rofs::Kind;
use std::path::{Path, PathBuf};
use std::process::Command;
use tests::{output, release, scratch, succeed, unibeam};

/// A file with the marks of a kernel of this version.
fn kernel(folder: &Path, version: &str) -> PathBuf {
    let mut kernel = vec![0; 512];
    // The start of an ELF64 file that is a program for x86-64 (gABI, "ELF Header").
    kernel[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
    kernel[16..24].copy_from_slice(&[2, 0, 62, 0, 1, 0, 0, 0]);
    kernel[52] = 64;
    let words = format!("OSv options\0OSv {version}\n");
    kernel[100..100 + words.len()].copy_from_slice(words.as_bytes());
    let path = folder.join(format!("{version}.elf"));
    std::fs::write(&path, kernel).unwrap();
    path
}

/// An image of the first example that boots this kernel.
fn image(kernel: &Path, name: &str) -> PathBuf {
    let path = kernel.with_file_name(name);
    let base = format!("osv:{}", kernel.display());
    let mut command = unibeam();
    command
        .arg("image")
        .arg(release("hello"))
        .arg("-o")
        .arg(&path);
    succeed(command.args(["--base", &base, "--dns", "10.0.2.3"]));
    path
}

#[test]
fn other_programs_find_the_root_and_no_fault() {
    let folder = scratch();
    let kernel = kernel(folder.path(), "v0.57.0");
    let raw = image(&kernel, "hello.img");
    let json = succeed(Command::new("sfdisk").arg("--json").arg(&raw));
    let table: serde_json::Value = serde_json::from_str(&json).unwrap();
    let table = &table["partitiontable"];
    let partitions = table["partitions"].as_array().unwrap();
    assert_eq!(
        (table["label"].as_str(), partitions.len()),
        (Some("dos"), 1)
    );
    let root = OsvImage::open(&raw).unwrap().root;
    assert_eq!(partitions[0]["type"], "83");
    assert_eq!(partitions[0]["start"], root.offset / 512);
    assert_eq!(partitions[0]["size"], root.size / 512);
    assert!(partitions[0]["node"].as_str().unwrap().ends_with('2'));
    let packed = image(&kernel, "hello.qcow2");
    succeed(Command::new("qemu-img").arg("check").arg(&packed));
    assert_eq!(OsvImage::open(&packed).unwrap().root, root);
}

#[test]
fn the_root_follows_the_way_the_kernel_loads_programs() {
    let folder = scratch();
    for (version, shim_first, libc) in [("v0.57.0", true, false), ("v0.57.0-90-g1", false, true)] {
        let made = image(&kernel(folder.path(), version), "x.img");
        let image = OsvImage::open(&made).unwrap();
        let mut root = image.root_entries().unwrap();
        let has = |path: &str| root.find(path.as_bytes()).is_some();
        assert!(
            has("usr/lib/libunibeam.so") && has("etc/fstab") && has("tmp"),
            "{version}"
        );
        assert_eq!(has("lib/x86_64-linux-gnu/libc.so.6"), libc, "{version}");
        let beam = release("hello");
        let mut entries = root.entries().iter();
        let found = entries
            .find(|entry| entry.path.ends_with(b"/beam.smp"))
            .unwrap()
            .clone();
        assert!(matches!(found.kind, Kind::File { .. }));
        let inside = String::from_utf8(found.path.clone()).unwrap();
        let own = std::fs::read(beam.join(inside.trim_start_matches("release/"))).unwrap();
        // With its linker, the emulator names our library; else it is as it was.
        assert_eq!(root.data(&found).unwrap() != own, shim_first, "{version}");
        let starts_ld = image
            .cmdline
            .contains("\"/lib64/ld-linux-x86-64.so.2\" \"--preload\"");
        assert_eq!(starts_ld, libc, "{}", image.cmdline);
    }
}

#[test]
fn the_same_release_gives_the_same_bytes() {
    let folder = scratch();
    let kernel = kernel(folder.path(), "v0.57.0");
    let [one, other] = ["a.img", "b.img"].map(|name| std::fs::read(image(&kernel, name)).unwrap());
    assert!(one == other);
}

#[test]
fn bases_are_kept_under_names() {
    let folder = scratch();
    let kernel = kernel(folder.path(), "v0.57.0");
    let base = |words: &[&str]| {
        let mut command = unibeam();
        command
            .env("XDG_DATA_HOME", folder.path())
            .arg("base")
            .args(words);
        output(&mut command)
    };
    let file = kernel.to_str().unwrap();
    assert!(
        base(&["add", "osv", file, "--name", "old"])
            .status
            .success()
    );
    let again = base(&["add", "osv", file, "--name", "old"]);
    assert!(String::from_utf8_lossy(&again.stderr).contains("there is a base `old` already"));
    let list = base(&["list"]).stdout;
    let list = String::from_utf8_lossy(&list).into_owned();
    assert!(
        list.contains("osv:old") && list.contains("v0.57.0"),
        "{list}"
    );
    let shown = base(&["inspect", "osv:old"]).stdout;
    assert!(String::from_utf8_lossy(&shown).contains("loads the emulator with: kernel"));
    assert!(base(&["remove", "old"]).status.success());
    let gone = base(&["inspect", "osv:old"]);
    assert_eq!(gone.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&gone.stderr).contains("there is no base `old`"));
}

#[test]
fn what_osv_cannot_do_is_refused() {
    let folder = scratch();
    let kernel = kernel(folder.path(), "v0.57.0");
    let old = self::kernel(folder.path(), "v0.50.0");
    let refused = |kernel: &Path, words: &[&str]| {
        let out = folder.path().join("never.img");
        let mut command = unibeam();
        command
            .arg("image")
            .arg(release("hello"))
            .arg("-o")
            .arg(&out);
        command
            .arg("--base")
            .arg(format!("osv:{}", kernel.display()))
            .args(words);
        let result = output(&mut command);
        assert!(!result.status.success() && !out.exists());
        String::from_utf8(result.stderr).unwrap()
    };
    for (kernel, words, expected) in [
        (
            &kernel,
            &["--osv-launch", "ld-linux"][..],
            "cannot run Linux's dynamic linker",
        ),
        (
            &kernel,
            &["--gateway", "10.0.2.2"],
            "--gateway needs an address",
        ),
        (&kernel, &["--env", "ERL_ZFLAGS=-sname a"], "has no cookie"),
        (&old, &[], "expected v0.51.0 or later"),
        (&release("hello").join("releases"), &[], "cannot read"),
    ] {
        let error = refused(kernel, words);
        assert!(error.contains(expected), "{error}");
    }
}
