//! Programs that the release starts, and that may not be in the image.

use std::collections::{BTreeMap, BTreeSet};

use release::rel::StartType;
use release::term::text;

use crate::base::BaseFact;
use crate::finding::{Finding, Place};
use crate::modules::Module;
use crate::scan::{self, Spawn, What};
use crate::subject::Subject;
use crate::table::Code;

/// Something about programs.
#[derive(Debug, thiserror::Error)]
pub enum ProgramFact {
    /// The shell is used.
    #[error("{caller} calls {callee}{}: there is no /bin/sh", with(.command))]
    NoShell {
        /// Who.
        caller: String,
        /// What.
        callee: String,
        /// The command, if it is known.
        command: Option<String>,
    },
    /// A program is started.
    #[error("{caller} starts `{program}` with {callee}")]
    NoProgram {
        /// Who.
        caller: String,
        /// How.
        callee: String,
        /// What.
        program: String,
    },
    /// Programs are started whose names are not known.
    #[error("{application} starts programs whose names are not in its code, in {callers}")]
    Unknown {
        /// The application.
        application: String,
        /// Functions.
        callers: String,
    },
    /// An application is known to start a program.
    #[error("{application} starts `{program}` {purpose}")]
    Known {
        /// The application.
        application: &'static str,
        /// What.
        program: &'static str,
        /// What for.
        purpose: &'static str,
    },
    /// Parts of `os_mon` start a program.
    #[error("os_mon starts `{program}` for {parts} (`{{start_PART, false}}` switches a part off)")]
    OsMon {
        /// What.
        program: &'static str,
        /// For which of its parts.
        parts: String,
    },
    /// A helper of the run-time system is missing.
    #[error("`{program}` is missing in the run-time system: {effect}")]
    RuntimeHelper {
        /// Which.
        program: &'static str,
        /// What that means.
        effect: &'static str,
    },
}

fn with(command: &Option<String>) -> String {
    command
        .as_ref()
        .map_or_else(String::new, |command| format!(" with `{command}`"))
}

impl ProgramFact {
    /// The rule that it belongs to.
    pub fn code(&self) -> Code {
        match self {
            Self::NoShell { .. } => Code::NoShell,
            Self::NoProgram { .. } => Code::NoProgram,
            Self::Unknown { .. } => Code::UnknownProgram,
            Self::Known { .. } | Self::OsMon { .. } => Code::KnownProgram,
            Self::RuntimeHelper { .. } => Code::RuntimeHelper,
        }
    }
}

/// Where the shell is.
const SHELL: &str = "/bin/sh";

pub(crate) fn check(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    if subject.ports {
        findings.extend(helpers(subject).into_iter().map(Finding::new));
        uses(subject, findings);
        return;
    }
    let mut found = Vec::new();
    uses(subject, &mut found);
    let programs = found.into_iter().map(|finding| {
        let what = finding.fact.to_string();
        Finding::new(BaseFact::Program { what }).at(finding.place)
    });
    findings.extend(programs);
}

/// What starts programs that are not there.
fn uses(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    findings.extend(os_mon(subject).into_iter().map(Finding::new));
    findings.extend(known(subject).map(Finding::new));
    spawns(subject, findings);
}

/// Starts all ports (erts/emulator/sys/unix/sys_drivers.c), so that the emulator starts it first of
/// all.
const FORKER: &str = "erl_child_setup";
/// Resolves names, unless an inetrc says otherwise (lib/kernel/src/inet_gethost_native.erl).
const RESOLVER: &str = "inet_gethost";

fn helpers(subject: &Subject<'_>) -> Vec<ProgramFact> {
    let lacks = |program: &str| !subject.has(&subject.runtime_program(program));
    // Without an emulator, all of the run-time system is missing, which is said elsewhere.
    if lacks("beam.smp") {
        return Vec::new();
    }
    let forker = lacks(FORKER).then_some(ProgramFact::RuntimeHelper {
        program: FORKER,
        effect: "the emulator does not start without it",
    });
    let resolver = lacks(RESOLVER).then_some(ProgramFact::Known {
        application: "kernel",
        program: RESOLVER,
        purpose: "to resolve names of hosts",
    });
    forker.into_iter().chain(resolver).collect()
}

/// Parts of `os_mon`, each with the parameter that switches it off (`start_PART`) and what it
/// starts (lib/os_mon/src: cpu_sup.erl, memsup.erl, disksup.erl; the shell is what `open_port/2`
/// starts their own programs by).
const OS_MON: [(&str, &[&str]); 3] = [
    ("cpu_sup", &["/bin/sh"]),
    ("memsup", &["/bin/sh"]),
    ("disksup", &["/bin/sh", "df"]),
];

fn os_mon(subject: &Subject<'_>) -> Vec<ProgramFact> {
    let applications = subject.release.applications().iter();
    let started = |start: StartType| !matches!(start, StartType::Load | StartType::None);
    let mut os_mon = applications.filter(|a| a.app.name == "os_mon" && started(a.start));
    if os_mon.next().is_none() {
        return Vec::new();
    }
    let off = switched_off(subject);
    let parts = OS_MON
        .into_iter()
        .filter(|(part, _)| !off.contains(&format!("start_{part}")));
    let mut needed: BTreeMap<&'static str, Vec<&str>> = BTreeMap::new();
    for (part, programs) in parts {
        for program in programs
            .iter()
            .filter(|program| !subject.has_program(program))
        {
            needed.entry(program).or_default().push(part);
        }
    }
    let fact = |(program, parts): (&'static str, Vec<&str>)| ProgramFact::OsMon {
        program,
        parts: parts.join(", "),
    };
    needed.into_iter().map(fact).collect()
}

/// Parameters of `os_mon` that are `false` in a configuration.
fn switched_off(subject: &Subject<'_>) -> BTreeSet<String> {
    let mut off = BTreeSet::new();
    for file in crate::files::configurations(subject) {
        let content = subject.text(&file).unwrap_or_default();
        let Ok(term) = text::parse_one(content.as_bytes()) else {
            continue;
        };
        let all = crate::files::pairs(&term);
        let os_mon = all.into_iter().filter(|(name, _)| *name == "os_mon");
        let parameters = os_mon.flat_map(|(_, parameters)| crate::files::pairs(parameters));
        let is_off = parameters.filter(|(_, value)| value.as_atom() == Some("false"));
        off.extend(is_off.map(|(name, _)| name.to_string()));
    }
    off
}

/// Applications that exist to start a program of the system: application, program, what for.
const KNOWN: [(&str, &str, &str); 7] = [
    ("file_system", "inotifywait", "to watch directories"),
    ("mogrify", "mogrify", "(of ImageMagick) to change images"),
    ("ffmpex", "ffmpeg", "to convert media"),
    ("pdf_generator", "wkhtmltopdf", "to make PDF files"),
    ("chromic_pdf", "chromium", "to make PDF files"),
    ("porcelain", "/bin/sh", "to run programs"),
    ("git_cli", "git", "for everything that it does"),
];

fn known(subject: &Subject<'_>) -> impl Iterator<Item = ProgramFact> {
    let missing = KNOWN.into_iter().filter(|(application, program, _)| {
        subject.application(application) && !subject.has_program(program)
    });
    missing.map(|(application, program, purpose)| ProgramFact::Known {
        application,
        program,
        purpose,
    })
}

/// Applications of OTP and Elixir whose calls say nothing about the release: they start what their
/// callers ask for, or are judged by a row above, or are tools.
const NOT_SCANNED: [&str; 40] = [
    "asn1",
    "common_test",
    "compiler",
    "crypto",
    "debugger",
    "dialyzer",
    "diameter",
    "edoc",
    "eex",
    "eldap",
    "elixir",
    "erts",
    "et",
    "eunit",
    "ex_unit",
    "ftp",
    "iex",
    "inets",
    "kernel",
    "logger",
    "megaco",
    "mix",
    "mnesia",
    "observer",
    "odbc",
    "os_mon",
    "public_key",
    "runtime_tools",
    "sasl",
    "parsetools",
    "reltool",
    "snmp",
    "ssh",
    "ssl",
    "stdlib",
    "syntax_tools",
    "tftp",
    "tools",
    "wx",
    "xmerl",
];

/// Whether an application comes with OTP or Elixir.
pub(crate) fn is_of_the_language(application: &str) -> bool {
    NOT_SCANNED.contains(&application)
}

fn spawns(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    let mut unknown: BTreeMap<String, Vec<(&Module, &Spawn)>> = BTreeMap::new();
    for module in &subject.modules {
        let application = module.application.as_deref().unwrap_or("the release");
        if is_of_the_language(application) {
            continue;
        }
        for spawn in module.spawns() {
            match judge(subject, spawn) {
                Verdict::Fine => {}
                Verdict::Unknown => {
                    let calls = unknown.entry(application.into()).or_default();
                    calls.push((module, spawn));
                }
                Verdict::Missing(fact) => {
                    let place = Place::function(&module.path, &spawn.caller);
                    findings.push(Finding::new(fact).at(place));
                }
            }
        }
    }
    findings.extend(unknown.into_iter().map(|(application, calls)| {
        let callers = scan::names(calls.iter().map(|(_, spawn)| spawn.caller.as_str()));
        let place = Place::file(&calls[0].0.path);
        Finding::new(ProgramFact::Unknown {
            application,
            callers,
        })
        .at(place)
    }));
}

enum Verdict {
    Fine,
    Unknown,
    Missing(ProgramFact),
}

fn judge(subject: &Subject<'_>, spawn: &Spawn) -> Verdict {
    let (caller, callee) = (spawn.caller.clone(), spawn.callee.clone());
    let program = match &spawn.what {
        What::Shell(command) if !subject.has(SHELL) => {
            // Whatever it runs, it does not get that far.
            return Verdict::Missing(ProgramFact::NoShell {
                caller,
                callee,
                command: command.clone(),
            });
        }
        What::Shell(Some(command)) => first_word(command),
        What::Program(program) => Some(program.clone()),
        What::Shell(None) | What::Unknown => None,
    };
    match program {
        None => Verdict::Unknown,
        Some(program) if subject.has_program(&program) || is_builtin(&program) => Verdict::Fine,
        Some(program) if program == SHELL => Verdict::Missing(ProgramFact::NoShell {
            caller,
            callee,
            command: None,
        }),
        Some(program) => Verdict::Missing(ProgramFact::NoProgram {
            caller,
            callee,
            program,
        }),
    }
}

/// The program that a command of the shell starts first, if it begins with one.
fn first_word(command: &str) -> Option<String> {
    let word = command.split_whitespace().next()?;
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+".contains(c);
    word.chars().all(plain).then(|| word.to_string())
}

/// Commands that are part of every shell (POSIX, XCU 2.14 and 1.7).
fn is_builtin(program: &str) -> bool {
    const BUILTINS: [&str; 14] = [
        ".", "cd", "command", "echo", "eval", "exec", "exit", "export", "kill", "printf", "set",
        "test", "ulimit", "umask",
    ];
    BUILTINS.contains(&program)
}

#[cfg(test)]
mod tests {
    use super::first_word;

    #[test]
    fn commands_begin_with_a_program_or_not() {
        assert_eq!(first_word("df -k").as_deref(), Some("df"));
        assert_eq!(first_word("A=1 df"), None);
        assert_eq!(first_word("(cat)"), None);
    }
}
