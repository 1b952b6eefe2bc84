//! The root archive as a tree: archives written by GNU cpio, and hostile ones.

#![allow(clippy::unwrap_used, reason = "test support: a failure fails the test")]

mod common;

use std::fs;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Stdio};

use common::{list, lookup, open, read, tree, write};
use proptest::prelude::{any, prop};
use proptest::{prop_assert, proptest};
use vfs::{CpioError, Errno, FileKind, Follow, LoadError, OpenFlags, cpio_entries};

/// Archives the folder with `cpio`, the independent writer.
fn archive(folder: &Path) -> &'static [u8] {
    let mut cpio = Command::new("cpio")
        .args(["-o", "-H", "newc", "--quiet"])
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("cpio is installed");
    let list = Command::new("find").arg(".").current_dir(folder).output();
    let mut input = cpio.stdin.take().unwrap();
    input.write_all(&list.unwrap().stdout).unwrap();
    drop(input);
    Vec::leak(cpio.wait_with_output().unwrap().stdout)
}

fn sample() -> &'static [u8] {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::create_dir_all(path("usr/lib")).unwrap();
    fs::create_dir(path("etc")).unwrap();
    fs::write(path("usr/lib/a.so"), vec![7; 10_000]).unwrap();
    fs::write(path("etc/hosts"), "127.0.0.1 localhost\n").unwrap();
    fs::write(path("etc/empty"), "").unwrap();
    fs::hard_link(path("etc/hosts"), path("etc/hosts2")).unwrap();
    fs::hard_link(path("etc/hosts"), path("hosts3")).unwrap();
    symlink("usr/lib", path("lib")).unwrap();
    fs::set_permissions(path("usr/lib/a.so"), fs::Permissions::from_mode(0o751)).unwrap();
    archive(folder.path())
}

#[test]
fn archive_of_gnu_cpio_becomes_a_tree() {
    let tree = tree();
    tree.load_archive(sample()).unwrap();
    assert_eq!(read(&tree, "/lib/a.so").unwrap(), vec![7; 10_000]);
    assert_eq!(read(&tree, "/etc/empty").unwrap(), b"");
    let stat = lookup(&tree, "usr/lib/../lib/a.so").unwrap().stat();
    assert_eq!((stat.permissions, stat.size), (0o751, 10_000));
    let link = tree.lookup(tree.root(), b"lib", Follow::No).unwrap();
    assert_eq!(link.kind(), FileKind::Symlink);
    assert_eq!(link.readlink().unwrap(), b"usr/lib");
    let mut names = list(&tree, "/etc", 64).unwrap();
    names.sort();
    assert_eq!(names, [".", "..", "empty", "hosts", "hosts2"]);
    assert_eq!(tree.root().stat().links, 4);
}

#[test]
fn hard_links_are_one_file() {
    let tree = tree();
    tree.load_archive(sample()).unwrap();
    let numbers = ["etc/hosts", "etc/hosts2", "hosts3"].map(|name| {
        assert_eq!(read(&tree, name).unwrap(), b"127.0.0.1 localhost\n");
        lookup(&tree, name).unwrap().stat()
    });
    assert!(numbers.iter().all(|stat| stat.links == 3));
    assert!(numbers.iter().all(|stat| stat.inode == numbers[0].inode));
    write(&tree, "hosts3", b"changed");
    assert_eq!(read(&tree, "etc/hosts").unwrap(), b"changed");
}

#[test]
fn content_is_read_in_place_until_written() {
    let tree = tree();
    let bytes = sample();
    tree.load_archive(bytes).unwrap();
    let file = open(&tree, "lib/a.so", OpenFlags::RDWR).unwrap();
    let range = file.file().archive_range().unwrap();
    assert!(bytes.as_ptr_range().contains(&range.as_ptr()));
    assert_eq!(tree.size().free_blocks, tree.size().blocks);
    file.write_at(5000, &mut vfs::SliceSource(b"new")).unwrap();
    assert_eq!(tree.size().free_blocks, tree.size().blocks - 1);
    assert!(file.file().archive_range().is_none());
    let mut expected = vec![7; 10_000];
    expected[5000..5003].copy_from_slice(b"new");
    assert_eq!(read(&tree, "lib/a.so").unwrap(), expected);
    file.truncate(5001).unwrap();
    file.truncate(6000).unwrap();
    expected.truncate(5001);
    expected.resize(6000, 0);
    assert_eq!(read(&tree, "lib/a.so").unwrap(), expected);
}

/// One entry, with its name padded to a multiple of `pad` bytes.
fn entry(name: &[u8], mode: u32, content: &[u8], pad: usize) -> Vec<u8> {
    let size = (110 + name.len() + 1).next_multiple_of(pad) - 110;
    let mut bytes = format!(
        "070701{:08X}{mode:08X}{:08X}{:08X}{:08X}{:08X}{:08X}{:08X}{:08X}{:08X}{:08X}{size:08X}{:08X}",
        1, 0, 0, 1, 0, content.len(), 0, 0, 0, 0, 0
    )
    .into_bytes();
    bytes.extend_from_slice(name);
    bytes.resize(110 + size, 0);
    bytes.extend_from_slice(content);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

#[test]
fn padded_names_align_content() {
    let mut bytes = entry(b"bin/x", 0o100_755, b"#!", 4096);
    bytes.extend(entry(b"TRAILER!!!", 0, b"", 4));
    let tree = tree();
    tree.load_archive(Vec::leak(bytes)).unwrap();
    assert_eq!(read(&tree, "/bin/x").unwrap(), b"#!");
}

#[test]
fn damage_is_named() {
    let good = entry(b"a", 0o100_644, b"xyz", 4);
    let failure = |bytes: &[u8]| cpio_entries(bytes).find_map(Result::err);
    assert_eq!(
        failure(&good),
        Some(CpioError::Truncated {
            entry: good.len(),
            length: good.len()
        })
    );
    assert_eq!(
        failure(b""),
        Some(CpioError::Truncated {
            entry: 0,
            length: 0
        })
    );
    assert_eq!(
        failure(&[b'x'; 200]),
        Some(CpioError::BadMagic { entry: 0 })
    );
    let mut wrong = good.clone();
    wrong[6 + 8] = b'+';
    assert_eq!(
        failure(&wrong),
        Some(CpioError::BadNumber { entry: 0, field: 1 })
    );
    let nameless = entry(b"", 0o100_644, b"", 4);
    assert_eq!(failure(&nameless), Some(CpioError::BadName { entry: 0 }));
}

#[test]
fn impossible_entries_are_named() {
    for (name, mode, error) in [
        ("../x", 0o100_644, Some(Errno::EINVAL)),
        ("a/./.", 0o040_755, Some(Errno::EINVAL)),
        ("f/x", 0o100_644, Some(Errno::ENOTDIR)),
        ("b", 0o060_644, None),
    ] {
        let mut bytes = entry(b"f", 0o100_644, b"", 4);
        bytes.extend(entry(name.as_bytes(), mode, b"", 4));
        let expected = match error {
            Some(error) => LoadError::Placement {
                path: name.into(),
                error,
            },
            None => LoadError::UnknownKind {
                path: name.into(),
                mode,
            },
        };
        assert_eq!(tree().load_archive(Vec::leak(bytes)), Err(expected));
    }
}

/// What the fuzzer starts from: of vfs and, as the same format, of the image assembler.
#[test]
fn corpus_is_read_or_refused() {
    let mut read = 0;
    for folder in ["../../fuzz/corpus/vfs_cpio", "../../fuzz/corpus/image_cpio"] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        for file in fs::read_dir(folder).unwrap() {
            let bytes = fs::read(file.unwrap().path()).unwrap();
            let intact = cpio_entries(&bytes).all(|entry| entry.is_ok());
            let loaded = tree().load_archive(Vec::leak(bytes));
            assert!(intact || matches!(loaded, Err(LoadError::Archive(_))));
            read += 1;
        }
    }
    assert!(read > 8, "both corpora are there");
}

proptest! {
    #[test]
    fn damaged_archives_never_panic(
        cut in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
    ) {
        let mut bytes = [
            entry(b"d/e/f", 0o100_644, &[1; 50], 4),
            entry(b"d", 0o040_755, b"", 4),
            entry(b"d/l", 0o120_777, b"e/f", 4),
            entry(b"TRAILER!!!", 0, b"", 4),
        ].concat();
        for (place, value) in changes {
            let place = place.index(bytes.len());
            bytes[place] = value;
        }
        bytes.truncate(cut.index(bytes.len()) + 1);
        prop_assert!(cpio_entries(&bytes).count() <= 5);
        let _ = tree().load_archive(Vec::leak(bytes));
    }
}
