//! Operands of instructions (`beam_asm:encode_arg/2`).
//!
//! ```text
//! value (4 bits), 0, tag (3 bits)                                   values below 16
//! high bits (3), 0, 1, tag; low bits (1 byte)                       values below 2048
//! bytes - 2 (3 bits), 1, 1, tag; value (2 to 8 bytes, signed)       larger ones
//! 7 (3 bits), 1, 1, tag; bytes - 9 (an unsigned operand); value     still larger ones
//! ```

use crate::cursor::Cursor;

/// One operand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operand {
    /// A number that belongs to the instruction, such as an arity.
    Unsigned(u64),
    /// An integer.
    Integer(i64),
    /// An integer of more than 64 bits, as bytes, high ones first, in two's complement.
    Big(Vec<u8>),
    /// An atom, by its number; 0 is the empty list.
    Atom(u64),
    /// A register for arguments and results.
    X(u64),
    /// A slot of the stack frame.
    Y(u64),
    /// A label; 0 is none.
    Label(u64),
    /// A character.
    Character(u64),
    /// Several operands.
    List(Vec<Operand>),
    /// A register for floating-point numbers.
    Float(u64),
    /// What memory is to be allocated: pairs of a kind and a number.
    Allocation(Vec<(u64, u64)>),
    /// A constant, by its number.
    Literal(u64),
    /// A register with a hint of its type, since OTP 25.
    Typed(Box<Operand>, u64),
}

/// The low three bits.
const UNSIGNED: u8 = 0;
const INTEGER: u8 = 1;
const ATOM: u8 = 2;
const X: u8 = 3;
const Y: u8 = 4;
const LABEL: u8 = 5;
const CHARACTER: u8 = 6;
const EXTENDED: u8 = 7;

/// Values of the tag [`EXTENDED`] (beam_opcodes.hrl).
const LIST: u64 = 1;
const FLOAT: u64 = 2;
const ALLOCATION: u64 = 3;
const LITERAL: u64 = 4;
const TYPED: u64 = 5;

/// Most operands of a list in a list …; real ones do not nest.
const DEPTH_LIMIT: usize = 4;
/// Bytes of the largest number that has its size in the first byte.
const SHORT: usize = 8;

impl Operand {
    /// Reads one.
    pub(crate) fn parse(cursor: &mut Cursor<'_>) -> Option<Self> {
        Self::parse_nested(cursor, 0)
    }

    fn parse_nested(cursor: &mut Cursor<'_>, depth: usize) -> Option<Self> {
        let (tag, value) = number(cursor)?;
        let unsigned = value.unsigned();
        Some(match tag {
            UNSIGNED => Self::Unsigned(unsigned?),
            INTEGER => match value {
                Number::Small(value) => Self::Integer(value.cast_signed()),
                Number::Signed(value) => Self::Integer(value),
                Number::Big(bytes) => Self::Big(bytes),
            },
            ATOM => Self::Atom(unsigned?),
            X => Self::X(unsigned?),
            Y => Self::Y(unsigned?),
            LABEL => Self::Label(unsigned?),
            CHARACTER => Self::Character(unsigned?),
            _ => Self::extended(unsigned?, cursor, depth)?,
        })
    }

    fn extended(kind: u64, cursor: &mut Cursor<'_>, depth: usize) -> Option<Self> {
        Some(match kind {
            LIST if depth < DEPTH_LIMIT => {
                let count = count(cursor)?;
                let operands = (0..count).map(|_| Self::parse_nested(cursor, depth + 1));
                Self::List(operands.collect::<Option<_>>()?)
            }
            FLOAT => Self::Float(unsigned(cursor)?),
            ALLOCATION => {
                let count = count(cursor)?;
                let pairs = (0..count).map(|_| Some((unsigned(cursor)?, unsigned(cursor)?)));
                Self::Allocation(pairs.collect::<Option<_>>()?)
            }
            LITERAL => Self::Literal(unsigned(cursor)?),
            TYPED => {
                let register = Self::parse_nested(cursor, DEPTH_LIMIT)?;
                matches!(register, Self::X(_) | Self::Y(_)).then_some(())?;
                Self::Typed(Box::new(register), unsigned(cursor)?)
            }
            _ => return None,
        })
    }

    /// Writes it.
    pub(crate) fn emit(&self, out: &mut Vec<u8>) {
        match self {
            Self::Unsigned(value) => emit_unsigned(UNSIGNED, *value, out),
            Self::Integer(value) => match u64::try_from(*value) {
                Ok(value) => emit_unsigned(INTEGER, value, out),
                Err(_) => emit_bytes(INTEGER, &signed_bytes(*value), out),
            },
            Self::Big(bytes) => emit_bytes(INTEGER, bytes, out),
            Self::Atom(value) => emit_unsigned(ATOM, *value, out),
            Self::X(value) => emit_unsigned(X, *value, out),
            Self::Y(value) => emit_unsigned(Y, *value, out),
            Self::Label(value) => emit_unsigned(LABEL, *value, out),
            Self::Character(value) => emit_unsigned(CHARACTER, *value, out),
            Self::List(operands) => {
                emit_unsigned(EXTENDED, LIST, out);
                emit_unsigned(UNSIGNED, operands.len() as u64, out);
                operands.iter().for_each(|operand| operand.emit(out));
            }
            Self::Float(value) => emit_pair(FLOAT, *value, out),
            Self::Allocation(pairs) => {
                emit_pair(ALLOCATION, pairs.len() as u64, out);
                for (kind, value) in pairs {
                    emit_unsigned(UNSIGNED, *kind, out);
                    emit_unsigned(UNSIGNED, *value, out);
                }
            }
            Self::Literal(value) => emit_pair(LITERAL, *value, out),
            Self::Typed(register, kind) => {
                emit_unsigned(EXTENDED, TYPED, out);
                register.emit(out);
                emit_unsigned(UNSIGNED, *kind, out);
            }
        }
    }

    /// The operand without the hint of a type.
    #[must_use]
    pub fn untyped(&self) -> &Self {
        match self {
            Self::Typed(register, _) => register,
            other => other,
        }
    }
}

/// A number as it is written.
enum Number {
    /// Below 2048.
    Small(u64),
    /// Of up to 8 bytes.
    Signed(i64),
    /// Of more.
    Big(Vec<u8>),
}

impl Number {
    fn unsigned(&self) -> Option<u64> {
        match self {
            Self::Small(value) => Some(*value),
            Self::Signed(value) => u64::try_from(*value).ok(),
            // One more byte, so that the highest bit is no sign.
            Self::Big(bytes) => match bytes[..] {
                [0, ref bytes @ ..] => Some(u64::from_be_bytes(bytes.try_into().ok()?)),
                _ => None,
            },
        }
    }
}

/// The tag and the number behind it.
fn number(cursor: &mut Cursor<'_>) -> Option<(u8, Number)> {
    let first = cursor.u8()?;
    let high = u64::from(first >> 5);
    let value = match first & 0b1_1000 {
        0 | 0b1_0000 => Number::Small(u64::from(first >> 4)),
        0b1000 => Number::Small(high << 8 | u64::from(cursor.u8()?)),
        _ if high < 7 => Number::Signed(signed(cursor.take(high as usize + 2)?)),
        _ => {
            let size = usize::try_from(unsigned(cursor)?).ok()?;
            Number::Big(cursor.take(size.checked_add(SHORT + 1)?)?.to_vec())
        }
    };
    Some((first & 0b111, value))
}

fn unsigned(cursor: &mut Cursor<'_>) -> Option<u64> {
    match number(cursor)? {
        (UNSIGNED, number) => number.unsigned(),
        _ => None,
    }
}

/// A count, which cannot exceed the rest.
fn count(cursor: &mut Cursor<'_>) -> Option<usize> {
    let count = usize::try_from(unsigned(cursor)?).ok()?;
    (count <= cursor.0.len()).then_some(count)
}

/// Bytes in two's complement; at most eight.
fn signed(bytes: &[u8]) -> i64 {
    let negative = bytes.first().is_some_and(|byte| byte & 0x80 != 0);
    let start = if negative { -1 } else { 0 };
    bytes
        .iter()
        .fold(start, |value, &byte| value << 8 | i64::from(byte))
}

fn emit_pair(kind: u64, value: u64, out: &mut Vec<u8>) {
    emit_unsigned(EXTENDED, kind, out);
    emit_unsigned(UNSIGNED, value, out);
}

fn emit_unsigned(tag: u8, value: u64, out: &mut Vec<u8>) {
    match value {
        0..16 => out.push((value as u8) << 4 | tag),
        16..2048 => out.extend([((value >> 8) as u8) << 5 | 0b1000 | tag, value as u8]),
        _ => match i64::try_from(value) {
            Ok(value) => emit_bytes(tag, &signed_bytes(value), out),
            Err(_) => emit_bytes(tag, &[&[0], &value.to_be_bytes()[..]].concat(), out),
        },
    }
}

/// The shortest form in two's complement, of at least two bytes.
fn signed_bytes(value: i64) -> Vec<u8> {
    let bytes = value.to_be_bytes();
    let short = (2..SHORT).find(|&size| signed(&bytes[SHORT - size..]) == value);
    bytes[SHORT - short.unwrap_or(SHORT)..].to_vec()
}

fn emit_bytes(tag: u8, bytes: &[u8], out: &mut Vec<u8>) {
    let marks = 0b1_1000 | tag;
    match bytes.len() {
        size @ 2..=SHORT => out.push((size as u8 - 2) << 5 | marks),
        size => {
            out.push(0b1110_0000 | marks);
            emit_unsigned(UNSIGNED, (size - SHORT - 1) as u64, out);
        }
    }
    out.extend(bytes);
}

#[cfg(test)]
pub(super) mod testing {
    use super::Operand;
    use proptest::prelude::{Strategy, any, prop, prop_oneof};

    /// Any operand.
    pub(in crate::code) fn operands() -> impl Strategy<Value = Operand> {
        let number = || prop_oneof![0..40_u64, 2000..5000_u64, any::<u64>()];
        let plain = prop_oneof![
            number().prop_map(Operand::Unsigned),
            prop_oneof![-40..5000_i64, any::<i64>()].prop_map(Operand::Integer),
            prop::collection::vec(any::<u8>(), 9..40).prop_map(Operand::Big),
            number().prop_map(Operand::Atom),
            number().prop_map(Operand::X),
            number().prop_map(Operand::Y),
            number().prop_map(Operand::Label),
            number().prop_map(Operand::Character),
            number().prop_map(Operand::Float),
            number().prop_map(Operand::Literal),
            prop::collection::vec((number(), number()), 0..3).prop_map(Operand::Allocation),
            (number(), number()).prop_map(|(x, t)| Operand::Typed(Box::new(Operand::X(x)), t)),
        ];
        plain.prop_recursive(2, 12, 4, |inner| {
            prop::collection::vec(inner, 0..4).prop_map(Operand::List)
        })
    }
}
