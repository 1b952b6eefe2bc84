//! Why a release cannot be started.

use alloc::string::String;

use crate::{erlexec, vm_args};

/// Why a release cannot be started. `E` is what reading a file can fail with. Paths are those of
/// the guest.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error<E> {
    /// A file cannot be read.
    #[error("{0}")]
    Files(E),
    /// A file that is needed is not there.
    #[error("{path} does not exist")]
    Missing {
        /// The file.
        path: String,
    },
    /// Text that has to be UTF-8 is not.
    #[error("{path} is not UTF-8 text")]
    NotUtf8 {
        /// The file.
        path: String,
    },
    /// Arguments are malformed.
    #[error("{path}:{error}")]
    VmArgs {
        /// The file, or the variable.
        path: String,
        /// Line and reason.
        error: vm_args::ParseError,
    },
    /// The flags make no sense to `erlexec`.
    #[error("the emulator's flags are refused: {0}")]
    Flags(#[from] erlexec::FlagError),
    /// A setting of a mix release has a value that its start script refuses.
    #[error("RELEASE_DISTRIBUTION is `{0}`, expected `sname`, `name` or `none`")]
    Distribution(String),
    /// There is no emulator of the type and flavour that the flags name.
    #[error(
        "there is no emulator {path}; leave out `-emu_flavor` and `-emu_type`, or build a release that has it"
    )]
    NoEmulator {
        /// The program.
        path: String,
    },
}
