//! ISO 9660 with Rock Ridge: writer and reader are twins, other programs agree, hostile bytes are refused.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::fs;
use std::io::Cursor;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::Command;

use common::{example_root, oracle};
use image::iso::{BLOCK, Iso, IsoError, Kind, Reader, SYSTEM_AREA};
use image::{Content, EntryKind, ImageError, RootEntry};
use proptest::prelude::{Just, Strategy, any, prop};
use proptest::{prop_assert_eq, proptest};

const MTIME: u32 = 951_827_696;

fn emit(root: &[RootEntry]) -> Result<Vec<u8>, ImageError> {
    let iso = Iso::plan(root, MTIME)?;
    let mut bytes = vec![0; SYSTEM_AREA as usize];
    iso.write(&mut |part| {
        bytes.extend(part);
        Ok(())
    })?;
    assert_eq!(bytes.len() as u64, iso.size());
    Ok(bytes)
}

fn parse(bytes: &[u8]) -> Result<Vec<RootEntry>, IsoError> {
    let mut reader = Reader::open(Cursor::new(bytes))?;
    let mut root = Vec::new();
    for entry in reader.entries().to_vec() {
        assert_eq!(entry.mtime, MTIME);
        let kind = match &entry.kind {
            Kind::Directory => EntryKind::Dir,
            Kind::Symlink(target) => EntryKind::Symlink(target.clone()),
            Kind::File { .. } => EntryKind::File(Content::Bytes(reader.data(&entry)?)),
        };
        root.push(RootEntry {
            path: entry.path,
            kind,
            mode: entry.mode,
        });
    }
    Ok(root)
}

fn arb_target() -> impl Strategy<Value = Vec<u8>> {
    let part = proptest::prop_oneof![
        Just("..".to_owned()),
        Just(".".to_owned()),
        "[a-zé]{0,20}",
        "[a-z]{240,260}"
    ];
    let parts = (any::<bool>(), prop::collection::vec(part, 1..5));
    let target = parts.prop_map(|(absolute, parts)| {
        let root = if absolute { "/" } else { "" };
        format!("{root}{}", parts.join("/")).into_bytes()
    });
    target.prop_filter("a target is not empty", |target| !target.is_empty())
}

fn arb_kind() -> impl Strategy<Value = EntryKind> {
    let data = prop::collection::vec(any::<u8>(), 0..5000);
    proptest::prop_oneof![
        Just(EntryKind::Dir),
        data.prop_map(|data| EntryKind::File(Content::Bytes(data))),
        arb_target().prop_map(EntryKind::Symlink),
    ]
}

/// Roots in normal form: sorted and unique, some of them in a directory that is deeper than the
/// standard wants.
fn arb_root() -> impl Strategy<Value = Vec<RootEntry>> {
    let entry = (arb_kind(), 0u32..0o10000);
    let name = proptest::prop_oneof!["[a-z .;é]{1,9}x", "[A-Z]{200,255}"];
    let tree = prop::collection::btree_map((any::<bool>(), name), entry, 0..12);
    tree.prop_map(|tree| {
        let deep = "a/b/c/d/e/f/g/h/i/j";
        let parents = (1..=deep.len())
            .step_by(2)
            .map(|end| RootEntry::dir(&deep[..end]));
        let entry = |((is_deep, name), (kind, mode)): ((bool, String), _)| RootEntry {
            path: if is_deep {
                format!("{deep}/{name}")
            } else {
                name
            }
            .into_bytes(),
            kind,
            mode,
        };
        let mut root: Vec<_> = parents.chain(tree.into_iter().map(entry)).collect();
        root.sort_by(|one, other| one.path.cmp(&other.path));
        root
    })
}

proptest! {
    #[test]
    fn emit_and_parse_are_twins(root in arb_root()) {
        prop_assert_eq!(parse(&emit(&root).unwrap()).unwrap(), root);
    }

    #[test]
    fn damaged_file_systems_do_no_harm(root in arb_root(), at in any::<prop::sample::Index>(), byte: u8, cut: bool) {
        let mut bytes = emit(&root).unwrap();
        let at = at.index(bytes.len());
        if cut {
            bytes.truncate(at);
        } else {
            bytes[at] = byte;
        }
        image::fuzz::iso(&bytes);
    }

    /// Where it hurts: in the first directories and their continuations.
    #[test]
    fn damaged_directories_do_no_harm(root in arb_root(), damage in prop::collection::vec((0usize..40_000, any::<u8>()), 1..4)) {
        let mut bytes = emit(&root).unwrap();
        for (at, byte) in damage {
            if let Some(slot) = bytes.get_mut(SYSTEM_AREA as usize + at) {
                *slot = byte;
            }
        }
        image::fuzz::iso(&bytes);
    }
}

/// All that the format has a special way for.
fn hard_root() -> Vec<RootEntry> {
    let long = |letter: &str, count| letter.repeat(count);
    let mut root = example_root();
    root.extend([
        RootEntry::bytes(format!("/names/{}", long("n", 255)), "long", 0o600),
        RootEntry::symlink("/names/up", "../../a/./b"),
        RootEntry::symlink("/names/absolute", "/usr/lib/erlang"),
        RootEntry::symlink(format!("/names/{}", long("l", 255)), long("z", 255)),
        RootEntry::bytes("/names/Case", "1", 0o644),
        RootEntry::bytes("/names/case", "2", 0o644),
        RootEntry::bytes("/1/2/3/4/5/6/7/8/9/10/deep", "deep", 0o755),
        RootEntry::bytes("/void", "", 0o444),
        RootEntry::bytes("/block", vec![7; BLOCK as usize], 0o444),
    ]);
    root.extend((0..300).map(|n| RootEntry::bytes(format!("/many/{n}"), format!("{n}"), 0o640)));
    root
}

/// What a folder holds, with paths from it.
fn folder(folder: &Path, prefix: &str, found: &mut Vec<RootEntry>) {
    for item in fs::read_dir(folder).unwrap() {
        let item = item.unwrap();
        let path = format!("{prefix}{}", item.file_name().to_str().unwrap());
        let metadata = item.path().symlink_metadata().unwrap();
        let kind = if metadata.is_dir() {
            self::folder(&item.path(), &format!("{path}/"), found);
            EntryKind::Dir
        } else if metadata.is_symlink() {
            let target = fs::read_link(item.path()).unwrap();
            EntryKind::Symlink(target.into_os_string().into_encoded_bytes())
        } else {
            assert_eq!(metadata.mtime(), i64::from(MTIME), "{path}");
            EntryKind::File(Content::Bytes(fs::read(item.path()).unwrap()))
        };
        let mode = metadata.permissions().mode() & 0o777;
        found.push(RootEntry {
            path: path.into_bytes(),
            kind,
            mode,
        });
    }
}

fn sorted(mut root: Vec<RootEntry>) -> Vec<RootEntry> {
    root.sort_by(|one, other| one.path.cmp(&other.path));
    root
}

/// Whether a program unpacks what we read.
fn check_unpacked(name: &str, root: &[RootEntry], command: impl FnOnce(&Path, &Path) -> Command) {
    let scratch = tempfile::tempdir().unwrap();
    let (image, out) = (scratch.path().join("root.iso"), scratch.path().join("out"));
    fs::create_dir(&out).unwrap();
    let bytes = emit(root).unwrap();
    fs::write(&image, &bytes).unwrap();
    if oracle(&mut command(&image, &out)).is_some() {
        let mut found = Vec::new();
        folder(&out, "", &mut found);
        let (found, ours) = (sorted(found), parse(&bytes).unwrap());
        for (one, other) in found.iter().zip(&ours) {
            let path = String::from_utf8_lossy(&one.path);
            assert_eq!(one, other, "{name}: {path}");
        }
        assert_eq!(found.len(), ours.len(), "{name}");
    }
}

#[test]
fn bsdtar_unpacks_what_we_read() {
    check_unpacked("bsdtar", &hard_root(), |image, out| {
        let mut command = Command::new("bsdtar");
        command
            .args(["-x", "-p", "-f"])
            .arg(image)
            .arg("-C")
            .arg(out);
        command
    });
}

#[test]
fn xorriso_unpacks_what_we_read() {
    // A target in more than one entry, whose parts libarchive (3.6.2) joins without a `/`.
    let target = format!("/{}/{}z", "x".repeat(250), "y/".repeat(300));
    let mut root = hard_root();
    root.push(RootEntry::symlink("/names/far", target));
    check_unpacked("xorriso", &root, |image, out| {
        let mut command = Command::new("xorriso");
        command
            .args(["-abort_on", "WARNING", "-osirrox", "on", "-indev"])
            .arg(image);
        command.args(["-extract", "/"]).arg(out);
        command
    });
}

#[test]
fn isoinfo_finds_rock_ridge_and_every_directory() {
    let scratch = tempfile::tempdir().unwrap();
    let image = scratch.path().join("root.iso");
    fs::write(&image, emit(&hard_root()).unwrap()).unwrap();
    let isoinfo = |what| oracle(Command::new("isoinfo").args([what, "-i"]).arg(&image));
    let (Some(said), Some(table)) = (isoinfo("-d"), isoinfo("-p")) else {
        return;
    };
    assert!(
        said.contains("Rock Ridge signatures version 1 found"),
        "{said}"
    );
    assert!(said.contains("Volume id: UNIBEAM"), "{said}");
    assert_eq!(
        table.lines().filter(|line| line.contains(": ")).count(),
        1 + dirs(),
        "{table}"
    );
}

fn dirs() -> usize {
    let root = parse(&emit(&hard_root()).unwrap()).unwrap();
    root.iter()
        .filter(|entry| entry.kind == EntryKind::Dir)
        .count()
}

#[test]
fn files_are_where_the_plan_says() {
    let root = [
        RootEntry::bytes("/b", vec![2; 5000], 0o644),
        RootEntry::bytes("/a/c", "three", 0o644),
    ];
    let iso = Iso::plan(&root, MTIME).unwrap();
    let bytes = emit(&root).unwrap();
    let (offset, size) = iso.find(b"a/c").unwrap();
    assert_eq!(&bytes[offset as usize..][..size as usize], b"three");
    assert_eq!(offset % BLOCK, 0);
    assert_eq!(iso.find(b"b").unwrap().1, 5000);
    assert_eq!(iso.find(b"a"), None);
}

#[test]
fn what_the_format_cannot_hold_is_named() {
    let refusal = |entry| emit(&[entry]).unwrap_err().to_string();
    let name = "n".repeat(256);
    assert_eq!(
        refusal(RootEntry::bytes(format!("/d/{name}"), "", 0o644)),
        format!("root file system: the name of `d/{name}` has 256 bytes, at most 255 are possible")
    );
    for target in [String::new(), "/".repeat(1500)] {
        let found = refusal(RootEntry::symlink("/link", target.clone()));
        let expected = format!(
            "root file system: the link `link` has a target of {} bytes; it must not be empty, nor \
             need more than 2048 bytes with its name",
            target.len()
        );
        assert_eq!(found, expected);
    }
    let up = refusal(RootEntry::bytes("/a/../b", "", 0o644));
    assert!(
        up.starts_with("root file system: the path `/a/../b` is not usable"),
        "{up}"
    );
}
