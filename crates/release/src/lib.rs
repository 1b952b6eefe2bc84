//! Understanding an Erlang or Elixir release.
//!
//! [`Release::open`] takes the root directory of a built release (relx, `mix release`, systools),
//! a `.rel` file inside it or an [`archive`] of it, checks that everything the `.rel` promises is there, and answers
//! two questions:
//!
//! * [`Release::tree`]: which files belong into the guest, and where ([`TreeEntry`]);
//! * [`Release::start`]: how the emulator is started there ([`Start`]), which is the work of the
//!   release's own start script and of `erlexec`.
//!
//! A `.rel` file outside any release becomes one with the boot script that [`systools`] makes.
//!
//! Below them are the formats, each a parser with an emitter as its twin: [`term::text`]
//! (`.rel`, `.app`, `sys.config`), [`term::etf`] (`.boot`), [`vm_args`].

pub mod app;
pub mod archive;
mod bare;
pub mod boot;
mod content;
mod error;
#[doc(hidden)]
pub mod fuzz;
mod installed;
mod locate;
pub mod otp;
mod packed;
mod parts;
mod places;
mod read;
pub mod rel;
mod release;
mod start;
pub mod systools;
pub mod term;
pub mod tree;
mod walk;

pub use error::{Elsewhere, Error};
pub use launch::{GUEST_ROOT, env_sh, erlexec, vm_args};
pub use places::Places;
pub use release::{Application, Flavour, Release};
pub use start::{CodeLoading, Note, Start, StartOptions};
pub use tree::{GuestPath, Source, TreeEntry};
pub use walk::Unfit;
