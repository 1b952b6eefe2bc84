//! Standard output that nobody reads to its end.

use std::process::{Command, Stdio};

#[test]
fn a_reader_that_has_read_enough_is_no_error() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = Command::new(env!("CARGO_BIN_EXE_unibeam"))
        .args(["check", "--list"])
        .stdout(Stdio::from(writer))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", output.status);
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}
