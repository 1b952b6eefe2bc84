//! Words from terms.

use std::fmt::Write as _;

use crate::term::Term;

/// Words that must be quoted to be atoms (Erlang reference manual, 1.6 "Reserved Words").
const RESERVED: [&str; 29] = [
    "after", "and", "andalso", "band", "begin", "bnot", "bor", "bsl", "bsr", "bxor", "case",
    "catch", "cond", "div", "else", "end", "fun", "if", "let", "maybe", "not", "of", "or",
    "orelse", "receive", "rem", "try", "when", "xor",
];

/// Writes one term with its full stop and a line end; [`parse`](super::parse()) reads it back.
///
/// The text is UTF-8.
pub fn emit(term: &Term) -> String {
    let mut out = String::new();
    write_term(term, &mut out);
    out.push_str(".\n");
    out
}

fn write_term(term: &Term, out: &mut String) {
    match term {
        Term::Integer(value) => write_display(value, out),
        Term::Big(value) => out.push_str(&value.to_decimal()),
        Term::Float(value) => write_float(*value, out),
        Term::Atom(name) => write_atom(name, out),
        Term::Binary(bytes) => write_bits(bytes, 0, out),
        Term::BitString { bytes, bits } => write_bits(bytes, *bits, out),
        Term::List(elements) => write_list(elements, out),
        Term::Improper(elements, tail) => {
            out.push('[');
            write_sequence(elements, out);
            out.push('|');
            write_term(tail, out);
            out.push(']');
        }
        Term::Tuple(elements) => {
            out.push('{');
            write_sequence(elements, out);
            out.push('}');
        }
        Term::Map(pairs) => write_map(pairs, out),
        Term::Fun {
            module,
            function,
            arity,
        } => {
            out.push_str("fun ");
            write_atom(module, out);
            out.push(':');
            write_atom(function, out);
            write_display(format_args!("/{arity}"), out);
        }
    }
}

fn write_display(value: impl std::fmt::Display, out: &mut String) {
    // Writing to a string cannot fail.
    let _ = write!(out, "{value}");
}

fn write_float(value: f64, out: &mut String) {
    let text = format!("{value:?}");
    match text.split_once('e') {
        // Erlang wants a fraction before the exponent.
        Some((digits, exponent)) if !digits.contains('.') => {
            write_display(format_args!("{digits}.0e{exponent}"), out);
        }
        _ => out.push_str(&text),
    }
}

fn write_atom(name: &str, out: &mut String) {
    let mut chars = name.chars();
    let plain = chars.next().is_some_and(|c| c.is_ascii_lowercase())
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '@')
        && !RESERVED.contains(&name);
    if plain {
        out.push_str(name);
    } else {
        write_quoted(name.chars(), '\'', out);
    }
}

fn write_quoted(text: impl Iterator<Item = char>, quote: char, out: &mut String) {
    out.push(quote);
    for c in text {
        match c {
            '\n' => out.push_str("\\n"),
            '\\' => out.push_str("\\\\"),
            c if c == quote => {
                out.push('\\');
                out.push(c);
            }
            c if c.is_control() => write_display(format_args!("\\x{{{:x}}}", c as u32), out),
            c => out.push(c),
        }
    }
    out.push(quote);
}

/// A list of printable characters is written as a string.
fn write_list(elements: &[Term], out: &mut String) {
    let printable = |term: &Term| match term {
        Term::Integer(value) => u32::try_from(*value)
            .ok()
            .and_then(char::from_u32)
            .filter(|&c| c == '\n' || c == '\t' || !c.is_control()),
        _ => None,
    };
    let text: Option<Vec<char>> = elements.iter().map(printable).collect();
    match text {
        Some(text) if !text.is_empty() => write_quoted(text.into_iter(), '"', out),
        _ => {
            out.push('[');
            write_sequence(elements, out);
            out.push(']');
        }
    }
}

fn write_sequence(elements: &[Term], out: &mut String) {
    for (index, element) in elements.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        write_term(element, out);
    }
}

fn write_map(pairs: &[(Term, Term)], out: &mut String) {
    out.push_str("#{");
    for (index, (key, value)) in pairs.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        write_term(key, out);
        out.push_str(" => ");
        write_term(value, out);
    }
    out.push('}');
}

fn write_bits(bytes: &[u8], last_bits: u8, out: &mut String) {
    out.push_str("<<");
    let printable = last_bits == 0
        && !bytes.is_empty()
        && bytes.iter().all(|&b| b == b' ' || b.is_ascii_graphic());
    if printable {
        write_quoted(bytes.iter().map(|&b| b as char), '"', out);
    } else {
        for (index, byte) in bytes.iter().enumerate() {
            if index > 0 {
                out.push(',');
            }
            if last_bits > 0 && index + 1 == bytes.len() {
                write_display(format_args!("{}:{last_bits}", byte >> (8 - last_bits)), out);
            } else {
                write_display(byte, out);
            }
        }
    }
    out.push_str(">>");
}
