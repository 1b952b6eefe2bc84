//! Quoting: QEMU's option lists, and the shell line shown to people.

use std::ffi::OsStr;

/// A value inside one of QEMU's option lists: commas are doubled.
pub(crate) fn option_value(value: &str) -> String {
    value.replace(',', ",,")
}

/// The command as one line that a POSIX shell reads back as the same words.
pub fn shell_line<'a>(words: impl IntoIterator<Item = &'a OsStr>) -> String {
    let quoted: Vec<_> = words
        .into_iter()
        .map(|word| quote(&word.to_string_lossy()))
        .collect();
    quoted.join(" ")
}

fn quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=,:+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::{option_value, shell_line};
    use std::ffi::OsStr;
    use std::process::Command;

    #[test]
    fn commas_are_doubled() {
        assert_eq!(option_value("dns=1.1.1.1,8.8.8.8"), "dns=1.1.1.1,,8.8.8.8");
    }

    #[test]
    fn a_shell_reads_the_line_back() {
        let words = [
            "printf", "%s|", "a b", "", "it's", "x=\"1\"", "$HOME", "a,b", "é\n*",
        ];
        let line = shell_line(words.map(OsStr::new));
        let output = Command::new("sh").args(["-c", &line]).output().unwrap();
        let expected = words[2..]
            .iter()
            .map(|w| format!("{w}|"))
            .collect::<String>();
        assert_eq!(String::from_utf8(output.stdout).unwrap(), expected);
    }
}
