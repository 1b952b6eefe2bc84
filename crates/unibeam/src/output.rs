//! The only module that prints: results to standard output, everything else to standard error.
#![allow(
    clippy::print_stderr,
    reason = "this is where the program speaks to people"
)]

use crate::error::Error;
use crate::exit::Exit;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;
use std::error;
use std::fmt::Display;
use std::io::{self, ErrorKind, IsTerminal, Write};

/// Prints what clap found: an error on standard error, or the help asked for.
pub(crate) fn usage(error: &clap::Error) -> Exit {
    // Nobody reads it; the status still tells.
    let _ = error.print();
    if error.use_stderr() {
        Exit::Usage
    } else {
        Exit::Success
    }
}

/// Prints an error with its causes.
pub(crate) fn error(error: &dyn error::Error) {
    note(format_args!("error: {}", with_causes(error)));
}

/// An error's text with its causes; a cause that the text already contains is left out.
pub(crate) fn with_causes(error: &dyn error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let words = cause.to_string();
        if !text.contains(&words) {
            text = format!("{text}\n  cause: {words}");
        }
        source = cause.source();
    }
    text
}

/// Prints a remark for people; that nobody listens any more is no reason to stop.
pub(crate) fn note(text: impl Display) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// Prints a line of the result. A reader that has read enough (`unibeam inspect x.img | head`) is
/// none of our troubles.
///
/// # Errors
/// Standard output cannot be written.
pub(crate) fn result(text: impl Display) -> Result<(), Error> {
    match writeln!(io::stdout(), "{text}") {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written.map_err(Error::Report),
    }
}

/// Prints a result as JSON.
///
/// # Errors
/// Standard output cannot be written.
pub(crate) fn json(value: &impl Serialize) -> Result<(), Error> {
    result(serde_json::to_string_pretty(value)?)
}

/// Rows and columns of the terminal that standard output is, if it is one.
pub(crate) fn terminal() -> Option<(u16, u16)> {
    let size = rustix::termios::tcgetwinsize(io::stdout()).ok()?;
    Some((size.ws_row, size.ws_col))
}

/// A progress bar over bytes; shown only to people at a terminal.
pub(crate) fn byte_progress(wanted: bool, message: &'static str) -> ProgressBar {
    if !wanted || !io::stderr().is_terminal() {
        return ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
    }
    let style = ProgressStyle::with_template("{msg} [{bar:30}] {bytes}/{total_bytes}");
    ProgressBar::new(0)
        .with_message(message)
        .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// A spinner with a message; shown only to people at a terminal.
pub(crate) fn spinner(wanted: bool, message: &'static str) -> ProgressBar {
    if !wanted || !io::stderr().is_terminal() {
        return ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
    }
    let spinner = ProgressBar::new_spinner().with_message(message);
    spinner.enable_steady_tick(std::time::Duration::from_millis(120));
    spinner
}

/// Columns of running text.
const TEXT_WIDTH: usize = 80;

/// A paragraph in lines of at most [`TEXT_WIDTH`] columns.
pub(crate) fn wrapped(paragraph: &str) -> String {
    let mut lines = vec![String::new()];
    for word in paragraph.split(' ') {
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) if line.chars().count() + 1 + word.chars().count() <= TEXT_WIDTH => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.into()),
        }
    }
    lines.join("\n")
}

/// A size in MiB with one decimal.
pub(crate) fn mib(bytes: u64) -> String {
    // In 128 bits: sizes in foreign manifests can be anything.
    let tenths = (u128::from(bytes) * 10).div_ceil(1 << 20);
    format!("{}.{} MiB", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::{TEXT_WIDTH, mib, wrapped};

    #[test]
    fn paragraphs_keep_their_words() {
        let text = "some words that are many ".repeat(9);
        let lines = wrapped(&text);
        assert!(lines.lines().all(|line| line.len() <= TEXT_WIDTH));
        assert_eq!(lines.replace('\n', " "), text);
    }

    #[test]
    fn sizes_are_rounded_up() {
        assert_eq!(mib(0), "0.0 MiB");
        assert_eq!(mib(1), "0.1 MiB");
        assert_eq!(mib(1 << 20), "1.0 MiB");
        assert_eq!(mib((1 << 20) * 3 / 2), "1.5 MiB");
        assert_eq!(mib(u64::MAX), "17592186044416.0 MiB");
    }
}
