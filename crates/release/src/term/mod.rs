//! Erlang terms, and their two notations: [`text`] and the External Term Format ([`etf`]).

mod big;
pub mod etf;
pub mod text;

pub use big::Big;

#[cfg(test)]
pub(crate) mod testing;

/// Deepest nesting that the parsers accept. Real configuration nests about ten levels.
pub const DEPTH_LIMIT: usize = 256;

/// An Erlang term that can be written down: no pids, references, ports or closures.
///
/// The emitters and parsers agree on one form per value: a string is a list of integers, an
/// improper list has at least one element, an integer that fits 64 bits is an [`Integer`].
///
/// [`Integer`]: Term::Integer
#[derive(Clone, Debug, PartialEq)]
pub enum Term {
    /// An integer of up to 64 bits.
    Integer(i64),
    /// A larger integer.
    Big(Big),
    /// A float; always finite.
    Float(f64),
    /// An atom.
    Atom(String),
    /// A binary.
    Binary(Vec<u8>),
    /// A bit string whose last byte has only `bits` (1 to 7) significant high bits.
    BitString {
        /// The bytes; at least one.
        bytes: Vec<u8>,
        /// Significant bits of the last byte, from its high end.
        bits: u8,
    },
    /// A proper list.
    List(Vec<Term>),
    /// `[A, B | Tail]` with a tail that is not a list.
    Improper(Vec<Term>, Box<Term>),
    /// A tuple.
    Tuple(Vec<Term>),
    /// A map: pairs in the order of the source.
    Map(Vec<(Term, Term)>),
    /// `fun Module:Function/Arity`.
    Fun {
        /// Module.
        module: String,
        /// Function.
        function: String,
        /// Number of arguments, at most 255.
        arity: u8,
    },
}

impl Term {
    /// An atom.
    pub fn atom(name: &str) -> Self {
        Self::Atom(name.into())
    }

    /// A string: the list of its code points.
    pub fn string(text: &str) -> Self {
        Self::List(text.chars().map(|c| Self::Integer(c as i64)).collect())
    }

    /// The atom's name.
    pub fn as_atom(&self) -> Option<&str> {
        match self {
            Self::Atom(name) => Some(name),
            _ => None,
        }
    }

    /// The elements of a tuple.
    pub fn as_tuple(&self) -> Option<&[Self]> {
        match self {
            Self::Tuple(elements) => Some(elements),
            _ => None,
        }
    }

    /// The elements of a proper list.
    pub fn as_list(&self) -> Option<&[Self]> {
        match self {
            Self::List(elements) => Some(elements),
            _ => None,
        }
    }

    /// The text of a list of code points (or of the empty list).
    pub fn to_text(&self) -> Option<String> {
        let code_point = |term: &Self| match term {
            Self::Integer(value) => u32::try_from(*value).ok().and_then(char::from_u32),
            _ => None,
        };
        self.as_list()?.iter().map(code_point).collect()
    }

    /// The elements of a tuple whose first element is the atom `tag`, without the tag.
    pub fn tagged(&self, tag: &str) -> Option<&[Self]> {
        let (first, rest) = self.as_tuple()?.split_first()?;
        (first.as_atom()? == tag).then_some(rest)
    }

    /// Makes the list `elements ++ tail`.
    pub(crate) fn cons(mut elements: Vec<Self>, tail: Self) -> Self {
        match tail {
            tail if elements.is_empty() => tail,
            Self::List(more) => {
                elements.extend(more);
                Self::List(elements)
            }
            Self::Improper(more, tail) => {
                elements.extend(more);
                Self::Improper(elements, tail)
            }
            tail => Self::Improper(elements, Box::new(tail)),
        }
    }
}
