//! `docs/checks.md` is what the table says; `BLESS=1 cargo test -p lint` rewrites it.

use lint::{RULES, Rule};
use std::path::Path;

const INTRODUCTION: &str = "\
# What `unibeam check` looks for

Generated from `crates/lint/src/table.rs`; `BLESS=1 cargo test -p lint` rewrites it. `unibeam check --explain CODE`
says the same.

`unibeam check RELEASE` takes the flags of `unibeam image` that say what goes into the image, finds what it would find, and
goes on where that stops. Errors stop the image or the boot (exit status 1); warnings are things that will not work as on the
machine where the release was built (`--strict` makes them exit status 3); infos are good to know. `--allow CODE` leaves the
findings of a rule out, `--json` is for programs. Codes are stable: no code is ever given to another rule.

What a module starts is found in its compiled code: a name that stands in the call, or was put together just before it. Whether
the call is ever reached is not known, so these are warnings, not errors.

The memory is an estimate of what the release needs to start: the root archive, 7 bytes for each byte of BEAM instructions,
41 MiB for kernel and emulator, and 14 MiB more for Elixir. For the examples it is within 2 MiB of the smallest machine in
which they start ([promises.md](promises.md)); what a release does after its start comes on top.

| code | severity | what |
|---|---|---|
";

fn row(rule: &Rule) -> String {
    let anchor = rule.code.to_lowercase();
    let Rule {
        code,
        severity,
        title,
        ..
    } = rule;
    format!("| [{code}](#{anchor}) | {severity} | {title} |\n")
}

fn section(rule: &Rule) -> String {
    format!(
        "\n## {}\n\n{}: {}.\n\n{}\n\n*What to do:* {}\n",
        rule.code, rule.severity, rule.title, rule.explanation, rule.remedy
    )
}

#[test]
fn the_document_is_what_the_table_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/checks.md");
    let rows = RULES.iter().map(row);
    let parts = [INTRODUCTION.to_string()].into_iter().chain(rows);
    let expected: String = parts.chain(RULES.iter().map(section)).collect();
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, &expected).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == expected,
        "docs/checks.md differs from the table: run `BLESS=1 cargo test -p lint`"
    );
}
