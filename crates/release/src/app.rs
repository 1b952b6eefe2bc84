//! The application resource file (`app(5)`), as far as the image needs it.

use crate::rel::atoms;
use crate::term::Term;

/// What an `.app` file says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AppFile {
    /// Name.
    pub name: String,
    /// Version.
    pub version: String,
    /// One line about it.
    pub description: String,
    /// Its modules.
    pub modules: Vec<String>,
    /// Applications that must be started before it.
    pub applications: Vec<String>,
    /// Licences, as rebar3 puts them there for Hex; what has another form is left out.
    pub licenses: Vec<String>,
}

/// Why a term is not an application.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ShapeError {
    /// The whole is wrong.
    #[error("expected `{{application, Name, [{{Key, Value}}, …]}}.`")]
    Application,
    /// A value is wrong.
    #[error("the value of `{0}` is malformed")]
    Value(&'static str),
}

impl AppFile {
    /// Reads the term of an `.app` file. Missing keys are empty, unknown ones are ignored.
    ///
    /// # Errors
    /// What part of the term is wrong.
    pub fn from_term(term: &Term) -> Result<Self, ShapeError> {
        let Some([name, properties]) = term.tagged("application") else {
            return Err(ShapeError::Application);
        };
        let name = name.as_atom().ok_or(ShapeError::Application)?;
        let properties = properties.as_list().ok_or(ShapeError::Application)?;
        Ok(Self {
            name: name.into(),
            version: property(properties, "vsn", Term::to_text)?,
            description: property(properties, "description", text)?,
            modules: property(properties, "modules", atoms)?,
            applications: property(properties, "applications", atoms)?,
            licenses: licenses(properties),
        })
    }
}

/// The names under `licenses`; also of Hex's metadata, where keys are binaries. No release is
/// refused because of them.
fn licenses(properties: &[Term]) -> Vec<String> {
    let names = properties.iter().find_map(|term| match term.as_tuple()? {
        [key, names] if key.as_atom() == Some("licenses") => names.as_list(),
        [Term::Binary(key), names] if key == b"licenses" => names.as_list(),
        _ => None,
    });
    names.unwrap_or_default().iter().filter_map(text).collect()
}

/// The licences that Hex's description of a package (`hex_metadata.config`) names.
pub fn hex_licenses(file: &[u8]) -> Vec<String> {
    let terms = crate::term::text::parse(file);
    licenses(&terms.unwrap_or_default())
}

fn property<T: Default>(
    properties: &[Term],
    key: &'static str,
    read: impl Fn(&Term) -> Option<T>,
) -> Result<T, ShapeError> {
    let value = properties.iter().find_map(|term| match term.as_tuple()? {
        [found, value] if found.as_atom() == Some(key) => Some(value),
        _ => None,
    });
    value.map_or_else(
        || Ok(T::default()),
        |value| read(value).ok_or(ShapeError::Value(key)),
    )
}

/// Descriptions may be strings or binaries.
fn text(term: &Term) -> Option<String> {
    match term {
        Term::Binary(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
        term => term.to_text(),
    }
}

#[cfg(test)]
mod tests {
    use super::{AppFile, ShapeError, hex_licenses};
    use crate::term::text;

    #[test]
    fn reads_an_app_file() {
        let term = r#"{application,hello,[{description,"says"},{vsn,"1.0"},{modules,[a,b]},
            {registered,[]},{applications,[kernel,stdlib]},{env,[{x,1.0}]},{mod,{a,[]}}]}."#;
        let app = AppFile::from_term(&text::parse_one(term.as_bytes()).unwrap()).unwrap();
        assert_eq!((app.name.as_str(), app.version.as_str()), ("hello", "1.0"));
        assert_eq!(app.modules, ["a", "b"]);
        assert_eq!(app.applications, ["kernel", "stdlib"]);
        assert!(app.licenses.is_empty());
    }

    #[test]
    fn licences_come_in_several_forms() {
        let app = |licenses: &str| {
            let term = format!("{{application,a,[{{vsn,\"1\"}},{{licenses,{licenses}}}]}}.");
            let term = text::parse_one(term.as_bytes()).unwrap();
            AppFile::from_term(&term).unwrap().licenses
        };
        assert_eq!(app(r#"["MIT",<<"Apache-2.0">>]"#), ["MIT", "Apache-2.0"]);
        assert!(app("mit").is_empty() && app("[mit]").is_empty());
        let hex = br#"{<<"name">>,<<"x">>}. {<<"licenses">>,[<<"MIT">>]}."#;
        assert_eq!(hex_licenses(hex), ["MIT"]);
        assert!(hex_licenses(b"{").is_empty());
    }

    #[test]
    fn wrong_values_are_named() {
        let parse = |text: &str| AppFile::from_term(&text::parse_one(text.as_bytes()).unwrap());
        assert_eq!(parse("{a}."), Err(ShapeError::Application));
        assert_eq!(
            parse("{application,a,[{vsn,1}]}."),
            Err(ShapeError::Value("vsn"))
        );
    }
}
