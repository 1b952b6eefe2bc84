//! Same input, same bytes.

use std::fs;
use std::path::Path;
use std::process::Command;
use tests::{release, scratch, succeed, unibeam};

/// Makes an image under another clock zone, umask and folder.
fn build(release: &Path, folder: &Path, zone: &str, umask: &str) -> Vec<u8> {
    let program = unibeam();
    let script = format!("umask {umask} && exec \"$@\"");
    let mut command = Command::new("sh");
    command
        .args(["-c", &script, "sh"])
        .arg(program.get_program());
    command
        .arg("image")
        .arg(release)
        .args(["-q", "-o", "out.img"]);
    command
        .current_dir(folder)
        .env("TZ", zone)
        .env_remove("SOURCE_DATE_EPOCH");
    succeed(&mut command);
    fs::read(folder.join("out.img")).unwrap()
}

#[test]
fn images_are_reproducible_across_folders_clocks_and_umasks() {
    for example in ["hello", "hello_elixir"] {
        let (first, second) = (scratch(), scratch());
        let copy = second.path().join("elsewhere");
        // Without -p the copy's times are now, and its entries come in the order of copying.
        succeed(
            Command::new("cp")
                .arg("-r")
                .arg(release(example))
                .arg(&copy),
        );
        let one = build(&release(example), first.path(), "UTC", "022");
        let other = build(&copy, second.path(), "Asia/Tokyo", "077");
        assert!(one == other, "two images of {example} differ");
    }
}

#[test]
fn another_input_gives_other_identifiers() {
    let folder = scratch();
    let digest = |env: &str| {
        let mut command = unibeam();
        command
            .arg("image")
            .arg(release("hello"))
            .args(["--json", "-o", "a.img", "--env", env]);
        let report = succeed(command.current_dir(&folder));
        let report: serde_json::Value = serde_json::from_str(&report).unwrap();
        report["digest"].as_str().unwrap().to_owned()
    };
    assert_ne!(digest("A=1"), digest("A=2"));
}
