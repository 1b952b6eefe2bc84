//! Boot scripts from `.rel` and `.app` files, equal term for term to those that
//! `systools:make_script/2` makes (OTP: lib/sasl/src/systools_make.erl, whose functions are named
//! where their work is done).
//!
//! [`AppSpec`] is what a script needs of an `.app` file; [`make_script`] checks that the applications
//! fit together, puts each behind those that it needs, and writes the script.

mod check;
mod error;
mod order;
mod script;
mod spec;

use crate::boot::BootScript;
use crate::rel::RelFile;

pub use error::{Clash, ScriptError};
pub use spec::{AppSpec, SpecError};

/// How a script names the directories of applications.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Paths {
    /// `$ROOT/lib/NAME-VERSION/ebin`, for a release that is one directory.
    #[default]
    Embedded,
    /// Where they were found (the option `local`).
    Local,
}

/// What a script is to be like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScriptOptions {
    /// The directories' names.
    pub paths: Paths,
    /// Leave out the instruction that runs `$HOME/.erlang` (the option `no_dot_erlang`).
    pub no_dot_erlang: bool,
}

/// Makes the boot script of a release from what its applications' `.app` files say, in the order of
/// the `.rel` file.
///
/// # Errors
/// The first thing that does not fit; `systools:make_script/2` fails, too.
pub fn make_script(
    rel: &RelFile,
    applications: Vec<AppSpec>,
    options: ScriptOptions,
) -> Result<BootScript, ScriptError> {
    check::mandatory(rel)?;
    let applications = check::overridden(rel, applications)?;
    check::repeated(rel, &applications)?;
    let applications = check::applications(applications)?;
    let applications = order::lists_as_in(rel, applications);
    check::modules(&applications)?;
    let applications = order::by_need(applications)?;
    Ok(script::generate(rel, &applications, options))
}
