//! Terms from words, by recursive descent.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use super::Reason;
use super::emit::emit;
use super::lex::{Failure, Lexer, Token};
use crate::term::{Big, DEPTH_LIMIT, Term};

/// All terms of a text.
pub(super) fn terms(text: &str) -> Result<Vec<Term>, Failure> {
    let mut parser = Parser::new(text)?;
    let mut terms = Vec::new();
    while parser.token != Token::End {
        terms.push(parser.term(0)?);
        match parser.token {
            Token::Dot => parser.advance()?,
            _ => return Err(parser.unexpected("the full stop that ends a term")),
        };
    }
    Ok(terms)
}

struct Parser<'a> {
    lexer: Lexer<'a>,
    /// The word ahead and its offset.
    token: Token,
    offset: usize,
}

impl<'a> Parser<'a> {
    fn new(text: &'a str) -> Result<Self, Failure> {
        let mut lexer = Lexer::new(text);
        let (offset, token) = lexer.next()?;
        Ok(Self {
            lexer,
            token,
            offset,
        })
    }

    fn advance(&mut self) -> Result<(), Failure> {
        (self.offset, self.token) = self.lexer.next()?;
        Ok(())
    }

    fn unexpected(&self, expected: &'static str) -> Failure {
        let found = self.token.describe();
        (self.offset, Reason::Unexpected { found, expected })
    }

    fn accept(&mut self, sign: &'static str) -> Result<bool, Failure> {
        let found = self.token == Token::Sign(sign);
        if found {
            self.advance()?;
        }
        Ok(found)
    }

    fn expect(&mut self, sign: &'static str) -> Result<(), Failure> {
        if self.accept(sign)? {
            Ok(())
        } else {
            Err(self.unexpected(sign))
        }
    }

    fn term(&mut self, depth: usize) -> Result<Term, Failure> {
        if depth >= DEPTH_LIMIT {
            return Err((self.offset, Reason::TooDeep));
        }
        match &self.token {
            Token::Number(_) => self.number(false),
            Token::String(_) => Ok(Term::string(&self.strings()?)),
            Token::Atom { name, quoted } if name == "fun" && !quoted => self.external_fun(),
            Token::Atom { .. } => Ok(Term::Atom(self.atom()?)),
            Token::Sign("-") => {
                self.advance()?;
                self.number(true)
            }
            Token::Sign("+") => {
                self.advance()?;
                self.number(false)
            }
            Token::Sign("{") => self.tuple(depth),
            Token::Sign("[") => self.list(depth),
            Token::Sign("<<") => self.binary(),
            Token::Sign("#") => self.map(depth),
            _ => Err(self.unexpected("a term")),
        }
    }

    fn number(&mut self, negative: bool) -> Result<Term, Failure> {
        let Token::Number(term) = &self.token else {
            return Err(self.unexpected("a number"));
        };
        let term = term.clone();
        self.advance()?;
        Ok(if negative { negate(term) } else { term })
    }

    fn atom(&mut self) -> Result<String, Failure> {
        let Token::Atom { name, .. } = &self.token else {
            return Err(self.unexpected("an atom"));
        };
        let name = name.clone();
        self.advance()?;
        Ok(name)
    }

    /// Adjacent strings are one.
    fn strings(&mut self) -> Result<String, Failure> {
        let mut text = String::new();
        while let Token::String(part) = &self.token {
            text.push_str(part);
            self.advance()?;
        }
        Ok(text)
    }

    fn tuple(&mut self, depth: usize) -> Result<Term, Failure> {
        self.advance()?;
        if self.accept("}")? {
            return Ok(Term::Tuple(Vec::new()));
        }
        let elements = self.sequence(depth)?;
        self.expect("}")?;
        Ok(Term::Tuple(elements))
    }

    fn list(&mut self, depth: usize) -> Result<Term, Failure> {
        self.advance()?;
        if self.accept("]")? {
            return Ok(Term::List(Vec::new()));
        }
        let elements = self.sequence(depth)?;
        let tail = if self.accept("|")? {
            self.term(depth + 1)?
        } else {
            Term::List(Vec::new())
        };
        self.expect("]")?;
        Ok(Term::cons(elements, tail))
    }

    fn sequence(&mut self, depth: usize) -> Result<Vec<Term>, Failure> {
        let mut elements = vec![self.term(depth + 1)?];
        while self.accept(",")? {
            elements.push(self.term(depth + 1)?);
        }
        Ok(elements)
    }

    /// `#{Key => Value, …}`; a key given twice keeps its first place and last value.
    fn map(&mut self, depth: usize) -> Result<Term, Failure> {
        self.advance()?;
        self.expect("{")?;
        let mut pairs: Vec<(Term, Term)> = Vec::new();
        // Terms have no order; their texts do, and different terms have different texts.
        let mut known: BTreeMap<String, usize> = BTreeMap::new();
        while !self.accept("}")? {
            if !pairs.is_empty() {
                self.expect(",")?;
            }
            let key = self.term(depth + 1)?;
            self.expect("=>")?;
            let value = self.term(depth + 1)?;
            match known.entry(emit(&key)) {
                Entry::Occupied(place) => pairs[*place.get()].1 = value,
                Entry::Vacant(place) => {
                    place.insert(pairs.len());
                    pairs.push((key, value));
                }
            }
        }
        Ok(Term::Map(pairs))
    }

    /// `fun Module:Function/Arity`.
    fn external_fun(&mut self) -> Result<Term, Failure> {
        self.advance()?;
        let module = self.atom()?;
        self.expect(":")?;
        let function = self.atom()?;
        self.expect("/")?;
        match self.token {
            Token::Number(Term::Integer(arity @ 0..=255)) => {
                self.advance()?;
                Ok(Term::Fun {
                    module,
                    function,
                    arity: arity as u8,
                })
            }
            _ => Err(self.unexpected("an arity of at most 255")),
        }
    }

    fn binary(&mut self) -> Result<Term, Failure> {
        self.advance()?;
        let mut bits = Bits::default();
        if self.accept(">>")? {
            return Ok(bits.term());
        }
        loop {
            self.segment(&mut bits)?;
            if !self.accept(",")? {
                break;
            }
        }
        self.expect(">>")?;
        Ok(bits.term())
    }

    fn segment(&mut self, bits: &mut Bits) -> Result<(), Failure> {
        let offset = self.offset;
        let bad = || (offset, Reason::Segment);
        if matches!(self.token, Token::String(_)) {
            let text = self.strings()?;
            return self.string_segment(&text, bits);
        }
        let negative = self.accept("-")?;
        let Term::Integer(value) = self.number(negative)? else {
            return Err(bad());
        };
        let mut size = 8;
        if self.accept(":")? {
            match self.number(false)? {
                Term::Integer(given @ 0..=64) => size = given as u32,
                _ => return Err(bad()),
            }
        }
        if self.token == Token::Sign("/") {
            return Err(bad());
        }
        bits.push(value as u64, size);
        Ok(())
    }

    fn string_segment(&mut self, text: &str, bits: &mut Bits) -> Result<(), Failure> {
        let offset = self.offset;
        if self.accept("/")? {
            if self.atom()? != "utf8" {
                return Err((offset, Reason::Segment));
            }
            text.bytes().for_each(|byte| bits.push(byte.into(), 8));
        } else {
            // Without a type each character is an integer of eight bits.
            text.chars().for_each(|c| bits.push(c as u64, 8));
        }
        Ok(())
    }
}

fn negate(term: Term) -> Term {
    match term {
        Term::Integer(value) => value.checked_neg().map_or_else(
            || Big::term(false, value.to_le_bytes().to_vec()),
            Term::Integer,
        ),
        Term::Big(big) => Big::term(true, big.magnitude().to_vec()),
        Term::Float(value) => Term::Float(-value),
        other => other,
    }
}

/// A bit string under construction.
#[derive(Default)]
struct Bits {
    bytes: Vec<u8>,
    /// Bits used in the last byte, 0 if it is full.
    used: u8,
}

impl Bits {
    /// Appends the low `size` bits of `value`, highest first.
    fn push(&mut self, value: u64, size: u32) {
        for index in (0..size).rev() {
            if self.used == 0 {
                self.bytes.push(0);
            }
            let bit = (value >> index & 1) as u8;
            if let Some(last) = self.bytes.last_mut() {
                *last |= bit << (7 - self.used);
            }
            self.used = (self.used + 1) % 8;
        }
    }

    fn term(self) -> Term {
        match self.used {
            0 => Term::Binary(self.bytes),
            bits => Term::BitString {
                bytes: self.bytes,
                bits,
            },
        }
    }
}
