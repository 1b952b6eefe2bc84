//! Why a release will not work on a base.

use release::GuestPath;

use crate::Error;

/// Something that stands in the way.
#[derive(Debug)]
pub enum Objection {
    /// No image can be made.
    Refused(Error),
    /// Native code needs functions or objects that nothing in the image has.
    MissingSymbols {
        /// The file.
        user: GuestPath,
        /// Their names, sorted.
        names: Vec<String>,
    },
}
