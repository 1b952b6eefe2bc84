//! What `erlexec` does between the words of a start script and the emulator's `argv`
//! (otp: erts/etc/common/erlexec.c, `initial_argv_massage` and `main`).
//!
//! First [`expand`]: every `-args_file FILE` is replaced by the words of the file and a `--`, and
//! what follows any `-extra` is gathered at the end. Then [`sort_flags`]: emulator flags (`+S 1`)
//! become `-S 1` and go first; the rest stays in order behind `--`.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::otp::Otp;

/// Files included by files included … before a cycle is assumed.
const NESTING_LIMIT: usize = 16;

/// Why `erlexec` would refuse the flags.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FlagError {
    /// The value is missing.
    #[error("`{0}` needs a value")]
    MissingValue(String),
    /// The flag or its value makes no sense.
    #[error("`{0}` is not supported")]
    Unsupported(String),
    /// Argument files include each other.
    #[error("`-args_file {0}` is nested too deeply; do the files include each other?")]
    Recursion(String),
}

/// Where flags come from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FlagWords {
    /// Those of `ERL_AFLAGS`.
    pub before: Vec<String>,
    /// Those of the command line.
    pub words: Vec<String>,
    /// Those of `ERL_FLAGS` and `ERL_ZFLAGS`.
    pub after: [Vec<String>; 2],
}

impl FlagWords {
    /// Whether the command line is taken as it is.
    fn is_plain(&self) -> bool {
        let before_extra = self.words.iter().take_while(|word| *word != "-extra");
        let [flags, last] = &self.after;
        [&self.before, flags, last]
            .iter()
            .all(|words| words.is_empty())
            && !before_extra.into_iter().any(|word| word == "-args_file")
    }
}

/// Gathers the flags of the environment and the command line, and replaces `-args_file FILE` by
/// the file's words, which `read` provides.
///
/// # Errors
/// Those of `read`, and [`FlagError`] for a missing file name or files that include each other.
pub fn expand<E: From<FlagError>>(
    sources: FlagWords,
    otp: Otp,
    read: &mut dyn FnMut(&str) -> Result<Vec<String>, E>,
) -> Result<Vec<String>, E> {
    if !otp.erlexec.always_separates && sources.is_plain() {
        return Ok(sources.words);
    }
    let mut expansion = Expansion {
        read,
        otp,
        words: Vec::new(),
        extra: Vec::new(),
    };
    let FlagWords {
        before,
        words,
        after: [flags, last],
    } = sources;
    expansion.add_separated(before, 0)?;
    expansion.add(&words, 0)?;
    expansion.words.push(SEPARATOR.into());
    for words in [flags, last] {
        expansion.add_separated(words, 0)?;
    }
    if !expansion.extra.is_empty() {
        expansion.words.push("-extra".into());
        expansion.words.append(&mut expansion.extra);
    }
    Ok(expansion.words)
}

/// Keeps the flags of different sources apart.
const SEPARATOR: &str = "--";

struct Expansion<'a, E> {
    read: &'a mut dyn FnMut(&str) -> Result<Vec<String>, E>,
    otp: Otp,
    words: Vec<String>,
    extra: Vec<String>,
}

impl<E: From<FlagError>> Expansion<'_, E> {
    fn add(&mut self, words: &[String], depth: usize) -> Result<(), E> {
        let mut rest = words.iter();
        while let Some(word) = rest.next() {
            match word.as_str() {
                "-args_file" => {
                    let name = rest
                        .next()
                        .ok_or_else(|| FlagError::MissingValue(word.clone()))?;
                    self.add_file(name, depth + 1)?;
                }
                "-extra" => {
                    self.extra.extend(rest.cloned());
                    if self.otp.erlexec.always_separates {
                        self.words.push(SEPARATOR.into());
                    }
                    break;
                }
                _ => self.words.push(word.clone()),
            }
        }
        Ok(())
    }

    /// Adds what a file or a variable holds, with a separator at its end.
    fn add_separated(&mut self, mut words: Vec<String>, depth: usize) -> Result<(), E> {
        let has_extra = words.iter().any(|word| word == "-extra");
        let hides = has_extra && self.otp.erlexec.always_separates;
        if !(words.is_empty() || hides) {
            words.push(SEPARATOR.into());
        }
        self.add(&words, depth)
    }

    fn add_file(&mut self, name: &str, depth: usize) -> Result<(), E> {
        if depth > NESTING_LIMIT {
            return Err(FlagError::Recursion(name.into()).into());
        }
        let words = (self.read)(name)?;
        self.add_separated(words, depth)
    }
}

/// The sorted command line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommandLine {
    /// Flags of the emulator.
    pub emulator: Vec<String>,
    /// Flags of `init` and arguments of the release.
    pub arguments: Vec<String>,
    /// Variables set with `-env`.
    pub env: BTreeMap<String, String>,
    /// Whether the node is distributed (`-name`, `-sname`).
    pub distributed: bool,
    /// Whether `erlexec` would start `epmd` for a distributed node.
    pub epmd: bool,
    /// Type of the emulator (`debug`, `opt`), if it is said.
    pub emulator_type: String,
    /// Flavour of the emulator (`emu`, `jit`, `smp`), if it is said.
    pub emulator_flavour: String,
}

/// Sorts words into emulator flags and the rest.
///
/// # Errors
/// [`FlagError`] where `erlexec` would print its usage and exit.
pub fn sort_flags(words: &[String], otp: Otp) -> Result<CommandLine, FlagError> {
    let mut line = CommandLine {
        epmd: true,
        ..CommandLine::default()
    };
    let mut rest = words;
    while let Some((word, tail)) = rest.split_first() {
        rest = match word.as_bytes() {
            b"-extra" => {
                line.arguments.extend_from_slice(rest);
                break;
            }
            [b'-', ..] => line.init_flag(word, tail, otp)?,
            [b'+', flag @ ..] => line.emulator_flag(word, flag, tail, otp)?,
            _ => line.argument(word, tail),
        };
    }
    Ok(line)
}

impl CommandLine {
    /// Whether a type or flavour of the emulator is asked for.
    pub fn names_emulator(&self) -> bool {
        !self.emulator_type.is_empty() || !self.emulator_flavour.is_empty()
    }

    fn argument<'a>(&mut self, word: &str, tail: &'a [String]) -> &'a [String] {
        self.arguments.push(word.into());
        tail
    }

    /// A flag that `erlexec` looks at; returns the words after it and its values.
    fn init_flag<'a>(
        &mut self,
        word: &str,
        tail: &'a [String],
        otp: Otp,
    ) -> Result<&'a [String], FlagError> {
        let value = || {
            let split = tail.split_first();
            split.ok_or_else(|| FlagError::MissingValue(word.into()))
        };
        match word {
            "-detached" | "-noinput" => {
                if word == "-detached" && otp.erlexec.passes_detached_on {
                    self.arguments.push(word.into());
                }
                self.arguments
                    .extend(["-noshell".into(), "-noinput".into()]);
                Ok(tail)
            }
            "-emu_args" | "-emu_args_exit" | "-emu_qouted_cmd_exit" => Ok(tail),
            "-epmd" => value().map(|(_, tail)| tail),
            "-env" => match tail {
                [name, value, tail @ ..] => {
                    self.env.insert(name.clone(), value.clone());
                    Ok(tail)
                }
                _ => Err(FlagError::MissingValue(word.into())),
            },
            "-name" | "-sname" => {
                self.distributed = true;
                let (name, tail) = value()?;
                self.arguments.extend([word.into(), name.clone()]);
                Ok(tail)
            }
            "-no_epmd" => {
                self.epmd = false;
                Ok(self.argument(word, tail))
            }
            "-start_epmd" => {
                let (value, tail) = value()?;
                self.epmd = value
                    .parse()
                    .map_err(|_| FlagError::Unsupported(format!("{word} {value}")))?;
                self.arguments.extend([word.into(), value.clone()]);
                Ok(tail)
            }
            "-version" => {
                self.emulator.push("-V".into());
                Ok(tail)
            }
            "-man" | "-make" | "-compile" | "-emu_name_exit" | "-smpdisable" => {
                Err(FlagError::Unsupported(word.into()))
            }
            "-smp" if tail.first().is_some_and(|value| value == "disable") => {
                Err(FlagError::Unsupported("-smp disable".into()))
            }
            "-emu_type" => {
                self.emulator_type.clone_from(value()?.0);
                Ok(self.argument(word, tail))
            }
            "-emu_flavor" => {
                self.emulator_flavour.clone_from(value()?.0);
                Ok(self.argument(word, tail))
            }
            _ => Ok(self.argument(word, tail)),
        }
    }

    fn emulator_flag<'a>(
        &mut self,
        word: &str,
        flag: &[u8],
        tail: &'a [String],
        otp: Otp,
    ) -> Result<&'a [String], FlagError> {
        let arity = arity(flag, otp).ok_or_else(|| FlagError::Unsupported(word.into()))?;
        self.emulator.push(format!("-{}", &word[1..]));
        let takes = |value: &String| match arity {
            Arity::None => false,
            Arity::Any | Arity::Plain => true,
            Arity::Optional(allowed) => allowed.contains(&value.as_str()),
        };
        let value = tail.first().filter(|value| takes(value));
        let is_flag = value.is_some_and(|value| value.starts_with(['-', '+']));
        match (value, arity) {
            (None, Arity::Any | Arity::Plain) => Err(FlagError::MissingValue(word.into())),
            (Some(_), Arity::Plain) if is_flag => Err(FlagError::MissingValue(word.into())),
            (None, _) => Ok(tail),
            (Some(value), _) => {
                self.emulator.push(value.clone());
                Ok(&tail[1..])
            }
        }
    }
}

/// What follows an emulator flag.
#[derive(Clone, Copy)]
enum Arity {
    /// Nothing; a value is part of the same word.
    None,
    /// Any word.
    Any,
    /// A word that is not a flag.
    Plain,
    /// One of these words, or nothing.
    Optional(&'static [&'static str]),
}

/// Flags whose value came to be a word of its own with a version of OTP.
const VALUES_SINCE: [(&[u8], u32); 7] = [
    (b"IOs", 25),
    (b"hmaxib", 26),
    (b"pad", 26),
    (b"MMlp", 27),
    (b"zhft", 27),
    (b"Mumadtn", 28),
    (b"Macful", 25),
];

/// What follows the flag `+FLAG`; `None` if there is no such flag.
fn arity(flag: &[u8], otp: Otp) -> Option<Arity> {
    let since = VALUES_SINCE.iter().find(|(known, _)| *known == flag);
    if since.is_some_and(|(_, major)| otp.major < *major) {
        return Some(Arity::None);
    }
    let when = |listed: bool, arity| if listed { arity } else { Arity::None };
    Some(match flag {
        [
            b'a' | b'A' | b'C' | b'e' | b'i' | b'n' | b'P' | b'Q' | b't' | b'T' | b'R' | b'W'
            | b'K',
        ] => Arity::Any,
        b"pad" => Arity::Any,
        [b'D', b'i', ..] => when(otp.major >= 28, Arity::Any),
        [b'I', kind @ ..] => io_arity(kind)?,
        [b'S', kind @ ..] => scheduler_count_arity(kind)?,
        [b'B'] => Arity::Optional(&["i"]),
        [b'B', b'i' | b'c' | b'd', ..] => Arity::None,
        [b'B', ..] => return None,
        [b'c'] => Arity::Optional(&["true", "false"]),
        [b'M', allocator, switch @ ..] => when(
            ALLOCATORS.contains(allocator) && ALLOCATOR_SWITCHES.contains(&switch)
                || MEMORY_SWITCHES.contains(&&flag[1..]),
            Arity::Plain,
        ),
        [b'h', switch @ ..] => when(HEAP_SWITCHES.contains(&switch), Arity::Plain),
        [b's', switch @ ..] => when(SCHEDULER_SWITCHES.contains(&switch), Arity::Plain),
        [b'z', switch @ ..] => when(MISC_SWITCHES.contains(&switch), Arity::Plain),
        b"rg" | [b'J', ..] => Arity::Plain,
        b"pc" => Arity::Any,
        _ => Arity::None,
    })
}

/// `+IOt`, `+IOp`, `+IOs`, `+IOPt`, `+IOPp`.
fn io_arity(kind: &[u8]) -> Option<Arity> {
    match kind {
        b"Ot" | b"Op" | b"Os" | b"OPt" | b"OPp" => Some(Arity::Any),
        [b'O', b't' | b'p', ..] | [b'O', b'P', b't' | b'p', ..] => Some(Arity::None),
        [b'O', b's', ..] => Some(Arity::None),
        _ => None,
    }
}

/// `+S`, `+SP`, `+SDcpu`, `+SDPcpu`, `+SDio`.
fn scheduler_count_arity(kind: &[u8]) -> Option<Arity> {
    match kind {
        b"" | b"P" | b"Dcpu" | b"DPcpu" | b"Dio" => Some(Arity::Any),
        [b'D', kind @ ..] => [&b"cpu"[..], b"Pcpu", b"io"]
            .into_iter()
            .any(|known| kind.starts_with(known))
            .then_some(Arity::None),
        _ => Some(Arity::None),
    }
}

/// Letters of the `alloc_util` allocators (erts_alloc(3)).
const ALLOCATORS: &[u8] = b"uBIDEFHLRSTXZ";

/// Switches of every allocator that take a value.
const ALLOCATOR_SWITCHES: &[&[u8]] = &[
    b"as", b"asbcst", b"atags", b"acful", b"acul", b"acnl", b"acfml", b"cp", b"e", b"t", b"lmbcs",
    b"mbcgs", b"mbsd", b"mmbcs", b"mmmbc", b"mmsbc", b"msbclt", b"ramv", b"rmbcmt", b"rsbcmt",
    b"rsbcst", b"sbct", b"smbcs",
];

/// `+M` switches of no single allocator that take a value.
const MEMORY_SWITCHES: &[&[u8]] = &[
    b"ea", b"dai", b"ummc", b"uycs", b"usac", b"umadtn", b"im", b"is", b"lpm", b"Mlp", b"Mamcbf",
    b"Mrmcbf", b"Mmcs", b"Mscs", b"Mscrfsd", b"Msco", b"Mscrpm", b"Ye", b"Ym", b"Ytp", b"Ytt",
    b"Iscs", b"Xscs",
];

/// `+h` switches; `+h` alone is the default heap size.
const HEAP_SWITCHES: &[&[u8]] = &[
    b"ms", b"mbs", b"pds", b"max", b"maxk", b"maxel", b"maxib", b"mqd", b"",
];

/// `+s` switches that take a value.
const SCHEDULER_SWITCHES: &[&[u8]] = &[
    b"bt", b"bwtdcpu", b"bwtdio", b"bwt", b"cl", b"ct", b"ecio", b"fwi", b"tbt", b"wct", b"wtdcpu",
    b"wtdio", b"wt", b"ws", b"ss", b"ssdcpu", b"ssdio", b"pp", b"ub",
];

/// `+z` switches that take a value.
const MISC_SWITCHES: &[&[u8]] = &[b"dbbl", b"dntgc", b"ebwt", b"hft", b"osrl"];

#[cfg(test)]
mod tests {
    use super::{FlagError, FlagWords, Otp, expand, sort_flags};

    fn words(text: &str) -> Vec<String> {
        text.split(' ').map(Into::into).collect()
    }

    fn expanded(text: &str) -> Result<Vec<String>, FlagError> {
        let sources = FlagWords {
            words: words(text),
            ..FlagWords::default()
        };
        expand(sources, Otp::nearest("13"), &mut |name| {
            Ok(match name {
                "a" => words("-x 1 -args_file b -after -extra in a"),
                "b" => words("+K true -extra in b"),
                "loop" => words("-args_file loop"),
                _ => Vec::new(),
            })
        })
    }

    #[test]
    fn files_are_expanded_and_extra_gathered() {
        let result = expanded("-p -args_file a -q -args_file empty -extra end").unwrap();
        let expected = "-p -x 1 +K true -after -q -- -extra in b -- in a -- end";
        assert_eq!(result.join(" "), expected);
        assert_eq!(expanded("-p -extra -args_file a").unwrap().len(), 4);
        assert_eq!(
            expanded("-args_file loop"),
            Err(FlagError::Recursion("loop".into()))
        );
        assert_eq!(
            expanded("-args_file"),
            Err(FlagError::MissingValue("-args_file".into()))
        );
    }

    #[test]
    fn flags_of_the_environment_come_before_and_after() {
        let sources = FlagWords {
            before: words("-a -extra 1"),
            words: words("-b"),
            after: [words("-c"), words("-d -extra 2")],
        };
        let result = |erts| {
            let read = &mut |_: &str| Ok::<_, FlagError>(Vec::new());
            expand(sources.clone(), Otp::nearest(erts), read)
                .unwrap()
                .join(" ")
        };
        assert_eq!(result("14"), "-a -b -- -c -- -d -extra 1 -- 2 --");
        assert_eq!(result("15"), "-a -- -b -- -c -- -d -- -extra 1 2");
    }

    #[test]
    fn flags_are_sorted() {
        let line = sort_flags(&words(
            "-a +S 1:1 b +sbwt none +Bd +c +hmax 5 -noinput -env X Y -sname n -start_epmd false +W w -extra +S 2",
        ), Otp::nearest("13"))
        .unwrap();
        assert_eq!(
            line.emulator.join(" "),
            "-S 1:1 -sbwt none -Bd -c -hmax 5 -W w"
        );
        assert_eq!(
            line.arguments.join(" "),
            "-a b -noshell -noinput -sname n -start_epmd false -extra +S 2"
        );
        assert_eq!(line.env["X"], "Y");
        assert!(line.distributed && !line.epmd);
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["+S", "+sbwt -x", "-name", "-env X", "-start_epmd"] {
            let error = sort_flags(&words(text), Otp::nearest("13")).unwrap_err();
            assert!(matches!(error, FlagError::MissingValue(_)), "{text}");
        }
        for text in ["+Bx", "+SDx 1", "+Ix", "-start_epmd maybe", "-smp disable"] {
            let error = sort_flags(&words(text), Otp::nearest("13")).unwrap_err();
            assert!(matches!(error, FlagError::Unsupported(_)), "{text}");
        }
    }
}
