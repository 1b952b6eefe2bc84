//! Turn an Erlang or Elixir release into a bootable disk image.
//!
//! [`cli`] says what can be asked for, [`command`] does it, [`output`] tells people and programs,
//! [`exit`] lists the exit statuses. Nothing below `main` ends the process.

mod cli;
mod command;
mod error;
mod exit;
mod output;
mod pending;
mod signals;
mod signature;

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    let exit = match cli::Cli::try_parse() {
        Ok(cli) => command::run(cli).unwrap_or_else(|error| {
            output::error(&error);
            error.exit()
        }),
        Err(usage) => output::usage(&usage),
    };
    exit.into()
}
