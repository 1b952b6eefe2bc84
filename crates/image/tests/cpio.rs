//! The root archive: writer and reader are twins, GNU cpio agrees, hostile bytes are refused.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::io::Cursor;
use std::process::Command;

use common::{example_root, oracle};
use image::cpio::{Archive, CpioError, Entry, Reader, S_IFDIR, S_IFLNK, S_IFMT, S_IFREG};
use image::{Content, EntryKind, ImageError, RootEntry};
use proptest::prelude::{Just, Strategy, any, prop};
use proptest::{prop_assert_eq, proptest};

fn emit(root: &[RootEntry]) -> Result<Vec<u8>, ImageError> {
    let archive = Archive::plan(root, 7)?;
    let mut bytes = Vec::new();
    archive.write(&mut |part| {
        bytes.extend(part);
        Ok(())
    })?;
    assert_eq!(bytes.len() as u64, archive.size());
    Ok(bytes)
}

fn entries(bytes: &[u8]) -> Result<Vec<(Entry, Vec<u8>)>, CpioError> {
    let mut reader = Reader::new(Cursor::new(bytes))?;
    let mut entries = Vec::new();
    while let Some(entry) = reader.next_entry()? {
        let data = reader.data(&entry)?;
        entries.push((entry, data));
    }
    Ok(entries)
}

fn parse(bytes: &[u8]) -> Result<Vec<RootEntry>, CpioError> {
    let entry = |(entry, data): (Entry, Vec<u8>)| RootEntry {
        path: entry.path,
        kind: match entry.mode & S_IFMT {
            S_IFDIR => EntryKind::Dir,
            S_IFLNK => EntryKind::Symlink(data),
            S_IFREG => EntryKind::File(Content::Bytes(data)),
            other => panic!("mode {other:o}"),
        },
        mode: entry.mode & !S_IFMT,
    };
    Ok(entries(bytes)?.into_iter().map(entry).collect())
}

fn arb_kind() -> impl Strategy<Value = EntryKind> {
    let data = prop::collection::vec(any::<u8>(), 0..9000);
    proptest::prop_oneof![
        Just(EntryKind::Dir),
        data.prop_map(|data| EntryKind::File(Content::Bytes(data))),
        prop::collection::vec(1u8..255, 1..50).prop_map(EntryKind::Symlink),
    ]
}

/// Roots in normal form: sorted, unique, flat names that are no one's parent.
fn arb_root() -> impl Strategy<Value = Vec<RootEntry>> {
    let entry = (arb_kind(), 0u32..0o10000);
    let tree = prop::collection::btree_map("[a-z .\u{e9}]{1,9}x", entry, 0..12);
    tree.prop_map(|tree| {
        let entry = |(path, (kind, mode)): (String, _)| RootEntry {
            path: path.into_bytes(),
            kind,
            mode,
        };
        tree.into_iter().map(entry).collect()
    })
}

proptest! {
    #[test]
    fn emit_and_parse_are_twins(root in arb_root()) {
        prop_assert_eq!(parse(&emit(&root).unwrap()).unwrap(), root);
    }

    #[test]
    fn damaged_archives_do_no_harm(root in arb_root(), at in any::<prop::sample::Index>(), byte: u8, cut: bool) {
        let mut bytes = emit(&root).unwrap();
        let at = at.index(bytes.len());
        if cut {
            // The padding after the trailer is not missed.
            bytes.truncate(at.min(bytes.len() - 4));
            assert!(parse_any(&bytes).is_err());
        } else {
            bytes[at] = byte;
            let _ = parse_any(&bytes);
        }
    }

    #[test]
    fn random_bytes_do_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..500)) {
        assert!(parse_any(&bytes).is_err());
    }
}

fn parse_any(bytes: &[u8]) -> Result<usize, CpioError> {
    Ok(entries(bytes)?.len())
}

#[test]
fn the_fuzz_corpus_does_no_harm() {
    let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/corpus/image_cpio");
    let mut results = Vec::new();
    for file in std::fs::read_dir(corpus).unwrap() {
        let path = file.unwrap().path();
        results.push((
            path.file_name().unwrap().to_owned(),
            parse_any(&std::fs::read(&path).unwrap()),
        ));
    }
    let good = results.iter().filter(|(_, result)| result.is_ok());
    assert_eq!(good.count(), 2, "{results:?}");
    assert!(results.len() >= 6);
}

#[test]
fn pages_are_aligned_and_parents_come_first() {
    let bytes = emit(&example_root()).unwrap();
    let entries = entries(&bytes).unwrap();
    let paths: Vec<_> = entries
        .iter()
        .map(|(e, _)| String::from_utf8_lossy(&e.path))
        .collect();
    let expected = [
        "bin",
        "bin/beam",
        "bin/sh",
        "empty",
        "etc",
        "etc/hosts",
        "page",
        "page-less",
        "tmp",
    ];
    assert_eq!(paths, expected);
    for (entry, data) in &entries {
        assert_eq!(data[..], bytes[entry.data_offset as usize..][..data.len()]);
        assert_eq!(entry.mtime, 7);
        if data.len() >= 4096 {
            assert_eq!(entry.data_offset % 4096, 0, "{entry:?}");
        }
    }
    let numbers: Vec<_> = entries.iter().map(|(e, _)| e.ino).collect();
    assert_eq!(numbers, [1, 2, 3, 4, 5, 6, 7, 8, 9]);
}

#[test]
fn order_and_form_of_paths_do_not_matter() {
    let mut root = example_root();
    let expected = emit(&root).unwrap();
    root.reverse();
    for entry in &mut root {
        entry.path.insert(0, b'/');
        entry.path.push(b'/');
    }
    assert_eq!(emit(&root).unwrap(), expected);
}

#[test]
fn gnu_cpio_lists_and_extracts_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let archive = folder.path().join("root.cpio");
    std::fs::write(&archive, emit(&example_root()).unwrap()).unwrap();
    let cpio = |flags: &str| {
        oracle(
            Command::new("cpio")
                .arg(flags)
                .arg("--quiet")
                .arg("-F")
                .arg(&archive)
                .current_dir(&folder),
        )
    };
    let Some(list) = cpio("-tv") else { return };
    assert_eq!(list.lines().count(), 9, "{list}");
    assert!(list.contains(" bin/sh -> beam\n"), "{list}");
    cpio("-idm");
    let read = |name: &str| std::fs::read(folder.path().join(name)).unwrap();
    assert_eq!(read("bin/beam"), vec![7; 10_000]);
    assert_eq!(read("bin/sh"), vec![7; 10_000]);
    assert_eq!(read("page"), vec![1; 4096]);
    assert_eq!(read("page-less"), vec![2; 4095]);
    assert_eq!(read("etc/hosts"), b"127.0.0.1 localhost\n");
    assert_eq!(read("empty"), b"");
}

#[test]
fn the_reader_reads_what_gnu_cpio_writes() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("d")).unwrap();
    std::fs::write(folder.path().join("d/f"), "hello").unwrap();
    let mut command = Command::new("sh");
    command.args([
        "-c",
        "printf 'd\\nd/f\\n' | cpio -o -H newc --quiet -F out.cpio",
    ]);
    if oracle(Command::new("cpio").arg("--version")).is_none() {
        return;
    }
    oracle(command.current_dir(&folder)).unwrap();
    let entries = entries(&std::fs::read(folder.path().join("out.cpio")).unwrap()).unwrap();
    assert_eq!(entries[0].0.path, b"d");
    assert_eq!(
        (entries[1].0.path.as_slice(), entries[1].1.as_slice()),
        (&b"d/f"[..], &b"hello"[..])
    );
    assert_eq!(entries.len(), 2);
}

#[test]
fn unusable_entries_are_refused() {
    let refused = |root: &[RootEntry]| match emit(root) {
        Err(ImageError::Archive(error)) => error.to_string(),
        other => panic!("{other:?}"),
    };
    let file = |path: &str| RootEntry::bytes(path, "x", 0o644);
    assert!(refused(&[file("TRAILER!!!")]).contains("how an archive ends"));
    for path in ["a/../b", "", "a\0b", "/"] {
        assert!(
            refused(&[file(path)]).contains("not usable in the guest"),
            "{path:?}"
        );
    }
    assert_eq!(
        refused(&[file("a"), file("/a")]),
        "the path `a` comes twice"
    );
    assert_eq!(
        refused(&[file("a"), file("a/b")]),
        "`a/b` lies below `a`, which is not a directory"
    );
    let mut setuid = file("a");
    setuid.mode = 0o104_755;
    assert!(refused(&[setuid]).contains("mode 104755"));
}
