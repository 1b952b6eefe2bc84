//! Assembling a bootable disk image, without root rights, mounts or other programs.
//!
//! [`assemble`] turns an [`ImageSpec`] into an image file: it plans the layout ([`plan()`]), writes
//! root archive ([`cpio`]), EFI system partition ([`fat`]) and partition table ([`gpt`]), and
//! patches the block list from which the BIOS stage boots. The same input gives the same bytes.
//! Disks for other bases are made by [`osv`] and [`rumprun`].
//! A disk is written raw or in the container of a hypervisor ([`Format`]). [`DiskImage`] looks into
//! such a file. docs/image-format.md has the drawings.

mod assemble;
pub mod cpio;
mod disk_image;
pub mod elf;
mod error;
pub mod fat;
mod formats;
pub mod fuzz;
pub mod gpt;
pub mod iso;
pub mod mbr;
pub mod osv;
mod output;
mod plan;
pub mod rofs;
pub mod rumprun;
mod spec;
mod temporary;
mod tree;
mod whole_file;

pub use assemble::{Progress, Report, assemble, plan};
pub use disk_image::{ByteRange, DiskImage, Section};
pub use error::ImageError;
pub use formats::{Compress, Compression, Encoding, EncodingError, Format, FormatError, Medium};
pub use plan::{Part, Plan, PlanError, SIZE_MAX};
pub use spec::{Content, DiskSpec, EntryKind, ImageSpec, RootEntry};
pub use tree::TreeError;
pub use whole_file::WholeFile;
