//! What will not work in an image of a release, and why: found before it boots.
//!
//! [`Subject`] is what is looked at: the release, how it starts, and the files that an image of it
//! would hold. [`check`] applies all rules and returns [`Finding`]s, each a typed [`Fact`] with the
//! [`Place`] where it is; the rule that it belongs to is a row of [`RULES`], with a stable code, a
//! severity, an explanation and a remedy. [`survey`] completes the files with libraries, as
//! `unibeam image` does, and goes on after each problem.
//!
//! There is one module for each family of rules, by the hundreds of the codes: the release itself,
//! native code, programs, files, the start, modules, and memory.

mod base;
mod files;
mod finding;
mod intake;
mod memory;
mod modules;
mod native;
mod nifs;
mod programs;
mod scan;
mod start;
mod subject;
mod table;

pub use base::{BaseFact, objections};
pub use files::FileFact;
pub use finding::{Fact, Finding, Place};
pub use intake::{IntakeFact, release_error};
pub use memory::{Estimate, MemoryFact, estimate};
pub use modules::ModuleFact;
pub use native::{NativeFact, survey};
pub use programs::ProgramFact;
pub use start::StartFact;
pub use subject::Subject;
pub use table::{Code, RULES, Rule, Severity};

/// Applies all rules but those about native code, which [`survey`] reports.
pub fn check(subject: &Subject<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for family in [
        intake::check,
        nifs::check,
        programs::check,
        files::check,
        start::check,
        modules::check,
        memory::check,
    ] {
        family(subject, &mut findings);
    }
    findings
}

/// Sorts findings, the worst first, then by code, then by place, and drops what is said twice.
pub fn sort(findings: &mut Vec<Finding>) {
    findings.sort_by_cached_key(|finding| {
        (
            std::cmp::Reverse(finding.severity()),
            finding.rule().code,
            finding.place.clone(),
            finding.fact.to_string(),
        )
    });
    findings.dedup_by_key(|finding| {
        (
            finding.code(),
            finding.place.clone(),
            finding.fact.to_string(),
        )
    });
}
