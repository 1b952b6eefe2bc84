//! What every probe shares: steps that print one line each, and a scratch directory; and how a
//! probe's output is judged ([`judge`]).

mod judge;

pub use judge::{Difference, Verdict, judge};

use linux_abi::Errno;
use std::fmt::Debug;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Prints `name: value`, or the name of the error; a failed step does not end the probe.
#[allow(clippy::print_stdout, reason = "a probe is a program that prints")]
pub fn step<T: Debug>(name: &str, body: impl FnOnce() -> io::Result<T>) {
    match body() {
        Ok(value) => println!("{name}: {value:?}"),
        Err(error) => println!("{name}: {}", error_name(&error)),
    }
}

/// The errno's name; the kind of error where the standard library made it.
pub fn error_name(error: &io::Error) -> String {
    match error.raw_os_error().map(u16::try_from) {
        Some(Ok(number)) => format!("{:?}", Errno::from_number(number)),
        _ => format!("{:?}", error.kind()),
    }
}

/// The result of a C library call that answers -1 and sets errno.
///
/// # Errors
/// What errno says.
pub fn checked(result: i32) -> io::Result<i32> {
    if result == -1 {
        return Err(io::Error::last_os_error());
    }
    Ok(result)
}

/// A directory of its own in which a probe works; removed on drop.
#[derive(Debug)]
pub struct Scratch(PathBuf);

impl Scratch {
    /// Creates the directory and goes there.
    ///
    /// # Errors
    /// What the calls answer.
    pub fn new(family: &str) -> io::Result<Self> {
        let path = std::env::temp_dir().join(format!("probe-{family}-{}", std::process::id()));
        std::fs::create_dir(&path)?;
        std::env::set_current_dir(&path)?;
        Ok(Self(path))
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // A directory left behind harms nobody; there is no one to tell.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Whether `body` took at least `least` and not absurdly longer: times cannot be printed.
///
/// # Errors
/// What `body` answers.
pub fn takes_about(least: Duration, body: impl FnOnce() -> io::Result<()>) -> io::Result<bool> {
    let start = Instant::now();
    body()?;
    let elapsed = start.elapsed();
    Ok(elapsed >= least && elapsed < least + Duration::from_secs(5))
}
