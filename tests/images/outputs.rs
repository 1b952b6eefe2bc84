//! What `unibeam image` writes never takes the place of something else that is named.

use std::fs;
use std::path::Path;
use std::process::Command;
use tests::{output, release, scratch, succeed, unibeam};

/// Runs `unibeam image` on a copy of `hello` in the folder; status and what was said.
fn run(folder: &Path, flags: &[&str]) -> (Option<i32>, String) {
    let mut command = unibeam();
    command.current_dir(folder).args(["image", "hello"]);
    let result = output(command.args(flags));
    let said = String::from_utf8_lossy(&result.stderr).into_owned();
    (result.status.code(), said)
}

/// A folder with a copy of `hello` and a file `key`.
fn folder() -> tempfile::TempDir {
    let folder = scratch();
    let copy = folder.path().join("hello");
    succeed(
        Command::new("cp")
            .arg("-r")
            .arg(release("hello"))
            .arg(&copy),
    );
    fs::write(folder.path().join("key"), "a key").unwrap();
    folder
}

#[test]
fn no_output_is_written_over_another_or_over_an_input() {
    let folder = folder();
    let cases: [&[&str]; 6] = [
        &["-o", "a.img", "--sbom", "a.img"],
        &["-o", "a.img", "--sbom", "./a.img"],
        &["-o", "a.img", "--sbom", "a.img.minisig", "--sign", "key"],
        &["-o", "a.img", "--sbom", "key", "--sign", "key"],
        &["-o", "key", "--sign", "key"],
        &["-o", "key", "--add", "key:/etc/key"],
    ];
    for flags in cases {
        let (status, said) = run(folder.path(), flags);
        assert_eq!(status, Some(2), "{flags:?}: {said}");
        assert!(said.contains("would be written over"), "{flags:?}: {said}");
        let left = fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(left, 2, "{flags:?}");
        let key = fs::read(folder.path().join("key")).unwrap();
        assert_eq!(key, b"a key", "{flags:?}");
    }
}

#[test]
fn no_image_becomes_part_of_the_next() {
    let folder = folder();
    let (status, said) = run(folder.path(), &["-o", "hello/a.img"]);
    assert_eq!(status, Some(2), "{said}");
    assert!(said.contains("hello/a.img is in the release"), "{said}");
    assert!(!folder.path().join("hello/a.img").exists());
}

#[test]
fn a_bill_of_materials_replaces_regular_files_only() {
    let folder = folder();
    succeed(Command::new("mkfifo").arg(folder.path().join("pipe")));
    for name in ["pipe", "hello/lib"] {
        let (status, said) = run(folder.path(), &["-o", "a.img", "--sbom", name]);
        assert_ne!(status, Some(0), "{name}: {said}");
        assert!(!folder.path().join("a.img").exists(), "{name}");
    }
    let (status, said) = run(
        folder.path(),
        &["--dry-run", "-o", "a.img", "--sbom", "no/s"],
    );
    assert_eq!(status, Some(1), "{said}");
    assert!(said.contains("no/s"), "{said}");
}

#[test]
fn a_signature_of_an_earlier_image_is_spoken_of() {
    let folder = folder();
    fs::write(folder.path().join("a.img.minisig"), "old").unwrap();
    let (status, said) = run(folder.path(), &["-o", "a.img"]);
    assert_eq!(status, Some(0), "{said}");
    assert!(said.contains("of an earlier image"), "{said}");
}
