//! The kernel's command line: options, then the command that is run.
//!
//! Two grammars meet in it (osv: core/commands.cc). Options are the words up to the first that does
//! not start with `-`; they are separated by white space, and a backslash takes the next character
//! as it is (`loader_parse_cmdline`). The command is a list of words; in double quotes, a backslash
//! starts an escape (`struct command`), only ASCII is understood, and what follows a `$` is the name
//! of a variable whose value takes its place (`expand_environ_vars`). So a word with a `$` or beyond
//! ASCII becomes the value of a variable of its own, whose values are not looked into again.

/// Most bytes of a command line: the boot sector reads 63 sectors of it, with a zero at its end
/// (osv: arch/x64/boot16.S).
pub const LENGTH_MAX: usize = 63 * 512 - 1;

/// Variables that stand for words of the command, with numbers from 1.
const WORD_VARIABLE: &str = "UNIBEAM_WORD";

/// What the kernel is told, and what it runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommandLine {
    /// `--key` or `--key=value` each, without `--env`.
    pub options: Vec<String>,
    /// Environment variables, as (name, value).
    pub env: Vec<(String, String)>,
    /// The program and its arguments.
    pub command: Vec<String>,
}

/// Why a command line cannot be written, or read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommandLineError {
    /// A text contains a zero.
    #[error("{0:?} contains a zero byte, which ends OSv's command line")]
    Zero(String),
    /// An option is not of the form that the kernel takes.
    #[error("`{0}` is not an option of OSv: expected --KEY or --KEY=VALUE with a value")]
    Option(String),
    /// The name of a variable is empty or contains `=`.
    #[error("`{0}` cannot be the name of an environment variable")]
    Variable(String),
    /// It is too long.
    #[error(
        "OSv's command line would have {found} bytes, at most {LENGTH_MAX} are read; shorten the variables (--env) and the flags of the release's vm.args"
    )]
    TooLong {
        /// Its length in bytes.
        found: usize,
    },
    /// There is no command.
    #[error("the command line names no program to run")]
    NoCommand,
    /// A quote is not closed.
    #[error("a quote in the command is not closed")]
    OpenQuote,
    /// Several commands, or one in the background.
    #[error("it runs more than one command (`{0}` outside of quotes)")]
    Several(char),
}

impl CommandLine {
    /// The text for the disk or for `-append`.
    ///
    /// # Errors
    /// Something cannot be said in the kernel's grammar, or the text is too long.
    pub fn emit(&self) -> Result<String, CommandLineError> {
        let mut options = self.options.clone();
        for (name, value) in &self.env {
            if name.is_empty() || name.contains('=') || is_word_variable(name) {
                return Err(CommandLineError::Variable(name.clone()));
            }
            options.push(format!("{ENV}{name}={value}"));
        }
        let mut words = Vec::new();
        for word in &self.command {
            if word.contains('$') || !word.is_ascii() {
                let name = format!("{WORD_VARIABLE}{}", words.len() + 1);
                options.push(format!("{ENV}{name}={word}"));
                words.push(format!("\"${name}\""));
            } else {
                words.push(quoted(word));
            }
        }
        if words.is_empty() {
            return Err(CommandLineError::NoCommand);
        }
        let options: Result<Vec<_>, _> = options.iter().map(|option| escaped(option)).collect();
        let line = [options?, words].concat().join(" ");
        match line.len() {
            _ if line.contains('\0') => Err(CommandLineError::Zero(line)),
            found if found > LENGTH_MAX => Err(CommandLineError::TooLong { found }),
            _ => Ok(line),
        }
    }

    /// Reads what [`emit`](Self::emit) wrote, and other lines of one command.
    ///
    /// # Errors
    /// What the kernel would not understand, or more than one command.
    pub fn parse(text: &str) -> Result<Self, CommandLineError> {
        let (options, command) = split_options(text);
        let mut line = Self::default();
        for option in options {
            let variable = option.strip_prefix(ENV).and_then(|v| v.split_once('='));
            match variable {
                Some((name, value)) => line.env.push((name.into(), value.into())),
                None => line.options.push(option),
            }
        }
        for word in split_command(command)? {
            line.command.push(expanded(&word, &line.env));
        }
        line.env.retain(|(name, _)| !is_word_variable(name));
        match line.command.is_empty() {
            true => Err(CommandLineError::NoCommand),
            false => Ok(line),
        }
    }
}

/// The option that sets a variable.
const ENV: &str = "--env=";

fn is_word_variable(name: &str) -> bool {
    let number = name.strip_prefix(WORD_VARIABLE);
    number.is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit()))
}

/// An option as the kernel reads it back.
fn escaped(option: &str) -> Result<String, CommandLineError> {
    let (key, value) = option.split_once('=').unwrap_or((option, " "));
    if key.len() < 3 || !key.starts_with("--") || value.is_empty() {
        return Err(CommandLineError::Option(option.into()));
    }
    let mut text = String::with_capacity(option.len());
    for c in option.chars() {
        if DELIMITERS.contains(&c) || c == '\\' {
            text.push('\\');
        }
        text.push(c);
    }
    Ok(text)
}

/// What separates options.
const DELIMITERS: [char; 3] = [' ', '\t', '\n'];

/// Escapes inside of quotes, and what they stand for.
const ESCAPES: [(char, char); 10] = [
    ('a', '\x07'),
    ('b', '\x08'),
    ('f', '\x0c'),
    ('n', '\n'),
    ('r', '\r'),
    ('t', '\t'),
    ('v', '\x0b'),
    ('\\', '\\'),
    ('\'', '\''),
    ('"', '"'),
];

/// A word in quotes.
fn quoted(word: &str) -> String {
    let mut text = String::from("\"");
    for c in word.chars() {
        match ESCAPES.iter().find(|(_, meaning)| *meaning == c) {
            Some((letter, _)) if c != '\'' => text.extend(['\\', *letter]),
            _ => text.push(c),
        }
    }
    text + "\""
}

/// The options, and the rest of the line.
fn split_options(text: &str) -> (Vec<String>, &str) {
    let mut options = Vec::new();
    let mut rest = text.trim_start_matches(DELIMITERS);
    while rest.starts_with('-') {
        let mut option = String::new();
        let mut chars = rest.char_indices();
        let mut end = rest.len();
        while let Some((at, c)) = chars.next() {
            match c {
                '\\' => option.extend(chars.next().map(|(_, next)| next)),
                c if DELIMITERS.contains(&c) => {
                    end = at;
                    break;
                }
                c => option.push(c),
            }
        }
        options.push(option);
        rest = rest[end..].trim_start_matches(DELIMITERS);
    }
    (options, rest)
}

/// The words of the command.
fn split_command(text: &str) -> Result<Vec<String>, CommandLineError> {
    let mut words = Vec::new();
    let mut rest = text.trim_ascii();
    while let Some(first) = rest.chars().next() {
        if matches!(first, ';' | '&' | '!') {
            return Err(CommandLineError::Several(first));
        }
        let (quoted, body) = match rest.strip_prefix('"') {
            Some(body) => (true, body),
            None => (false, rest),
        };
        let ends = |c: char| match quoted {
            true => c == '"',
            false => matches!(c, ' ' | ';' | '&' | '!'),
        };
        let (word, left) = split_word(body, &ends);
        words.push(word);
        rest = match (quoted, left.strip_prefix('"')) {
            (false, _) => left.trim_ascii_start(),
            (true, Some(left)) => left.trim_ascii_start(),
            (true, None) => return Err(CommandLineError::OpenQuote),
        };
    }
    Ok(words)
}

/// A word with its escapes resolved, up to what ends it, and the rest.
fn split_word<'a>(text: &'a str, ends: &dyn Fn(char) -> bool) -> (String, &'a str) {
    let mut word = String::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next().filter(|&c| !ends(c) || c == '\\') {
        let mut after = rest.chars();
        after.next();
        let next = after.clone().next().filter(|_| c == '\\');
        let escape = ESCAPES.iter().find(|(letter, _)| Some(*letter) == next);
        if escape.is_some() {
            after.next();
        }
        word.push(escape.map_or(c, |(_, meaning)| *meaning));
        rest = after.as_str();
    }
    (word, rest)
}

/// A word with a variable's value in the place of its name.
fn expanded(word: &str, env: &[(String, String)]) -> String {
    let Some((before, name)) = word.split_once('$') else {
        return word.into();
    };
    // The last one set wins (putenv(3)).
    let value = env.iter().rev().find(|(known, _)| known == name);
    format!("{before}{}", value.map_or("", |(_, value)| value))
}

#[cfg(test)]
mod tests {
    use super::{CommandLine, CommandLineError, LENGTH_MAX};
    use proptest::prelude::{Strategy, prop, proptest};

    fn line(options: &[&str], env: &[(&str, &str)], command: &[&str]) -> CommandLine {
        let own = |texts: &[&str]| texts.iter().map(|&text| text.into()).collect();
        CommandLine {
            options: own(options),
            env: env
                .iter()
                .map(|&(name, value)| (name.into(), value.into()))
                .collect(),
            command: own(command),
        }
    }

    #[test]
    fn each_part_is_quoted_by_its_own_grammar() {
        let text = line(
            &["--rootfs=rofs", "--nopci"],
            &[("GREETING", r"a b\c"), ("EMPTY", "")],
            &["/beam.smp", "", "a \"b\"\\\n", "x;y&z!", "pre$HOME", "grün"],
        )
        .emit();
        let expected = [
            r"--rootfs=rofs --nopci --env=GREETING=a\ b\\c --env=EMPTY=",
            "--env=UNIBEAM_WORD5=pre$HOME --env=UNIBEAM_WORD6=grün",
            r#""/beam.smp" "" "a \"b\"\\\n" "x;y&z!" "$UNIBEAM_WORD5" "$UNIBEAM_WORD6""#,
        ];
        assert_eq!(text.unwrap(), expected.join(" "));
    }

    #[test]
    fn what_the_kernel_would_misread_is_refused() {
        let emit = |line: CommandLine| line.emit().unwrap_err();
        let zero = emit(line(&[], &[], &["a\0b"]));
        assert!(matches!(zero, CommandLineError::Zero(_)));
        for option in ["", "-x", "--", "--=x", "--key=", "verbose"] {
            let error = emit(line(&[option], &[], &["/x"]));
            assert_eq!(error, CommandLineError::Option(option.into()));
        }
        for name in ["", "A=B", "UNIBEAM_WORD1"] {
            let error = emit(line(&[], &[(name, "1")], &["/x"]));
            assert_eq!(error, CommandLineError::Variable(name.into()));
        }
        assert_eq!(emit(line(&[], &[], &[])), CommandLineError::NoCommand);
        let long = "x".repeat(LENGTH_MAX - 2);
        assert!(line(&[], &[], &[&long]).emit().is_ok());
        let found = LENGTH_MAX + 1;
        let error = emit(line(&[], &[], &[&format!("{long}x")]));
        assert_eq!(error, CommandLineError::TooLong { found });
    }

    #[test]
    fn lines_of_others_are_read_as_the_kernel_reads_them() {
        let text = "  --verbose --env=A=1 --env=A=two\\ words  /a.so b\\n x$A \"q\\q\" ";
        let expected = line(
            &["--verbose"],
            &[("A", "1"), ("A", "two words")],
            &["/a.so", "b\n", "xtwo words", "q\\q"],
        );
        assert_eq!(CommandLine::parse(text), Ok(expected));
    }

    #[test]
    fn what_is_not_one_command_is_told() {
        let parse = |text| CommandLine::parse(text).unwrap_err();
        assert_eq!(parse(" --verbose "), CommandLineError::NoCommand);
        assert_eq!(parse("/a; /b"), CommandLineError::Several(';'));
        assert_eq!(parse("/a &!"), CommandLineError::Several('&'));
        assert_eq!(parse("/a \"b"), CommandLineError::OpenQuote);
    }

    fn words() -> impl Strategy<Value = Vec<String>> {
        prop::collection::vec("[^\\x00]{0,12}", 1..6)
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(values in words(), command in words()) {
            let env = values.into_iter().enumerate();
            let line = CommandLine {
                options: vec!["--rootfs=rofs".into()],
                env: env.map(|(n, value)| (format!("V{n}"), value)).collect(),
                command,
            };
            assert_eq!(CommandLine::parse(&line.emit().unwrap()), Ok(line));
        }

        #[test]
        fn any_text_is_survived(text in ".{0,80}") {
            drop(CommandLine::parse(&text));
        }
    }
}
