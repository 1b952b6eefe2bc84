//! Each rule fires where it should, on real releases that were changed for the purpose, and none
//! of them on one that was not.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod base;
mod code;
mod release_itself;
mod settings;
#[path = "../../../release/tests/support/mod.rs"]
mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use erts::{RuleSet, Sysroot};
use lint::{Code, Finding, Severity, Subject};
use release::boot::BootScript;
use release::{GuestPath, Places, Release, StartOptions, TreeEntry, tree};

use support::{need, run, systools_release};

/// What is found in a release, with these variables, files besides, and MiB of memory.
fn check(root: &Path, env: &[(&str, &str)], added: &[(&str, &Path)], memory: u64) -> Vec<Finding> {
    let (release, problems) = Release::survey(root, &Places::default()).unwrap();
    let options = StartOptions {
        env: env
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_string()))
            .collect(),
        ..StartOptions::default()
    };
    let start = release.start(&options);
    let (entries, unfit) = release.survey_tree(&options);
    let mut rules = RuleSet::default();
    rules.keep(erts::Rule::named("compression").unwrap());
    let mut entries = erts::trim(entries, &rules).unwrap().entries;
    entries.extend(start.iter().flat_map(|start| start.files.clone()));
    entries.extend(
        added
            .iter()
            .map(|(guest, host)| TreeEntry::host_file(GuestPath::new(guest).unwrap(), host, true)),
    );
    let entries = tree::merge(entries);
    let (closure, mut findings) = lint::survey(&entries, &Sysroot::new(Path::new("/")).unwrap());
    let libraries = closure.map(|closure| closure.entries).unwrap_or_default();
    let whole = tree::merge([entries, libraries].concat());
    let subject = Subject::new(
        &release,
        &options,
        start.as_ref().ok(),
        &whole,
        memory << 20,
    );
    findings.extend(lint::check(&subject));
    let unfit = unfit.into_iter().map(|unfit| unfit.error);
    let errors = problems.into_iter().chain(unfit).chain(start.err());
    findings.extend(errors.map(lint::release_error));
    lint::sort(&mut findings);
    findings
}

/// The texts of the findings, by code.
fn by_code(findings: &[Finding]) -> BTreeMap<Code, Vec<String>> {
    let mut found: BTreeMap<Code, Vec<String>> = BTreeMap::new();
    for finding in findings {
        let text = format!("{} @{}", finding.fact, finding.place);
        found.entry(finding.code()).or_default().push(text);
    }
    found
}

/// Demands findings: a code, and what the text of one of its findings must contain.
#[track_caller]
fn demand(findings: &[Finding], expected: &[(Code, &str)]) {
    let found = by_code(findings);
    for (code, part) in expected {
        let texts = found.get(code).map(Vec::as_slice).unwrap_or_default();
        assert!(
            texts.iter().any(|text| text.contains(part)),
            "{code:?} {part}: {found:#?}"
        );
    }
}

/// Demands that nothing was found by these rules.
#[track_caller]
fn refuse(findings: &[Finding], codes: &[Code]) {
    let found = by_code(findings);
    for code in codes {
        assert!(!found.contains_key(code), "{code:?}: {:#?}", found[code]);
    }
}

/// Codes that each test below demands; together they are all.
const INTAKE: [Code; 10] = [
    Code::Unreadable,
    Code::RuntimeSystem,
    Code::Application,
    Code::BootScript,
    Code::Malformed,
    Code::UnfitFile,
    Code::StartUnknown,
    Code::BootMismatch,
    Code::MissingModule,
    Code::Memory,
];
const NATIVE: [Code; 10] = [
    Code::MissingNif,
    Code::ForeignNative,
    Code::ForeignBeside,
    Code::DamagedElf,
    Code::Musl,
    Code::NoLoader,
    Code::MissingLibrary,
    Code::OpenSsl,
    Code::LibraryByName,
    Code::SymbolVersion,
];
const PROGRAMS: [Code; 5] = [
    Code::NoShell,
    Code::NoProgram,
    Code::KnownProgram,
    Code::UnknownProgram,
    Code::RuntimeHelper,
];
const FILES: [Code; 6] = [
    Code::LogFile,
    Code::DataInMemory,
    Code::HostPath,
    Code::Locale,
    Code::Timezone,
    Code::OwnDirectory,
];
const START: [Code; 13] = [
    Code::UnknownFlag,
    Code::UnprovenFlag,
    Code::Heart,
    Code::HeartCommand,
    Code::NoEpmd,
    Code::EpmdMissing,
    Code::EnvSh,
    Code::ObsoleteFlag,
    Code::Unset,
    Code::Hook,
    Code::WeakCookie,
    Code::CookieInImage,
    Code::NoCookie,
];
const MODULES: [Code; 6] = [
    Code::DebugInfo,
    Code::Compressed,
    Code::NewerModule,
    Code::MissingFunction,
    Code::DamagedModule,
    Code::MissingModules,
];

const BASE: [Code; 3] = [Code::BaseRefuses, Code::MissingSymbols, Code::NoPorts];

#[test]
fn every_rule_has_its_test() {
    let lists = [
        &INTAKE[..],
        &NATIVE,
        &PROGRAMS,
        &FILES,
        &START,
        &MODULES,
        &BASE,
    ];
    let tested: BTreeSet<_> = lists.concat().into_iter().collect();
    // What only a new kind of error would be reported as.
    let known: BTreeSet<_> = Code::ALL
        .into_iter()
        .filter(|code| *code != Code::Unusable)
        .collect();
    assert_eq!(tested, known);
}

/// The release that the tests change, made once in each of them.
struct Made {
    directory: tempfile::TempDir,
    root: PathBuf,
}

impl Made {
    fn new(more: &[&str]) -> Self {
        need("erl");
        let directory = tempfile::tempdir().unwrap();
        let root = systools_release(directory.path(), more);
        Self { directory, root }
    }

    fn path(&self, below: &str) -> PathBuf {
        self.root.join(below)
    }

    fn write(&self, below: &str, content: impl AsRef<[u8]>) {
        let path = self.path(below);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    fn check(&self) -> Vec<Finding> {
        check(&self.root, &[], &[], 256)
    }

    /// The folder of an application, by its name.
    fn application(&self, name: &str) -> PathBuf {
        let mut found = fs::read_dir(self.path("lib"))
            .unwrap()
            .map(|entry| entry.unwrap().path());
        found
            .find(|path| {
                path.file_name()
                    .unwrap()
                    .to_str()
                    .unwrap()
                    .starts_with(&format!("{name}-"))
            })
            .unwrap()
    }

    fn erts(&self) -> PathBuf {
        self.path(&format!("erts-{}", support::otp().1))
    }

    /// Compiles a module into the application `hello`.
    fn compile(&self, name: &str, source: &str, options: &[&str]) {
        let at = self.directory.path();
        fs::write(at.join(format!("{name}.erl")), source).unwrap();
        run(Command::new("erlc")
            .current_dir(at)
            .args(options)
            .arg(format!("{name}.erl")));
        let beam = format!("{name}.beam");
        fs::copy(at.join(&beam), self.path("lib/hello-1.0/ebin").join(beam)).unwrap();
    }

    /// Changes the boot script.
    fn boot(&self, change: impl Fn(&mut BootScript)) {
        let path = self.path("releases/1.0/start.boot");
        let mut script = BootScript::parse(&fs::read(&path).unwrap()).unwrap();
        change(&mut script);
        fs::write(path, script.emit()).unwrap();
    }
}

#[test]
fn a_sound_release_has_no_findings_above_info() {
    let made = Made::new(&[
        "crypto",
        "ssl",
        "inets",
        "public_key",
        "asn1",
        "mnesia",
        "sasl",
    ]);
    let findings = made.check();
    let worse = findings
        .iter()
        .filter(|finding| finding.severity() > Severity::Info);
    assert_eq!(worse.count(), 0, "{:#?}", by_code(&findings));
}
