//! `docs/syscalls.md` is what the table says; `BLESS=1 cargo test -p linux-abi` rewrites it.

use linux_abi::{SYSCALLS, Support, Syscall};
use std::path::Path;

const INTRODUCTION: &str = "\
# System calls

Generated from `crates/linux-abi/src/table.rs`; `BLESS=1 cargo test -p linux-abi` rewrites it.

| state | meaning |
|---|---|
| full | as the man page says |
| partial | handled, with the limits named here |
| ignored | says success without effect |
| refused | always the error named here |
| absent | always `ENOSYS`, as a Linux built without the call |

The first use of an ignored, refused or absent call is reported on the console by its name.
";

fn of_state<'a>(name: &'a str) -> impl Iterator<Item = &'static Syscall> + 'a {
    SYSCALLS
        .iter()
        .filter(move |row| row.support.name() == name)
}

fn listing(name: &str) -> String {
    let calls: Vec<_> = of_state(name)
        .map(|row| format!("`{}`", row.name))
        .collect();
    format!("{} {name}: {}\n\n", calls.len(), calls.join(", "))
}

fn line(row: &Syscall) -> String {
    let state = match row.support {
        Support::Refused(errno) => format!("refused ({errno})"),
        other => other.name().to_owned(),
    };
    format!(
        "| {} | `{}` | {} | {state} | {} |\n",
        row.number, row.name, row.args, row.note
    )
}

fn document() -> String {
    let mut text = INTRODUCTION.to_owned();
    text.push_str("\n## Calls that say success without effect\n\n");
    text.push_str(&listing("ignored"));
    text.push_str("## Calls by state\n\n");
    for state in ["full", "partial", "refused", "absent"] {
        text.push_str(&listing(state));
    }
    text.push_str(
        "## All calls\n\n| number | name | arguments | state | note |\n|---|---|---|---|---|\n",
    );
    for row in SYSCALLS {
        text.push_str(&line(row));
    }
    text
}

#[test]
fn the_document_is_what_the_table_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/syscalls.md");
    let expected = document();
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, &expected).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == expected,
        "docs/syscalls.md differs from the table: run `BLESS=1 cargo test -p linux-abi`"
    );
}
