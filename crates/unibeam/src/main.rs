//! Turn an Erlang or Elixir release into a bootable disk image.
//!
//! [`cli`] says what can be asked for, [`config`] completes it from a file, [`command`] does it, [`output`] tells people and programs,
//! [`exit`] lists the exit statuses. Nothing below `main` ends the process.

mod cli;
mod command;
mod config;
mod error;
mod exit;
mod output;
mod signals;
mod signature;

use config::ConfigError;
use std::env;
use std::ffi::OsString;
use std::process::ExitCode;

fn main() -> ExitCode {
    let words: Vec<OsString> = env::args_os().collect();
    let exit = match config::parse(&words) {
        Ok(cli) => command::run(cli).unwrap_or_else(|error| {
            output::error(&error);
            error.exit()
        }),
        Err(ConfigError::Usage(usage)) => output::usage(&usage),
        Err(error) => {
            output::error(&error);
            exit::Exit::Usage
        }
    };
    exit.into()
}
