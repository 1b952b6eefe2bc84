//! Images of single programs of this host.

use crate::{FOLDER, target_folder};
use boot_contract::init::{self, Init};
use erts::Sysroot;
use image::{Content, EntryKind, ImageSpec, RootEntry};
use release::{GuestPath, Source, TreeEntry};
use std::path::{Path, PathBuf};

/// A program of this workspace.
///
/// # Panics
/// It is not built.
pub fn program(name: &str) -> PathBuf {
    let program = target_folder().join(name);
    assert!(
        program.exists(),
        "{} is missing; run `cargo build -p probes`",
        program.display()
    );
    program
}

/// An image that runs a program with the shared libraries it needs.
///
/// # Panics
/// It cannot be made.
pub fn program_image(name: &str, init: &Init, program: &Path) -> PathBuf {
    let guest = GuestPath::new(&init.exec).unwrap();
    let mut tree = vec![TreeEntry::host_file(guest, program, true)];
    tree.extend(
        erts::closure(&tree, &Sysroot::new(Path::new("/")).unwrap())
            .unwrap()
            .entries,
    );
    let mut root: Vec<_> = tree.into_iter().map(root_entry).collect();
    root.push(RootEntry::bytes(init::PATH, init.emit(), 0o644));
    root.push(RootEntry {
        mode: 0o1777,
        ..RootEntry::dir("/tmp")
    });
    let spec = ImageSpec {
        kernel: boot_images::KERNEL_ELF,
        boot_sector: boot_images::BOOT_SECTOR,
        bios_stage: boot_images::BIOS_STAGE,
        cmdline: "",
        root: &root,
        manifest: None,
        mtime: 0,
        disk: image::DiskSpec::default(),
    };
    let path = FOLDER.join(format!("{name}.img"));
    image::assemble(&spec, &path, &mut |_| {}).unwrap_or_else(|error| panic!("{error}"));
    path
}

fn root_entry(entry: TreeEntry) -> RootEntry {
    let kind = match entry.source {
        Source::Directory => EntryKind::Dir,
        Source::HostFile(path) => EntryKind::File(Content::Host(path)),
        Source::Bytes(bytes) => EntryKind::File(Content::Bytes(bytes)),
        Source::Symlink(target) => EntryKind::Symlink(target),
    };
    RootEntry {
        path: entry.path.as_bytes().to_vec(),
        kind,
        mode: entry.mode,
    }
}
