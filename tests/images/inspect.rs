//! What `unibeam inspect` finds in images of real releases.

use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;
use tests::{image, output, release, scratch, succeed, unibeam};

fn inspect(path: &Path) -> Command {
    let mut command = unibeam();
    command.arg("inspect").arg(path);
    command
}

fn report(path: &Path) -> Value {
    serde_json::from_str(&succeed(inspect(path).arg("--json"))).unwrap()
}

fn fields(value: &Value) -> Vec<&str> {
    value
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect()
}

#[test]
fn the_report_has_exactly_the_documented_fields() {
    let report = report(&image("hello"));
    let expected = ["files", "image", "inferred", "manifest", "sizes", "subject"];
    assert_eq!(fields(&report), expected);
    let expected = ["disk_size", "file_size", "format", "packed", "partitions"];
    assert_eq!(fields(&report["image"]), expected);
    assert_eq!(
        fields(&report["image"]["partitions"][0]),
        ["name", "offset", "size"]
    );
    let expected = [
        "applications",
        "boot",
        "digest",
        "libraries",
        "release",
        "runtime",
        "schema",
        "unibeam",
    ];
    assert_eq!(fields(&report["manifest"]), expected);
    let app = &report["manifest"]["applications"][0];
    let expected = [
        "description",
        "name",
        "package",
        "path",
        "requires",
        "size",
        "start",
        "version",
    ];
    assert_eq!(fields(app), expected);
    let library = &report["manifest"]["libraries"][0];
    assert_eq!(
        fields(library),
        ["needed_by", "package", "path", "size", "soname"]
    );
    assert_eq!(fields(&report["sizes"][0]), ["part", "size"]);
    let total: u64 = report["sizes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|part| part["size"].as_u64().unwrap())
        .sum();
    assert_eq!(total, report["image"]["disk_size"]);
}

#[test]
fn every_format_is_looked_into() {
    let folder = scratch();
    // Another disk has another protective partition table, and so another digest.
    let manifest = |path: &Path| {
        let mut report = report(path);
        report["manifest"]["digest"] = Value::Null;
        report
    };
    let expected = &manifest(&image("hello"))["manifest"];
    for (name, format, packed) in [
        ("a.qcow2", "qcow2", false),
        ("a.vhd", "vhd", false),
        ("a.vhdx", "vhdx", false),
        ("a.vmdk", "vmdk", false),
        ("a.img.zst", "raw", true),
        ("a.tar.gz", "raw", true),
    ] {
        let path = folder.path().join(name);
        succeed(
            unibeam()
                .arg("image")
                .arg(release("hello"))
                .arg("-qo")
                .arg(&path),
        );
        let report = manifest(&path);
        assert_eq!(&report["manifest"], expected, "{name}");
        assert_eq!(report["image"]["format"], format, "{name}");
        assert_eq!(report["image"]["packed"], packed, "{name}");
    }
}

#[test]
fn a_release_is_what_its_image_is() {
    let (image, release) = (image("hello"), release("hello"));
    let mut of_release = report(&release);
    let of_image = report(&image);
    assert_eq!(of_release["image"], Value::Null);
    // Only an image has a digest.
    of_release["manifest"]["digest"] = of_image["manifest"]["digest"].clone();
    assert_eq!(of_release["manifest"], of_image["manifest"]);
    assert_eq!(of_release["files"], of_image["files"]);
    let said = succeed(
        unibeam()
            .args(["inspect", "--diff"])
            .arg(&release)
            .arg(&image),
    );
    assert_eq!(said, "no difference\n");
}

/// An image as made before there were manifests, but for the free space.
fn without_manifest(image: &Path, folder: &Path) -> std::path::PathBuf {
    let path = folder.join("old.img");
    fs::copy(image, &path).unwrap();
    let partition = format!("{}@@1M", path.display());
    succeed(
        Command::new("mdel")
            .arg("-i")
            .arg(partition)
            .arg("::UNIBEAM/MANIFEST.JSON"),
    );
    path
}

#[test]
fn an_older_image_tells_most_of_it() {
    let folder = scratch();
    let image = image("crypto_check");
    let old = report(&without_manifest(&image, folder.path()));
    assert_eq!(old["inferred"], true);
    let (old, new) = (&old["manifest"], &report(&image)["manifest"]);
    assert_eq!(old["boot"], new["boot"]);
    let names = |manifest: &Value, key: &str, field: &str| -> Vec<String> {
        let items = manifest[key].as_array().unwrap().iter();
        items.map(|item| item[field].to_string()).collect()
    };
    for field in ["name", "version", "size", "path", "start"] {
        assert_eq!(
            names(old, "applications", field),
            names(new, "applications", field)
        );
    }
    let found: BTreeSet<_> = names(old, "libraries", "path").into_iter().collect();
    let expected = names(new, "libraries", "path");
    assert!(
        expected.iter().all(|path| found.contains(path)),
        "{found:?}"
    );
    for library in new["libraries"].as_array().unwrap() {
        let same = |other: &&Value| other["path"] == library["path"];
        let other = old["libraries"]
            .as_array()
            .unwrap()
            .iter()
            .find(same)
            .unwrap();
        assert_eq!(other["soname"], library["soname"]);
        // Files that are opened by name only are not known here.
        if library["soname"] != Value::Null {
            let users = |library: &Value| library["needed_by"].as_array().unwrap().clone();
            let found = users(other);
            assert!(
                users(library).iter().all(|user| found.contains(user)),
                "{library}"
            );
        }
    }
}

#[test]
fn extraction_gives_what_cpio_gives() {
    let folder = scratch();
    let image = image("hello");
    let (ours, theirs) = (folder.path().join("ours"), folder.path().join("theirs"));
    succeed(inspect(&image).arg("--extract").arg(&ours));
    fs::create_dir(&theirs).unwrap();
    let archive = folder.path().join("root.cpio");
    let partition = format!("{}@@1M", image.display());
    succeed(
        Command::new("mcopy")
            .arg("-i")
            .arg(partition)
            .arg("::UNIBEAM/ROOT.CPIO")
            .arg(&archive),
    );
    let mut cpio = Command::new("cpio");
    cpio.args(["-id", "--quiet"])
        .stdin(fs::File::open(&archive).unwrap());
    succeed(cpio.current_dir(&theirs));
    succeed(
        Command::new("diff")
            .args(["-r", "--no-dereference"])
            .arg(&ours)
            .arg(&theirs),
    );
    let listed = succeed(inspect(&image).arg("--list"));
    let mut cpio = Command::new("cpio");
    cpio.args(["-t", "--quiet"])
        .stdin(fs::File::open(&archive).unwrap());
    assert_eq!(listed.lines().count(), succeed(&mut cpio).lines().count());
}

#[test]
fn two_images_are_compared() {
    let report = succeed(
        unibeam()
            .args(["inspect", "--diff", "--json"])
            .arg(image("hello"))
            .arg(image("crypto_check")),
    );
    let diff: Value = serde_json::from_str(&report).unwrap();
    let expected = [
        "applications",
        "boot",
        "boot_code_changed",
        "digest_changed",
        "files",
        "kernel_changed",
        "libraries",
        "partitions",
        "sizes",
        "versions",
    ];
    assert_eq!(fields(&diff), expected);
    assert_eq!(diff["kernel_changed"], false);
    let change = |name: &str| {
        let mut changes = diff["applications"].as_array().unwrap().iter();
        changes.find(|change| change["name"] == name).cloned()
    };
    assert_eq!(change("crypto").unwrap()["old"], Value::Null);
    assert_eq!(change("inets").unwrap()["new"], Value::Null);
    assert_eq!(change("kernel"), None);
}

#[test]
fn damage_is_told_and_not_extracted() {
    let folder = scratch();
    let path = folder.path().join("damaged.img");
    let mut bytes = fs::read(image("hello")).unwrap();
    // A header of the root archive, in its middle.
    let magic = b"07070100";
    let start = bytes.len() / 2;
    let at = bytes[start..]
        .windows(magic.len())
        .position(|part| part == magic)
        .unwrap();
    bytes[start + at] = b'x';
    fs::write(&path, bytes).unwrap();
    let target = folder.path().join("out");
    let result = output(inspect(&path).arg("--extract").arg(&target));
    assert_eq!(result.status.code(), Some(1));
    let said = String::from_utf8(result.stderr).unwrap();
    assert!(said.contains("expected the magic 070701"), "{said}");
    assert!(!target.exists());
}
