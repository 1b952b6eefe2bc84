//! Adapting the release's own Erlang run-time system to the image.
//!
//! [`trim()`] leaves out what no guest needs, by the rules of a table ([`RULES`]); [`closure()`]
//! adds what the programs and libraries of the release need from the system they were built on:
//! the dynamic loader, shared libraries, and the few files that those open by themselves. Both
//! work on [`release::TreeEntry`] lists. [`relink`] writes single programs and libraries anew.

mod closure;
mod companion;
pub mod elf;
mod error;
#[doc(hidden)]
pub mod fuzz;
pub mod relink;
mod search;
mod sysroot;
mod trim;
mod versions;

pub use closure::{Closure, Library, Note, closure};
pub use error::{Error, Missing, MissingVersion};
pub use sysroot::Sysroot;
pub use trim::{Dropped, RULES, Rewritten, Rule, RuleSet, Saving, Savings, Trimmed, rewrite, trim};
