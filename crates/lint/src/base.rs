//! What the base lacks that the image boots.

use bases::Objection;
use release::GuestPath;

use crate::finding::{Finding, Place};
use crate::table::Code;

/// Something about the base.
#[derive(Debug, thiserror::Error)]
pub enum BaseFact {
    /// No image can be made.
    #[error("{0}")]
    Refused(bases::Error),
    /// Native code needs what nothing has.
    #[error("{user} needs {}, which the kernel does not have", .names.join(", "))]
    MissingSymbols {
        /// The file.
        user: GuestPath,
        /// Functions and objects.
        names: Vec<String>,
    },
    /// Something starts a program.
    #[error("{what}; there are no programs on this base")]
    Program {
        /// What starts which.
        what: String,
    },
}

impl BaseFact {
    /// The rule that it belongs to.
    pub fn code(&self) -> Code {
        match self {
            Self::Refused(_) => Code::BaseRefuses,
            Self::MissingSymbols { .. } => Code::MissingSymbols,
            Self::Program { .. } => Code::NoPorts,
        }
    }
}

/// What a base objects to, as findings.
pub fn objections(objections: Vec<Objection>) -> Vec<Finding> {
    let finding = |objection| match objection {
        Objection::Refused(error) => Finding::new(BaseFact::Refused(error)),
        Objection::MissingSymbols { user, names } => {
            let place = Place::file(&user);
            Finding::new(BaseFact::MissingSymbols { user, names }).at(place)
        }
    };
    objections.into_iter().map(finding).collect()
}
