//! What was found, as values.

use std::fmt;

use crate::base::BaseFact;
use crate::files::FileFact;
use crate::intake::IntakeFact;
use crate::memory::MemoryFact;
use crate::modules::ModuleFact;
use crate::native::NativeFact;
use crate::programs::ProgramFact;
use crate::start::StartFact;
use crate::table::{Code, Rule, Severity};

/// One thing that will not work, or that one should know.
#[derive(Debug)]
pub struct Finding {
    /// What.
    pub fact: Fact,
    /// Where.
    pub place: Place,
}

impl Finding {
    /// A finding about the release as a whole.
    pub fn new(fact: impl Into<Fact>) -> Self {
        Self {
            fact: fact.into(),
            place: Place::default(),
        }
    }

    /// The same at a place.
    #[must_use]
    pub fn at(self, place: Place) -> Self {
        Self { place, ..self }
    }

    /// The rule that found it.
    pub fn code(&self) -> Code {
        self.fact.code()
    }

    /// That rule's row in the table.
    pub fn rule(&self) -> &'static Rule {
        self.code().rule()
    }

    /// How much it matters.
    pub fn severity(&self) -> Severity {
        self.rule().severity
    }
}

/// What was found; its text is a sentence.
#[derive(Debug, thiserror::Error)]
pub enum Fact {
    /// About the release itself.
    #[error(transparent)]
    Intake(#[from] IntakeFact),
    /// About native code.
    #[error(transparent)]
    Native(#[from] NativeFact),
    /// About programs that are started.
    #[error(transparent)]
    Program(#[from] ProgramFact),
    /// About files and configuration.
    #[error(transparent)]
    File(#[from] FileFact),
    /// About the start.
    #[error(transparent)]
    Start(#[from] StartFact),
    /// About modules.
    #[error(transparent)]
    Module(#[from] ModuleFact),
    /// About memory.
    #[error(transparent)]
    Memory(#[from] MemoryFact),
    /// About the base.
    #[error(transparent)]
    Base(#[from] BaseFact),
}

impl Fact {
    /// The rule that it belongs to.
    pub fn code(&self) -> Code {
        match self {
            Self::Intake(fact) => fact.code(),
            Self::Native(fact) => fact.code(),
            Self::Program(fact) => fact.code(),
            Self::File(fact) => fact.code(),
            Self::Start(fact) => fact.code(),
            Self::Module(fact) => fact.code(),
            Self::Memory(fact) => fact.code(),
            Self::Base(fact) => fact.code(),
        }
    }
}

/// Where something was found, as far as that is known.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// A file, by its path in the guest where it has one.
    pub file: Option<String>,
    /// A line of it, from 1.
    pub line: Option<usize>,
    /// A function of a module, as one writes it in its language.
    pub function: Option<String>,
}

impl Place {
    /// A file.
    pub fn file(path: impl fmt::Display) -> Self {
        Self {
            file: Some(path.to_string()),
            ..Self::default()
        }
    }

    /// A function in a file.
    pub fn function(path: impl fmt::Display, name: impl fmt::Display) -> Self {
        Self {
            function: Some(name.to_string()),
            ..Self::file(path)
        }
    }

    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            f.write_str(file)?;
        }
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        match (&self.file, &self.function) {
            (Some(_), Some(function)) => write!(f, ", {function}"),
            (None, Some(function)) => f.write_str(function),
            (_, None) => Ok(()),
        }
    }
}
