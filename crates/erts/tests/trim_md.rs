//! `docs/trim.md` is what the table says; `BLESS=1 cargo test -p erts` rewrites it.

use erts::{RULES, Rule};
use std::path::Path;

const INTRODUCTION: &str = "\
# What is left out of an image

Generated from `crates/erts/src/trim/table.rs`; `BLESS=1 cargo test -p erts` rewrites it.

`unibeam image` leaves out of a release what no guest needs, by the rules below. What each of them saved is in the summary, in
`--dry-run` and in `--json`. `--keep RULE` does not apply a rule, `--keep all` none of them; `--trim RULE` applies one that does
not apply by default, and `--strip` all of those. What is kept is kept, whatever else is said. `unibeam check` takes the same
flags.

Not copied in the first place are applications that are not in the release's `.rel` file, other versions of the release and of
the run-time system, and `bin`. What the start of the release needs and what `--add` names is in the image, whatever the rules
say. `.appup` and `.rel` files stay.

";

fn section(heading: &str, default: bool) -> String {
    let row = |rule: &Rule| format!("| `{}` | {} | {} |\n", rule.name, rule.what, rule.why);
    let rules = RULES.iter().filter(|rule| rule.default == default);
    let rows: String = rules.map(row).collect();
    format!(
        "## {heading}\n\n| rule | what is left out | why, and who may need it |\n|---|---|---|\n{rows}"
    )
}

#[test]
fn the_document_is_what_the_table_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/trim.md");
    let default = section("Unless kept (`--keep RULE`)", true);
    let optional = section("If asked for (`--trim RULE`, `--strip`)", false);
    let expected = format!("{INTRODUCTION}{default}\n{optional}");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, &expected).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == expected,
        "docs/trim.md differs from the table: run `BLESS=1 cargo test -p erts`"
    );
}
