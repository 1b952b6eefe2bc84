//! The subcommands.

mod base;
mod check;
mod describe;
mod guest;
mod image;
mod inspect;
mod outputs;
mod recipe;
mod run;
mod sign;
mod test;
mod verify;

use crate::cli::{Cli, Command};
use crate::error::Error;
use crate::exit::Exit;

/// Does what was asked for.
///
/// # Errors
/// What stopped it.
pub(crate) fn run(cli: Cli) -> Result<Exit, Error> {
    match cli.command {
        Command::Image(args) => image::run(&args),
        Command::Check(args) => check::run(&args),
        Command::Inspect(args) => inspect::run(&args),
        Command::Verify(args) => verify::run(&args),
        Command::Run(args) => run::run(&args),
        Command::Test(args) => test::run(&args),
        Command::Base(args) => base::run(&args.command),
    }
}
