//! Whether a chunk `Dbgi` or `Abst` holds code.
//!
//! The chunks hold `{debug_info_v1, Backend, Data}` and `{raw_abstract_v1, Forms}` or
//! `{abstract_v2, Forms}`; abstract code of large functions nests deeper than configuration ever
//! does, so only the start of the term is read. `Data` without debug information is `{none, Options}`
//! (Erlang) or `none` (Elixir, LFE). An encrypted chunk starts with 0 and the name of the cipher.

use std::io::Read as _;

use flate2::read::ZlibDecoder;

use crate::cursor::Cursor;

/// Enough bytes for everything up to the interesting tag: a few short atoms.
const HEAD: u64 = 1024;

/// External Term Format (ERTS user's guide): version, and tags.
const VERSION: u8 = 131;
const COMPRESSED: u8 = 80;
const SMALL_TUPLE: u8 = 104;
const ATOM: u8 = 100;
const SMALL_ATOM: u8 = 115;
const ATOM_UTF8: u8 = 118;
const SMALL_ATOM_UTF8: u8 = 119;

pub(crate) fn holds_code(chunk: &[u8]) -> bool {
    match chunk {
        [] => false,
        [VERSION, COMPRESSED, rest @ ..] => {
            let mut head = Vec::new();
            let data = rest.get(4..).unwrap_or_default();
            let read = ZlibDecoder::new(data).take(HEAD).read_to_end(&mut head);
            read.is_ok() && term_holds_code(&mut Cursor(&head)).unwrap_or(false)
        }
        [VERSION, term @ ..] => term_holds_code(&mut Cursor(term)).unwrap_or(false),
        // Encrypted, and nothing is encrypted in vain.
        _ => true,
    }
}

fn term_holds_code(term: &mut Cursor<'_>) -> Option<bool> {
    if term.u8()? != SMALL_TUPLE {
        return None;
    }
    let arity = term.u8()?;
    let kind = atom(term)?;
    if kind != b"debug_info_v1" {
        return Some(arity == 2);
    }
    let _backend = atom(term)?;
    let data = match *term.0 {
        [SMALL_TUPLE, 2, ref rest @ ..] => rest,
        ref data => data,
    };
    Some(atom(&mut Cursor(data)) != Some(b"none"))
}

fn atom<'a>(term: &mut Cursor<'a>) -> Option<&'a [u8]> {
    let size = match term.u8()? {
        SMALL_ATOM | SMALL_ATOM_UTF8 => term.u8()?.into(),
        ATOM | ATOM_UTF8 => usize::from(term.u8()?) << 8 | usize::from(term.u8()?),
        _ => return None,
    };
    term.take(size)
}

#[cfg(test)]
mod tests {
    use super::holds_code;
    use release::term::etf::{AtomStyle, emit};
    use release::term::text;

    fn holds(term: &str) -> bool {
        let term = text::parse_one(term.as_bytes()).unwrap();
        let answers =
            [AtomStyle::Latin1, AtomStyle::Utf8].map(|style| holds_code(&emit(&term, style)));
        assert_eq!(answers[0], answers[1]);
        answers[0]
    }

    #[test]
    fn only_code_counts() {
        assert!(holds(
            "{debug_info_v1,erl_abstract_code,{[{attribute,1,module,a}],[]}}."
        ));
        assert!(holds("{debug_info_v1,elixir_erl,{elixir_v1,#{},[]}}."));
        assert!(holds("{raw_abstract_v1,[]}."));
        assert!(!holds("{debug_info_v1,erl_abstract_code,{none,[]}}."));
        assert!(!holds("{debug_info_v1,elixir_erl,none}."));
        assert!(!holds("no_abstract_code."));
        assert!(!holds_code(b""));
        assert!(holds_code(b"\0\x08des3_cbc"));
    }
}
