//! What can be wrong with a container.

use std::io;

/// Why a container cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum FormatError {
    /// The bytes cannot be read, or end too early.
    #[error("{0}")]
    Read(#[from] io::Error),
    /// The file ends before its parts do.
    #[error("it ends too early; was it copied as a whole?")]
    CutOff,
    /// A field contradicts the format.
    #[error("damaged {format}: {what}")]
    Damaged {
        /// The format.
        format: &'static str,
        /// What is wrong.
        what: &'static str,
    },
    /// A variant of the format that `unibeam image` does not write.
    #[error("{format} {what}, which is not supported; convert it with `qemu-img convert -O raw`")]
    Unsupported {
        /// The format.
        format: &'static str,
        /// The variant.
        what: &'static str,
    },
}

impl From<FormatError> for io::Error {
    fn from(error: FormatError) -> Self {
        match error {
            FormatError::Read(error) => error,
            error => Self::new(io::ErrorKind::InvalidData, error),
        }
    }
}
