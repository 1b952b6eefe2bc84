//! Images, sound and hostile, looked into and extracted.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../../image/tests/common/mod.rs"]
mod common;

use boot_contract::init;
use common::{assemble, example_root, with_spec};
use image::cpio::Archive;
use image::{DiskImage, DiskSpec, ImageSpec, RootEntry};
use inspect::{Diff, Entry, Error, Inspected, Kind, extract, fuzz};
use manifest::{Application, Manifest, SCHEMA};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// A release with one application, in this version.
fn release_root(version: &str) -> Vec<RootEntry> {
    let lib = format!("/release/lib/tiny-{version}/ebin");
    let app =
        format!("{{application,tiny,[{{vsn,\"{version}\"}},{{description,\"a tiny one\"}}]}}.");
    let rel = format!("{{release,{{\"tiny\",\"1\"}},{{erts,\"13.1\"}},[{{tiny,\"{version}\"}}]}}.");
    let start = "exec /release/erts-13.1/bin/beam.smp\nenv TOKEN=s3cret\nhostname tiny\n";
    vec![
        RootEntry::bytes(format!("{lib}/tiny.app"), app, 0o644),
        RootEntry::bytes(format!("{lib}/tiny.beam"), "same", 0o644),
        RootEntry::bytes("/release/releases/1/tiny.rel", rel, 0o644),
        RootEntry::bytes("/release/erts-13.1/bin/beam.smp", vec![1; 5000], 0o755),
        RootEntry::bytes(init::PATH, start, 0o644),
        RootEntry::symlink("/bin", "release/erts-13.1/bin"),
    ]
}

fn make(folder: &Path, name: &str, root: &[RootEntry]) -> DiskImage {
    let path = folder.join(name);
    assemble(root, &path);
    DiskImage::open(&path).unwrap()
}

const ALL: &dyn Fn(&Entry) -> bool = &|_| true;

#[test]
fn what_was_put_in_comes_out() {
    let folder = tempfile::tempdir().unwrap();
    let image = make(folder.path(), "a.img", &example_root());
    let inspected = Inspected::of_image(&image).unwrap();
    let target = folder.path().join("out");
    fs::create_dir(&target).unwrap();
    let extracted = extract(&inspected.contents, ALL, &target).unwrap();
    assert_eq!(
        (extracted.files, extracted.bytes),
        (5, 20 + 10_000 + 4096 + 4095)
    );
    assert_eq!(
        fs::read(target.join("etc/hosts")).unwrap(),
        b"127.0.0.1 localhost\n"
    );
    assert_eq!(fs::read(target.join("bin/beam")).unwrap(), vec![7; 10_000]);
    assert_eq!(
        fs::read_link(target.join("bin/sh")).unwrap(),
        Path::new("beam")
    );
    let mode = fs::metadata(target.join("bin/beam"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o700, 0o700);
    assert!(target.join("tmp").is_dir());
    let again = extract(&inspected.contents, ALL, &target).unwrap_err();
    assert!(matches!(again, Error::TargetNotEmpty { .. }), "{again}");
}

#[test]
fn a_part_comes_out_alone() {
    let folder = tempfile::tempdir().unwrap();
    let image = make(folder.path(), "a.img", &example_root());
    let inspected = Inspected::of_image(&image).unwrap();
    let target = folder.path().join("out");
    let only_page = |entry: &Entry| entry.is_within(b"page");
    assert_eq!(
        extract(&inspected.contents, &only_page, &target)
            .unwrap()
            .files,
        1
    );
    let names: Vec<_> = fs::read_dir(&target)
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    assert_eq!(names, ["page"]);
}

#[test]
fn a_folder_that_is_there_keeps_its_permissions() {
    let folder = tempfile::tempdir().unwrap();
    let image = make(folder.path(), "a.img", &example_root());
    let inspected = Inspected::of_image(&image).unwrap();
    let private = folder.path().join("private");
    fs::create_dir(&private).unwrap();
    fs::set_permissions(&private, fs::Permissions::from_mode(0o700)).unwrap();
    let link = folder.path().join("link");
    std::os::unix::fs::symlink("private", &link).unwrap();
    // As `.` does, the path has no name of a folder at its end.
    for target in [
        link.clone(),
        private.join("."),
        link.join("..").join("private"),
    ] {
        extract(&inspected.contents, ALL, &target).unwrap();
        assert!(link.is_symlink() && private.join("etc/hosts").is_file());
        let mode = fs::metadata(&private).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o700);
        for entry in fs::read_dir(&private).unwrap().map(Result::unwrap) {
            assert!(!entry.file_name().to_string_lossy().starts_with(".unibeam"));
            let path = entry.path();
            match entry.file_type().unwrap().is_dir() {
                true => fs::remove_dir_all(path).unwrap(),
                false => fs::remove_file(path).unwrap(),
            }
        }
    }
    fs::remove_dir(&private).unwrap();
    let refused = extract(&inspected.contents, ALL, &link).unwrap_err();
    assert!(refused.to_string().contains("does not exist"), "{refused}");
}

/// An image in whose archive `from` is replaced by `to`, which is as long.
fn forged(folder: &Path, root: &[RootEntry], from: &str, to: &str) -> PathBuf {
    let path = folder.join("forged.img");
    assemble(root, &path);
    let start = DiskImage::open(&path).unwrap().root.offset as usize;
    let mut bytes = fs::read(&path).unwrap();
    let at = bytes[start..]
        .windows(from.len())
        .position(|part| part == from.as_bytes());
    bytes[start + at.unwrap()..][..to.len()].copy_from_slice(to.as_bytes());
    assert_eq!(from.len(), to.len());
    fs::write(&path, bytes).unwrap();
    path
}

#[test]
fn hostile_archives_are_refused_and_nothing_is_written() {
    let outer = tempfile::tempdir().unwrap();
    let folder = outer.path().join("inner");
    fs::create_dir(&folder).unwrap();
    let root = [
        RootEntry::bytes("/aa/evil", "x", 0o644),
        RootEntry::dir("/ab"),
        RootEntry::bytes("/ab/evil", "x", 0o4755),
    ];
    // A file, a directory and a symbolic link as they stand in a header, and a device.
    let mode = |mode: u32| format!("{mode:08X}00000000");
    let cases = [
        ("aa/evil".to_owned(), "../evil".to_owned(), "leads out"),
        ("aa/evil".into(), "/a/evil".into(), "leads out"),
        ("aa/evil".into(), "a//evil".into(), "leads out"),
        ("aa/evil".into(), "ab/evil".into(), "twice"),
        (mode(0o100_644), mode(0o020_644), "special file"),
        (mode(0o040_755), mode(0o120_755), "not a directory"),
        (mode(0o040_755), mode(0o100_755), "not a directory"),
    ];
    for (from, to, expected) in cases {
        let path = forged(&folder, &root, &from, &to);
        let image = DiskImage::open(&path).unwrap();
        let inspected = Inspected::of_image(&image).unwrap();
        let target = folder.join("out");
        let refused = extract(&inspected.contents, ALL, &target).unwrap_err();
        assert!(refused.to_string().contains(expected), "{to}: {refused}");
        let left: Vec<_> = fs::read_dir(&folder).unwrap().collect();
        assert_eq!(left.len(), 1, "{left:?}");
    }
    assert!(!outer.path().join("evil").exists());
}

#[test]
fn rights_of_others_are_not_taken_over() {
    let folder = tempfile::tempdir().unwrap();
    let root = [RootEntry::bytes("/su", "x", 0o4755)];
    let image = make(folder.path(), "a.img", &root);
    let inspected = Inspected::of_image(&image).unwrap();
    let target = folder.path().join("out");
    extract(&inspected.contents, ALL, &target).unwrap();
    let mode = fs::metadata(target.join("su"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o7000, 0);
}

#[test]
fn without_a_manifest_the_files_tell() {
    let folder = tempfile::tempdir().unwrap();
    let image = make(folder.path(), "a.img", &release_root("1.0"));
    let inspected = Inspected::of_image(&image).unwrap();
    assert!(inspected.inferred);
    let manifest = &inspected.manifest;
    assert_eq!(
        (
            manifest.release.name.as_str(),
            manifest.runtime.version.as_str()
        ),
        ("tiny", "13.1")
    );
    let app = &manifest.applications[0];
    assert_eq!((app.name.as_str(), app.version.as_str()), ("tiny", "1.0"));
    assert_eq!(
        (app.start.as_str(), app.path.as_str()),
        ("permanent", "/release/lib/tiny-1.0")
    );
    assert_eq!(manifest.boot.environment, ["TOKEN"]);
    assert_eq!(manifest.boot.host_name, "tiny");
    assert!(!manifest.emit().contains("s3cret"));
    let total: u64 = inspected.sizes.iter().map(|part| part.size).sum();
    assert_eq!(total, image.size());
}

#[test]
fn a_plan_is_as_its_image() {
    let folder = tempfile::tempdir().unwrap();
    let root = release_root("1.0");
    let image = make(folder.path(), "a.img", &root);
    let made = Inspected::of_image(&image).unwrap();
    let archive = Archive::plan(&root, 0).unwrap();
    let planned = Inspected::of_plan(&archive, made.manifest.clone()).unwrap();
    assert_eq!(planned.sizes, made.sizes[..planned.sizes.len()]);
    assert_eq!(planned.contents.entries(), made.contents.entries());
    let link = &planned.contents.entries()[0];
    assert_eq!(link.kind, Kind::Symlink(b"release/erts-13.1/bin".into()));
    let diff = Diff::new(&planned, &made).unwrap();
    assert!(diff.is_empty() && diff.kernel_changed.is_none(), "{diff:?}");
}

#[test]
fn an_upgrade_is_a_change_of_its_files() {
    let folder = tempfile::tempdir().unwrap();
    let old = make(folder.path(), "old.img", &release_root("1.0"));
    let mut root = release_root("1.1");
    root.push(RootEntry::bytes("/etc/new", "12345", 0o644));
    let start = "exec /release/erts-13.1/bin/beam.smp\nenv NEW=1\nhostname tiny\n";
    root[4] = RootEntry::bytes(init::PATH, start, 0o644);
    let new = make(folder.path(), "new.img", &root);
    let (old, new) = (
        Inspected::of_image(&old).unwrap(),
        Inspected::of_image(&new).unwrap(),
    );
    let diff = Diff::new(&old, &new).unwrap();
    let [app] = &*diff.applications else {
        panic!("{:?}", diff.applications)
    };
    assert_eq!(
        (app.old.as_deref(), app.new.as_deref()),
        (Some("1.0"), Some("1.1"))
    );
    let paths: Vec<_> = diff.files.iter().map(|file| file.path.as_str()).collect();
    let changed = [
        "/etc/new",
        "/etc/unibeam/init",
        "/release/lib/tiny-1.1/ebin/tiny.app",
        "/release/releases/1/tiny.rel",
    ];
    assert_eq!(paths, changed);
    assert_eq!(
        (diff.files[0].old_size, diff.files[0].new_size),
        (None, Some(5))
    );
    assert_eq!(diff.kernel_changed, Some(false));
    let [change] = &*diff.boot else {
        panic!("{:?}", diff.boot)
    };
    assert_eq!((change.old.as_str(), change.new.as_str()), ("TOKEN", "NEW"));
    assert!(Diff::new(&new, &new).unwrap().is_empty());
}

/// An image of the same files with this command line and disk.
fn variant(folder: &Path, name: &str, cmdline: &str, disk: DiskSpec) -> PathBuf {
    let path = folder.join(name);
    let manifest = Manifest {
        schema: SCHEMA,
        ..Manifest::default()
    };
    with_spec(&release_root("1.0"), |spec| {
        let spec = ImageSpec {
            manifest: Some(&manifest),
            cmdline,
            disk,
            ..*spec
        };
        image::assemble(&spec, &path, &mut |_| {}).unwrap()
    });
    path
}

fn diff(old: &Path, new: &Path) -> Diff {
    let (old, new) = (DiskImage::open(old).unwrap(), DiskImage::open(new).unwrap());
    let (old, new) = (Inspected::of_image(&old), Inspected::of_image(&new));
    Diff::new(&old.unwrap(), &new.unwrap()).unwrap()
}

#[test]
fn a_hidden_value_is_a_change_and_stays_hidden() {
    let folder = tempfile::tempdir().unwrap();
    let make = |name, line| variant(folder.path(), name, line, DiskSpec::default());
    let (old, new) = (make("a.img", "env.X=s3cret"), make("b.img", "env.X=hidden"));
    let diff = diff(&old, &new);
    let [change] = &*diff.boot else {
        panic!("{:?}", diff.boot)
    };
    assert_eq!(
        (change.old.as_str(), change.new.as_str()),
        ("env.X=…", "env.X=…")
    );
    assert_eq!(diff.digest_changed, Some(true));
    assert_eq!(diff.boot_code_changed, Some(false));
    assert!(!diff.is_empty());
}

#[test]
fn a_patched_boot_code_is_a_change() {
    let folder = tempfile::tempdir().unwrap();
    let make = |name| variant(folder.path(), name, "ip=none", DiskSpec::default());
    let (old, new) = (make("a.img"), make("b.img"));
    assert!(diff(&old, &new).is_empty());
    // In the boot sector, in the stage, and in its list of blocks.
    for at in [7, 40 * 512 + 20, 40 * 512 + 300] {
        let mut bytes = fs::read(&old).unwrap();
        bytes[at] ^= 1;
        fs::write(&new, bytes).unwrap();
        let diff = diff(&old, &new);
        assert_eq!(diff.boot_code_changed, Some(true), "{at}");
        assert!(!diff.is_empty());
    }
}

#[test]
fn another_disk_is_a_change() {
    let folder = tempfile::tempdir().unwrap();
    let spec = DiskSpec {
        size: Some(64 << 20),
        data: Some(10 << 20),
        ..DiskSpec::default()
    };
    let old = variant(folder.path(), "a.img", "ip=none", DiskSpec::default());
    let new = variant(folder.path(), "b.img", "ip=none", spec);
    let diff = diff(&old, &new);
    let names: Vec<_> = diff
        .partitions
        .iter()
        .map(|part| part.name.as_str())
        .collect();
    assert_eq!(
        (names.first(), names.last()),
        (Some(&"disk"), Some(&"data"))
    );
    let data = diff.partitions.last().unwrap();
    assert_eq!((data.old, data.new.unwrap().size), (None, 10 << 20));
    assert_eq!(diff.boot_code_changed, Some(false));
    assert!(!diff.is_empty());
}

/// The smallest sound image, with a manifest, in the fuzzer's form.
fn seed(folder: &Path) -> Vec<u8> {
    let path = folder.join("seed.img");
    let manifest = Manifest {
        schema: SCHEMA,
        applications: vec![Application::default()],
        ..Manifest::default()
    };
    let mut root = release_root("1.0");
    root[3] = RootEntry::bytes(
        "/release/erts-13.1/bin/beam.smp",
        "\x7fELF\x02\x01\x01",
        0o755,
    );
    with_spec(&root, |spec| {
        let spec = ImageSpec {
            manifest: Some(&manifest),
            ..*spec
        };
        image::assemble(&spec, &path, &mut |_| {}).unwrap()
    });
    image::fuzz::describe_disk(&fs::read(path).unwrap())
}

fn replaced(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let at = bytes
        .windows(from.len())
        .position(|part| part == from)
        .unwrap();
    [&bytes[..at], to, &bytes[at + from.len()..]].concat()
}

/// The fuzzer's corpus, which `UNIBEAM_BLESS=1` writes, and whether each is read to the end.
fn seeds(folder: &Path) -> Vec<(&'static str, Vec<u8>, bool)> {
    let sound = seed(folder);
    let changed = |from: &[u8], to: &[u8]| replaced(&sound, from, to);
    vec![
        ("no-manifest", changed(b"MANIFE~1JSO", b"MANIFE~2JSO"), true),
        (
            "bad-manifest",
            changed(b"\"schema\": 1", b"\"schema\": x"),
            false,
        ),
        (
            "parent",
            changed(b"etc/unibeam/init", b"../unibeam/init_"),
            false,
        ),
        (
            "huge-name",
            changed(b"0000000400000000bin", b"FFFFFFFF00000000bin"),
            false,
        ),
        ("no-trailer", changed(b"TRAILER!!!", b"TRAILER!!?"), false),
        (
            "scattered",
            changed(b"ROOT~1  CPI ", b"ROOT~1  CPI\x10"),
            false,
        ),
        ("cut", sound[..sound.len() / 2].to_vec(), false),
        ("empty", Vec::new(), false),
        ("sound", sound, true),
    ]
}

#[test]
fn the_fuzzers_corpus_is_read_or_refused() {
    let folder = tempfile::tempdir().unwrap();
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/inspect_image");
    for (name, bytes, expected) in seeds(folder.path()) {
        let path = corpus.join(name);
        if std::env::var_os("UNIBEAM_BLESS").is_some() {
            fs::create_dir_all(&corpus).unwrap();
            fs::write(&path, &bytes).unwrap();
        }
        assert_eq!(fuzz::image(&fs::read(path).unwrap()), expected, "{name}");
    }
}
