//! The table of rules: what is left out of an image, and why. docs/trim.md is made from it.

use super::place::Place;
use super::rewrite::{Rewrite, STRIP, SYMBOLS, UNCOMPRESS};

/// One reason to leave something out.
#[derive(Debug)]
pub struct Rule {
    /// Short name, for flags and messages.
    pub name: &'static str,
    /// What is left out.
    pub what: &'static str,
    /// Why a guest does not need it, and who might.
    pub why: &'static str,
    /// Whether it applies unless the user says otherwise.
    pub default: bool,
    pub(super) action: Action,
}

/// What a rule does.
#[derive(Debug)]
pub(super) enum Action {
    /// Leaves out the files that match.
    LeaveOut(fn(&Place<'_>) -> bool),
    /// Changes what is in files.
    Rewrite(Rewrite),
}

impl Rule {
    /// The rule of this name.
    pub fn named(name: &str) -> Option<&'static Self> {
        RULES.iter().find(|rule| rule.name == name)
    }
}

impl PartialEq for Rule {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Rule {}

const fn leaves_out(
    name: &'static str,
    what: &'static str,
    why: &'static str,
    matches: fn(&Place<'_>) -> bool,
) -> Rule {
    Rule {
        name,
        what,
        why,
        default: true,
        action: Action::LeaveOut(matches),
    }
}

/// Extensions of separate debug symbols.
const DEBUG_FILES: [&str; 3] = ["debug", "dwo", "dwp"];

/// All rules. The first that matches a file leaves it out; those that rewrite files do so in this
/// order.
pub static RULES: [Rule; 17] = [
    leaves_out(
        "build-tools",
        "`erlc`, `escript`, `dialyzer`, `typer`, `ct_run` and the like in the run-time system's `bin`",
        "Compilers and analysers run where a release is built. They are starters of an emulator of their own, which an image does not have.",
        |place| {
            place.in_erts_bin(&[
                "erlc",
                "escript",
                "dialyzer",
                "typer",
                "ct_run",
                "yielding_c_fun",
            ])
        },
    ),
    leaves_out(
        "launchers",
        "`erl`, `erlexec`, `run_erl`, `to_erl`, `start` and the like, and boot scripts in the run-time system's `bin`",
        "The kernel starts the emulator itself, and the console takes the place of pipes. A release that starts `erl` as a port needs them.",
        |place| {
            place.in_erts_bin(&[
                "erl",
                "erlexec",
                "dyn_erl",
                "start",
                "start_erl",
                "run_erl",
                "to_erl",
            ]) || place.is_in_erts_bin() && place.has_extension(&["src", "boot"])
        },
    ),
    leaves_out(
        "remote-control",
        "`epmd` and `erl_call`",
        "A guest has one node, whose port is fixed. A release that asks for `epmd` (`-start_epmd true`) gets it all the same.",
        |place| place.in_erts_bin(&["epmd", "erl_call"]),
    ),
    leaves_out(
        "other-emulators",
        "emulators other than `beam.smp` (`beam.debug.smp`, `beam.emu.smp` …)",
        "Only `beam.smp` is started.",
        |place| {
            place.is_in_erts_bin()
                && place.name.starts_with("beam.")
                && place.name != "beam.smp"
                && !place.has_extension(&DEBUG_FILES)
        },
    ),
    leaves_out(
        "sources",
        "`src` and `c_src` of applications, and source files (`.erl`, `.ex`, `.xrl`, `.yrl`) elsewhere in them but in `priv`",
        "Compiled modules are what runs. Some tools show source lines of crashes or compile at run time.",
        |place| {
            place.in_application(&["src", "c_src"])
                || place.in_lib_but_priv() && place.has_extension(&["erl", "ex", "xrl", "yrl"])
        },
    ),
    leaves_out(
        "include-files",
        "`include` of applications, and header files (`.hrl`, `.h`) elsewhere in them but in `priv`",
        "Headers serve compilers. A release that compiles Erlang code at run time may include some.",
        |place| {
            place.in_application(&["include"])
                || place.in_lib_but_priv() && place.has_extension(&["hrl", "h"])
        },
    ),
    leaves_out(
        "native-build",
        "static libraries and objects (`.a`, `.la`, `.o`) of applications",
        "They serve linkers; what is loaded at run time is a shared library.",
        |place| place.in_lib() && place.has_extension(&["a", "la", "o"]),
    ),
    leaves_out(
        "documentation",
        "`doc`, `docs`, `man` and `html` of applications, with the documentation of OTP's modules in `doc/chunks`",
        "People read it elsewhere; on a guest's console, the shell's `h/1` does.",
        |place| place.in_application(&["doc", "docs", "man", "html"]),
    ),
    leaves_out(
        "examples",
        "`examples` of applications",
        "They are for readers.",
        |place| place.in_application(&["examples"]),
    ),
    leaves_out(
        "tests",
        "`test` of applications",
        "Tests run where a release is built.",
        |place| place.in_application(&["test"]),
    ),
    leaves_out(
        "editor-modes",
        "`emacs` of applications",
        "An image has no editor.",
        |place| place.in_application(&["emacs"]),
    ),
    leaves_out(
        "debug-files",
        "separate debug symbols (`.debug`, `.dwo`, `.dwp`) beside programs and libraries, and crash dumps (`erl_crash.dump`)",
        "They serve debuggers on the machine where the release was built.",
        |place| {
            (place.in_lib() || place.is_in_erts_bin()) && place.has_extension(&DEBUG_FILES)
                || !place.is_directory && place.name == "erl_crash.dump"
        },
    ),
    leaves_out(
        "other-systems",
        "programs and scripts for Windows (`.bat`, `.cmd`, `.ps1`; `.exe` and `.dll` of applications)",
        "They cannot run in the guest.",
        |place| {
            place.has_extension(&["bat", "cmd", "ps1"])
                || place.in_lib() && place.has_extension(&["dll", "exe"])
        },
    ),
    leaves_out(
        "start-scripts",
        "`elixir`, `iex`, `remote.vm.args` and the `.script` files of boot scripts in `releases/VERSION`",
        "Their work is done when the image is made; the emulator reads the `.boot` files.",
        |place| {
            place.in_version()
                && (matches!(place.name, "elixir" | "iex" | "remote.vm.args")
                    || place.has_extension(&["script"]))
        },
    ),
    Rule {
        name: "compression",
        what: "the compression of compressed modules (`.beam`)",
        why: "Inflating a module while the release boots costs ten to thirty times what loading it costs (88 to 245 million instructions more in the examples). An image that is compressed as a whole is smaller than one with compressed modules.",
        default: true,
        action: Action::Rewrite(UNCOMPRESS),
    },
    Rule {
        name: "debug-info",
        what: "debug information, documentation, attributes and compile information in modules (`.beam`), as `beam_lib:strip/1` leaves them out",
        why: "More than half of a module with debug information is nothing that the emulator loads. Stack traces keep their lines. Lost are the debugger, `cover`, decompilation, the shell's `h/1`, and `Module:module_info(attributes)`, which some libraries use. Stripped modules are stored uncompressed.",
        default: false,
        action: Action::Rewrite(STRIP),
    },
    Rule {
        name: "symbols",
        what: "symbols and debug information in programs and shared libraries of the release and those added to it, as `strip` leaves them out",
        why: "Nothing that runs reads them. An emulator that was built from source has megabytes of them; distributions strip theirs. Lost are names of functions in a debugger that looks at the guest.",
        default: false,
        action: Action::Rewrite(SYMBOLS),
    },
];
