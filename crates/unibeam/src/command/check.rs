//! `unibeam check`: what will not work in an image of a release.

use super::recipe::Draft;
use crate::cli::{CheckArgs, ContentArgs, RuleArg};
use crate::error::Error;
use crate::exit::Exit;
use crate::output;
use bases::{Content, Feature, Support};
use erts::Sysroot;
use lint::{Estimate, Finding, IntakeFact, NativeFact, RULES, Rule, Severity, Subject};
use release::{Release, tree};
use serde::Serialize;
use std::collections::BTreeSet;

/// Bytes of a MiB.
const MIB: u64 = 1 << 20;

/// What was found, for programs.
#[derive(Debug, Serialize)]
struct Report<'a> {
    release: &'a str,
    version: &'a str,
    erts: &'a str,
    built_with: &'static str,
    errors: usize,
    warnings: usize,
    infos: usize,
    memory: MemoryReport,
    findings: Vec<FindingReport<'a>>,
}

/// The estimate of the memory that the release needs to start, in bytes.
#[derive(Debug, Serialize)]
struct MemoryReport {
    needed: u64,
    archive: u64,
    modules: u64,
    base: u64,
}

#[derive(Debug, Serialize)]
struct FindingReport<'a> {
    code: &'static str,
    severity: &'static str,
    title: &'static str,
    message: String,
    file: Option<&'a str>,
    line: Option<usize>,
    function: Option<&'a str>,
    remedy: &'static str,
}

/// Checks a release, or explains rules.
///
/// # Errors
/// There is no release, or the report cannot be written.
pub(crate) fn run(args: &CheckArgs) -> Result<Exit, Error> {
    if args.list {
        return list();
    }
    match (args.explain, &args.content) {
        (Some(RuleArg(rule)), _) => explain(rule),
        (None, Some(content)) => check(args, content),
        (None, None) => list(),
    }
}

fn list() -> Result<Exit, Error> {
    for rule in &RULES {
        let severity = rule.severity.name();
        output::result(format!("{} {severity:<7} {}", rule.code, rule.title))?;
    }
    output::result("next: unibeam check --explain CODE")?;
    Ok(Exit::Success)
}

fn explain(rule: &Rule) -> Result<Exit, Error> {
    output::result(format!("{} {}: {}", rule.code, rule.severity, rule.title))?;
    for paragraph in [rule.explanation, rule.remedy] {
        output::result(format!("\n{}", output::wrapped(paragraph)))?;
    }
    Ok(Exit::Success)
}

fn check(args: &CheckArgs, content: &ContentArgs) -> Result<Exit, Error> {
    let draft = Draft::survey(content)?;
    let (mut findings, estimate) = findings(&draft, content, u64::from(args.memory.mib()) * MIB)?;
    findings.extend(draft.problems.into_iter().map(problem));
    if let Err(error) = draft.start {
        findings.push(problem(error));
    }
    findings.retain(|finding| !args.allow.contains(&RuleArg(finding.rule())));
    lint::sort(&mut findings);
    if args.json {
        output::json(&report(&draft.release, &findings, estimate))?;
    } else {
        show(&draft.release, &findings, estimate, args)?;
    }
    Ok(exit(&findings, args.strict))
}

/// What the rules find, and the memory needed.
fn findings(
    draft: &Draft,
    content: &ContentArgs,
    memory: u64,
) -> Result<(Vec<Finding>, Estimate), Error> {
    let sysroot = Sysroot::new(&content.places.sysroot)?;
    let (closure, mut findings) = lint::survey(&draft.tree, &sysroot);
    let complete = closure.is_some();
    let entries = closure.map(|closure| closure.entries).unwrap_or_default();
    let whole = tree::merge([draft.tree.clone(), entries.clone()].concat());
    let start = draft.start.as_ref().ok();
    let mut subject = Subject::new(&draft.release, &draft.options, start, &whole, memory);
    if matches!(Feature::Ports.on(draft.base.family()), Support::None(_)) {
        subject = subject.without_ports();
    }
    findings.extend(lint::check(&subject));
    if let Some(start) = start.filter(|_| complete) {
        let objections = draft.base.objections(Content {
            release: &draft.release,
            start,
            tree: draft.tree.clone(),
            libraries: entries,
            settings: &content.base.settings(),
        });
        findings.extend(lint::objections(objections));
    }
    Ok((findings, lint::estimate(&subject)))
}

/// What stands in the way of an image, as a finding.
fn problem(error: Error) -> Finding {
    match error {
        Error::Release(error) => lint::release_error(error),
        Error::Erts(error) => Finding::new(NativeFact::Error(error)),
        error => Finding::new(IntakeFact::Added(output::with_causes(&error))),
    }
}

fn exit(findings: &[Finding], strict: bool) -> Exit {
    let worst = findings.iter().map(Finding::severity).max();
    match worst {
        Some(Severity::Error) => Exit::Failure,
        Some(Severity::Warning) if strict => Exit::Warnings,
        _ => Exit::Success,
    }
}

fn count(findings: &[Finding], severity: Severity) -> usize {
    let same = findings
        .iter()
        .filter(|finding| finding.severity() == severity);
    same.count()
}

fn report<'a>(release: &'a Release, findings: &'a [Finding], estimate: Estimate) -> Report<'a> {
    Report {
        release: release.name(),
        version: release.version(),
        erts: release.erts_version(),
        built_with: release.flavour().name(),
        errors: count(findings, Severity::Error),
        warnings: count(findings, Severity::Warning),
        infos: count(findings, Severity::Info),
        memory: MemoryReport {
            needed: estimate.total(),
            archive: estimate.archive,
            modules: estimate.modules,
            base: estimate.base,
        },
        findings: findings.iter().map(finding_report).collect(),
    }
}

fn finding_report(finding: &Finding) -> FindingReport<'_> {
    let rule = finding.rule();
    FindingReport {
        code: rule.code,
        severity: rule.severity.name(),
        title: rule.title,
        message: finding.fact.to_string(),
        file: finding.place.file.as_deref(),
        line: finding.place.line,
        function: finding.place.function.as_deref(),
        remedy: rule.remedy,
    }
}

fn show(
    release: &Release,
    findings: &[Finding],
    estimate: Estimate,
    args: &CheckArgs,
) -> Result<(), Error> {
    let mut helped = BTreeSet::new();
    let wanted = |finding: &&Finding| !args.quiet || finding.severity() > Severity::Info;
    for finding in findings.iter().filter(wanted) {
        let rule = finding.rule();
        output::result(format!("{} {}: {}", rule.severity, rule.code, finding.fact))?;
        if !finding.place.is_empty() {
            output::result(format!("  at {}", finding.place))?;
        }
        if helped.insert(rule.code) {
            output::result(format!("  help: {}", rule.remedy))?;
        }
    }
    if args.quiet {
        return Ok(());
    }
    output::result(summary(release, findings, estimate))?;
    output::result(next(findings, args))
}

fn summary(release: &Release, findings: &[Finding], estimate: Estimate) -> String {
    let counted = |severity, one: &str| match count(findings, severity) {
        1 => format!("1 {one}"),
        n => format!("{n} {one}s"),
    };
    format!(
        "{} {} on ERTS {}: {}, {}, {}; about {} MiB of memory to start",
        release.name(),
        release.version(),
        release.erts_version(),
        counted(Severity::Error, "error"),
        counted(Severity::Warning, "warning"),
        counted(Severity::Info, "remark"),
        estimate.total().div_ceil(MIB)
    )
}

fn next(findings: &[Finding], args: &CheckArgs) -> String {
    match findings.first() {
        Some(worst) if worst.severity() > Severity::Info => {
            format!("next: unibeam check --explain {}", worst.rule().code)
        }
        _ => {
            let release = args.content.as_ref().map(ContentArgs::words);
            format!(
                "next: unibeam image {} -o my_app.img",
                release.unwrap_or_default()
            )
        }
    }
}
