//! Archives: what real tools write comes out as it was; hostile ones are refused, and leave nothing.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::{Strategy, any, prop, proptest};
use release::archive::{ArchiveError, Limits, NameProblem, is_archive, unpack, unpack_bytes};
use release::{Error, Places, Release, StartOptions};
use support::{need, run, systools_release};
use tar::{Builder, EntryType, Header};

/// An archive being made, without any of the checks that the library's own interface has.
struct Forge(Vec<u8>);

impl Forge {
    fn new() -> Self {
        Self(Vec::new())
    }

    fn add(mut self, kind: EntryType, name: &str, target: &str, content: &[u8]) -> Self {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        let raw = header.as_mut_bytes();
        raw[..name.len()].copy_from_slice(name.as_bytes());
        raw[157..157 + target.len()].copy_from_slice(target.as_bytes());
        header.set_cksum();
        self.0.extend(header.as_bytes());
        self.0.extend(content);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    fn file(self, name: &str, content: &[u8]) -> Self {
        self.add(EntryType::Regular, name, "", content)
    }

    fn link(self, kind: EntryType, name: &str, target: &str) -> Self {
        self.add(kind, name, target, b"")
    }

    fn end(mut self) -> Vec<u8> {
        self.0.resize(self.0.len() + 1024, 0);
        self.0
    }
}

/// Unpacks bytes, and demands that nothing appears beside the folder.
fn unpacked(bytes: &[u8], limits: Limits) -> (tempfile::TempDir, Result<(), ArchiveError>) {
    let outside = tempfile::tempdir().unwrap();
    let folder = outside.path().join("in");
    fs::create_dir(&folder).unwrap();
    let result = unpack_bytes(bytes, bytes.len() as u64, &folder, limits);
    let beside: Vec<_> = fs::read_dir(&outside).unwrap().collect();
    assert_eq!(beside.len(), 1, "{beside:?}");
    (outside, result)
}

fn refusal(bytes: &[u8]) -> ArchiveError {
    unpacked(bytes, Limits::default()).1.unwrap_err()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Everything below a folder: target, or content with its "executable" bit.
fn content(root: &Path) -> BTreeMap<PathBuf, (u8, Vec<u8>)> {
    let mut found = BTreeMap::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let metadata = fs::symlink_metadata(&path).unwrap();
            let what = if metadata.is_dir() {
                folders.push(path.clone());
                (0, Vec::new())
            } else if metadata.is_symlink() {
                let target = fs::read_link(&path).unwrap();
                (1, target.into_os_string().into_encoded_bytes())
            } else {
                let executable = metadata.permissions().mode() & 0o111 != 0;
                (2 + u8::from(executable), fs::read(&path).unwrap())
            };
            found.insert(path.strip_prefix(root).unwrap().into(), what);
        }
    }
    found
}

#[test]
fn names_that_lead_out_are_refused() {
    let cases = [
        ("/etc/x", NameProblem::Absolute),
        ("../x", NameProblem::Parent),
        ("lib/../../x", NameProblem::Parent),
        ("lib/..", NameProblem::Parent),
        (".", NameProblem::Improper),
    ];
    for (name, expected) in cases {
        let error = refusal(&Forge::new().file(name, b"x").end());
        let found = matches!(&error, ArchiveError::Name { problem, .. } if *problem == expected);
        assert!(found, "{name}: {error}");
        let long = Forge::new().add(EntryType::GNULongName, "l", "", name.as_bytes());
        let error = refusal(&long.file("innocent", b"x").end());
        let found = matches!(&error, ArchiveError::Name { problem, .. } if *problem == expected);
        assert!(found, "{name}, long: {error}");
    }
    let long = "a/".repeat(5000);
    let long = Forge::new().add(EntryType::GNULongName, "l", "", long.as_bytes());
    let error = refusal(&long.file("x", b"").end());
    assert!(error.to_string().contains("too long"), "{error}");
    let pax = Forge::new().add(EntryType::XHeader, "x", "", b"17 path=/etc/pwd\n");
    let error = refusal(&pax.file("innocent", b"x").end());
    assert!(
        error.to_string().contains("`/etc/pwd` has an absolute"),
        "{error}"
    );
}

#[test]
fn links_that_lead_out_are_refused() {
    let symlink = EntryType::Symlink;
    for (name, target) in [
        ("a", "/etc"),
        ("a", ".."),
        ("a/b", "../../x"),
        ("a", "b/../../x"),
        ("a", ""),
    ] {
        let error = refusal(&Forge::new().link(symlink, name, target).end());
        assert!(
            matches!(error, ArchiveError::LinkOut { .. }),
            "{target}: {error}"
        );
        let error = refusal(&Forge::new().link(EntryType::Link, name, target).end());
        let refused = matches!(
            error,
            ArchiveError::LinkOut { .. } | ArchiveError::HardLink { .. }
        );
        assert!(refused, "{target}: {error}");
    }
    // Each stays inside by its letters; together they lead to the folder above.
    let chain = Forge::new()
        .add(EntryType::Directory, "d/e/", "", b"")
        .link(symlink, "x", "d/e")
        .link(symlink, "d/e/up", "../..")
        .link(symlink, "y", "x/up/../../..");
    let lexical = refusal(&chain.end());
    assert!(matches!(lexical, ArchiveError::LinkOut { .. }), "{lexical}");
    let chain = Forge::new()
        .add(EntryType::Directory, "d/e/f/", "", b"")
        .link(symlink, "d/e/f/up", "../../..")
        .link(symlink, "z", "d/e/f/up/../.");
    let error = refusal(&chain.end());
    assert!(matches!(error, ArchiveError::LinkOut { .. }), "{error}");
}

#[test]
fn nothing_is_written_through_a_link() {
    let outside = tempfile::tempdir().unwrap();
    let to = outside.path().to_str().unwrap();
    let absolute = Forge::new()
        .link(EntryType::Symlink, "a", to)
        .file("a/x", b"x");
    assert!(matches!(
        refusal(&absolute.end()),
        ArchiveError::LinkOut { .. }
    ));
    let inside = Forge::new()
        .add(EntryType::Directory, "d", "", b"")
        .link(EntryType::Symlink, "a", "d")
        .file("a/x", b"x");
    assert!(matches!(
        refusal(&inside.end()),
        ArchiveError::NotAFolder { .. }
    ));
    let onto = Forge::new()
        .link(EntryType::Symlink, "a", "b")
        .file("a", b"x");
    assert!(matches!(
        refusal(&onto.end()),
        ArchiveError::Duplicate { .. }
    ));
    let hard = Forge::new()
        .link(EntryType::Symlink, "a", "b")
        .link(EntryType::Link, "c", "a");
    assert!(matches!(
        refusal(&hard.end()),
        ArchiveError::HardLink { .. }
    ));
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
}

#[test]
fn what_no_release_has_is_refused() {
    let kinds = [
        (EntryType::Char, "a device"),
        (EntryType::Block, "a device"),
        (EntryType::Fifo, "a FIFO"),
        (EntryType::GNUSparse, "a sparse file"),
        (EntryType::new(b'M'), "of an unknown kind"),
    ];
    for (kind, words) in kinds {
        let error = refusal(&Forge::new().link(kind, "dev/x", "").end());
        assert!(error.to_string().contains(words), "{error}");
    }
    for record in ["11 size=99\n", "23 GNU.sparse.size=100\n"] {
        let pax = Forge::new().add(EntryType::XHeader, "x", "", record.as_bytes());
        let error = refusal(&pax.file("a", b"x").end());
        assert!(
            matches!(error, ArchiveError::Kind { .. }),
            "{record}: {error}"
        );
    }
    let error = refusal(
        &Forge::new()
            .file("a\x1b[31m", b"")
            .file("a\x1b[31m", b"")
            .end(),
    );
    assert!(!error.to_string().contains('\x1b'), "{error}");
}

#[test]
fn members_of_one_name_are_refused_but_for_folders() {
    let twice = Forge::new().file("a", b"1").file("./a", b"2");
    assert!(matches!(
        refusal(&twice.end()),
        ArchiveError::Duplicate { .. }
    ));
    let below = Forge::new().file("a", b"1").file("a/b", b"2");
    assert!(matches!(
        refusal(&below.end()),
        ArchiveError::NotAFolder { .. }
    ));
    let folders = Forge::new()
        .file("a/b", b"1")
        .add(EntryType::Directory, "a/", "", b"")
        .add(EntryType::Directory, "./", "", b"");
    let (folder, result) = unpacked(&folders.end(), Limits::default());
    result.unwrap();
    assert_eq!(fs::read(folder.path().join("in/a/b")).unwrap(), b"1");
    let other = Forge::new()
        .file("a", b"1")
        .add(EntryType::Directory, "a", "", b"");
    assert!(matches!(
        refusal(&other.end()),
        ArchiveError::Duplicate { .. }
    ));
}

/// Limits that a test can reach.
const SMALL: Limits = Limits {
    members: 5,
    ratio: 10,
    floor: 8192,
};

#[test]
fn bombs_are_refused() {
    let bomb = gzip(&Forge::new().file("zeros", &vec![0; 1 << 20]).end());
    let (_, result) = unpacked(&bomb, SMALL);
    let error = result.unwrap_err();
    let limit = (bomb.len() as u64 * SMALL.ratio).max(SMALL.floor);
    assert!(
        matches!(error, ArchiveError::TooLarge { limit: found, .. } if found == limit),
        "{error}"
    );
    // A name without end, the size of which is said to be small enough for nobody.
    let name = gzip(
        &Forge::new()
            .add(EntryType::GNULongName, "l", "", &vec![b'a'; 3 << 20])
            .end(),
    );
    let (_, result) = unpacked(&name, Limits::default());
    assert!(matches!(result.unwrap_err(), ArchiveError::Damaged(_)));
    // One file under many names.
    let links = (0..4).fold(Forge::new().file("a", &[1; 4000]), |forge, i| {
        forge.link(EntryType::Link, &format!("l{i}"), "a")
    });
    let (_, result) = unpacked(&gzip(&links.end()), SMALL);
    assert!(matches!(result.unwrap_err(), ArchiveError::TooLarge { .. }));
    // Zeros behind the end.
    let mut padded = Forge::new().file("a", b"x").end();
    padded.resize(1 << 20, 0);
    let (_, result) = unpacked(&gzip(&padded), SMALL);
    assert!(matches!(result.unwrap_err(), ArchiveError::TooLarge { .. }));
    let many = (0..6).fold(Forge::new(), |forge, i| forge.file(&i.to_string(), b""));
    let (_, result) = unpacked(&many.end(), SMALL);
    assert!(matches!(
        result.unwrap_err(),
        ArchiveError::Members { limit: 5 }
    ));
}

#[test]
fn a_size_that_is_not_there_is_refused() {
    let mut huge = Forge::new().file("a", b"").end();
    let mut header = Header::from_byte_slice(&huge[..512]).clone();
    header.set_size(u64::MAX / 2);
    header.set_cksum();
    huge[..512].copy_from_slice(header.as_bytes());
    assert!(matches!(refusal(&huge), ArchiveError::Truncated { .. }));
}

#[test]
fn the_beginning_of_an_archive_is_refused() {
    let whole = Forge::new()
        .file("a", &[7; 700])
        .add(EntryType::GNULongName, "l", "", b"some/long/name\0")
        .file("b", b"x")
        .end();
    for packed in [whole.clone(), gzip(&whole)] {
        // The second block of zeros at the end may be missing.
        let enough = if packed.len() == whole.len() { 512 } else { 0 };
        for size in (0..packed.len() - enough).step_by(11) {
            let error = refusal(&packed[..size]);
            let expected = matches!(error, ArchiveError::Truncated { .. } | ArchiveError::NotTar);
            assert!(expected, "{size}: {error}");
        }
        unpacked(&packed, Limits::default()).1.unwrap();
    }
}

#[test]
fn other_files_are_refused() {
    for bytes in [
        b"PK\x03\x04".repeat(300),
        b"text\n".repeat(300),
        gzip(&b"text\n".repeat(300)),
    ] {
        assert!(matches!(refusal(&bytes), ArchiveError::NotTar));
    }
    let mut flipped = gzip(&Forge::new().file("a", b"some content").end());
    let at = flipped.len() - 6;
    flipped[at] ^= 1;
    assert!(matches!(refusal(&flipped), ArchiveError::Damaged(_)));
    let mut second = Forge::new().file("a", b"x").file("b", b"y").end();
    second[1024] ^= 1;
    assert!(matches!(refusal(&second), ArchiveError::Damaged(_)));
}

/// A name for a path, of letters that need no thought.
fn names() -> impl Strategy<Value = String> {
    "[a-zA-Z0-9_. é-]{1,120}".prop_filter("a proper name", |name| name != "." && name != "..")
}

type Leaf = (String, Vec<String>, bool, Vec<u8>);

fn leaves() -> impl Strategy<Value = Vec<Leaf>> {
    let leaf = (
        names(),
        prop::collection::vec(names(), 0..4),
        any::<bool>(),
        prop::collection::vec(any::<u8>(), 0..2000),
    );
    prop::collection::vec(leaf, 0..12)
}

/// Makes these files; those whose place is taken are left out.
fn plant(root: &Path, leaves: &[Leaf]) {
    for (name, folders, special, bytes) in leaves {
        let folder = folders
            .iter()
            .fold(root.to_path_buf(), |path, part| path.join(part));
        let path = folder.join(name);
        if fs::create_dir_all(&folder).is_err() || path.exists() {
            continue;
        }
        if *special && bytes.is_empty() {
            symlink("anything", &path).unwrap();
            continue;
        }
        fs::write(&path, bytes).unwrap();
        let mode = if *special { 0o755 } else { 0o644 };
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    }
}

proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]
    #[test]
    fn what_is_packed_comes_out_again(leaves in leaves(), compress: bool) {
        let root = tempfile::tempdir().unwrap();
        plant(root.path(), &leaves);
        let mut builder = Builder::new(Vec::new());
        builder.follow_symlinks(false);
        builder.append_dir_all("", root.path()).unwrap();
        let plain = builder.into_inner().unwrap();
        let bytes = if compress { gzip(&plain) } else { plain };
        let (folder, result) = unpacked(&bytes, Limits::default());
        result.unwrap();
        assert_eq!(content(&folder.path().join("in")), content(root.path()));
    }

    #[test]
    fn any_change_is_survived(position: prop::sample::Index, value: u8) {
        let mut bytes = Forge::new()
            .file("a/b", &[7; 700])
            .add(EntryType::XHeader, "x", "", b"14 path=other\n")
            .link(EntryType::Symlink, "c", "a/b")
            .end();
        let at = position.index(bytes.len());
        bytes[at] = value;
        drop(unpacked(&bytes, SMALL));
        let mut packed = gzip(&bytes);
        let at = position.index(packed.len());
        packed[at] = value;
        drop(unpacked(&packed, SMALL));
    }
}

#[test]
fn what_tar_writes_comes_out_again() {
    need("tar");
    let root = tempfile::tempdir().unwrap();
    let deep = "deep/".repeat(30);
    fs::create_dir_all(root.path().join(&deep)).unwrap();
    fs::write(root.path().join(&deep).join("file"), "x").unwrap();
    fs::write(root.path().join("plain"), "y").unwrap();
    fs::hard_link(root.path().join("plain"), root.path().join("same")).unwrap();
    symlink("plain", root.path().join("link")).unwrap();
    for format in ["gnu", "pax", "v7", "ustar"] {
        // Neither of the old kinds has room for such a name.
        if matches!(format, "v7") {
            fs::remove_dir_all(root.path().join("deep")).unwrap();
        }
        let scratch = tempfile::tempdir().unwrap();
        let archive = scratch.path().join("a.tar.gz");
        let format = format!("--format={format}");
        run(Command::new("tar")
            .args([&format, "-C"])
            .arg(root.path())
            .arg("-czf")
            .arg(&archive)
            .arg("."));
        let folder = scratch.path().join("in");
        fs::create_dir(&folder).unwrap();
        unpack(&archive, &folder, Limits::default()).unwrap();
        assert_eq!(content(&folder), content(root.path()), "{format}");
    }
}

#[test]
fn an_archive_is_told_by_its_content_or_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    };
    let tar = Forge::new().file("a", b"").end();
    assert!(is_archive(&file("no-extension", &tar)));
    assert!(is_archive(&file("packed", &gzip(&tar))));
    for name in ["a.tar", "a.tar.gz", "a.tgz"] {
        assert!(is_archive(&file(name, b"")), "{name}");
    }
    assert!(!is_archive(&file("hello.rel", b"{release, ...}")));
    assert!(!is_archive(folder.path()));
}

/// The files of a release for a guest, with their content.
fn tree(release: &Release) -> Vec<(String, u32, Option<Vec<u8>>)> {
    let tree = release.tree(&StartOptions::default()).unwrap();
    let entry =
        |entry: &release::TreeEntry| (entry.path.to_string(), entry.mode, entry.content().unwrap());
    tree.iter().map(entry).collect()
}

#[test]
fn an_archive_of_systools_is_the_release_that_it_holds() {
    need("erl");
    let dir = tempfile::tempdir().unwrap();
    let root = systools_release(dir.path(), &["crypto"]);
    let scratch = tempfile::tempdir().unwrap();
    let places = Places {
        scratch: Some(scratch.path().into()),
        ..Places::default()
    };
    let (packed, problems) = Release::survey(&dir.path().join("hello.tar.gz"), &places).unwrap();
    assert!(problems.is_empty(), "{problems:?}");
    let folder = Release::open(&root).unwrap();
    assert_eq!(tree(&packed), tree(&folder));
    let options = StartOptions::default();
    assert_eq!(
        packed.start(&options).unwrap(),
        folder.start(&options).unwrap()
    );
    assert_eq!(fs::read_dir(&scratch).unwrap().count(), 1);
    drop(packed);
    assert_eq!(fs::read_dir(&scratch).unwrap().count(), 0);
}

#[test]
fn a_folder_in_an_archive_may_have_the_release() {
    need("erl");
    let dir = tempfile::tempdir().unwrap();
    let root = systools_release(dir.path(), &[]);
    let archive = dir.path().join("whole.tar");
    run(Command::new("tar")
        .current_dir(&dir)
        .args(["-cf", "whole.tar", "hello"]));
    let packed = Release::open(&archive).unwrap();
    assert_eq!(tree(&packed), tree(&Release::open(&root).unwrap()));
}

#[test]
fn what_is_wrong_in_an_archive_is_named_as_it_is_there() {
    let dir = tempfile::tempdir().unwrap();
    let archive = dir.path().join("broken.tar");
    let rel = b"{release,{\"a\",\"1\"},{erts,\"1\"},[{kernel,\"8\"}]}.";
    let broken = Forge::new()
        .add(EntryType::Directory, "lib/", "", b"")
        .file("releases/1/a.rel", rel);
    fs::write(&archive, broken.end()).unwrap();
    let (_, problems) = Release::survey(&archive, &Places::default()).unwrap();
    let missing = format!("{}/lib/kernel-8 does not exist", archive.display());
    let named = |error: &Error| error.to_string().contains(&missing);
    assert!(problems.iter().any(named), "{problems:?}");
    fs::write(&archive, Forge::new().file("a", b"").end()).unwrap();
    let error = Release::open(&archive).unwrap_err();
    assert!(
        matches!(&error, Error::Packed { error, .. } if matches!(**error, Error::NotARelease { .. }))
    );
    let said = format!("{} is not a built release", archive.display());
    assert!(error.to_string().starts_with(&said), "{error}");
}
