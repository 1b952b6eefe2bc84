//! The arguments in `cmdline`: split at spaces, with `'` around those that hold some.
//!
//! What rumprun splits is the string with JSON's escapes still in it, and its splitter drops each
//! backslash (lib/librumprun_base/parseargs.c). So `\"` and `\\` arrive as `"` and `\` after all, as
//! plain characters: only `'` can quote.

use super::ConfigError;

const KEY: &str = "cmdline";

/// Splits what the JSON string stands for.
pub(super) fn split(line: &str) -> Result<Vec<String>, ConfigError> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quoted = false;
    for c in line.chars() {
        match c {
            '\'' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            ' ' if !quoted => words.extend(word.take()),
            _ => word.get_or_insert_default().push(c),
        }
    }
    if let Some(at) = line.rfind('\'').filter(|_| quoted) {
        let reason = "the quote is not closed";
        return Err(ConfigError::Character {
            key: KEY,
            found: '\'',
            at,
            reason,
        });
    }
    words.extend(word);
    Ok(words)
}

/// Joins words that [`check`] accepts; [`split`] is the twin.
pub(super) fn join(words: &[String]) -> String {
    let quoted = |word: &String| match word.is_empty() || word.contains(' ') {
        true => format!("'{word}'"),
        false => word.clone(),
    };
    words.iter().map(quoted).collect::<Vec<_>>().join(" ")
}

/// Checks that there are words, and that they arrive as they are.
pub(super) fn check(words: &[String]) -> Result<(), ConfigError> {
    if words.is_empty() {
        return Err(ConfigError::Value {
            key: KEY,
            found: String::new(),
            expected: "the program's name and its arguments",
        });
    }
    words.iter().try_for_each(|word| check_word(word))
}

fn check_word(word: &str) -> Result<(), ConfigError> {
    let lost = |&(_, c): &(usize, char)| c.is_control() || c == '\'';
    let Some((at, found)) = word.char_indices().find(lost) else {
        return Ok(());
    };
    let reason = match found {
        '\'' => "rumprun quotes arguments with it and has no escape for it",
        _ => "rumprun does not undo JSON's escapes",
    };
    Err(ConfigError::Character {
        key: KEY,
        found,
        at,
        reason,
    })
}
