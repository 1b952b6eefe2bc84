//! The grammar of `erl -args_file FILE` (`vm.args`), as `erlexec` reads it
//! (otp: erts/etc/common/erlexec.c, `build_args_from_string`).
//!
//! Words are separated by white space. Quotes, single or double, may open anywhere in a word and
//! keep everything literally up to the same quote; outside quotes a backslash keeps the next
//! byte; `#` starts a comment, even inside a word.

use alloc::string::String;
use alloc::vec::Vec;

/// Why a file is not a list of arguments.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{line}: {reason}")]
pub struct ParseError {
    /// Line, from 1.
    pub line: usize,
    /// What is wrong.
    pub reason: Reason,
}

/// What can be wrong with a file of arguments.
///
/// `erlexec` takes all of these silently; each would change the flags without a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// A quote is never closed.
    #[error("this quote is never closed")]
    UnclosedQuote,
    /// A NUL byte, where `erlexec` would stop reading.
    #[error("a NUL byte; is this a text file?")]
    Nul,
    /// An argument that is not UTF-8.
    #[error("an argument is not UTF-8 text")]
    NotUtf8,
}

/// Reads the arguments of a file.
///
/// # Errors
/// The first thing that is wrong, with its line.
pub fn parse(bytes: &[u8]) -> Result<Vec<String>, ParseError> {
    words(bytes, true)
}

/// Reads the flags in a variable (`ERL_FLAGS`), which has no comments.
///
/// # Errors
/// The first thing that is wrong.
pub fn parse_variable(text: &str) -> Result<Vec<String>, ParseError> {
    words(text.as_bytes(), false)
}

fn words(bytes: &[u8], comments: bool) -> Result<Vec<String>, ParseError> {
    let mut reader = Reader {
        bytes,
        at: 0,
        comments,
    };
    let mut arguments = Vec::new();
    while reader.skip_to_word() {
        let start = reader.at;
        let word = reader.word()?;
        let text = String::from_utf8(word).map_err(|_| reader.error(start, Reason::NotUtf8))?;
        arguments.push(text);
    }
    Ok(arguments)
}

/// Writes arguments, one per line; [`parse`] reads them back.
pub fn emit(arguments: &[String]) -> String {
    let mut out = String::new();
    for argument in arguments {
        if argument.is_empty() {
            out.push_str("\"\"");
        }
        for c in argument.chars() {
            if !(c.is_ascii_alphanumeric() || "-+_./:@=,".contains(c) || !c.is_ascii()) {
                out.push('\\');
            }
            out.push(c);
        }
        out.push('\n');
    }
    out
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Whether `#` starts a comment.
    comments: bool,
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn error(&self, offset: usize, reason: Reason) -> ParseError {
        let before = &self.bytes[..offset];
        ParseError {
            line: before.iter().filter(|&&byte| byte == b'\n').count() + 1,
            reason,
        }
    }

    /// Skips white space and comments; `false` at the end.
    fn skip_to_word(&mut self) -> bool {
        let mut comment = false;
        while let Some(byte) = self.peek() {
            match byte {
                b'\n' => comment = false,
                _ if comment || is_space(byte) => {}
                b'#' if self.comments => comment = true,
                _ => return true,
            }
            self.at += 1;
        }
        false
    }

    fn word(&mut self) -> Result<Vec<u8>, ParseError> {
        let mut word = Vec::new();
        while let Some(byte) = self.peek() {
            match byte {
                0 => return Err(self.error(self.at, Reason::Nul)),
                b'#' if self.comments => break,
                byte if is_space(byte) => break,
                b'"' | b'\'' => self.quoted(byte, &mut word)?,
                b'\\' => self.escaped(&mut word)?,
                byte => {
                    word.push(byte);
                    self.at += 1;
                }
            }
        }
        Ok(word)
    }

    fn escaped(&mut self, word: &mut Vec<u8>) -> Result<(), ParseError> {
        self.at += 1;
        match self.peek() {
            Some(0) => Err(self.error(self.at, Reason::Nul)),
            Some(byte) => {
                word.push(byte);
                self.at += 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn quoted(&mut self, quote: u8, word: &mut Vec<u8>) -> Result<(), ParseError> {
        let inside = &self.bytes[self.at + 1..];
        let end = inside.iter().position(|&byte| byte == quote || byte == 0);
        match end.map(|end| (end, inside[end])) {
            None => Err(self.error(self.at, Reason::UnclosedQuote)),
            Some((end, 0)) => Err(self.error(self.at + 1 + end, Reason::Nul)),
            Some((end, _)) => {
                word.extend(&inside[..end]);
                self.at += end + 2;
                Ok(())
            }
        }
    }
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

#[cfg(test)]
mod tests {
    use super::{ParseError, Reason, emit, parse, parse_variable};
    use proptest::prelude::{any, prop, prop_assert_eq, proptest};

    #[test]
    fn reads_words_quotes_and_comments() {
        let text =
            b"-name foo@bar \"a b\" # c\n+K true#x y\n-env X 'a \"b\\' a\\ b \"\" x\"y\"'z'\\\nw";
        let expected = [
            "-name", "foo@bar", "a b", "+K", "true", "-env", "X", "a \"b\\", "a b", "", "xyz\nw",
        ];
        assert_eq!(parse(text).unwrap(), expected);
        assert_eq!(parse(b"# only a comment").unwrap(), [""; 0]);
        assert_eq!(parse_variable("-a #b c#").unwrap(), ["-a", "#b", "c#"]);
    }

    #[test]
    fn errors_have_their_line() {
        let error = |text: &[u8]| parse(text).unwrap_err();
        assert_eq!(
            error(b"-a\n'b c"),
            ParseError {
                line: 2,
                reason: Reason::UnclosedQuote
            }
        );
        assert_eq!(error(b"a\0").reason, Reason::Nul);
        assert_eq!(error(b"'a\0'").reason, Reason::Nul);
        assert_eq!(error(b"\xff").reason, Reason::NotUtf8);
    }

    proptest! {
        #[test]
        fn parse_undoes_emit(arguments in prop::collection::vec("[^\\x00]{0,12}", 0..6)) {
            prop_assert_eq!(parse(emit(&arguments).as_bytes()), Ok(arguments));
        }

        #[test]
        fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let _ = parse(&bytes);
        }
    }
}
