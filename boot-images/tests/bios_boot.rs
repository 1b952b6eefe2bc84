//! The BIOS boot stages under QEMU: every disk controller, small and large machines, and what
//! they say when they cannot go on. A probe kernel reports what it was handed.
//!
//! Ignored by default because they start machines: `cargo test -p boot-images -- --ignored`.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking and prints what it saw"
)]

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use boot_contract::status::Ending;
use image::{ByteRange, DiskImage, ImageSpec, RootEntry};
use tempfile::TempDir;

const MIB: u64 = 1 << 20;
const CMDLINE: &str = "ip=dhcp arg=\"a b\" hostname=probe";

/// An image with the probe as its kernel.
struct Disk {
    _folder: TempDir,
    path: PathBuf,
    root: ByteRange,
    checksum: u32,
}

impl Disk {
    /// With the probe and a root archive of at least this many MiB.
    fn new(mib: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let content = content(folder.path(), mib);
        let root = [RootEntry::host("/content", content, 0o644)];
        let kernel = probe(folder.path());
        Self::with(folder, &kernel, &root)
    }

    fn with(folder: TempDir, kernel: &[u8], root: &[RootEntry]) -> Self {
        let path = folder.path().join("disk.img");
        let spec = ImageSpec {
            kernel,
            boot_sector: boot_images::BOOT_SECTOR,
            bios_stage: boot_images::BIOS_STAGE,
            cmdline: CMDLINE,
            root,
            manifest: None,
            mtime: 0,
            disk: image::DiskSpec::default(),
        };
        image::assemble(&spec, &path, &mut |_| {}).unwrap();
        let image = DiskImage::open(&path).unwrap();
        let mut archive = Vec::new();
        image.copy(image.root, &mut archive).unwrap();
        Self {
            path,
            root: image.root,
            checksum: checksum(&archive),
            _folder: folder,
        }
    }
}

/// A sparse file with a different word in every MiB, up to its last word.
fn content(folder: &Path, mib: u64) -> PathBuf {
    let path = folder.join("content");
    let file = File::create(&path).unwrap();
    for i in 1..=mib {
        let word = (i as u32).wrapping_mul(0x9e37_79b9).to_le_bytes();
        file.write_all_at(&word, i * MIB - 4).unwrap();
    }
    path
}

fn checksum(bytes: &[u8]) -> u32 {
    let words = bytes.chunks_exact(4);
    let word = |bytes: &[u8]| u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
    words.fold(0, |sum: u32, bytes| sum.rotate_left(1) ^ word(bytes))
}

/// Compiles the probe kernel.
fn probe(folder: &Path) -> Vec<u8> {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/probe");
    let output = folder.join("probe.elf");
    let status = Command::new("rustc")
        .args([
            "--edition=2024",
            "--target=x86_64-unknown-none",
            "-Crelocation-model=static",
        ])
        .args([
            "-Copt-level=1",
            "-Clink-arg=--no-eh-frame-hdr",
            "-Clink-arg=-zmax-page-size=4",
        ])
        .arg(format!(
            "-Clink-arg=-T{}",
            sources.join("probe.ld").display()
        ))
        .arg("-o")
        .arg(&output)
        .arg(sources.join("probe.rs"))
        .status()
        .unwrap();
    assert!(status.success());
    fs::read(output).unwrap()
}

/// Boots a disk and returns COM1's output and QEMU's exit status. The machine ends by itself or,
/// as a boot stage that failed does not, after a line with the text `until`.
fn boot(disk: &Disk, arguments: &[&str], until: Option<&str>) -> (String, Option<i32>) {
    let drive = format!("id=disk,if=none,format=raw,file={}", disk.path.display());
    let mut child = Command::new("timeout")
        .args([
            "600",
            "qemu-system-x86_64",
            "-accel",
            "tcg",
            "-nodefaults",
            "-no-reboot",
        ])
        .args(["-display", "none", "-serial", "stdio"])
        .args(["-device", "isa-debug-exit,iobase=0xf4,iosize=0x04"])
        .args(["-drive", &drive])
        .args(arguments)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut text = String::new();
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        text.push_str(line.trim_end_matches('\r'));
        text.push('\n');
        if until.is_some_and(|until| text.contains(until)) {
            // `timeout` passes the signal on.
            let pid = child.id().to_string();
            Command::new("kill").arg(pid).status().unwrap();
            break;
        }
    }
    let status = child.wait().unwrap();
    println!("{arguments:?}\n{text}");
    (text, status.code())
}

/// The value after `name=` in the probe's output.
fn value<'a>(text: &'a str, name: &str) -> &'a str {
    let (_, rest) = text.split_once(&format!("{name}=")).unwrap();
    rest.split([' ', '\n']).next().unwrap()
}

fn number(text: &str, name: &str) -> u64 {
    u64::from_str_radix(value(text, name), 16).unwrap()
}

fn check(disk: &Disk, arguments: &[&str]) -> String {
    let (text, status) = boot(disk, arguments, None);
    assert_eq!(status, Some(i32::from(Ending::Success.qemu_status())));
    assert_eq!(value(&text, "magic"), "336ec578");
    assert_eq!(number(&text, "modules"), 1);
    assert!(text.contains(&format!("cmdline={CMDLINE}\n")));
    assert_eq!(
        number(&text, "cr0") & 0x8000_0001,
        1,
        "protected mode without paging"
    );
    assert_eq!(number(&text, "cr4"), 0);
    assert_eq!(number(&text, " size"), disk.root.size);
    assert_eq!(number(&text, "module") % 4096, 0);
    assert_eq!(number(&text, "sum"), u64::from(disk.checksum));
    assert_eq!(value(&text, "data"), "600df00d");
    assert_eq!(number(&text, "bss"), 0);
    text
}

/// Usable bytes in the probe's memory map.
fn ram(text: &str) -> u64 {
    let ranges = text.lines().filter(|line| line.starts_with("probe range="));
    let usable = ranges.filter(|line| number(line, "kind") == 1);
    usable.map(|line| number(line, "size")).sum()
}

const PC_IDE: [&str; 4] = ["-M", "pc", "-device", "ide-hd,drive=disk"];
const PC_VIRTIO: [&str; 4] = ["-M", "pc", "-device", "virtio-blk-pci,drive=disk"];
const Q35_AHCI: [&str; 4] = ["-M", "q35", "-device", "ide-hd,drive=disk"];
const Q35_VIRTIO: [&str; 4] = ["-M", "q35", "-device", "virtio-blk-pci,drive=disk"];

#[test]
#[ignore = "boots QEMU"]
fn every_controller_boots_a_large_archive() {
    let disk = Disk::new(200);
    for machine in [PC_IDE, PC_VIRTIO, Q35_AHCI, Q35_VIRTIO] {
        let text = check(&disk, &[&machine[..], &["-m", "512"]].concat());
        assert!(number(&text, "rsdp") > 0xe_0000);
    }
}

#[test]
#[ignore = "boots QEMU"]
fn machines_from_64_mib_to_8_gib_boot() {
    let disk = Disk::new(40);
    for (memory, mib) in [("64", 64), ("128", 128), ("3G", 3072), ("8G", 8192)] {
        let text = check(&disk, &[&Q35_VIRTIO[..], &["-m", memory]].concat());
        let missing = mib * MIB - ram(&text);
        assert!(missing < 2 * MIB, "{missing} bytes missing");
    }
}

#[test]
#[ignore = "boots QEMU"]
fn a_machine_without_acpi_boots() {
    let disk = Disk::new(1);
    let text = check(&disk, &[&PC_VIRTIO[..], &["-m", "64", "-no-acpi"]].concat());
    assert_eq!(number(&text, "rsdp"), 0);
}

/// Boots a disk whose boot stages must stop with this message.
fn check_message(disk: &Disk, machine: &[&str], arguments: &[&str], message: &str) {
    let (text, _) = boot(disk, &[machine, arguments].concat(), Some("unibeam: "));
    assert!(text.contains(&format!("unibeam: {message}")), "{text}");
}

#[test]
#[ignore = "boots QEMU"]
fn too_little_memory_is_named() {
    let disk = Disk::new(100);
    let message = "not enough memory: the root archive needs 101 MiB below 4 GiB";
    check_message(&disk, &PC_IDE, &["-m", "64"], message);
}

#[test]
#[ignore = "boots QEMU"]
fn a_disk_that_ends_too_early_is_named() {
    let disk = Disk::new(2);
    let file = OpenOptions::new().write(true).open(&disk.path).unwrap();
    file.set_len(disk.root.offset + MIB).unwrap();
    for machine in [PC_IDE, Q35_VIRTIO] {
        check_message(&disk, &machine, &["-m", "64"], "disk read error at sector");
    }
}

#[test]
#[ignore = "boots QEMU"]
fn a_missing_stage_and_a_32_bit_cpu_are_named() {
    let disk = Disk::new(1);
    let old_cpu = ["-m", "64", "-cpu", "qemu32"];
    check_message(&disk, &PC_IDE, &old_cpu, "this CPU is not 64-bit");
    let file = OpenOptions::new().write(true).open(&disk.path).unwrap();
    file.write_all_at(&[0; 512], 40 * 512).unwrap();
    check_message(&disk, &PC_IDE, &["-m", "64"], "no boot stage on the disk");
}

#[test]
#[ignore = "boots QEMU"]
fn the_kernel_starts_and_reads_its_root_archive() {
    let folder = tempfile::tempdir().unwrap();
    let root = [RootEntry::bytes("/etc/unibeam/init", "nonsense\n", 0o644)];
    let disk = Disk::with(folder, boot_images::KERNEL_ELF, &root);
    let machine = [&Q35_VIRTIO[..], &["-m", "128"]].concat();
    let (_, status) = boot(&disk, &machine, None);
    assert_eq!(status, Some(i32::from(Ending::BadImage.qemu_status())));
}
