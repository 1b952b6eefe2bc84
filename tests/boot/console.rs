//! The console as a terminal: the shells of Erlang and Elixir, typed at.

use crate::talk::Talk;
use tempfile::TempDir;
use tests::{release, scratch, succeed, unibeam};

/// A console image of an example, running with these flags, and where the image is.
fn shell_of(example: &str, flags: &[&str]) -> (Talk, TempDir) {
    let folder = scratch();
    let image = folder.path().join("shell.img");
    let mut make = unibeam();
    make.arg("image")
        .arg(release(example))
        .arg("-o")
        .arg(&image);
    succeed(make.arg("--console"));
    let mut run = unibeam();
    run.arg("run").arg(&image).args(["--console", "--quiet"]);
    run.args(flags).env("UNIBEAM_ACCEL", "tcg");
    (Talk::start(&mut run), folder)
}

#[test]
fn erlangs_shell_edits_remembers_breaks_and_switches() {
    let (mut shell, _folder) = shell_of("hello", &["--kernel-arg", "tty=50x132"]);
    shell.wait("1> ");
    shell.say("{io:rows(), io:columns()}.\r");
    shell.wait("{{ok,50},{ok,132}}");
    shell.wait("2> ");
    shell.say("40+3\x7f2.\r");
    shell.wait("42\r\n");
    shell.wait("3> ");
    shell.say("\x1b[A");
    shell.wait("40+2.");
    shell.say("\r");
    shell.wait("42\r\n");
    shell.wait("4> ");
    shell.say("\x07");
    shell.wait("User switch command");
    shell.wait(" --> ");
    shell.say("c\r");
    shell.say("\x03");
    shell.wait("BREAK: (a)bort");
    shell.say("a\r");
    assert_eq!(shell.wait_end().code(), Some(0));
}

#[test]
fn iex_evaluates_completes_and_breaks() {
    let (mut shell, _folder) = shell_of("hello_elixir", &[]);
    shell.wait("1> ");
    shell.say("Enum.sum 1..4\r");
    shell.wait("10");
    shell.wait("2> ");
    shell.say("String.upc\t");
    shell.wait("String.upcase");
    shell.say("(\"ä\")\r");
    shell.wait("\"Ä\"");
    shell.wait("3> ");
    // One key at a time: OTP 25 drops what comes in one piece with an arrow.
    shell.say("\x1b[A");
    shell.wait("String.upcase");
    shell.say("\x1b[A");
    shell.wait("Enum.sum 1..4");
    shell.say("\r");
    shell.wait("10");
    shell.wait("4> ");
    shell.say("\x03");
    shell.wait("BREAK: (a)bort");
    shell.say("a\r");
    assert_eq!(shell.wait_end().code(), Some(0));
}
