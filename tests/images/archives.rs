//! Images of releases in archives, and of a `.rel` file alone.

use std::fs::{self, File};
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};
use tests::{output, release, repository, scratch, succeed, unibeam};

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

/// An archive with one large member, which takes no space on the disk until it is unpacked.
fn large_archive(folder: &Path, size: u64) -> PathBuf {
    let path = folder.join("large.tar");
    let mut header = [0_u8; 512];
    let fields: [(usize, String); 6] = [
        (0, "large".into()),
        (100, "0000644".into()),
        (124, format!("{size:011o}")),
        (136, "00000000000".into()),
        (156, "0".into()),
        (257, "ustar\x0000".into()),
    ];
    for (at, text) in fields {
        header[at..at + text.len()].copy_from_slice(text.as_bytes());
    }
    header[148..156].fill(b' ');
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    let mut file = File::create(&path).unwrap();
    file.write_all(&header).unwrap();
    file.seek(SeekFrom::Start(512 + size + 1024)).unwrap();
    file.set_len(512 + size + 1024).unwrap();
    path
}

/// 600 MiB are unpacked by a program that may have 400 MiB, code and stacks included.
#[test]
fn a_large_member_needs_little_memory() {
    let folder = scratch();
    let archive = large_archive(folder.path(), 600 << 20);
    let program = unibeam();
    let mut shell = Command::new("sh");
    shell
        .args(["-c", "ulimit -v 409600 && exec \"$@\"", "sh"])
        .arg(program.get_program())
        .arg("check")
        .arg(archive);
    let result = output(&mut shell);
    let said = String::from_utf8_lossy(&result.stderr);
    assert!(said.contains("large.tar is not a built release"), "{said}");
}

#[test]
fn a_signal_leaves_nothing_of_an_archive() {
    let folder = scratch();
    let temporary = folder.path().join("tmp");
    fs::create_dir(&temporary).unwrap();
    // It takes seconds, of which the test needs the first moment.
    let archive = large_archive(folder.path(), 4 << 30);
    let mut command = unibeam();
    command.arg("check").arg(archive).env("TMPDIR", &temporary);
    let mut child = command.stderr(Stdio::null()).spawn().unwrap();
    let filled = || {
        let below = |path: &Path| {
            fs::read_dir(path)
                .unwrap()
                .map(|entry| entry.unwrap().path())
        };
        let folders = below(&temporary).flat_map(|outer| below(&outer).collect::<Vec<_>>());
        folders
            .into_iter()
            .any(|inner| inner.join("large").exists())
    };
    let deadline = Instant::now() + Duration::from_secs(60);
    while !filled() {
        assert!(Instant::now() < deadline, "nothing is unpacked");
        thread::sleep(Duration::from_millis(5));
    }
    succeed(Command::new("kill").arg(child.id().to_string()));
    let status = child.wait().unwrap();
    assert_eq!(status.signal(), Some(15), "{status}");
    assert_eq!(fs::read_dir(&temporary).unwrap().count(), 0);
}

/// The example's applications are found in a folder that is named, in a flag or in the environment.
#[test]
fn a_bare_rel_file_and_its_applications() {
    let folder = scratch();
    let build = repository().join("examples/hello/_build");
    let root = succeed(Command::new("erl").args([
        "-noshell",
        "-eval",
        "io:put_chars(code:root_dir()),halt().",
    ]));
    let make = |flags: &[&str], erl_libs: &str| {
        let mut command = unibeam();
        command.arg("image").arg(build.join("hello.rel"));
        command.args(["-q", "-o", "out.img", "--erts", &root]);
        command.args(flags).env("ERL_LIBS", erl_libs);
        output(command.current_dir(&folder))
    };
    let lib = build.to_str().unwrap();
    let read = || fs::read(folder.path().join("out.img")).unwrap();
    assert!(make(&["--lib-dir", lib], "").status.success());
    let first = read();
    assert!(make(&[], &format!("/nowhere:{lib}")).status.success());
    assert!(first == read(), "two images differ");
    let refused = make(&[], "");
    let said = String::from_utf8_lossy(&refused.stderr);
    let words = "names application hello 1.0.0, but no directory in";
    assert!(said.contains(words), "{said}");
}
