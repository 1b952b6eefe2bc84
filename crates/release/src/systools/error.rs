//! Why applications make no release.

use std::fmt;

use crate::rel::StartType;

/// What does not fit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScriptError {
    /// A release consists of these at least.
    #[error("it lacks the application {0}, without which nothing runs; add it")]
    MissingMandatory(&'static str),
    /// Those have to be permanent.
    #[error("the application {application} is {}, but has to be permanent", .start.name())]
    Mandatory {
        /// `kernel` or `stdlib`.
        application: &'static str,
        /// How it would be started.
        start: StartType,
    },
    /// The `.rel` file says that an application includes others, which its `.app` file does not say.
    #[error("it says that {application} includes {}, which its `.app` file does not", .names.join(", "))]
    Include {
        /// The application.
        application: String,
        /// What it does not include.
        names: Vec<String>,
    },
    /// A list of an `.app` file names something twice.
    #[error("`{key}` of {application} names {} more than once", .names.join(", "))]
    Repeated {
        /// The application.
        application: String,
        /// The list.
        key: &'static str,
        /// What is named again.
        names: Vec<String>,
    },
    /// Applications that others need are not in the release.
    #[error("applications need {}, which it does not name; add them with their versions", .0.join(", "))]
    Undefined(Vec<String>),
    /// Processes of several applications have one name.
    #[error("two applications register a process of the same name: {}", listed(.0))]
    Registered(Vec<Clash>),
    /// An application is included by several others.
    #[error("two applications include the same one: {}", listed(.0))]
    IncludedTwice(Vec<Clash>),
    /// A module is in several applications.
    #[error("two applications have a module of the same name: {}", listed(.0))]
    Modules(Vec<Clash>),
    /// Applications need each other.
    #[error("applications need each other in a circle: {}", .0.join(", "))]
    Circular(Vec<String>),
}

/// What two applications lay claim to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clash {
    /// A process, application or module.
    pub name: String,
    /// The first application.
    pub first: String,
    /// The second one.
    pub second: String,
}

impl fmt::Display for Clash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            name,
            first,
            second,
        } = self;
        write!(f, "{name} in {first} and {second}")
    }
}

fn listed(clashes: &[Clash]) -> String {
    let texts: Vec<_> = clashes.iter().map(ToString::to_string).collect();
    texts.join(", ")
}
