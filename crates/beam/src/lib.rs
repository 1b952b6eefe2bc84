//! Compiled Erlang modules: `.beam` files.
//!
//! A file is an IFF form of chunks, which may be compressed as a whole ([`uncompressed`]).
//! [`Beam`] is a view of one; it answers what the module is called, what it calls ([`Import`]),
//! what its instructions are ([`Code`]), which constants it holds ([`Literals`]) and whether it has debug information, and it can be
//! stripped as `beam_lib:strip/1` does ([`Beam::strip`]).
//!
//! ```
//! # fn look(bytes: &[u8]) -> Result<(), beam::BeamError> {
//! let plain = beam::uncompressed(bytes)?;
//! let module = beam::Beam::parse(&plain)?;
//! let calls = module.imports()?;
//! let opens_ports = calls.iter().any(|call| call.is("erlang", "open_port", 2));
//! let smaller = module.strip()?.emit();
//! # Ok(()) }
//! ```
//!
//! ```text
//! "FOR1", size of the rest (4), "BEAM", chunk …                a file
//! name (4), size (4), content, 0 to 3 zeros                    a chunk
//! ```
//!
//! Sources: OTP's `lib/stdlib/src/beam_lib.erl` (reading and stripping),
//! `lib/compiler/src/beam_asm.erl` (writing) and `erts/emulator/beam/beam_file.c` (loading).
//! Numbers are big-endian.

mod atoms;
pub mod code;
mod cursor;
mod debug;
mod error;
mod file;
#[doc(hidden)]
pub mod fuzz;
mod gzip;
mod literals;
mod tables;

pub use atoms::{AtomForm, AtomTable};
pub use code::Code;
pub use error::BeamError;
pub use file::{Beam, Chunk, ChunkId, SIGNIFICANT};
pub use gzip::{SIZE_LIMIT, is_compressed, uncompressed};
pub use literals::Literals;
pub use tables::{Export, Import};
