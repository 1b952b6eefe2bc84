//! Disks for rumprun: the layout, the twin that reads them, the same bytes every time, other programs' judgement,
//! and what is refused.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::fs;
use std::path::Path;
use std::process::Command;

use boot_contract::disk::{BLOCK_LIST, BOOT_PACKET_COUNT, BOOT_PACKET_LBA, BlockList, Protocol};
use common::{boot_sector, example_root, oracle, stage};
use image::iso::Kind;
use image::rumprun::config::{Blk, Configuration, Step};
use image::rumprun::{self, RumprunImage, RumprunSpec};
use image::{DiskSpec, ImageError, Report, RootEntry};

/// A program of 64 bytes at byte 128 of its file.
fn program() -> Vec<u8> {
    let corpus = "/../../fuzz/corpus/image_multiboot/addresses";
    fs::read(format!("{}{corpus}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

fn configuration() -> Configuration {
    Configuration {
        steps: vec![
            Step::Blk(Blk::own_disk("/app")),
            Step::Cmdline(vec!["beam".into()]),
        ],
    }
}

/// Makes a disk, with what `change` changes.
fn assemble(
    root: &[RootEntry],
    output: &Path,
    change: impl FnOnce(&mut RumprunSpec<'_>),
) -> Result<Report, ImageError> {
    let (program, boot_sector, stage, configuration) =
        (program(), boot_sector(), stage(), configuration());
    let mut spec = RumprunSpec {
        program: &program,
        boot_sector: &boot_sector,
        bios_stage: &stage,
        configuration: &configuration,
        root,
        manifest: None,
        mtime: 7,
        disk: DiskSpec::default(),
    };
    change(&mut spec);
    let plan = rumprun::plan(&spec)?;
    let report = rumprun::assemble(&spec, output, &mut |_| {})?;
    assert_eq!(report.plan, plan);
    Ok(report)
}

fn disk(root: &[RootEntry]) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("disk.img");
    let report = assemble(root, &path, |_| {}).unwrap();
    let bytes = fs::read(path).unwrap();
    assert_eq!(bytes.len() as u64, report.plan.size);
    bytes
}

#[test]
fn the_block_list_points_into_the_program_and_to_the_configuration() {
    let disk = disk(&example_root());
    assert_eq!(&disk[BOOT_PACKET_COUNT..][..2], &[2, 0]);
    assert_eq!(&disk[BOOT_PACKET_LBA..][..8], &4u64.to_le_bytes());
    let list = BlockList::decode(&disk[2048 + BLOCK_LIST..]).unwrap();
    assert_eq!(list.protocol, Protocol::Multiboot);
    assert_eq!(list.entry, 0x10_0020);
    let [segment] = list.segments() else {
        panic!("{list:?}");
    };
    let start = segment.lba as usize * 512 + segment.skip as usize;
    assert_eq!(disk[start..][..64], program()[128..]);
    assert_eq!((segment.file_size, segment.mem_size), (64, 0x2000));
    let text = configuration().emit().unwrap();
    assert_eq!(list.module.size, text.len() as u64);
    assert!(disk[list.module.lba as usize * 512..].starts_with(text.as_bytes()));
}

/// What makes NetBSD take all of the disk for its partition `a`, and nothing else than ISO 9660 for its file
/// system (crate docs of `image::rumprun`).
#[test]
fn netbsd_sees_one_file_system_on_a_disk_without_partitions() {
    let disk = disk(&example_root());
    assert_eq!(disk[446..510], [0; 64], "no partition");
    assert_eq!(disk[510..512], [0x55, 0xaa]);
    assert_eq!(disk[512..2048], [0; 1536], "no label, no ext2");
    assert_eq!(&disk[32769..32774], b"CD001");
}

#[test]
fn the_reader_finds_what_was_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("disk.img");
    assemble(&example_root(), &path, |_| {}).unwrap();
    assert!(rumprun::is_rumprun(&path).unwrap());
    let image = RumprunImage::open(&path).unwrap();
    assert_eq!(image.configuration, configuration());
    let mut found = Vec::new();
    image.copy(image.program, &mut found).unwrap();
    assert_eq!(found, program());
    assert!(image.read_manifest().unwrap().is_none());
    let root = image.root_entries().unwrap();
    assert_eq!(
        root.find(b"bin/sh").unwrap().kind,
        Kind::Symlink(b"beam".into())
    );
    assert_eq!(image.size().unwrap(), fs::metadata(&path).unwrap().len());
}

#[test]
fn other_disks_are_not_taken_for_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("disk.img");
    common::assemble(&example_root(), &path);
    assert!(!rumprun::is_rumprun(&path).unwrap());
    let said = RumprunImage::open(&path).unwrap_err().to_string();
    assert!(said.contains("there is no ISO 9660 file system"), "{said}");
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    let mut reversed = example_root();
    reversed.reverse();
    assert_eq!(disk(&example_root()), disk(&reversed));
}

#[test]
fn xorriso_reads_the_disk_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("disk.img");
    assemble(&example_root(), &path, |_| {}).unwrap();
    let out = folder.path().join("config.json");
    let mut command = Command::new("xorriso");
    command.args(["-osirrox", "on", "-indev"]).arg(&path);
    command.args(["-extract", "/unibeam/config.json"]).arg(&out);
    if oracle(&mut command).is_some() {
        assert_eq!(
            fs::read_to_string(out).unwrap(),
            configuration().emit().unwrap()
        );
    }
}

#[test]
fn what_a_disk_cannot_be_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("disk.img");
    let refusal = |root: &[RootEntry], change: fn(&mut RumprunSpec<'_>)| {
        let said = assemble(root, &path, change).unwrap_err().to_string();
        assert!(!path.exists());
        said
    };
    let own = [RootEntry::bytes("/./unibeam/program", "mine", 0o644)];
    assert_eq!(
        refusal(&own, |_| {}),
        "`/./unibeam/program` cannot be in the root: `unibeam` holds what the disk boots from"
    );
    let far = [RootEntry::bytes("/d".repeat(512), "", 0o644)];
    assert!(
        refusal(&far, |_| {}).contains("has 1024 bytes; rumprun's file systems take at most 1023")
    );
    let data = refusal(&[], |spec| spec.disk.data = Some(1));
    assert!(
        data.starts_with("a disk for rumprun is read only"),
        "{data}"
    );
    let program = refusal(&[], |spec| spec.program = b"#!/bin/sh");
    assert!(
        program.starts_with("the program has no Multiboot header"),
        "{program}"
    );
    let stage = refusal(&[], |spec| spec.bios_stage = &[0; 30_721]);
    assert!(stage.contains("more than the 30720 bytes"), "{stage}");
    static NOTHING: Configuration = Configuration { steps: Vec::new() };
    let nothing = refusal(&[], |spec| spec.configuration = &NOTHING);
    assert_eq!(
        nothing,
        "rumprun's configuration: the configuration starts no program; give `cmdline` or `rc_TESTING`"
    );
}
