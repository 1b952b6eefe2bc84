//! Images of releases in archives.

use std::fs;
use std::path::Path;
use std::process::Command;
use tests::{output, release, scratch, succeed, unibeam};

/// Makes an image, with a folder for temporary files that has to be empty afterwards.
fn image(release: &Path, folder: &Path) -> Vec<u8> {
    let temporary = folder.join("tmp");
    fs::create_dir(&temporary).unwrap();
    let mut command = unibeam();
    command
        .arg("image")
        .arg(release)
        .args(["-q", "-o", "out.img"]);
    command
        .current_dir(folder)
        .env("TMPDIR", &temporary)
        .env_remove("SOURCE_DATE_EPOCH");
    succeed(&mut command);
    let left = fs::read_dir(&temporary).unwrap().count();
    assert_eq!(left, 0, "something is left of the archive");
    fs::read(folder.join("out.img")).unwrap()
}

#[test]
fn an_archive_gives_the_same_image_as_its_folder() {
    for (example, flags) in [("hello", "-czf"), ("hello_elixir", "-cf")] {
        let (first, second) = (scratch(), scratch());
        let archive = second.path().join("release.tar.gz");
        let mut tar = Command::new("tar");
        tar.arg("-C").arg(release(example)).arg(flags).arg(&archive);
        succeed(tar.arg("."));
        let one = image(&release(example), first.path());
        let other = image(&archive, second.path());
        assert!(one == other, "two images of {example} differ");
    }
}

#[test]
fn an_archive_that_is_refused_leaves_nothing() {
    let folder = scratch();
    let mut tar = Command::new("tar");
    tar.arg("-C")
        .arg(release("hello"))
        .args(["-czf", "whole.tar.gz", "."]);
    succeed(tar.current_dir(&folder));
    let bytes = fs::read(folder.path().join("whole.tar.gz")).unwrap();
    fs::write(folder.path().join("cut.tar.gz"), &bytes[..bytes.len() / 2]).unwrap();
    let temporary = folder.path().join("tmp");
    fs::create_dir(&temporary).unwrap();
    let mut command = unibeam();
    command.args(["image", "cut.tar.gz", "-o", "a.img"]);
    let result = output(command.current_dir(&folder).env("TMPDIR", &temporary));
    let said = String::from_utf8_lossy(&result.stderr);
    assert_eq!(result.status.code(), Some(1), "{said}");
    assert!(
        said.contains("cut.tar.gz: the archive is cut off behind"),
        "{said}"
    );
    assert_eq!(fs::read_dir(&temporary).unwrap().count(), 0);
    assert!(!folder.path().join("a.img").exists());
}
