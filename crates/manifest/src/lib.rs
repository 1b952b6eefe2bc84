//! What an image is made of, and where its parts come from.
//!
//! [`Manifest`] is the description that every image carries (docs/image-format.md). [`Packages`]
//! knows which Debian package a file of a system belongs to, and that package's licences
//! ([`copyright`]); both read the format [`deb822`]. [`sbom`] is the manifest as other programs want it.

pub mod copyright;
mod date;
pub mod deb822;
#[doc(hidden)]
pub mod fuzz;
mod model;
mod packages;
mod redact;
pub mod sbom;

pub use model::{
    Application, Base, Boot, Library, Manifest, ManifestError, Package, ReleaseInfo, Runtime,
    SCHEMA, SIZE_MAX,
};
pub use packages::Packages;
pub use redact::{HIDDEN, command_line};
