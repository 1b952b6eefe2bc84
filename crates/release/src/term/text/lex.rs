//! Words of Erlang term text.

use super::Reason;
use crate::term::Term;
use crate::term::big::{self, Big};

/// One word.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    /// A number or character; signs are separate.
    Number(Term),
    /// An atom, with the fact whether it was quoted.
    Atom { name: String, quoted: bool },
    /// A variable name, which no term has.
    Variable(String),
    /// A string literal.
    String(String),
    /// A sign of punctuation.
    Sign(&'static str),
    /// The full stop that ends a term.
    Dot,
    /// The end of the text.
    End,
}

impl Token {
    /// How an error message names it.
    pub(super) fn describe(&self) -> String {
        match self {
            Self::Number(_) => "a number".into(),
            Self::Atom { name, .. } => format!("the atom `{name}`"),
            Self::Variable(name) => format!("the variable `{name}`"),
            Self::String(_) => "a string".into(),
            Self::Sign(sign) => format!("`{sign}`"),
            Self::Dot => "the full stop".into(),
            Self::End => "the end of the file".into(),
        }
    }
}

/// Signs, longer ones first.
const SIGNS: [&str; 19] = [
    "<<", ">>", "=>", "#", "{", "}", "[", "]", "(", ")", ",", "|", ":", "/", "-", "+", "*", "=",
    ";",
];

pub(super) type Failure = (usize, Reason);

/// Cuts a text into words.
pub(super) struct Lexer<'a> {
    text: &'a str,
    /// Offset of the next character.
    at: usize,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// The next word and its offset.
    pub(super) fn next(&mut self) -> Result<(usize, Token), Failure> {
        self.skip_space();
        let start = self.at;
        let Some(first) = self.peek() else {
            return Ok((start, Token::End));
        };
        let token = match first {
            '0'..='9' => self.number()?,
            '$' => self.character()?,
            'a'..='z' | 'ß'..='ö' | 'ø'..='ÿ' => Token::Atom {
                name: self.name(),
                quoted: false,
            },
            'A'..='Z' | '_' => Token::Variable(self.name()),
            '\'' => Token::Atom {
                name: self.quoted('\'', "quoted atom")?,
                quoted: true,
            },
            '"' => Token::String(self.quoted('"', "string")?),
            '.' => self.dot()?,
            other => self.sign(other)?,
        };
        Ok((start, token))
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn bump(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        Some(c)
    }

    fn bump_if(&mut self, condition: impl FnOnce(char) -> bool) -> Option<char> {
        self.peek().filter(|&c| condition(c))?;
        self.bump()
    }

    fn take_while(&mut self, condition: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let end = rest.find(|c| !condition(c)).unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    fn skip_space(&mut self) {
        loop {
            self.take_while(is_space);
            if self.peek() != Some('%') {
                return;
            }
            self.take_while(|c| c != '\n');
        }
    }

    fn name(&mut self) -> String {
        self.take_while(|c| c.is_alphanumeric() || c == '_' || c == '@')
            .into()
    }

    fn sign(&mut self, found: char) -> Result<Token, Failure> {
        let rest = self.rest();
        let sign = SIGNS.into_iter().find(|sign| rest.starts_with(sign));
        let sign = sign.ok_or((
            self.at,
            Reason::Unexpected {
                found: format!("`{}`", found.escape_default()),
                expected: "a term",
            },
        ))?;
        self.at += sign.len();
        Ok(Token::Sign(sign))
    }

    /// A full stop ends a term only before white space, a comment or the end.
    fn dot(&mut self) -> Result<Token, Failure> {
        let start = self.at;
        self.bump();
        match self.peek() {
            None | Some('%') => Ok(Token::Dot),
            Some(c) if is_space(c) => Ok(Token::Dot),
            Some(c) => Err((
                start,
                Reason::Unexpected {
                    found: format!("`.{}`", c.escape_default()),
                    expected: "white space after the full stop",
                },
            )),
        }
    }

    fn character(&mut self) -> Result<Token, Failure> {
        let start = self.at;
        self.bump();
        let value = match self.bump() {
            Some('\\') => self.escape(start)?,
            other => other,
        };
        let value = value.ok_or((start, Reason::Unclosed("character")))?;
        Ok(Token::Number(Term::Integer(value as i64)))
    }

    fn quoted(&mut self, quote: char, what: &'static str) -> Result<String, Failure> {
        let start = self.at;
        self.bump();
        let mut text = String::new();
        loop {
            let at = self.at;
            match self.bump() {
                None => return Err((start, Reason::Unclosed(what))),
                Some('\\') => text.extend(self.escape(at)?),
                Some(c) if c == quote => return Ok(text),
                Some(c) => text.push(c),
            }
        }
    }

    /// The character that an escape sequence stands for; `None` for an escaped line end, which
    /// stands for nothing at the end of the text only.
    fn escape(&mut self, start: usize) -> Result<Option<char>, Failure> {
        let bad = (start, Reason::Escape);
        let c = self.bump().ok_or_else(|| bad.clone())?;
        let value = match c {
            'b' => '\x08',
            'd' => '\x7f',
            'e' => '\x1b',
            'f' => '\x0c',
            'n' => '\n',
            'r' => '\r',
            's' => ' ',
            't' => '\t',
            'v' => '\x0b',
            '^' => {
                let control = self.bump_if(|c| c.is_ascii()).ok_or(bad)?;
                char::from(control as u8 & 0x1f)
            }
            'x' => self.hexadecimal().ok_or(bad)?,
            '0'..='7' => self.octal(c).ok_or(bad)?,
            other => other,
        };
        Ok(Some(value))
    }

    fn hexadecimal(&mut self) -> Option<char> {
        let digits = if self.bump_if(|c| c == '{').is_some() {
            let digits = self.take_while(|c| c.is_ascii_hexdigit());
            self.bump_if(|c| c == '}')?;
            digits
        } else {
            let digits = self.rest().get(..2)?;
            self.at += 2;
            digits
        };
        digits
            .chars()
            .all(|c| c.is_ascii_hexdigit())
            .then(|| u32::from_str_radix(digits, 16).ok())
            .flatten()
            .and_then(char::from_u32)
    }

    fn octal(&mut self, first: char) -> Option<char> {
        let mut value = first.to_digit(8)?;
        for _ in 0..2 {
            let Some(digit) = self.bump_if(|c| c.is_digit(8)) else {
                break;
            };
            value = value * 8 + digit.to_digit(8)?;
        }
        char::from_u32(value)
    }

    fn number(&mut self) -> Result<Token, Failure> {
        let start = self.at;
        let failure = || (start, Reason::Number);
        let digits = self.digits(10);
        let rest = self.rest();
        let mut after = rest.chars();
        let term = match (after.next(), after.next()) {
            (Some('#'), Some(c)) if c.is_ascii_alphanumeric() => self.based(digits),
            (Some('.'), Some('0'..='9')) => self.float(start),
            _ => integer(digits, 10),
        };
        term.map(Token::Number).ok_or_else(failure)
    }

    /// Digits with single `_` between them.
    fn digits(&mut self, base: u32) -> &'a str {
        let rest = self.rest();
        let mut end = 0;
        for (index, c) in rest.char_indices() {
            let between = c == '_' && rest[index + 1..].starts_with(|d: char| d.is_digit(base));
            if !(c.is_digit(base) || between && end == index && index > 0) {
                break;
            }
            end = index + 1;
        }
        self.at += end;
        &rest[..end]
    }

    fn based(&mut self, base: &str) -> Option<Term> {
        let base: u8 = base.parse().ok().filter(|base| (2..=36).contains(base))?;
        self.bump();
        let digits = self.digits(base.into());
        (!digits.is_empty()).then(|| integer(digits, base))?
    }

    fn float(&mut self, start: usize) -> Option<Term> {
        self.bump();
        self.digits(10);
        if self.bump_if(|c| matches!(c, 'e' | 'E')).is_some() {
            self.bump_if(|c| matches!(c, '+' | '-'));
            if self.digits(10).is_empty() {
                return None;
            }
        }
        let text = self.text[start..self.at].replace('_', "");
        let value: f64 = text.parse().ok()?;
        value.is_finite().then_some(Term::Float(value))
    }
}

fn integer(digits: &str, base: u8) -> Option<Term> {
    let mut magnitude = Vec::new();
    for c in digits.chars().filter(|&c| c != '_') {
        let digit = c.to_digit(base.into())? as u8;
        big::push_digit(&mut magnitude, base, digit)?;
    }
    Some(Big::term(false, magnitude))
}

/// White space of `erl_scan`: control characters, space, and their Latin-1 twins.
fn is_space(c: char) -> bool {
    c <= ' ' || ('\u{80}'..='\u{a0}').contains(&c)
}
