//! Why a release does not fit a base.

use image::osv::OsvBaseError;

use crate::osv::OsvError;

/// Why an image cannot be laid out for a base.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// OSv cannot run it so.
    #[error(transparent)]
    Osv(#[from] OsvError),
    /// The file that was named holds no OSv.
    #[error(transparent)]
    OsvFile(#[from] OsvBaseError),
    /// Something is asked for that the base does not have.
    #[error("{what} is not possible on the base `{base}`; {remedy}")]
    NotPossible {
        /// What.
        what: &'static str,
        /// Where.
        base: &'static str,
        /// What to do.
        remedy: &'static str,
    },
}
