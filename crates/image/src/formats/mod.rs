//! The formats in which a disk is written: raw, or in a container of one of the hypervisors.
//!
//! A disk is first written raw into a file without a name ([`Raw`]), then carried over block by
//! block; what was never written is a hole in every format. Each container has a writer and, as
//! its twin, a map that says where a block is ([`container::Container`] reads by it).
//!
//! | file | what |
//! |---|---|
//! | `encoding.rs` | which format, compressed how: from flags and the file's name |
//! | `raw.rs` | the disk to be carried over |
//! | `qcow2/`, `vhd.rs`, `vhdx/`, `vmdk/`, `gce/` | the containers |
//! | `stream.rs` | a raw disk, compressed as a whole |
//! | `packing.rs` | compressing a block |
//! | `container.rs`, `medium.rs` | reading any of them |

mod container;
mod encoding;
mod error;
mod fields;
mod gce;
mod medium;
mod packing;
mod qcow2;
mod raw;
mod stream;
#[cfg(test)]
mod tests;
mod vhd;
mod vhdx;
mod vmdk;

pub(crate) use container::Container;
pub use encoding::{Compress, Compression, Encoding, EncodingError, Format};
pub use error::FormatError;
pub(crate) use gce::unpack as unpack_gce;
pub use medium::Medium;
pub(crate) use raw::{Raw, Runs};

use std::io::{self, Read, Seek, Write};

/// Writes a disk as `encoding` says; identifiers derive from `digest`.
pub(crate) fn write<R: Read + Seek, W: Write + Seek>(
    encoding: Encoding,
    raw: &mut Raw<R>,
    digest: &[u8; 32],
    out: &mut W,
) -> io::Result<()> {
    let compression = encoding.compression;
    match encoding.format {
        Format::Raw => stream::write(raw, compression, out),
        Format::Qcow2 => qcow2::write(raw, compression, out),
        Format::Vhd => vhd::write(raw, digest, out),
        Format::Vhdx => vhdx::write(raw, digest, out),
        Format::Vmdk if compression.is_some() => vmdk::write_stream(raw, digest, out),
        Format::Vmdk => vmdk::write_sparse(raw, digest, out),
        Format::Gce => gce::write(raw, out),
    }
}
