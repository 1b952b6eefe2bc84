use super::{BLOCK, Kind, Reader, Rofs, RofsError};
use crate::error::ImageError;
use crate::spec::{EntryKind, RootEntry};
use proptest::prelude::{Strategy, any, prop, prop_oneof, proptest};
use std::io::Cursor;

fn bytes_of(entries: &[RootEntry]) -> Result<Vec<u8>, ImageError> {
    let planned = Rofs::plan(entries)?;
    let mut bytes = Vec::new();
    planned.write(&mut |part| {
        bytes.extend(part);
        Ok(())
    })?;
    assert_eq!(bytes.len() as u64, planned.size());
    Ok(bytes)
}

fn small() -> Vec<RootEntry> {
    vec![
        RootEntry::bytes("etc/fstab", "none", 0o644),
        RootEntry::symlink("/etc/mnttab", "/proc/mounts"),
        RootEntry::bytes("big", vec![7; 513], 0o755),
        RootEntry::bytes("empty", "", 0o644),
        RootEntry::dir("/tmp"),
    ]
}

/// A number of eight bytes, and text, as they are in the file system.
fn golden(parts: &[Result<u64, &str>]) -> Vec<u8> {
    let bytes = parts.iter().flat_map(|part| match part {
        Ok(number) => number.to_le_bytes().to_vec(),
        Err(text) => [&(text.len() as u16).to_le_bytes(), text.as_bytes()].concat(),
    });
    bytes.collect()
}

#[test]
fn a_small_tree_has_the_documented_bytes() {
    let bytes = bytes_of(&small()).unwrap();
    // Inodes: 1 root, 2 big, 3 empty, 4 etc, 5 etc/fstab, 6 etc/mnttab, 7 tmp.
    let superblock = golden(&[
        Ok(0xDEAD_BEAD),
        Ok(1),
        Ok(512),
        Ok(4),
        Ok(1),
        Ok(6),
        Ok(1),
        Ok(7),
    ]);
    let dirents = golden(&[
        // The root's.
        Ok(2),
        Err("big"),
        Ok(3),
        Err("empty"),
        Ok(4),
        Err("etc"),
        Ok(7),
        Err("tmp"),
        // Those of etc.
        Ok(5),
        Err("fstab"),
        Ok(6),
        Err("mnttab"),
    ]);
    let links = golden(&[Err("/proc/mounts")]);
    let inodes = [
        [0x4000, 1, 0, 4],
        [0x8000, 2, 1, 513],
        [0x8000, 3, 3, 0],
        [0x4000, 4, 4, 2],
        [0x8000, 5, 3, 4],
        [0xA000, 6, 0, 1],
        [0x4000, 7, 0, 0],
    ];
    let inodes = inodes.into_iter().flatten().flat_map(u64::to_le_bytes);
    let mut expected = superblock;
    expected.resize(512, 0);
    expected.extend([7; 513]);
    expected.resize(3 * 512, 0);
    expected.extend(b"none");
    expected.resize(4 * 512, 0);
    expected.extend([dirents, links].concat());
    expected.extend(inodes);
    expected.resize(5 * 512, 0);
    assert_eq!(bytes, expected);
}

#[test]
fn what_is_written_is_found_by_its_path() {
    let bytes = bytes_of(&small()).unwrap();
    let mut reader = Reader::open(Cursor::new(bytes)).unwrap();
    let paths: Vec<_> = reader
        .entries()
        .iter()
        .map(|entry| entry.path.clone())
        .collect();
    let expected = ["big", "empty", "etc", "etc/fstab", "etc/mnttab", "tmp"];
    assert_eq!(paths, expected.map(|path| path.as_bytes().to_vec()));
    let fstab = reader.find(b"etc/fstab").unwrap().clone();
    assert_eq!(reader.data(&fstab).unwrap(), b"none");
    let link = &reader.find(b"etc/mnttab").unwrap().kind;
    assert_eq!(*link, Kind::Symlink(b"/proc/mounts".to_vec()));
    assert_eq!(reader.find(b"etc/nothing"), None);
}

#[test]
fn what_osv_cannot_name_is_refused() {
    let refused = |entry| match bytes_of(&[entry]).unwrap_err() {
        ImageError::Rofs(error) => error,
        error => panic!("{error}"),
    };
    let long = "x".repeat(256);
    let name = refused(RootEntry::bytes(format!("a/{long}"), "", 0o644));
    assert!(matches!(name, RofsError::Name { found: 256, .. }), "{name}");
    for target in [String::new(), "a\0b".into(), "y".repeat(4096)] {
        let link = refused(RootEntry::symlink("link", target));
        assert!(matches!(link, RofsError::Target { .. }), "{link}");
    }
    for path in ["", "a/../b", "a\0b"] {
        let bad = refused(RootEntry::bytes(path, "", 0o644));
        assert!(matches!(bad, RofsError::Tree(_)), "{bad}");
    }
}

/// The file system of [`small`] with a number in its tables changed.
fn damaged(at: u64, value: u64) -> RofsError {
    let mut bytes = bytes_of(&small()).unwrap();
    bytes[at as usize..][..8].copy_from_slice(&value.to_le_bytes());
    Reader::open(Cursor::new(bytes)).unwrap_err()
}

#[test]
fn numbers_that_lead_astray_are_refused() {
    let tables = 4 * BLOCK;
    let inodes = tables + 6 * 10 + 25 + 14;
    let inode = |number: u64, field: u64| inodes + 32 * (number - 1) + 8 * field;
    for (at, value, expected) in [
        (0, 1, "the magic 0x1"),
        (8, 2, "version 2 with blocks of 512 bytes"),
        (24, u64::MAX, "the end of the tables"),
        (32, 0, "the end of the tables"),
        (40, u64::MAX, "directory entry"),
        (48, 1 << 40, "link"),
        (56, u64::MAX, "inode 8 is malformed"),
        (tables, 1, "more than one place"),
        (tables, 99, "inode 99 lies outside"),
        (inode(1, 0), 0x8000, "the root is not a directory"),
        (inode(2, 0), 0x2000, "no directory, file or link"),
        (inode(2, 1), 3, "its number is not its place"),
        (inode(2, 2), u64::MAX, "outside of the disk"),
        (inode(2, 3), 1 << 20, "outside of the disk"),
        (inode(4, 3), 3, "outside of the table"),
        (inode(6, 2), 1, "outside of the table"),
    ] {
        let error = damaged(at, value).to_string();
        assert!(error.contains(expected), "{at} {value}: {error}");
    }
}

fn entry() -> impl Strategy<Value = RootEntry> {
    let path = "[a-c]{1,2}(/[a-c.]{1,3}){0,3}";
    let content = prop::collection::vec(any::<u8>(), 0..1200);
    prop_oneof![
        path.prop_map(RootEntry::dir),
        (path, content).prop_map(|(path, content)| RootEntry::bytes(path, content, 0o644)),
        (path, "[a-z/]{1,20}").prop_map(|(path, target)| RootEntry::symlink(path, target)),
    ]
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(entries in prop::collection::vec(entry(), 0..12)) {
        // Entries that are not a tree are refused, which is tested elsewhere.
        if let Ok(bytes) = bytes_of(&entries) {
            let mut reader = Reader::open(Cursor::new(&bytes)).unwrap();
            for entry in &entries {
                let parts: Vec<&[u8]> = entry.path.split(|&b| b == b'/').filter(|p| *p != b".").collect();
                let found = reader.find(&parts.join(&b'/')).unwrap().clone();
                let data = reader.data(&found).unwrap();
                match (&entry.kind, found.kind) {
                    (EntryKind::Dir, Kind::Directory) => {}
                    (EntryKind::Symlink(target), Kind::Symlink(found)) => assert_eq!(*target, found),
                    (EntryKind::File(content), Kind::File { .. }) => {
                        assert_eq!(*content, crate::spec::Content::Bytes(data));
                    }
                    (expected, found) => panic!("{expected:?} became {found:?}"),
                }
            }
        }
    }

    #[test]
    fn changed_bytes_are_survived(changes in prop::collection::vec((0_usize..5 * 512, any::<u8>()), 1..6)) {
        let mut bytes = bytes_of(&small()).unwrap();
        for (at, value) in changes {
            bytes[at] = value;
        }
        crate::fuzz::rofs(&bytes);
    }
}
