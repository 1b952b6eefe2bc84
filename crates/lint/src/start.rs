//! How the emulator is started: its flags, `heart`, distribution and cookies, `env.sh`.

use release::otp::flags::{self, Knowledge};
use release::{Flavour, Note};

use crate::finding::{Finding, Place};
use crate::programs::ProgramFact;
use crate::subject::Subject;
use crate::table::Code;

/// Something about the start.
#[derive(Debug, thiserror::Error)]
pub enum StartFact {
    /// The emulator does not have this flag.
    #[error("the emulator of ERTS {erts} does not know `{flag}`{}", newer(.since))]
    UnknownFlag {
        /// The flag.
        flag: String,
        /// Version of the run-time system.
        erts: String,
        /// A newer OTP that has it.
        since: Option<&'static str>,
    },
    /// Nobody here knows.
    #[error("`{flag}` is not known here, and ERTS {erts} is newer than what is")]
    UnprovenFlag {
        /// The flag.
        flag: String,
        /// Version of the run-time system.
        erts: String,
    },
    /// Heart is on.
    #[error("heart watches the emulator; it can end the machine, but not start it again")]
    Heart,
    /// Heart has a command.
    #[error("HEART_COMMAND is `{command}`, and will not be run")]
    HeartCommand {
        /// What it is.
        command: String,
    },
    /// A remark of [`release`] about the start.
    #[error("{0}")]
    Note(Note),
    /// A flag does nothing.
    #[error("`{flag}` has no effect; {instead}")]
    Obsolete {
        /// The flag.
        flag: String,
        /// What has.
        instead: &'static str,
    },
    /// The cookie is weak.
    #[error("the cookie {why}")]
    WeakCookie {
        /// In what way; never the cookie itself.
        why: String,
    },
    /// The cookie is in the image.
    #[error("the cookie is in {}", .places.join(" and in "))]
    CookieInImage {
        /// Files of the image, or its start.
        places: Vec<String>,
    },
    /// There is no cookie.
    #[error("the node is distributed and has no cookie: it makes a random one at each start")]
    NoCookie,
}

fn newer(since: &Option<&'static str>) -> String {
    since.map_or_else(String::new, |otp| format!("; OTP {otp} does"))
}

impl StartFact {
    /// The rule that it belongs to.
    pub fn code(&self) -> Code {
        match self {
            Self::UnknownFlag { .. } => Code::UnknownFlag,
            Self::UnprovenFlag { .. } => Code::UnprovenFlag,
            Self::Heart => Code::Heart,
            Self::HeartCommand { .. } => Code::HeartCommand,
            Self::Note(Note::EpmdMissing) => Code::EpmdMissing,
            Self::Note(Note::EnvShLine { .. }) => Code::EnvSh,
            Self::Note(Note::Hook { .. }) => Code::Hook,
            Self::Note(Note::Unset { .. }) => Code::Unset,
            Self::Note(Note::NoEpmd { .. }) => Code::NoEpmd,
            Self::Obsolete { .. } => Code::ObsoleteFlag,
            Self::WeakCookie { .. } => Code::WeakCookie,
            Self::CookieInImage { .. } => Code::CookieInImage,
            Self::NoCookie => Code::NoCookie,
        }
    }
}

pub(crate) fn check(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    let Some(start) = subject.start else {
        return;
    };
    findings.extend(start.notes.iter().map(note));
    let facts = flags_of(subject)
        .into_iter()
        .chain(obsolete(subject))
        .chain(cookies(subject));
    findings.extend(facts.map(Finding::new));
    heart(subject, findings);
}

fn note(note: &Note) -> Finding {
    let place = match note {
        Note::EnvShLine { path, line, .. } | Note::Unset { path, line, .. } => Place {
            line: Some(*line),
            ..Place::file(path.display())
        },
        Note::Hook { path, .. } => Place::file(path.display()),
        _ => Place::default(),
    };
    Finding::new(StartFact::Note(note.clone())).at(place)
}

/// Flags of the emulator; all of them follow each other at the start of the arguments.
fn flags_of(subject: &Subject<'_>) -> Vec<StartFact> {
    let erts = subject.release.erts_version();
    let words = subject.emulator_words().iter();
    let given = words.filter(|word| word.starts_with('-') && word.len() > 1);
    given
        .filter_map(|word| {
            let flag = format!("+{}", &word[1..]);
            let erts = erts.to_string();
            match flags::knowledge(&word[1..], &erts) {
                Knowledge::Exists => None,
                Knowledge::Later(otp) => Some(StartFact::UnknownFlag {
                    flag,
                    erts,
                    since: Some(otp),
                }),
                Knowledge::None => Some(StartFact::UnknownFlag {
                    flag,
                    erts,
                    since: None,
                }),
                Knowledge::Unknown => Some(StartFact::UnprovenFlag { flag, erts }),
            }
        })
        .collect()
}

/// Flags without effect, and what has (erl(1); erts/etc/common/erlexec.c). `+K` reaches the
/// emulator as `-K`.
const OBSOLETE: [(&str, &str); 2] = [
    ("-cookie", "the flag for cookies is `-setcookie`"),
    ("-smp", "`+S 1` is what starts one scheduler only"),
];
const OBSOLETE_EMULATOR: [(&str, &str); 1] = [(
    "-K",
    "the system's efficient poll is always used since OTP 21",
)];

fn obsolete(subject: &Subject<'_>) -> Vec<StartFact> {
    // Behind `-extra` everything belongs to the release.
    let words = subject.arguments().iter();
    let words: Vec<_> = words.take_while(|word| *word != "-extra").collect();
    let given = |list: &[(&'static str, &'static str)], words: &[&String], sign: &str| {
        let given = list
            .iter()
            .filter(|(flag, _)| words.iter().any(|word| word == flag));
        let fact = |(flag, instead): &(&str, &'static str)| StartFact::Obsolete {
            flag: format!("{sign}{}", &flag[1..]),
            instead,
        };
        given.map(fact).collect::<Vec<_>>()
    };
    let emulator: Vec<_> = subject.emulator_words().iter().collect();
    let mut facts = given(&OBSOLETE, &words, "-");
    facts.extend(given(&OBSOLETE_EMULATOR, &emulator, "+"));
    facts
}

fn heart(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    if subject.flag("-heart").is_empty() {
        return;
    }
    findings.push(Finding::new(StartFact::Heart));
    if let Some(command) = subject.variable("HEART_COMMAND").filter(|c| !c.is_empty()) {
        let command = command.into();
        findings.push(Finding::new(StartFact::HeartCommand { command }));
    }
    let program = subject.runtime_program("heart");
    if !subject.has(&program) {
        findings.push(Finding::new(ProgramFact::RuntimeHelper {
            program: "heart",
            effect: "the emulator ends when it wants to start it",
        }));
    }
}

/// `HOME` of the guest, where the emulator looks for its cookie.
const COOKIE_FILE: &str = "/root/.erlang.cookie";

fn cookies(subject: &Subject<'_>) -> Vec<StartFact> {
    let distributed = ["-name", "-sname"].map(|flag| !subject.flag(flag).is_empty());
    if !distributed.contains(&true) {
        return Vec::new();
    }
    let given = subject.flag("-setcookie");
    if given.concat().iter().any(|value| value.contains("${")) {
        // It is said when the machine starts.
        return Vec::new();
    }
    // `-setcookie NODE COOKIE` is for one other node.
    let given = given.iter().filter_map(|values| match values {
        [cookie] | [_, cookie] if !cookie.is_empty() => Some(cookie.clone()),
        _ => None,
    });
    let file = subject.text(COOKIE_FILE);
    let in_file = file.iter().map(|text| text.trim_end().to_string());
    let all: Vec<String> = given.chain(in_file).collect();
    if all.is_empty() {
        return vec![StartFact::NoCookie];
    }
    let weak = all
        .iter()
        .filter_map(|cookie| weakness(cookie, subject.release.name()));
    let weak = weak.map(|why| StartFact::WeakCookie { why });
    let places = StartFact::CookieInImage {
        places: places(subject, file.is_some()),
    };
    weak.chain([places]).collect()
}

fn places(subject: &Subject<'_>, in_home: bool) -> Vec<String> {
    let in_file =
        subject.release.flavour() == Flavour::Mix && subject.has("/release/releases/COOKIE");
    let in_file = in_file.then(|| "releases/COOKIE".to_string());
    let in_home = in_home.then(|| COOKIE_FILE.to_string());
    let in_words =
        (!subject.flag("-setcookie").is_empty()).then(|| "the emulator's arguments".into());
    in_file.into_iter().chain(in_words).chain(in_home).collect()
}

/// Fewer characters than this are tried in no time: letters and digits have six bits each at most,
/// and the handshake's digests can be tried without the network once one was seen.
const SHORT_COOKIE: usize = 16;

/// Cookies of templates, manuals and habit.
const KNOWN_COOKIES: [&str; 9] = [
    "cookie", "secret", "erlang", "elixir", "monster", "nocookie", "mycookie", "changeme",
    "password",
];

fn weakness(cookie: &str, release: &str) -> Option<String> {
    let lower = cookie.to_lowercase();
    let plain: String = lower.chars().filter(char::is_ascii_alphanumeric).collect();
    let name: String = release
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .collect();
    if KNOWN_COOKIES.contains(&plain.as_str()) {
        return Some("is one that everybody tries first".into());
    }
    if plain == format!("{}cookie", name.to_lowercase()) || lower.ends_with("_cookie") {
        return Some("is that of a template (`NAME_cookie`)".into());
    }
    let length = cookie.chars().count();
    (length < SHORT_COOKIE)
        .then(|| format!("has {length} characters; {SHORT_COOKIE} random ones are the least"))
}

#[cfg(test)]
mod tests {
    use super::weakness;

    #[test]
    fn guessable_cookies_are_weak() {
        for weak in [
            "secret",
            "My_Cookie",
            "hello_cookie",
            "hello-cookie",
            "abc",
            "QWERTZUIOPASDFG",
        ] {
            assert!(weakness(weak, "hello").is_some(), "{weak}");
        }
        for strong in ["YVEUBLMUVB7ZQZ5G", "Zy5tB3d-8Qpa_20fXu7w"] {
            assert_eq!(weakness(strong, "hello"), None, "{strong}");
        }
    }
}
