//! A failure says what to do and leaves nothing behind.

use std::fs;
use std::path::Path;
use std::process::Command;
use tests::{output, release, scratch, succeed, unibeam};

/// Runs `unibeam image`, which must fail and leave the folder as it was.
fn refused(release: &Path, folder: &Path, target: &str) -> String {
    let list = || {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    let before = list();
    let mut command = unibeam();
    command
        .current_dir(folder)
        .arg("image")
        .arg(release)
        .args(["-o", target]);
    let result = output(&mut command);
    assert_eq!(result.status.code(), Some(1));
    assert!(result.stdout.is_empty());
    assert_eq!(list(), before, "a file was left behind");
    String::from_utf8(result.stderr).unwrap()
}

#[test]
fn an_output_folder_that_does_not_exist() {
    let folder = scratch();
    let said = refused(&release("hello"), folder.path(), "missing/a.img");
    assert!(said.contains("missing/a.img"), "{said}");
}

#[test]
fn an_output_that_is_a_folder() {
    let folder = scratch();
    fs::create_dir(folder.path().join("a.img")).unwrap();
    let said = refused(&release("hello"), folder.path(), "a.img");
    assert!(said.contains("it is a directory"), "{said}");
}

#[test]
fn an_output_that_is_a_device() {
    let folder = scratch();
    let said = refused(&release("hello"), folder.path(), "/dev/null");
    assert!(said.contains("not a regular file"), "{said}");
}

/// A copy of a release, to be damaged.
fn damaged(damage: impl FnOnce(&Path)) -> String {
    let folder = scratch();
    let copy = folder.path().join("copy");
    succeed(
        Command::new("cp")
            .arg("-r")
            .arg(release("hello"))
            .arg(&copy),
    );
    damage(&copy);
    refused(&copy, folder.path(), "a.img")
}

#[test]
fn a_release_without_run_time_system() {
    let said = damaged(|copy| fs::remove_dir_all(copy.join("erts-13.1.5")).unwrap());
    assert!(said.contains("include_erts"), "{said}");
}

#[test]
fn a_release_that_lost_an_application() {
    let said = damaged(|copy| fs::remove_dir_all(copy.join("lib/hello-1.0.0")).unwrap());
    assert!(said.contains("hello-1.0.0"), "{said}");
}

#[test]
fn a_release_with_a_broken_boot_script() {
    let said =
        damaged(|copy| fs::write(copy.join("releases/1.0.0/start.boot"), "\x13rubbish").unwrap());
    assert!(said.contains("start.boot"), "{said}");
}

#[test]
fn a_release_with_a_file_that_is_none() {
    let said = damaged(|copy| {
        succeed(Command::new("mkfifo").arg(copy.join("lib/hello-1.0.0/ebin/pipe")));
    });
    assert!(said.contains("FIFO"), "{said}");
}

#[test]
fn an_old_image_survives_a_failure() {
    let folder = scratch();
    fs::write(folder.path().join("a.img"), "precious").unwrap();
    let copy = folder.path().join("copy");
    succeed(
        Command::new("cp")
            .arg("-r")
            .arg(release("hello"))
            .arg(&copy),
    );
    fs::remove_file(copy.join("erts-13.1.5/bin/beam.smp")).unwrap();
    refused(&copy, folder.path(), "a.img");
    assert_eq!(
        fs::read_to_string(folder.path().join("a.img")).unwrap(),
        "precious"
    );
}
