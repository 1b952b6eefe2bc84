//! Bytes from terms, byte for byte as `term_to_binary/1` of OTP writes them.

use super::{AtomStyle, VERSION, tag};
use crate::term::Term;

/// Encodes a term, uncompressed; [`decode`](super::decode()) reads it back.
pub fn emit(term: &Term, style: AtomStyle) -> Vec<u8> {
    let mut emitter = Emitter {
        out: vec![VERSION],
        style,
    };
    emitter.term(term);
    emitter.out
}

struct Emitter {
    out: Vec<u8>,
    style: AtomStyle,
}

impl Emitter {
    fn term(&mut self, term: &Term) {
        match term {
            Term::Integer(value) => self.integer(*value),
            Term::Big(big) => self.big(big.is_negative(), big.magnitude()),
            Term::Float(value) => {
                self.out.push(tag::NEW_FLOAT);
                self.out.extend(value.to_be_bytes());
            }
            Term::Atom(name) => self.atom(name),
            Term::Binary(bytes) => {
                self.tag_u32(tag::BINARY, bytes.len());
                self.out.extend(bytes);
            }
            Term::BitString { bytes, bits } => {
                self.tag_u32(tag::BIT_BINARY, bytes.len());
                self.out.push(*bits);
                self.out.extend(bytes);
            }
            Term::List(elements) => self.list(elements),
            Term::Improper(elements, tail) => {
                self.tag_u32(tag::LIST, elements.len());
                self.terms(elements);
                self.term(tail);
            }
            Term::Tuple(elements) => self.tuple(elements),
            Term::Map(pairs) => {
                self.tag_u32(tag::MAP, pairs.len());
                for (key, value) in pairs {
                    self.term(key);
                    self.term(value);
                }
            }
            Term::Fun {
                module,
                function,
                arity,
            } => {
                self.out.push(tag::EXPORT);
                self.atom(module);
                self.atom(function);
                self.integer((*arity).into());
            }
        }
    }

    fn terms(&mut self, terms: &[Term]) {
        for term in terms {
            self.term(term);
        }
    }

    fn tag_u32(&mut self, tag: u8, value: usize) {
        self.out.push(tag);
        // The parsers' limits keep every length far below 32 bits.
        self.out.extend((value as u32).to_be_bytes());
    }

    fn integer(&mut self, value: i64) {
        if let Ok(value) = u8::try_from(value) {
            self.out.extend([tag::SMALL_INTEGER, value]);
        } else if let Ok(value) = i32::try_from(value) {
            self.out.push(tag::INTEGER);
            self.out.extend(value.to_be_bytes());
        } else {
            let magnitude = value.unsigned_abs().to_le_bytes();
            let used = magnitude.iter().rposition(|&byte| byte != 0).unwrap_or(0) + 1;
            self.big(value < 0, &magnitude[..used]);
        }
    }

    fn big(&mut self, negative: bool, magnitude: &[u8]) {
        match u8::try_from(magnitude.len()) {
            Ok(size) => self.out.extend([tag::SMALL_BIG, size]),
            Err(_) => self.tag_u32(tag::LARGE_BIG, magnitude.len()),
        }
        self.out.push(negative.into());
        self.out.extend(magnitude);
    }

    fn atom(&mut self, name: &str) {
        let latin1: Option<Vec<u8>> = name.chars().map(|c| u8::try_from(c).ok()).collect();
        match latin1.filter(|_| self.style == AtomStyle::Latin1) {
            Some(bytes) => self.short_bytes(tag::ATOM, &bytes),
            None if name.len() <= 255 => {
                self.out.extend([tag::SMALL_ATOM_UTF8, name.len() as u8]);
                self.out.extend(name.bytes());
            }
            None => self.short_bytes(tag::ATOM_UTF8, name.as_bytes()),
        }
    }

    fn short_bytes(&mut self, tag: u8, bytes: &[u8]) {
        self.out.push(tag);
        self.out.extend((bytes.len() as u16).to_be_bytes());
        self.out.extend(bytes);
    }

    /// A list of bytes is a string.
    fn list(&mut self, elements: &[Term]) {
        let byte = |term: &Term| match term {
            Term::Integer(value) => u8::try_from(*value).ok(),
            _ => None,
        };
        let string: Option<Vec<u8>> = elements.iter().map(byte).collect();
        match string {
            Some(bytes) if bytes.is_empty() => self.out.push(tag::NIL),
            Some(bytes) if bytes.len() <= u16::MAX.into() => self.short_bytes(tag::STRING, &bytes),
            _ => {
                self.tag_u32(tag::LIST, elements.len());
                self.terms(elements);
                self.out.push(tag::NIL);
            }
        }
    }

    fn tuple(&mut self, elements: &[Term]) {
        match u8::try_from(elements.len()) {
            Ok(arity) => self.out.extend([tag::SMALL_TUPLE, arity]),
            Err(_) => self.tag_u32(tag::LARGE_TUPLE, elements.len()),
        }
        self.terms(elements);
    }
}
