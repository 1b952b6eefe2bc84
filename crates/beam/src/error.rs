//! Why bytes are not a compiled module.

use crate::{ChunkId, SIZE_LIMIT};

/// What is wrong with a `.beam` file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BeamError {
    /// It starts with something else.
    #[error("not a compiled Erlang module: expected `FOR1`, a size and `BEAM`")]
    NotBeam,
    /// It ends early.
    #[error("the file is cut off: {needed} more bytes expected at byte {offset}")]
    Truncated {
        /// Where bytes are missing.
        offset: usize,
        /// How many.
        needed: usize,
    },
    /// More follows after the form.
    #[error("{0} bytes follow after the module")]
    Trailing(usize),
    /// The compressed file is damaged.
    #[error("the compressed file is damaged")]
    Gzip,
    /// It, or one of its chunks, is larger uncompressed than any real one.
    #[error("larger than {} MiB uncompressed", SIZE_LIMIT >> 20)]
    TooLarge,
    /// A chunk that every module has is not there.
    #[error("the chunk `{0}` is missing; compile the module again")]
    Missing(ChunkId),
    /// The content of a chunk makes no sense.
    #[error("the chunk `{0}` is malformed; compile the module again")]
    Malformed(ChunkId),
}
