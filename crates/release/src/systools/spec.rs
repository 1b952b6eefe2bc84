//! What a boot script needs of an `.app` file (`app(4)`): all of it.

use crate::rel::{StartType, atoms};
use crate::term::Term;

/// The content of an `.app` file.
#[derive(Clone, Debug, PartialEq)]
pub struct AppSpec {
    /// Name.
    pub name: String,
    /// Version.
    pub version: String,
    /// How it is started; decided by the `.rel` file.
    pub start: StartType,
    /// The directory of the file, for [`Paths::Local`](super::Paths).
    pub ebin: String,
    /// Its modules.
    pub modules: Vec<String>,
    /// Names of its processes.
    pub registered: Vec<String>,
    /// Applications that are started before it.
    pub applications: Vec<String>,
    /// Those among them that may be missing.
    pub optional: Vec<String>,
    /// Applications that are loaded with it and started by it.
    pub included: Vec<String>,
    description: Term,
    id: Term,
    env: Term,
    max_time: Term,
    max_processes: Term,
    start_phases: Option<Term>,
    module: Option<Term>,
}

/// Why a term describes no application for a boot script.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpecError {
    /// The whole is wrong.
    #[error("expected `{{application, Name, [{{Key, Value}}, …]}}.`")]
    Shape,
    /// A key is missing that a release needs.
    #[error("the key `{0}` is missing or malformed; a boot script cannot be made without it")]
    Missing(&'static str),
    /// A value is wrong.
    #[error("the value of `{0}` is malformed")]
    Value(&'static str),
}

impl AppSpec {
    /// Reads the term of an `.app` file as `parse_application` does.
    ///
    /// # Errors
    /// What part of the term is wrong.
    pub fn from_term(term: &Term) -> Result<Self, SpecError> {
        let Some([name, Term::List(dictionary)]) = term.tagged("application") else {
            return Err(SpecError::Shape);
        };
        let name = name.as_atom().ok_or(SpecError::Shape)?;
        let dictionary = Dictionary(dictionary);
        let version = dictionary.text("vsn")?.ok_or(SpecError::Missing("vsn"))?;
        Ok(Self {
            name: name.into(),
            version: version.to_text().unwrap_or_default(),
            id: dictionary.text("id")?.unwrap_or_else(empty),
            description: dictionary
                .text("description")?
                .ok_or(SpecError::Missing("description"))?,
            modules: dictionary.needed("modules")?,
            registered: dictionary.needed("registered")?,
            applications: dictionary.needed("applications")?,
            optional: dictionary
                .names("optional_applications")?
                .unwrap_or_default(),
            included: dictionary
                .names("included_applications")?
                .unwrap_or_default(),
            module: dictionary.module()?,
            start_phases: dictionary.start_phases()?,
            env: dictionary.pairs("env")?.unwrap_or_else(empty),
            max_time: dictionary.bound("maxT")?,
            max_processes: dictionary.bound("maxP")?,
            start: StartType::default(),
            ebin: String::new(),
        })
    }

    /// Name and version, as in the name of its directory.
    pub(super) fn id(&self) -> String {
        format!("{}-{}", self.name, self.version)
    }

    /// The term for `application:load/1` (`pack_app`).
    pub(super) fn to_term(&self) -> Term {
        let names =
            |names: &[String]| Term::List(names.iter().map(|name| Term::atom(name)).collect());
        let mut pairs = vec![
            ("description", self.description.clone()),
            ("vsn", Term::string(&self.version)),
            ("id", self.id.clone()),
            ("modules", names(&self.modules)),
            ("registered", names(&self.registered)),
            ("applications", names(&self.applications)),
            ("optional_applications", names(&self.optional)),
            ("included_applications", names(&self.included)),
            ("env", self.env.clone()),
            ("maxT", self.max_time.clone()),
            ("maxP", self.max_processes.clone()),
        ];
        pairs.extend(
            self.start_phases
                .clone()
                .map(|phases| ("start_phases", phases)),
        );
        pairs.extend(self.module.clone().map(|module| ("mod", module)));
        let pair = |(key, value)| Term::Tuple(vec![Term::atom(key), value]);
        Term::Tuple(vec![
            Term::atom("application"),
            Term::atom(&self.name),
            Term::List(pairs.into_iter().map(pair).collect()),
        ])
    }
}

fn empty() -> Term {
    Term::List(Vec::new())
}

/// The keys and values of an `.app` file (`get_items`, `check_item`).
struct Dictionary<'a>(&'a [Term]);

impl<'a> Dictionary<'a> {
    /// The value of a key, which comes in a pair; the first tuple that begins with the key counts.
    fn value(&self, key: &'static str) -> Result<Option<&'a Term>, SpecError> {
        match self.0.iter().find_map(|term| term.tagged(key)) {
            Some([value]) => Ok(Some(value)),
            Some(_) => Err(SpecError::Missing(key)),
            None => Ok(None),
        }
    }

    fn text(&self, key: &'static str) -> Result<Option<Term>, SpecError> {
        self.checked(key, |value| value.to_text().is_some())
    }

    /// Pairs whose first elements are atoms (`t_list_p`).
    fn pairs(&self, key: &'static str) -> Result<Option<Term>, SpecError> {
        let is_pair = |term: &Term| matches!(term.as_tuple(), Some([Term::Atom(_), _]));
        self.checked(key, |value| {
            value.as_list().is_some_and(|list| list.iter().all(is_pair))
        })
    }

    fn checked(
        &self,
        key: &'static str,
        is_fit: impl Fn(&Term) -> bool,
    ) -> Result<Option<Term>, SpecError> {
        match self.value(key)? {
            Some(value) if is_fit(value) => Ok(Some(value.clone())),
            Some(_) => Err(SpecError::Value(key)),
            None => Ok(None),
        }
    }

    fn names(&self, key: &'static str) -> Result<Option<Vec<String>>, SpecError> {
        let value = self.value(key)?;
        value
            .map(|value| atoms(value).ok_or(SpecError::Value(key)))
            .transpose()
    }

    fn needed(&self, key: &'static str) -> Result<Vec<String>, SpecError> {
        self.names(key)?.ok_or(SpecError::Missing(key))
    }

    /// `[]` stands for none.
    fn module(&self) -> Result<Option<Term>, SpecError> {
        let value = self.value("mod")?;
        match value.map(|value| (value, value.as_tuple())) {
            None => Ok(None),
            Some((Term::List(list), _)) if list.is_empty() => Ok(None),
            Some((value, Some([Term::Atom(_), _]))) => Ok(Some(value.clone())),
            Some(_) => Err(SpecError::Missing("mod")),
        }
    }

    /// `undefined` stands for none.
    fn start_phases(&self) -> Result<Option<Term>, SpecError> {
        match self.value("start_phases")? {
            Some(value) if value.as_atom() == Some("undefined") => Ok(None),
            _ => self.pairs("start_phases"),
        }
    }

    /// A number above 0, or `infinity`.
    fn bound(&self, key: &'static str) -> Result<Term, SpecError> {
        let is_fit = |value: &Term| match value {
            Term::Integer(number) => *number > 0,
            Term::Big(number) => !number.is_negative(),
            value => value.as_atom() == Some("infinity"),
        };
        Ok(self
            .checked(key, is_fit)?
            .unwrap_or_else(|| Term::atom("infinity")))
    }
}
