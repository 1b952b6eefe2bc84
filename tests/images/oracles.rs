//! What other programs say about an image.

use image::DiskImage;
use std::fs::{self, File};
use std::process::Command;
use tests::{image, scratch, succeed};

#[test]
fn sfdisk_finds_no_fault_and_two_partitions() {
    let image = image("hello");
    let said = succeed(Command::new("sfdisk").arg("--verify").arg(&image));
    assert!(said.contains("No errors detected"), "{said}");
    let json = succeed(Command::new("sfdisk").arg("--json").arg(&image));
    let table: serde_json::Value = serde_json::from_str(&json).unwrap();
    let table = &table["partitiontable"];
    assert_eq!(table["label"], "gpt");
    let kinds: Vec<_> = table["partitions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|partition| partition["type"].as_str().unwrap())
        .collect();
    let expected = [
        boot_contract::disk::BIOS_BOOT_TYPE,
        boot_contract::disk::EFI_SYSTEM_TYPE,
    ];
    assert_eq!(kinds, expected);
}

#[test]
fn fsck_finds_no_fault_in_the_system_partition() {
    let folder = scratch();
    let esp = folder.path().join("esp");
    let image = image("hello");
    let gpt = DiskImage::open(&image).unwrap().gpt;
    let partition = gpt.partitions.last().unwrap();
    let sector = boot_contract::disk::SECTOR;
    let range = image::ByteRange {
        offset: partition.first * sector,
        size: (partition.last - partition.first + 1) * sector,
    };
    let mut file = File::create(&esp).unwrap();
    DiskImage::open(&image)
        .unwrap()
        .copy(range, &mut file)
        .unwrap();
    succeed(Command::new("fsck.fat").arg("-n").arg(&esp));
    let files = succeed(
        Command::new("mdir")
            .args(["-b", "-/", "-i"])
            .arg(&esp)
            .arg("::"),
    );
    for path in [
        "/UNIBEAM/KERNEL.ELF",
        "/UNIBEAM/ROOT.CPIO",
        "/UNIBEAM/CMDLINE.TXT",
        "/UNIBEAM/MANIFEST.JSON",
    ] {
        assert!(files.to_uppercase().contains(path), "no {path} in {files}");
    }
}

#[test]
fn cpio_reads_the_root_archive() {
    let folder = scratch();
    let root = folder.path().join("root.cpio");
    let image = DiskImage::open(&image("hello")).unwrap();
    image
        .copy(image.root, &mut File::create(&root).unwrap())
        .unwrap();
    let list = succeed(
        Command::new("cpio")
            .args(["-t", "--quiet"])
            .stdin(File::open(&root).unwrap()),
    );
    for path in [
        "etc/unibeam/init",
        "release/erts-13.1.5/bin/beam.smp",
        "release/releases/1.0.0/start.boot",
        "release/lib/hello-1.0.0/ebin/hello_app.beam",
    ] {
        assert!(
            list.lines().any(|line| line == path),
            "no {path} in the archive"
        );
    }
}

#[test]
fn readelf_accepts_the_kernel_and_finds_its_pvh_entry() {
    let folder = scratch();
    let kernel = folder.path().join("kernel");
    let image = DiskImage::open(&image("hello")).unwrap();
    image
        .copy(image.kernel, &mut File::create(&kernel).unwrap())
        .unwrap();
    let notes = succeed(Command::new("readelf").arg("--notes").arg(&kernel));
    assert!(
        notes.contains("Xen") && notes.contains("0x00000012"),
        "{notes}"
    );
    assert!(fs::metadata(&kernel).unwrap().len() > 0);
}
