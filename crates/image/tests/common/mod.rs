//! What the tests share: the smallest inputs that make an image.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking and prints what it saw"
)]
#![allow(dead_code, reason = "each test file uses its own part")]

use std::path::Path;
use std::process::Command;

use boot_contract::disk::{BLOCK_LIST, BOOT_PACKET, BlockList};
use image::{DiskSpec, ImageSpec, RootEntry};

/// Where the kernel of [`kernel`] wants to be.
pub(crate) const KERNEL_ADDRESS: u32 = 0x20_0000;

fn put(bytes: &mut [u8], at: usize, field: &[u8]) {
    bytes[at..at + field.len()].copy_from_slice(field);
}

fn program_header(bytes: &mut [u8], at: usize, kind: u32, offset: u64, address: u64, size: u64) {
    put(bytes, at, &kind.to_le_bytes());
    for (i, value) in [offset, address, address, size, size, 4].iter().enumerate() {
        put(bytes, at + 8 + 8 * i, &value.to_le_bytes());
    }
}

/// An ELF file with one segment of 1000 bytes at file offset 0x123 and a PVH note.
pub(crate) fn kernel() -> Vec<u8> {
    let mut bytes = vec![0; 0x123 + 1000];
    put(&mut bytes, 0, b"\x7fELF\x02\x01\x01");
    put(&mut bytes, 16, &[2, 0, 62, 0, 1, 0, 0, 0]);
    put(&mut bytes, 32, &64u64.to_le_bytes());
    put(&mut bytes, 52, &[64, 0, 56, 0, 2, 0, 64, 0]);
    program_header(&mut bytes, 64, 1, 0x123, u64::from(KERNEL_ADDRESS), 1000);
    program_header(&mut bytes, 120, 4, 180, 0, 24);
    put(&mut bytes, 180, &[4, 0, 0, 0, 8, 0, 0, 0, 18, 0, 0, 0]);
    put(&mut bytes, 192, b"Xen\0");
    put(
        &mut bytes,
        196,
        &u64::from(KERNEL_ADDRESS + 4).to_le_bytes(),
    );
    bytes
}

/// A boot sector with its documented form and no code.
pub(crate) fn boot_sector() -> Vec<u8> {
    let mut bytes = vec![0; 512];
    bytes[BOOT_PACKET] = 16;
    put(&mut bytes, 510, &[0x55, 0xaa]);
    bytes
}

/// A stage with its documented form and no code.
pub(crate) fn stage() -> Vec<u8> {
    let mut bytes = vec![0; 700];
    put(&mut bytes, BLOCK_LIST, &BlockList::UNFILLED);
    bytes
}

/// Calls `test` with a complete specification for this root.
pub(crate) fn with_spec<T>(root: &[RootEntry], test: impl FnOnce(&ImageSpec<'_>) -> T) -> T {
    test(&ImageSpec {
        kernel: &kernel(),
        boot_sector: &boot_sector(),
        bios_stage: &stage(),
        cmdline: "ip=dhcp hostname=test",
        root,
        manifest: None,
        mtime: 0,
        disk: DiskSpec::default(),
    })
}

/// Makes an image of this root.
pub(crate) fn assemble(root: &[RootEntry], output: &Path) -> image::Report {
    with_spec(root, |spec| image::assemble(spec, output, &mut |_| {})).unwrap()
}

/// A root with a bit of everything.
pub(crate) fn example_root() -> Vec<RootEntry> {
    vec![
        RootEntry::bytes("/etc/hosts", "127.0.0.1 localhost\n", 0o644),
        RootEntry::bytes("/bin/beam", vec![7; 10_000], 0o755),
        RootEntry::symlink("/bin/sh", "beam"),
        RootEntry::bytes("/empty", "", 0o600),
        RootEntry::bytes("/page", vec![1; 4096], 0o644),
        RootEntry::bytes("/page-less", vec![2; 4095], 0o644),
        RootEntry::dir("/tmp"),
    ]
}

/// Runs an oracle and returns what it prints; `None`, with a note, if it is not installed.
pub(crate) fn oracle(command: &mut Command) -> Option<String> {
    let output = match command.output() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            println!("skipped: {command:?} is not installed");
            return None;
        }
        result => result.unwrap(),
    };
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}\n{text}\n{errors}");
    Some(text)
}
