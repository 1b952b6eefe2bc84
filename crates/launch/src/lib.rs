//! What happens between a release and the emulator's `argv`: the work of its start script and of
//! `erlexec`, done by the kernel at boot, with the variables of that boot, and by the assembler
//! beforehand, to see what it will come to.
//!
//! [`launch`] does it all. Below it are the steps, each on its own: relx's templates
//! ([`substitute`]), the assignments of `env.sh` ([`env_sh`]), arguments files ([`vm_args`]), their
//! expansion and the sorting of flags ([`erlexec`]).
#![cfg_attr(not(test), no_std)]

extern crate alloc;

mod elixir;
mod emulator;
pub mod env_sh;
pub mod erlexec;
mod error;
mod mix;
pub mod otp;
mod relx;
mod start;
pub mod substitute;
mod systools;
pub mod vm_args;

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use boot_contract::init::Init;
use boot_contract::release::Release;

pub use error::Error;

/// Root directory of the release inside the guest (`ROOTDIR`, `RELEASE_ROOT`).
pub const GUEST_ROOT: &str = "/release";

/// `HOME` in the guest, unless the user says otherwise.
pub const HOME: &str = "/root";

/// The files of the guest, by absolute path.
pub trait Files {
    /// What reading a file can fail with.
    type Error;

    /// The content of a file, if there is one.
    ///
    /// # Errors
    /// It exists and cannot be read.
    fn read(&mut self, path: &str) -> Result<Option<Vec<u8>>, Self::Error>;

    /// Whether there is a file.
    fn has(&self, path: &str) -> bool;
}

/// How the emulator is started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Launch {
    /// Program, arguments, environment.
    pub init: Init,
    /// Its home, which has to exist.
    pub home: String,
    /// Files to write before it starts, with their directories: paths and contents.
    pub files: Vec<(String, Vec<u8>)>,
    /// What the user should know.
    pub notes: Vec<Note>,
    /// Variables without a value that templates need; the release cannot be started without.
    pub unset: Vec<Unset>,
}

/// A variable that a template needs and that has neither a value nor a default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unset {
    /// The template, in the guest.
    pub path: String,
    /// Line, from 1.
    pub line: usize,
    /// The variable.
    pub name: String,
}

impl fmt::Display for Unset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, line, name } = self;
        write!(
            f,
            "{path}:{line} uses the environment variable {name}, which has no value"
        )
    }
}

/// Something that differs from a start on an ordinary machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// A line of `env.sh` has no effect.
    EnvShLine {
        /// The script, in the guest.
        path: String,
        /// Line, from 1.
        line: usize,
        /// Its text.
        text: String,
    },
    /// The release wants `epmd` to be started, and has none.
    EpmdMissing,
    /// The node is distributed, and there is no `epmd` in the guest.
    NoEpmd {
        /// Port of the distribution.
        port: u16,
    },
}

/// Makes out how the emulator of a release is started, in an environment, with arguments and a
/// host name, all of which `wanted` holds.
///
/// # Errors
/// A file that the start needs is missing or malformed, or flags make no sense.
pub fn launch<F: Files>(
    release: &Release,
    wanted: &Init,
    files: &mut F,
) -> Result<Launch, Error<F::Error>> {
    start::Start::new(release, wanted, files).run()
}
