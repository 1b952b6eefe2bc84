//! Golden transcripts: what the program says, word for word.
//!
//! Each file in `tests/transcripts/` holds commands and what they print:
//!
//! ```text
//! $ unibeam run missing.img
//! ? 1
//! what went to standard output, then what went to standard error, each line after "| " or "! "
//! ```
//!
//! The commands run in a folder of their own (FOLDER in what they print) with the files made by [`workspace`]. `just bless`
//! (that is, `UNIBEAM_BLESS=1`) writes the files anew; look at the difference before committing.
#![allow(
    clippy::unwrap_used,
    reason = "a test fails by panicking; helpers outside #[test] too"
)]

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

fn workspace() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("text.img"), "this is no disk image\n").unwrap();
    fs::write(folder.path().join("empty.img"), "").unwrap();
    fs::create_dir(folder.path().join("empty-folder")).unwrap();
    folder
}

/// Splits a command line at spaces; single quotes keep them.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    for c in line.chars() {
        match c {
            '\'' => quoted = !quoted,
            ' ' if !quoted => words.push(String::new()),
            c => words.last_mut().unwrap().push(c),
        }
    }
    words
}

fn transcript(line: &str, folder: &Path) -> String {
    let words = words(line);
    assert_eq!(words[0], "unibeam", "a transcript runs only unibeam");
    let output = Command::new(env!("CARGO_BIN_EXE_unibeam"))
        .args(&words[1..])
        .current_dir(folder)
        .env_remove("UNIBEAM_ACCEL")
        .output()
        .unwrap();
    let folder_name = folder.canonicalize().unwrap().display().to_string();
    let mut text = format!("$ {line}\n? {}\n", output.status.code().unwrap());
    for (mark, bytes) in [('|', &output.stdout), ('!', &output.stderr)] {
        let said = String::from_utf8_lossy(bytes).replace(&folder_name, "FOLDER");
        for line in said.lines() {
            writeln!(text, "{}", format!("{mark} {line}").trim_end()).unwrap();
        }
    }
    text
}

fn check(name: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/transcripts")
        .join(name);
    let golden = fs::read_to_string(&path).unwrap();
    let folder = workspace();
    let blocks: Vec<_> = golden
        .lines()
        .filter_map(|line| line.strip_prefix("$ "))
        .map(|line| transcript(line, folder.path()))
        .collect();
    let found = blocks.join("\n");
    if std::env::var_os("UNIBEAM_BLESS").is_some() {
        fs::write(&path, found).unwrap();
        return;
    }
    assert_eq!(
        found, golden,
        "{name} differs; `just bless` accepts the new text"
    );
}

macro_rules! transcripts {
    ($($name:ident),*) => {
        $(#[test] fn $name() { check(concat!(stringify!($name), ".txt")); })*

        #[test]
        fn every_file_is_checked() {
            let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/transcripts");
            let files = fs::read_dir(folder).unwrap().count();
            assert_eq!(files, [$(stringify!($name)),*].len());
        }
    };
}

transcripts!(help, usage, image_errors, run_errors);
