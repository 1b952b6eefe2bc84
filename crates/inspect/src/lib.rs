//! Looking into an image, or into what an image of a release would be.
//!
//! [`Contents`] are the files of its root; [`Inspected`] adds its manifest (made out from the files
//! where an image has none) and what each part weighs. [`extract()`] writes files to a folder,
//! [`Diff`] says how two images differ. Images are foreign input here: nothing in them is trusted,
//! and [`printable()`] makes any of their texts fit for a terminal.

mod contents;
mod diff;
mod disk;
mod error;
mod extract;
#[doc(hidden)]
pub mod fuzz;
mod hash;
mod infer;
mod inspected;
mod sizes;
mod text;

pub use contents::{Contents, ENTRIES_MAX, Entry, Kind};
pub use diff::{BootChange, Diff, FileChange, SizeChange, VersionChange};
pub use disk::PartitionChange;
pub use error::Error;
pub use extract::{Extracted, extract};
pub use infer::infer;
pub use inspected::Inspected;
pub use sizes::{PartSize, sizes};
pub use text::printable;
