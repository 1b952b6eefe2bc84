//! What an image boots: a kernel, and what that asks of a release.
//!
//! [`Base`] is the one trait, with a module for each base: [`unibeam`], our own kernel; [`osv`], OSv
//! in a file of the user; `rumprun`, an emulator baked into a rumprun unikernel. From a release that
//! is understood and completed with libraries ([`Content`]), a base makes what its disk holds
//! ([`Layout`]), and writes that. What each can do is a table ([`Feature`]), from which docs/bases.md
//! is made. [`Store`] keeps the files of bases under names.

mod content;
mod error;
mod feature;
mod network;
mod objection;
pub mod osv;
mod store;
pub mod unibeam;

use std::path::Path;

use image::{ImageError, Plan, Progress, Report};

pub use content::{Content, Disk, Layout, Settings, root_entry};
pub use error::Error;
pub use feature::{Family, Feature, Support};
pub use network::{Address, Network};
pub use objection::Objection;
pub use store::{Kept, Store, StoreError, default_name};

/// What an image boots.
pub trait Base: std::fmt::Debug {
    /// Which of the bases it is.
    fn family(&self) -> Family;

    /// Which one exactly: the version of its kernel, for people.
    fn version(&self) -> String;

    /// Variables that a release needs here; those that the user or the release sets win.
    fn environment(&self) -> &'static [(&'static str, &'static str)] {
        &[]
    }

    /// Lays out what an image of a release holds.
    ///
    /// # Errors
    /// The release cannot work on this base as it is.
    fn lay_out(&self, content: Content<'_>) -> Result<Layout, Error>;

    /// What stands in the way of a release on this base, as far as it can be known before a boot.
    fn objections(&self, content: Content<'_>) -> Vec<Objection> {
        self.lay_out(content)
            .err()
            .map(Objection::Refused)
            .into_iter()
            .collect()
    }

    /// Plans an image without writing anything.
    ///
    /// # Errors
    /// Everything that can be known to be wrong before writing.
    fn plan(&self, disk: &Disk<'_>) -> Result<Plan, ImageError>;

    /// Makes an image. An existing file is replaced; on failure nothing changes.
    ///
    /// # Errors
    /// What is wrong with the input, or why the output cannot be written.
    fn assemble(
        &self,
        disk: &Disk<'_>,
        output: &Path,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Report, ImageError>;
}
