//! Looking into a disk that boots OSv.
#![allow(
    clippy::unwrap_used,
    reason = "a test fails by panicking; helpers outside #[test] too"
)]

use image::osv::{Boot, OsvImage, OsvSpec, assemble};
use image::{DiskSpec, RootEntry};
use inspect::{Inspected, Kind};
use manifest::{Base, Manifest, SCHEMA};

#[test]
fn the_files_and_the_manifest_of_a_disk_for_osv_are_found() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("osv.img");
    let manifest = Manifest {
        schema: SCHEMA,
        base: Some(Base {
            family: "osv".into(),
            version: "v0.57.0".into(),
        }),
        ..Manifest::default()
    };
    let root = [
        RootEntry::bytes("release/x", "content", 0o644),
        RootEntry::symlink("etc/mnttab", "/proc/mounts"),
    ];
    let spec = OsvSpec {
        boot: Boot::Given,
        cmdline: "/release/x",
        root: &root,
        manifest: Some(&manifest),
        disk: DiskSpec::default(),
    };
    let made = assemble(&spec, &path, &mut |_| {}).unwrap();
    let image = OsvImage::open(&path).unwrap();
    let inspected = Inspected::of_osv(&image).unwrap();
    assert_eq!(inspected.manifest.base, manifest.base);
    assert_eq!(inspected.manifest.digest, made.digest);
    assert!(!inspected.inferred && inspected.image.is_none());
    let contents = &inspected.contents;
    let file = contents.file("release/x").unwrap();
    assert_eq!(contents.read(file).unwrap(), b"content");
    assert_eq!(contents.head(file, 3).unwrap(), b"con");
    let mut entries = contents.entries().iter();
    let link = entries.find(|entry| entry.path == b"etc/mnttab").unwrap();
    assert_eq!(link.kind, Kind::Symlink(b"/proc/mounts".to_vec()));
    // What is extracted is what was put in.
    let out = folder.path().join("out");
    inspect::extract(contents, &|_| true, &out).unwrap();
    assert_eq!(std::fs::read(out.join("release/x")).unwrap(), b"content");
}
