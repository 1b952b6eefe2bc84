//! Damaged and hostile releases: each failure names the file and what to do, and leaves nothing.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Output};
use tests::{output, release, scratch, succeed, unibeam};

/// Damages a copy of a release and demands that the image is refused in these words.
fn refused(words: &[&str], damage: impl FnOnce(&Path)) {
    let folder = scratch();
    let copy = folder.path().join("copy");
    copy_release(&copy);
    damage(&copy);
    let mut command = unibeam();
    command.args(["image", "copy", "-o", "a.img"]);
    let result = output(command.current_dir(folder.path()));
    expect_refusal(&result, folder.path(), words);
}

fn copy_release(to: &Path) {
    succeed(Command::new("cp").arg("-r").arg(release("hello")).arg(to));
}

fn expect_refusal(result: &Output, folder: &Path, words: &[&str]) {
    let said = String::from_utf8_lossy(&result.stderr);
    assert_eq!(result.status.code(), Some(1), "{said}");
    for word in words {
        assert!(said.contains(word), "no `{word}` in: {said}");
    }
    let left = fs::read_dir(folder).unwrap().count();
    assert_eq!(left, 1, "something besides the release is left");
}

/// Writes `content` over the `.rel` file, in both places where it is.
fn replace_rel(copy: &Path, content: &[u8]) {
    for place in ["releases/1.0.0/hello.rel", "releases/hello.rel"] {
        fs::write(copy.join(place), content).unwrap();
    }
}

fn edit_rel(copy: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(copy.join("releases/hello.rel")).unwrap();
    assert!(text.contains(from), "{text}");
    replace_rel(copy, text.replace(from, to).as_bytes());
}

/// Changes one byte of `beam.smp`.
fn patch_beam(copy: &Path, offset: usize, byte: u8) {
    let path = copy.join("erts-13.1.5/bin/beam.smp");
    let mut bytes = fs::read(&path).unwrap();
    bytes[offset] = byte;
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_rel_file_that_is_cut_off() {
    refused(&["hello.rel:1:11", "build the release again"], |copy| {
        replace_rel(copy, b"{release, ");
    });
}

#[test]
fn a_rel_file_of_bytes() {
    refused(&["hello.rel", "UTF-8"], |copy| {
        replace_rel(copy, &[0xff, 0xfe, 0]);
    });
}

#[test]
fn a_rel_file_that_nests_without_end() {
    let deep = "[".repeat(100_000);
    refused(&["hello.rel", "more than 256 levels"], |copy| {
        replace_rel(copy, deep.as_bytes());
    });
}

#[test]
fn an_application_version_that_leads_out_of_the_release() {
    refused(&["hello.rel", "../../etc", "build the release"], |copy| {
        edit_rel(copy, "\"8.2.2\"", "\"../../etc\"");
    });
}

#[test]
fn an_erts_version_that_leads_out_of_the_release() {
    refused(&["hello.rel", "../13", "build the release"], |copy| {
        edit_rel(copy, "\"13.1.5\"", "\"../13\"");
    });
}

#[test]
fn an_app_file_that_is_cut_off() {
    refused(&["inets.app", "build the release again"], |copy| {
        fs::write(copy.join("lib/inets-8.2.2/ebin/inets.app"), "{application").unwrap();
    });
}

#[test]
fn a_boot_script_that_promises_more_than_it_has() {
    let huge_list = b"\x83h\x03d\x00\x06scriptl\xff\xff\xff\xff";
    refused(&["start.boot", "cut off", "make the boot"], |copy| {
        fs::write(copy.join("releases/1.0.0/start.boot"), huge_list).unwrap();
    });
}

#[test]
fn a_run_time_system_for_another_machine() {
    refused(&["beam.smp", "type 183", "x86-64 Linux"], |copy| {
        patch_beam(copy, 18, 183);
    });
}

#[test]
fn a_run_time_system_that_is_cut_off() {
    refused(&["beam.smp", "build the release again"], |copy| {
        let path = copy.join("erts-13.1.5/bin/beam.smp");
        let bytes = fs::read(&path).unwrap();
        fs::write(path, &bytes[..3000]).unwrap();
    });
}

#[test]
fn a_link_out_of_the_release() {
    for target in ["/etc/passwd", "../../../../etc/passwd"] {
        refused(&["out", target, "copy the file"], |copy| {
            symlink(target, copy.join("lib/hello-1.0.0/out")).unwrap();
        });
    }
}

#[test]
fn links_in_a_circle() {
    refused(&["one", "leads back", "remove or repair"], |copy| {
        symlink("two", copy.join("lib/hello-1.0.0/one")).unwrap();
        symlink("one", copy.join("lib/hello-1.0.0/two")).unwrap();
    });
}

#[test]
fn a_limit_of_file_sizes() {
    let folder = scratch();
    copy_release(&folder.path().join("copy"));
    let program = unibeam().get_program().to_owned();
    let mut shell = Command::new("sh");
    // In blocks of 512 bytes: a MiB, far less than an image has.
    shell.args(["-c", "ulimit -f 2048; exec \"$0\" image copy -o a.img"]);
    let result = output(shell.arg(program).current_dir(folder.path()));
    expect_refusal(&result, folder.path(), &["a.img", "ulimit -f"]);
}
