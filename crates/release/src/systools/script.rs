//! The script itself (`generate_script`).

use super::spec::AppSpec;
use super::{Paths, ScriptOptions};
use crate::boot::BootScript;
use crate::otp::{Otp, preloaded};
use crate::rel::{RelFile, StartType};
use crate::term::Term;
use crate::term::etf::AtomStyle;

/// Modules that are loaded first (`mandatory_modules`; the same in OTP 25, 27 and 29).
const MANDATORY: [&str; 29] = [
    "error_handler",
    "application",
    "application_controller",
    "application_master",
    "code",
    "code_server",
    "erl_eval",
    "erl_lint",
    "erl_parse",
    "error_logger",
    "ets",
    "file",
    "filename",
    "file_server",
    "file_io_server",
    "gen",
    "gen_event",
    "gen_server",
    "heart",
    "kernel",
    "logger",
    "logger_filters",
    "logger_server",
    "logger_backend",
    "logger_config",
    "logger_simple_h",
    "lists",
    "proc_lib",
    "supervisor",
];

/// The first OTP whose external terms have atoms in UTF-8 (OTP 26, "Potential Incompatibilities").
const UTF8_ATOMS_SINCE: u32 = 26;

/// The script for applications that are checked and in order.
pub(super) fn generate(
    rel: &RelFile,
    applications: &[AppSpec],
    options: ScriptOptions,
) -> BootScript {
    let otp = Otp::of_erts(&rel.erts);
    let preloaded = preloaded(otp);
    let is_base = |application: &&AppSpec| matches!(application.name.as_str(), "kernel" | "stdlib");
    let base: Vec<_> = applications.iter().filter(is_base).collect();
    let mut instructions = vec![
        tagged("preLoaded", [atoms(&preloaded)]),
        progress("preloaded"),
        path(&base, options),
        tagged("primLoad", [atoms(&MANDATORY)]),
        tagged("kernel_load_completed", []),
        progress("kernel_load_completed"),
    ];
    let loaded = [preloaded.as_slice(), &MANDATORY].concat();
    for application in applications {
        instructions.push(path(&[application], options));
        instructions.push(load(application, &loaded));
    }
    instructions.push(progress("modules_loaded"));
    let all: Vec<_> = applications.iter().collect();
    instructions.push(path(&all, options));
    instructions.extend(kernel_processes(applications));
    instructions.push(progress("init_kernel_started"));
    instructions.extend(loads(applications));
    instructions.push(progress("applications_loaded"));
    instructions.extend(starts(applications));
    if !options.no_dot_erlang {
        instructions.push(apply("c", "erlangrc", []));
    }
    instructions.push(progress("started"));
    let utf8 = otp.is_none_or(|otp| otp.major >= UTF8_ATOMS_SINCE);
    let style = if utf8 {
        AtomStyle::Utf8
    } else {
        AtomStyle::Latin1
    };
    BootScript::new(&rel.name, &rel.version, instructions, style)
}

fn atoms(names: &[impl AsRef<str>]) -> Term {
    Term::List(names.iter().map(|name| Term::atom(name.as_ref())).collect())
}

fn tagged<const N: usize>(tag: &str, rest: [Term; N]) -> Term {
    let mut elements = vec![Term::atom(tag)];
    elements.extend(rest);
    Term::Tuple(elements)
}

fn progress(what: &str) -> Term {
    tagged("progress", [Term::atom(what)])
}

/// `{Module, Function, Arguments}`.
fn call<const N: usize>(module: &str, function: &str, arguments: [Term; N]) -> Term {
    tagged(module, [Term::atom(function), Term::List(arguments.into())])
}

fn apply<const N: usize>(module: &str, function: &str, arguments: [Term; N]) -> Term {
    tagged("apply", [call(module, function, arguments)])
}

/// `{path, Directories}`, each directory once (`create_path`, `cr_path`).
fn path(applications: &[&AppSpec], options: ScriptOptions) -> Term {
    let mut directories: Vec<String> = Vec::new();
    for application in applications {
        let directory = match options.paths {
            Paths::Embedded => format!("$ROOT/lib/{}/ebin", application.id()),
            Paths::Local => application.ebin.clone(),
        };
        if !directories.contains(&directory) {
            directories.push(directory);
        }
    }
    let directories = directories.iter().map(|directory| Term::string(directory));
    tagged("path", [Term::List(directories.collect())])
}

/// `load_appl_mods`.
fn load(application: &AppSpec, loaded: &[&str]) -> Term {
    let modules = application.modules.iter();
    let mut left: Vec<_> = modules
        .filter(|module| !loaded.contains(&module.as_str()))
        .collect();
    left.sort_unstable();
    tagged("primLoad", [atoms(&left)])
}

/// Processes whose end is the end of the node (`kernel_processes`).
fn kernel_processes(applications: &[AppSpec]) -> Vec<Term> {
    let kernel = applications
        .iter()
        .find(|application| application.name == "kernel");
    let process = |name: &str, call: Term| tagged("kernelProcess", [Term::atom(name), call]);
    let mut processes = vec![
        process("heart", call("heart", "start", [])),
        process("logger", call("logger_server", "start_link", [])),
    ];
    processes.extend(kernel.map(|kernel| {
        let name = "application_controller";
        process(name, call(name, "start", [kernel.to_term()]))
    }));
    processes
}

/// The kernel is loaded with its first process (`create_load_appls`).
fn loads(applications: &[AppSpec]) -> Vec<Term> {
    let wanted = applications
        .iter()
        .filter(|application| application.name != "kernel" && application.start != StartType::None);
    wanted
        .map(|application| apply("application", "load", [application.to_term()]))
        .collect()
}

/// Included applications are started by those that include them (`create_start_appls`).
fn starts(applications: &[AppSpec]) -> Vec<Term> {
    let included = |name: &String| applications.iter().any(|by| by.included.contains(name));
    let wanted = applications.iter().filter(|application| {
        let started = !matches!(application.start, StartType::None | StartType::Load);
        started && !included(&application.name)
    });
    let start = |application: &AppSpec| {
        let arguments = [application.name.as_str(), application.start.name()].map(Term::atom);
        apply("application", "start_boot", arguments)
    };
    wanted.map(start).collect()
}
