//! Integers beyond 64 bits. They are rare in releases, so simple school arithmetic is enough; the
//! size limit keeps it cheap.

use super::Term;

/// Most bytes a big integer may have (8192 bits); beyond it the parsers refuse.
pub(super) const BYTE_LIMIT: usize = 1024;

/// An integer that does not fit 64 bits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Big {
    negative: bool,
    /// Little-endian, without leading zeros.
    magnitude: Vec<u8>,
}

impl Big {
    /// The integer term with this sign and little-endian magnitude.
    pub fn term(negative: bool, mut magnitude: Vec<u8>) -> Term {
        while magnitude.last() == Some(&0) {
            magnitude.pop();
        }
        small(negative, &magnitude).map_or_else(
            || {
                Term::Big(Self {
                    negative,
                    magnitude,
                })
            },
            Term::Integer,
        )
    }

    /// Whether it is below zero.
    pub fn is_negative(&self) -> bool {
        self.negative
    }

    /// Absolute value, little-endian, without leading zeros.
    pub fn magnitude(&self) -> &[u8] {
        &self.magnitude
    }

    /// Decimal notation.
    pub fn to_decimal(&self) -> String {
        let mut digits = Vec::new();
        let mut rest = self.magnitude.clone();
        while !rest.is_empty() {
            digits.push(b'0' + divide(&mut rest, 10));
        }
        if self.negative {
            digits.push(b'-');
        }
        digits.iter().rev().map(|&digit| digit as char).collect()
    }
}

fn small(negative: bool, magnitude: &[u8]) -> Option<i64> {
    let mut bytes = [0; 16];
    bytes.get_mut(..magnitude.len())?.copy_from_slice(magnitude);
    let value = i128::from_le_bytes(bytes);
    // Sixteen full bytes would read as a negative number; those are too big in any case.
    if value < 0 {
        return None;
    }
    i64::try_from(if negative { -value } else { value }).ok()
}

/// Appends a digit: `magnitude = magnitude * base + digit`. `None` beyond [`BYTE_LIMIT`].
pub(super) fn push_digit(magnitude: &mut Vec<u8>, base: u8, digit: u8) -> Option<()> {
    let mut carry = u16::from(digit);
    for byte in magnitude.iter_mut() {
        let value = u16::from(*byte) * u16::from(base) + carry;
        *byte = value as u8;
        carry = value >> 8;
    }
    if carry > 0 {
        magnitude.push(carry as u8);
    }
    (magnitude.len() <= BYTE_LIMIT).then_some(())
}

/// Divides in place and returns the remainder.
fn divide(magnitude: &mut Vec<u8>, base: u8) -> u8 {
    let mut remainder = 0;
    for byte in magnitude.iter_mut().rev() {
        let value = remainder << 8 | u16::from(*byte);
        *byte = (value / u16::from(base)) as u8;
        remainder = value % u16::from(base);
    }
    while magnitude.last() == Some(&0) {
        magnitude.pop();
    }
    remainder as u8
}
