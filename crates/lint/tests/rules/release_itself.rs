//! The release itself, and memory.

use std::fs;
use std::os::unix::fs::symlink;

use lint::Code;
use release::term::{Term, text};

use crate::{Made, check, demand};

#[test]
fn releases_that_lack_something() {
    let made = Made::new(&["sasl", "inets"]);
    fs::remove_dir_all(made.application("sasl")).unwrap();
    fs::remove_file(made.application("inets").join("ebin/inets.app")).unwrap();
    made.write("releases/1.0/sys.config", "[{");
    symlink("/etc/passwd", made.path("lib/hello-1.0/passwd")).unwrap();
    made.boot(|script| {
        let mods = text::parse_one(b"{primLoad,[nowhere]}.").unwrap();
        let path = text::parse_one(b"{path,[\"$ROOT/lib/stdlib-0.1/ebin\"]}.").unwrap();
        script.instructions.extend([mods, path]);
        script.version = "0.9".into();
        let is_hello =
            |term: &Term| text::emit(term).contains("{application,load,[{application,hello");
        script.instructions.retain(|term| !is_hello(term));
    });
    let findings = check(&made.root, &[], &[], 32);
    demand(
        &findings,
        &[
            (Code::Application, "application sasl"),
            (Code::Unreadable, "inets.app"),
            (Code::Malformed, "sys.config:1"),
            (Code::UnfitFile, "passwd is a symbolic link"),
            (
                Code::BootMismatch,
                "lib/stdlib-0.1, which is not in the release; there is lib/stdlib-",
            ),
            (
                Code::BootMismatch,
                "is that of hello 0.9, the release is hello 1.0",
            ),
            (Code::BootMismatch, "does not load hello 1.0"),
            (Code::MissingModule, "the module nowhere"),
            (Code::Memory, "the machine is to have 32"),
        ],
    );

    fs::remove_file(made.path("releases/1.0/start.boot")).unwrap();
    fs::remove_file(made.erts().join("bin/beam.smp")).unwrap();
    // A template makes it a release of relx.
    made.write("releases/1.0/vm.args.src", "-args_file /NOWHERE");
    let boot = made.path("releases/1.0/hello.boot");
    demand(
        &made.check(),
        &[
            (Code::BootScript, "no boot script"),
            (Code::RuntimeSystem, "no run-time system"),
        ],
    );
    fs::write(boot, b"\x83").unwrap();
    demand(
        &made.check(),
        &[
            (Code::BootScript, "cut off"),
            (Code::StartUnknown, "NOWHERE"),
        ],
    );
}
