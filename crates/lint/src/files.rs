//! Files that the release writes or expects: what `sys.config` says of them, the locale, the time
//! zone, and applications that are known to write to their own directory.

use release::term::{Term, text};

use crate::finding::{Finding, Place};
use crate::subject::Subject;
use crate::table::Code;

/// Something about files.
#[derive(Debug, thiserror::Error)]
pub enum FileFact {
    /// A log goes to a file.
    #[error("{key} writes a log to {path}, which is in memory")]
    Log {
        /// Application and parameter.
        key: String,
        /// The file.
        path: String,
    },
    /// Data is kept in a directory.
    #[error("{key} keeps data in {path}, which is in memory and empty after each start")]
    Data {
        /// Application and parameter.
        key: String,
        /// The directory.
        path: String,
    },
    /// A file of the host is named.
    #[error("{key} names {path}, which is not in the image{}", if *.on_host { ", though on this machine" } else { "" })]
    HostPath {
        /// Application and parameter.
        key: String,
        /// The file or directory.
        path: String,
        /// Whether it is on this machine.
        on_host: bool,
    },
    /// A locale is not there.
    #[error("{variable} is `{value}`; there is no such locale in the image")]
    Locale {
        /// The variable.
        variable: &'static str,
        /// Its value.
        value: String,
    },
    /// A time zone is not there.
    #[error("TZ is `{zone}`, and {path} is not in the image")]
    Timezone {
        /// The value.
        zone: String,
        /// The file that is looked for.
        path: String,
    },
    /// An application writes to its own directory.
    #[error("{application} {habit}")]
    OwnDirectory {
        /// The application.
        application: &'static str,
        /// What it does.
        habit: &'static str,
    },
}

impl FileFact {
    /// The rule that it belongs to.
    pub fn code(&self) -> Code {
        match self {
            Self::Log { .. } => Code::LogFile,
            Self::Data { .. } => Code::DataInMemory,
            Self::HostPath { .. } => Code::HostPath,
            Self::Locale { .. } => Code::Locale,
            Self::Timezone { .. } => Code::Timezone,
            Self::OwnDirectory { .. } => Code::OwnDirectory,
        }
    }
}

pub(crate) fn check(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    for file in configurations(subject) {
        let facts = subject.text(&file).map(|text| configured(subject, &text));
        let facts = facts.into_iter().flatten();
        findings.extend(facts.map(|fact| Finding::new(fact).at(Place::file(&file))));
    }
    let facts = locale(subject).into_iter().chain(timezone(subject));
    findings.extend(facts.chain(own_directories(subject)).map(Finding::new));
}

/// The files that `-config` names, with their extension.
pub(crate) fn configurations(subject: &Subject<'_>) -> Vec<String> {
    let named = subject.flag("-config").into_iter().flatten();
    let mut files: Vec<_> = named
        .map(|name| match name.ends_with(".config") {
            true => name.clone(),
            false => format!("{name}.config"),
        })
        .collect();
    files.sort();
    files.dedup();
    files
}

/// Parameters by which applications are told where to log: application (of any name if empty) and
/// parameter.
const LOGS: [(&str, &str); 7] = [
    ("kernel", "logger"),
    ("kernel", "error_logger"),
    ("sasl", "sasl_error_logger"),
    ("sasl", "error_logger_mf_dir"),
    ("lager", ""),
    ("logger", ""),
    ("", "log_dir"),
];

/// Parameters by which applications are told where to keep data.
const DATA: [(&str, &str); 5] = [
    ("mnesia", "dir"),
    ("ra", "data_dir"),
    ("", "data_dir"),
    ("", "database"),
    ("", "db_path"),
];

fn is_listed(list: &[(&str, &str)], application: &str, parameter: &str) -> bool {
    let fits = |wanted: &str, found: &str| wanted.is_empty() || wanted == found;
    list.iter()
        .any(|(a, p)| fits(a, application) && fits(p, parameter))
}

/// What the parameters of a configuration say.
fn configured(subject: &Subject<'_>, content: &str) -> Vec<FileFact> {
    // That it cannot be read is found when the release is.
    let Ok(term) = text::parse_one(content.as_bytes()) else {
        return Vec::new();
    };
    let mut facts = Vec::new();
    for (application, parameters) in pairs(&term) {
        for (parameter, value) in pairs(parameters) {
            parameter_facts(subject, application, parameter, value, &mut facts);
        }
    }
    facts
}

/// `{Key, Value}` pairs of a list or a map.
pub(crate) fn pairs(term: &Term) -> Vec<(&str, &Term)> {
    match term {
        Term::List(elements) => elements
            .iter()
            .filter_map(|element| match element.as_tuple()? {
                [key, value] => Some((key.as_atom()?, value)),
                _ => None,
            })
            .collect(),
        Term::Map(pairs) => pairs
            .iter()
            .filter_map(|(key, value)| Some((key.as_atom()?, value)))
            .collect(),
        _ => Vec::new(),
    }
}

fn parameter_facts(
    subject: &Subject<'_>,
    application: &str,
    parameter: &str,
    value: &Term,
    facts: &mut Vec<FileFact>,
) {
    let key = format!("{application}: {parameter}");
    let mut strings = Vec::new();
    collect_strings(value, &mut strings);
    if is_listed(&LOGS, application, parameter) {
        let mut files = Vec::new();
        log_files(value, &mut files);
        let whole = string(value).filter(|_| parameter != "logger");
        for path in files.into_iter().chain(whole).filter(|path| is_kept(path)) {
            strings.retain(|string| *string != path);
            let key = key.clone();
            facts.push(FileFact::Log { key, path });
        }
    } else if is_listed(&DATA, application, parameter)
        && let Some(path) = string(value).filter(|path| path.contains('/') && is_kept(path))
    {
        facts.push(FileFact::Data { key, path });
        return;
    }
    let outside = strings.into_iter().filter(|path| is_outside(subject, path));
    facts.extend(outside.map(|path| FileFact::HostPath {
        key: key.clone(),
        on_host: std::path::Path::new(&path).exists(),
        path,
    }));
}

/// Not a device: those keep nothing.
fn is_kept(path: &str) -> bool {
    !path.starts_with("/dev/") && !path.starts_with("/proc/")
}

/// The text of a string or binary.
fn string(term: &Term) -> Option<String> {
    let text = match term {
        Term::Binary(bytes) => String::from_utf8(bytes.clone()).ok()?,
        term => term.to_text()?,
    };
    let printable = |c: char| !c.is_control() && c != '\u{fffd}';
    (!text.is_empty() && text.chars().all(printable)).then_some(text)
}

/// Values of keys that name a log's file, at any depth.
fn log_files(term: &Term, files: &mut Vec<String>) {
    const KEYS: [&str; 5] = ["file", "path", "log_root", "crash_log", "filename"];
    for (key, value) in pairs(term) {
        if KEYS.contains(&key) {
            files.extend(string(value));
        }
    }
    if let Some([Term::Atom(key), value]) = term.as_tuple()
        && KEYS.contains(&key.as_str())
    {
        files.extend(string(value));
    }
    // The pairs of a list are its elements, too.
    let mut below = Vec::new();
    for child in children(term) {
        log_files(child, &mut below);
    }
    below.retain(|path| !files.contains(path));
    files.extend(below);
}

/// Terms inside of a term, but for the characters of strings.
fn children(term: &Term) -> Vec<&Term> {
    match term {
        Term::List(_) if string(term).is_some() => Vec::new(),
        Term::List(elements) | Term::Tuple(elements) => elements.iter().collect(),
        Term::Improper(elements, tail) => elements.iter().chain([&**tail]).collect(),
        Term::Map(pairs) => pairs.iter().flat_map(|(key, value)| [key, value]).collect(),
        _ => Vec::new(),
    }
}

fn collect_strings(term: &Term, found: &mut Vec<String>) {
    match string(term) {
        Some(text) => found.push(text),
        None => children(term)
            .into_iter()
            .for_each(|child| collect_strings(child, found)),
    }
}

/// First directories of paths that mean files; paths of web pages begin otherwise.
const TOP_DIRECTORIES: [&str; 12] = [
    "app", "build", "data", "etc", "home", "mnt", "opt", "srv", "usr", "var", "Users", "release",
];

/// Whether a string is the path of a file or directory that is not in the image, and that the
/// guest does not make itself.
fn is_outside(subject: &Subject<'_>, text: &str) -> bool {
    let Some((top, rest)) = text.strip_prefix('/').and_then(|text| text.split_once('/')) else {
        return false;
    };
    let is_path = |c: char| c.is_ascii_alphanumeric() || "/._-+@~".contains(c);
    TOP_DIRECTORIES.contains(&top)
        && !rest.is_empty()
        && text.chars().all(is_path)
        && !subject.has(text.trim_end_matches('/'))
}

/// Locales that the C library of an image has.
fn locale_is_there(value: &str) -> bool {
    let value = value.to_ascii_lowercase();
    matches!(value.as_str(), "" | "c" | "posix" | "c.utf-8" | "c.utf8")
}

/// The first of these that is set counts (locale(7)).
fn locale(subject: &Subject<'_>) -> Option<FileFact> {
    let mut variables = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter();
    let (variable, value) = variables.find_map(|name| {
        let value = subject.variable(name).filter(|value| !value.is_empty())?;
        Some((name, value))
    })?;
    let directory = format!("/usr/lib/locale/{value}");
    let there = locale_is_there(value)
        || subject.has(&directory)
        || subject.has("/usr/lib/locale/locale-archive");
    (!there).then(|| FileFact::Locale {
        variable,
        value: value.into(),
    })
}

/// `TZ` (tzset(3)): `:FILE`, a file below the directory of zones, or a rule such as `CET-1CEST`.
fn timezone(subject: &Subject<'_>) -> Option<FileFact> {
    let zone = subject.variable("TZ")?;
    let name = zone.strip_prefix(':').unwrap_or(zone);
    let is_rule = !name.contains('/') && name.contains(|c: char| c.is_ascii_digit());
    if name.is_empty() || is_rule || matches!(name, "UTC" | "GMT" | "Etc/UTC") {
        return None;
    }
    let path = match name.starts_with('/') {
        true => name.to_string(),
        false => format!("/usr/share/zoneinfo/{name}"),
    };
    (!subject.has(&path)).then(|| FileFact::Timezone {
        zone: zone.into(),
        path,
    })
}

/// Applications that keep files in their own directory, and what can be said of it.
const OWN_DIRECTORY: [(&str, &str); 2] = [
    (
        "tzdata",
        "fetches time zones from the network and keeps them in its `priv` directory (`config :tzdata, :autoupdate, :disabled` stops it)",
    ),
    (
        "ua_inspector",
        "fetches its databases from the network and keeps them in its `priv` directory",
    ),
];

fn own_directories(subject: &Subject<'_>) -> Vec<FileFact> {
    let known = OWN_DIRECTORY
        .iter()
        .filter(|(name, _)| subject.application(name));
    known
        .map(|(application, habit)| FileFact::OwnDirectory { application, habit })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{locale_is_there, log_files};
    use release::term::text;

    #[test]
    fn log_files_are_found_at_any_depth() {
        let term = r#"[{handler, default, logger_std_h, #{config => #{file => "log/a.log"}}},
            {handler, d, logger_disk_log_h, #{config => #{file => "log/b.log"}}}]."#;
        let mut files = Vec::new();
        log_files(&text::parse_one(term.as_bytes()).unwrap(), &mut files);
        assert_eq!(files, ["log/a.log", "log/b.log"]);
    }

    #[test]
    fn locales_are_those_of_the_image() {
        assert!(locale_is_there("C.UTF-8") && locale_is_there("C.utf8"));
        assert!(!locale_is_there("en_US.UTF-8"));
    }
}
