use super::{BaseFile, BaseKind, Boot, OsvImage, OsvSpec, assemble, fastlz, is_osv};
use crate::error::ImageError;
use crate::rofs::Kind;
use crate::spec::{DiskSpec, RootEntry};
use manifest::Manifest;
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// The start of an ELF file for x86-64.
fn kernel() -> Vec<u8> {
    let mut kernel = vec![7; 5000];
    kernel[..6].copy_from_slice(b"\x7fELF\x02\x01");
    kernel[16..20].copy_from_slice(&[2, 0, 62, 0]);
    kernel[100..111].copy_from_slice(b"OSv options");
    kernel
}

fn loader() -> Vec<u8> {
    [
        b"unpacks the kernel".as_slice(),
        &fastlz::tests::stored(&kernel()),
    ]
    .concat()
}

fn sector() -> [u8; 512] {
    let mut sector = [0x90; 512];
    sector[0x10..0x12].copy_from_slice(&[0, 0x10]);
    sector[0x1b8..0x1be].copy_from_slice(b"VSO\0\0\0");
    sector[510..].copy_from_slice(&[0x55, 0xaa]);
    sector
}

fn root() -> Vec<RootEntry> {
    vec![
        RootEntry::bytes("etc/fstab", "none", 0o644),
        RootEntry::dir("tmp"),
    ]
}

/// A disk in a folder of its own.
fn made(boot: Boot<'_>, cmdline: &str, disk: DiskSpec) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("osv.img");
    let (root, manifest) = (root(), Manifest::default());
    let spec = OsvSpec {
        boot,
        cmdline,
        root: &root,
        manifest: Some(&manifest),
        disk,
    };
    let report = assemble(&spec, &path, &mut |_| {}).unwrap();
    assert_eq!(report.plan, super::plan(&spec).unwrap());
    (folder, path)
}

fn with_loader(cmdline: &str) -> (TempDir, PathBuf) {
    let (sector, loader) = (sector(), loader());
    let boot = Boot::Disk {
        sector: &sector,
        loader: &loader,
    };
    made(boot, cmdline, DiskSpec::default())
}

#[test]
fn a_disk_has_the_documented_bytes() {
    let (_folder, path) = with_loader("--rootfs=rofs /beam");
    let disk = fs::read(path).unwrap();
    let (sector, loader) = (sector(), loader());
    assert_eq!(disk[..0x10], sector[..0x10]);
    assert_eq!(disk[0x10..0x12], [1, 0]);
    assert_eq!(disk[0x12..0x1be], sector[0x12..0x1be]);
    // The second partition starts at 2 MiB.
    assert_eq!(disk[0x1be..0x1ce], [0; 16]);
    let expected = [0, 65, 2, 0, 0x83, 65, 6, 0, 0, 16, 0, 0, 5, 0, 0, 0];
    assert_eq!(disk[0x1ce..0x1de], expected);
    assert_eq!(disk[0x1de..0x1fe], [0; 32]);
    assert_eq!(disk[510..512], [0x55, 0xaa]);
    let text = b"--rootfs=rofs /beam\0";
    assert_eq!(&disk[512..512 + text.len()], text);
    assert!(disk[512 + text.len()..65536].iter().all(|&byte| byte == 0));
    assert_eq!(disk[65536..65536 + loader.len()], loader);
    assert_eq!(disk[2 << 20..][..4], [0xad, 0xbe, 0xad, 0xde]);
}

#[test]
fn what_is_on_a_disk_is_found() {
    let (_folder, path) = with_loader("/beam x");
    assert!(is_osv(&path).unwrap());
    let image = OsvImage::open(&path).unwrap();
    assert_eq!(image.cmdline, "/beam x");
    assert_eq!(image.kernel().unwrap(), Some(kernel()));
    let digest = image.read_manifest().unwrap().unwrap().digest;
    assert!(digest.len() == 64 && digest.contains(|c| c != '0'));
    let mut root = image.root_entries().unwrap();
    let fstab = root.find(b"etc/fstab").unwrap().clone();
    assert_eq!(root.data(&fstab).unwrap(), b"none");
    assert_eq!(root.find(b"tmp").unwrap().kind, Kind::Directory);
}

#[test]
fn a_disk_without_a_kernel_keeps_its_command_line_as_a_file() {
    let (_folder, path) = made(Boot::Given, "/beam", DiskSpec::default());
    let image = OsvImage::open(&path).unwrap();
    assert_eq!((image.cmdline.as_str(), image.root.offset), ("/beam", 512));
    assert_eq!(image.kernel().unwrap(), None);
    assert!(is_osv(&path).unwrap());
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    let disks = [with_loader("/beam"), with_loader("/beam")];
    let [one, other] = disks.map(|(_folder, path)| fs::read(path).unwrap());
    assert_eq!(one, other);
}

#[test]
fn data_has_a_partition_of_its_own() {
    let disk = DiskSpec {
        size: Some(8 << 20),
        data: Some(3 << 20),
        ..DiskSpec::default()
    };
    let (sector, loader) = (sector(), loader());
    let boot = Boot::Disk {
        sector: &sector,
        loader: &loader,
    };
    let (_folder, path) = made(boot, "/beam", disk);
    let disk = fs::read(path).unwrap();
    assert_eq!(disk.len(), 8 << 20);
    let partitions = crate::mbr::partitions(disk.first_chunk().unwrap());
    let data = partitions[2].unwrap();
    assert_eq!((data.first, data.sectors), (3 << 11, 3 << 11));
}

fn refused(name: &str, bytes: &[u8]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    fs::write(&path, bytes).unwrap();
    let error = BaseFile::open(&path).unwrap_err().to_string();
    assert!(error.contains(name), "{error}");
    error
}

#[test]
fn a_disk_is_a_base_for_another() {
    let (_folder, path) = with_loader("/old");
    let base = BaseFile::open(&path).unwrap();
    assert_eq!(base.kind(), BaseKind::Disk);
    assert_eq!(base.kernel(), kernel());
    let Boot::Disk { sector, loader } = base.boot() else {
        panic!("no disk");
    };
    assert_eq!(sector[0x1be..0x1fe], [0; 64]);
    assert_eq!(
        loader[..super::tests::loader().len()],
        super::tests::loader()
    );
}

#[test]
fn a_kernel_is_a_base_for_a_disk_without_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("loader.elf");
    fs::write(&path, kernel()).unwrap();
    let base = BaseFile::open(&path).unwrap();
    assert_eq!(base.kind(), BaseKind::Kernel);
    assert!(matches!(base.boot(), Boot::Given));
}

#[test]
fn files_that_are_not_osv_are_told_what_they_are() {
    assert!(refused("empty", b"").contains("an empty file"));
    assert!(refused("short", b"abc").contains("3 bytes"));
    assert!(refused("text", &[b'x'; 600]).contains("not a disk"));
    let mut other = kernel();
    other[18] = 183;
    assert!(refused("arm", &other).contains("another machine"));
    let mut disk = vec![0; 1024];
    disk[510..512].copy_from_slice(&[0x55, 0xaa]);
    assert!(refused("mbr", &disk).contains("another boot sector"));
    disk[0x1be + 4] = 0xee;
    assert!(refused("gpt", &disk).contains("GPT"));
}

#[test]
fn a_damaged_loader_is_refused() {
    let (_folder, path) = with_loader("/beam");
    let disk = fs::read(path).unwrap();
    assert!(refused("cut", &disk[..65536 + 100]).contains("cut off"));
    let mut empty = disk.clone();
    empty[65536..65536 + 6000].fill(1);
    assert!(refused("kernelless", &empty).contains("no kernel"));
}

#[test]
fn a_command_line_that_does_not_fit_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let output: &Path = &folder.path().join("x.img");
    let with = |cmdline: &str| {
        let spec = OsvSpec {
            boot: Boot::Given,
            cmdline,
            root: &[],
            manifest: None,
            disk: DiskSpec::default(),
        };
        assemble(&spec, output, &mut |_| {}).map(drop)
    };
    with(&"x".repeat(32255)).unwrap();
    let long = with(&"x".repeat(32256)).unwrap_err();
    assert!(matches!(
        long,
        ImageError::CmdlineTooLong { found: 32256, .. }
    ));
    let control = with("a\0b").unwrap_err();
    assert!(matches!(control, ImageError::CmdlineControl { at: 1 }));
}
