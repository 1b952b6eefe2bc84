//! Images in other formats are the same disk, as QEMU's tools and tar see it.

use image::DiskImage;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use tests::{image, output, release, scratch, succeed, unibeam};

/// Makes an image of `hello` in a folder.
fn made(folder: &Path, name: &str, flags: &[&str]) -> PathBuf {
    let path = folder.join(name);
    let mut command = unibeam();
    command
        .arg("image")
        .arg(release("hello"))
        .args(["-q", "-o"])
        .arg(&path)
        .args(flags);
    succeed(&mut command);
    path
}

fn qemu_img() -> Command {
    Command::new("qemu-img")
}

/// `qemu-img` finds no fault in the file and the same disk as in the raw image.
fn judged(name: &str, format: &str, flags: &[&str]) {
    let folder = scratch();
    let file = made(folder.path(), name, flags);
    let said = succeed(
        qemu_img()
            .args(["compare", "-f", "raw", "-F", format])
            .args([&image("hello"), &file]),
    );
    assert!(said.contains("Images are identical"), "{name}: {said}");
    let info = succeed(
        qemu_img()
            .args(["info", "--output=json", "-f", format])
            .arg(&file),
    );
    let info: serde_json::Value = serde_json::from_str(&info).unwrap();
    let size = fs::metadata(image("hello")).unwrap().len();
    assert_eq!(info["virtual-size"], size, "{name}: {info}");
    // QEMU has no check for VHD.
    if format != "vpc" {
        let said = succeed(qemu_img().args(["check", "-f", format]).arg(&file));
        assert!(said.contains("No errors were found"), "{name}: {said}");
    }
    assert_same_content(&file);
}

/// Our own reader finds the same root archive.
fn assert_same_content(file: &Path) {
    let root = |path: &Path| {
        let image = DiskImage::open(path).unwrap();
        let mut bytes = Vec::new();
        image.copy(image.root, &mut bytes).unwrap();
        bytes
    };
    assert!(root(file) == root(&image("hello")), "{}", file.display());
}

#[test]
fn qcow2_is_the_same_disk() {
    judged("a.qcow2", "qcow2", &[]);
}

#[test]
fn packed_qcow2_is_the_same_disk() {
    judged("a.qcow2", "qcow2", &["--compress"]);
    judged("a.qcow2", "qcow2", &["--compress=deflate"]);
}

#[test]
fn vhd_is_the_same_disk() {
    judged("a.vhd", "vpc", &[]);
}

#[test]
fn vhdx_is_the_same_disk() {
    judged("a.vhdx", "vhdx", &[]);
}

#[test]
fn vmdk_is_the_same_disk() {
    judged("a.vmdk", "vmdk", &[]);
    judged("a.vmdk", "vmdk", &["--compress"]);
}

#[test]
fn an_archive_for_google_has_a_disk_of_whole_gib() {
    let folder = scratch();
    let archive = made(folder.path(), "a.tar.gz", &[]);
    let list = succeed(Command::new("tar").args(["-tzf"]).arg(&archive));
    assert_eq!(list, "disk.raw\n");
    succeed(
        Command::new("tar")
            .arg("-xSzf")
            .arg(&archive)
            .current_dir(&folder),
    );
    let disk = folder.path().join("disk.raw");
    assert_eq!(fs::metadata(&disk).unwrap().len(), 1 << 30);
    let raw = made(folder.path(), "a.img", &["--size", "1G"]);
    succeed(
        qemu_img()
            .args(["compare", "-f", "raw", "-F", "raw"])
            .args([&disk, &raw]),
    );
    assert!(fs::metadata(&archive).unwrap().len() < 32 << 20);
    assert_same_content(&archive);
}

#[test]
fn a_compressed_raw_image_is_unpacked_by_ordinary_tools() {
    let folder = scratch();
    for (name, tool) in [("a.img.gz", "gzip"), ("a.img.zst", "zstd")] {
        let file = made(folder.path(), name, &["--compress"]);
        let unpacked = output(Command::new(tool).arg("-dc").arg(&file));
        assert!(unpacked.status.success(), "{tool} refuses {name}");
        assert!(
            unpacked.stdout == fs::read(image("hello")).unwrap(),
            "{name}"
        );
        assert_same_content(&file);
    }
}

#[test]
fn the_table_follows_the_size_and_lists_the_data_partition() {
    let folder = scratch();
    let file = made(folder.path(), "a.img", &["--size", "100M", "--data", "30M"]);
    assert_eq!(fs::metadata(&file).unwrap().len(), 100 << 20);
    let said = succeed(Command::new("sfdisk").arg("--verify").arg(&file));
    assert!(said.contains("No errors detected"), "{said}");
    let json = succeed(Command::new("sfdisk").arg("--json").arg(&file));
    let table: serde_json::Value = serde_json::from_str(&json).unwrap();
    let data = &table["partitiontable"]["partitions"][2];
    assert_eq!(data["type"], boot_contract::disk::DATA_TYPE);
    assert_eq!(data["size"], (30 << 20) / boot_contract::disk::SECTOR);
    assert_eq!(data["name"], "data");
}

#[test]
fn formats_are_reproducible() {
    let folder = scratch();
    for name in ["a.qcow2", "a.vhdx", "a.vmdk", "a.vhd"] {
        let first = fs::read(made(folder.path(), name, &[])).unwrap();
        let second = fs::read(made(folder.path(), name, &[])).unwrap();
        assert!(first == second, "two images {name} differ");
    }
}
