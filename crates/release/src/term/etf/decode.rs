//! Terms from bytes.

use super::{AtomStyle, DecodeError, ELEMENT_LIMIT, Reason, SIZE_LIMIT, VERSION, tag};
use crate::term::big::BYTE_LIMIT;
use crate::term::{Big, DEPTH_LIMIT, Term};

/// Reads one term and how its atoms were written.
///
/// # Errors
/// The first thing that is wrong, with its place.
pub fn decode(bytes: &[u8]) -> Result<(Term, AtomStyle), DecodeError> {
    let error = |offset, reason| Err(DecodeError { offset, reason });
    match bytes {
        [VERSION, tag::COMPRESSED, rest @ ..] => match uncompress(rest) {
            Ok(plain) => whole_term(&plain, 0),
            Err(reason) => error(2, reason),
        },
        [VERSION, ..] => whole_term(bytes, 1),
        _ => error(0, Reason::Version),
    }
}

fn uncompress(bytes: &[u8]) -> Result<Vec<u8>, Reason> {
    let (size, data) = bytes
        .split_first_chunk()
        .ok_or(Reason::Truncated { needed: 4 })?;
    let size = u32::from_be_bytes(*size) as usize;
    if size > SIZE_LIMIT {
        return Err(Reason::TooLarge);
    }
    let plain = miniz_oxide::inflate::decompress_to_vec_zlib_with_limit(data, size)
        .map_err(|_| Reason::Compression)?;
    if plain.len() == size {
        Ok(plain)
    } else {
        Err(Reason::Compression)
    }
}

fn whole_term(bytes: &[u8], start: usize) -> Result<(Term, AtomStyle), DecodeError> {
    let mut decoder = Decoder {
        bytes,
        at: start,
        elements: ELEMENT_LIMIT,
        style: None,
    };
    let result = decoder.checked_term();
    result
        .map(|term| (term, decoder.style.unwrap_or_default()))
        .map_err(|reason| DecodeError {
            offset: decoder.at,
            reason,
        })
}

struct Decoder<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Elements still allowed.
    elements: usize,
    /// Decided by the first atom.
    style: Option<AtomStyle>,
}

impl<'a> Decoder<'a> {
    fn checked_term(&mut self) -> Result<Term, Reason> {
        if self.bytes.len() > SIZE_LIMIT {
            return Err(Reason::TooLarge);
        }
        let term = self.term(0)?;
        match self.bytes.len() - self.at {
            0 => Ok(term),
            more => Err(Reason::Trailing(more)),
        }
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], Reason> {
        let rest = &self.bytes[self.at..];
        let taken = rest.get(..count).ok_or(Reason::Truncated {
            needed: count - rest.len().min(count),
        })?;
        self.at += count;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Reason> {
        let mut bytes = [0; N];
        bytes.copy_from_slice(self.take(N)?);
        Ok(bytes)
    }

    fn u8(&mut self) -> Result<u8, Reason> {
        self.array().map(|[byte]| byte)
    }

    fn u16(&mut self) -> Result<usize, Reason> {
        self.array().map(|bytes| u16::from_be_bytes(bytes).into())
    }

    fn u32(&mut self) -> Result<usize, Reason> {
        self.array().map(|bytes| u32::from_be_bytes(bytes) as usize)
    }

    fn term(&mut self, depth: usize) -> Result<Term, Reason> {
        if depth >= DEPTH_LIMIT {
            return Err(Reason::TooDeep);
        }
        let found = self.u8()?;
        match found {
            tag::SMALL_INTEGER => self.u8().map(|value| Term::Integer(value.into())),
            tag::INTEGER => {
                let value = i32::from_be_bytes(self.array()?);
                Ok(Term::Integer(value.into()))
            }
            tag::SMALL_BIG => {
                let size = self.u8()?;
                self.big(size.into())
            }
            tag::LARGE_BIG => {
                let size = self.u32()?;
                self.big(size)
            }
            tag::NEW_FLOAT => finite(f64::from_be_bytes(self.array()?)),
            tag::FLOAT => self.text_float(),
            tag::NIL => Ok(Term::List(Vec::new())),
            tag::STRING => self.string(),
            tag::LIST => self.list(depth),
            tag::SMALL_TUPLE => {
                let arity = self.u8()?.into();
                self.terms(arity, depth).map(Term::Tuple)
            }
            tag::LARGE_TUPLE => {
                let arity = self.u32()?;
                self.terms(arity, depth).map(Term::Tuple)
            }
            tag::BINARY => {
                let size = self.u32()?;
                Ok(Term::Binary(self.take(size)?.to_vec()))
            }
            tag::BIT_BINARY => self.bit_string(),
            tag::MAP => self.map(depth),
            tag::EXPORT => self.export(depth),
            _ => self.atom(found).map(Term::Atom),
        }
    }

    fn atom(&mut self, found: u8) -> Result<String, Reason> {
        let size = match found {
            tag::ATOM | tag::ATOM_UTF8 => self.u16()?,
            tag::SMALL_ATOM | tag::SMALL_ATOM_UTF8 => self.u8()?.into(),
            other => return Err(Reason::Tag(other)),
        };
        let bytes = self.take(size)?;
        let latin1 = matches!(found, tag::ATOM | tag::SMALL_ATOM);
        self.style.get_or_insert(if latin1 {
            AtomStyle::Latin1
        } else {
            AtomStyle::Utf8
        });
        if latin1 {
            return Ok(bytes.iter().map(|&byte| byte as char).collect());
        }
        String::from_utf8(bytes.to_vec()).map_err(|_| Reason::Malformed("atom"))
    }

    fn big(&mut self, size: usize) -> Result<Term, Reason> {
        if size > BYTE_LIMIT {
            return Err(Reason::TooLarge);
        }
        let negative = self.u8()? != 0;
        Ok(Big::term(negative, self.take(size)?.to_vec()))
    }

    /// A float as text of 31 bytes, written until OTP 16.
    fn text_float(&mut self) -> Result<Term, Reason> {
        let text = self.take(31)?.split(|&byte| byte == 0).next();
        text.and_then(|text| std::str::from_utf8(text).ok())
            .and_then(|text| text.trim().parse().ok())
            .map_or(Err(Reason::Malformed("float")), finite)
    }

    fn string(&mut self) -> Result<Term, Reason> {
        let size = self.u16()?;
        self.count(size)?;
        let bytes = self.take(size)?;
        Ok(Term::List(
            bytes.iter().map(|&b| Term::Integer(b.into())).collect(),
        ))
    }

    fn list(&mut self, depth: usize) -> Result<Term, Reason> {
        let count = self.u32()?;
        let elements = self.terms(count, depth)?;
        let tail = self.term(depth + 1)?;
        Ok(Term::cons(elements, tail))
    }

    fn terms(&mut self, count: usize, depth: usize) -> Result<Vec<Term>, Reason> {
        self.count(count)?;
        (0..count).map(|_| self.term(depth + 1)).collect()
    }

    /// Every element has at least one byte, so a count beyond the rest of the file is a lie.
    fn count(&mut self, count: usize) -> Result<(), Reason> {
        let rest = self.bytes.len() - self.at;
        if count > rest {
            return Err(Reason::Truncated {
                needed: count - rest,
            });
        }
        self.elements = self.elements.checked_sub(count).ok_or(Reason::TooLarge)?;
        Ok(())
    }

    fn bit_string(&mut self) -> Result<Term, Reason> {
        let size = self.u32()?;
        let bits = self.u8()?;
        let mut bytes = self.take(size)?.to_vec();
        match (bits, bytes.last_mut()) {
            (8, _) => Ok(Term::Binary(bytes)),
            (1..8, Some(last)) => {
                *last &= 0xff << (8 - bits);
                Ok(Term::BitString { bytes, bits })
            }
            _ => Err(Reason::Malformed("bit string")),
        }
    }

    fn map(&mut self, depth: usize) -> Result<Term, Reason> {
        let pairs = self.u32()?;
        self.count(pairs)?;
        (0..pairs)
            .map(|_| Ok((self.term(depth + 1)?, self.term(depth + 1)?)))
            .collect::<Result<_, _>>()
            .map(Term::Map)
    }

    fn export(&mut self, depth: usize) -> Result<Term, Reason> {
        let parts = (
            self.term(depth + 1)?,
            self.term(depth + 1)?,
            self.term(depth + 1)?,
        );
        match parts {
            (Term::Atom(module), Term::Atom(function), Term::Integer(arity @ 0..=255)) => {
                Ok(Term::Fun {
                    module,
                    function,
                    arity: arity as u8,
                })
            }
            _ => Err(Reason::Malformed("fun")),
        }
    }
}

fn finite(value: f64) -> Result<Term, Reason> {
    if value.is_finite() {
        Ok(Term::Float(value))
    } else {
        Err(Reason::Malformed("float"))
    }
}
