//! The release resource file (`rel(5)`).

use crate::term::Term;

/// What a `.rel` file says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RelFile {
    /// Name of the release.
    pub name: String,
    /// Version of the release.
    pub version: String,
    /// Version of its run-time system.
    pub erts: String,
    /// Its applications, in order.
    pub applications: Vec<RelApplication>,
}

/// One application of a `.rel` file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelApplication {
    /// Name.
    pub name: String,
    /// Version.
    pub version: String,
    /// How it is started.
    pub start: StartType,
    /// Applications it includes, if the `.rel` changes what the `.app` says.
    pub included: Option<Vec<String>>,
}

/// What starting and ending an application means for the release.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StartType {
    /// Its end ends the node.
    #[default]
    Permanent,
    /// Its abnormal end ends the node.
    Transient,
    /// Its end is reported.
    Temporary,
    /// Loaded, not started.
    Load,
    /// Neither loaded nor started.
    None,
}

impl StartType {
    const ALL: [(Self, &'static str); 5] = [
        (Self::Permanent, "permanent"),
        (Self::Transient, "transient"),
        (Self::Temporary, "temporary"),
        (Self::Load, "load"),
        (Self::None, "none"),
    ];

    /// The atom that stands for it.
    pub fn name(self) -> &'static str {
        Self::ALL[self as usize].1
    }

    fn from_name(name: &str) -> Option<Self> {
        let found = Self::ALL.into_iter().find(|(_, known)| *known == name);
        found.map(|(start, _)| start)
    }
}

/// Why a term is not a release.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ShapeError {
    /// The whole is wrong.
    #[error("expected `{{release, {{Name, Version}}, {{erts, Version}}, [Application, …]}}.`")]
    Release,
    /// One application is wrong.
    #[error(
        "application number {0} is malformed; expected `{{Name, Version[, Type][, Included]}}`"
    )]
    Application(usize),
    /// A name or version could not be part of a path.
    #[error("`{0}` cannot be a name or version")]
    Name(String),
}

impl RelFile {
    /// Reads the term of a `.rel` file.
    ///
    /// # Errors
    /// What part of the term is wrong.
    pub fn from_term(term: &Term) -> Result<Self, ShapeError> {
        let Some([release, erts, applications, ..]) = term.tagged("release") else {
            return Err(ShapeError::Release);
        };
        let (name, version) = release
            .as_tuple()
            .and_then(text_pair)
            .ok_or(ShapeError::Release)?;
        let erts = match erts.tagged("erts") {
            Some([erts]) => erts.to_text().ok_or(ShapeError::Release)?,
            _ => return Err(ShapeError::Release),
        };
        for part in [&version, &erts] {
            check_path_component(part)?;
        }
        let applications = applications.as_list().ok_or(ShapeError::Release)?;
        Ok(Self {
            name,
            version,
            erts,
            applications: applications
                .iter()
                .enumerate()
                .map(|(index, term)| RelApplication::from_term(index + 1, term))
                .collect::<Result<_, _>>()?,
        })
    }

    /// The term of a `.rel` file; [`from_term`](Self::from_term) reads it back.
    pub fn to_term(&self) -> Term {
        Term::Tuple(vec![
            Term::atom("release"),
            Term::Tuple(vec![Term::string(&self.name), Term::string(&self.version)]),
            Term::Tuple(vec![Term::atom("erts"), Term::string(&self.erts)]),
            Term::List(
                self.applications
                    .iter()
                    .map(RelApplication::to_term)
                    .collect(),
            ),
        ])
    }
}

impl RelApplication {
    fn from_term(number: usize, term: &Term) -> Result<Self, ShapeError> {
        let bad = ShapeError::Application(number);
        let Some([name, version, rest @ ..]) = term.as_tuple() else {
            return Err(bad);
        };
        let (Some(name), Some(version)) = (name.as_atom(), version.to_text()) else {
            return Err(bad);
        };
        check_path_component(name)?;
        check_path_component(&version)?;
        let start = |term: &Term| term.as_atom().and_then(StartType::from_name);
        let (start, included) = match rest {
            [] => (Some(StartType::default()), None),
            [one] if one.as_list().is_some() => (Some(StartType::default()), Some(one)),
            [one] => (start(one), None),
            [one, two] => (start(one), Some(two)),
            _ => return Err(bad),
        };
        Ok(Self {
            name: name.into(),
            version,
            start: start.ok_or_else(|| bad.clone())?,
            included: match included {
                Some(term) => Some(atoms(term).ok_or(bad)?),
                None => None,
            },
        })
    }

    fn to_term(&self) -> Term {
        let mut parts = vec![
            Term::atom(&self.name),
            Term::string(&self.version),
            Term::atom(self.start.name()),
        ];
        let included = self.included.iter();
        parts.extend(
            included.map(|names| Term::List(names.iter().map(|n| Term::atom(n)).collect())),
        );
        Term::Tuple(parts)
    }
}

/// The names in a list of atoms.
pub(crate) fn atoms(term: &Term) -> Option<Vec<String>> {
    let atom = |term: &Term| term.as_atom().map(String::from);
    term.as_list()?.iter().map(atom).collect()
}

fn text_pair(terms: &[Term]) -> Option<(String, String)> {
    match terms {
        [first, second] => Some((first.to_text()?, second.to_text()?)),
        _ => None,
    }
}

/// Versions and names of applications become parts of paths, so they must not lead elsewhere.
/// The release's own name does not: OTP's is `Erlang/OTP`.
fn check_path_component(text: &str) -> Result<(), ShapeError> {
    let bad = text.is_empty() || text.contains(['/', '\0']) || text == "." || text == "..";
    if bad {
        return Err(ShapeError::Name(text.into()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{RelFile, ShapeError, StartType};
    use crate::term::text;

    fn rel(text: &str) -> Result<RelFile, ShapeError> {
        RelFile::from_term(&text::parse_one(text.as_bytes()).unwrap())
    }

    #[test]
    fn parse_and_emit_are_twins() {
        let text = r#"{release,{"hello","1.0"},{erts,"13.1.5"},
            [{kernel,"8.5.3"},{a,"1",load},{b,"2",none,[c,d]},{e,"3",[f]}]}."#;
        let parsed = rel(text).unwrap();
        assert_eq!(parsed.applications[1].start, StartType::Load);
        assert_eq!(
            parsed.applications[3].included.as_deref(),
            Some(&["f".to_string()][..])
        );
        assert_eq!(RelFile::from_term(&parsed.to_term()), Ok(parsed));
    }

    #[test]
    fn wrong_shapes_are_named() {
        assert_eq!(rel("{application,a,[]}."), Err(ShapeError::Release));
        assert_eq!(
            rel(r#"{release,{"a","1"},{erts,"2"},[{kernel,"1"},x]}."#),
            Err(ShapeError::Application(2))
        );
        assert_eq!(
            rel(r#"{release,{"a","../.."},{erts,".."},[]}."#),
            Err(ShapeError::Name("../..".into()))
        );
    }
}
