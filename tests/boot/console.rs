//! The console as a terminal: Erlang's shell, typed at.

use crate::talk::Talk;
use tests::{release, scratch, succeed, unibeam};

#[test]
fn erlangs_shell_edits_remembers_breaks_and_switches() {
    let folder = scratch();
    let image = folder.path().join("shell.img");
    let mut make = unibeam();
    make.arg("image")
        .arg(release("hello"))
        .arg("-o")
        .arg(&image);
    succeed(make.arg("--console"));
    let mut run = unibeam();
    run.arg("run").arg(&image).args(["--console", "--quiet"]);
    run.env("UNIBEAM_ACCEL", "tcg");
    let mut shell = Talk::start(&mut run);

    shell.wait("1> ");
    shell.say("40+3\x7f2.\r");
    shell.wait("42\r\n");
    shell.wait("2> ");
    shell.say("\x1b[A");
    shell.wait("40+2.");
    shell.say("\r");
    shell.wait("42\r\n");
    shell.wait("3> ");
    shell.say("\x07");
    shell.wait("User switch command");
    shell.wait(" --> ");
    shell.say("c\r");
    shell.say("\x03");
    shell.wait("BREAK: (a)bort");
    shell.say("a\r");
    assert_eq!(shell.wait_end().code(), Some(0));
}
