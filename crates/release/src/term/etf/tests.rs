use super::{AtomStyle, Reason, VERSION, decode, emit};
use crate::term::Term;
use crate::term::testing::any_term;

use proptest::prelude::{ProptestConfig, any, prop, prop_assert_eq, proptest};

fn reason(bytes: &[u8]) -> Reason {
    decode(bytes).unwrap_err().reason
}

/// What `term_to_binary({a, -1, 300, "hi", [x], 1.5, <<1>>})` of OTP 25 writes.
#[test]
fn agrees_with_otp() {
    let bytes = b"\x83\x68\x07\x64\0\x01a\x62\xff\xff\xff\xff\x62\0\0\x01\x2c\x6b\0\x02hi\
        \x6c\0\0\0\x01\x64\0\x01x\x6a\x46\x3f\xf8\0\0\0\0\0\0\x6d\0\0\0\x01\x01";
    let term = Term::Tuple(vec![
        Term::atom("a"),
        Term::Integer(-1),
        Term::Integer(300),
        Term::string("hi"),
        Term::List(vec![Term::atom("x")]),
        Term::Float(1.5),
        Term::Binary(vec![1]),
    ]);
    assert_eq!(decode(bytes), Ok((term.clone(), AtomStyle::Latin1)));
    assert_eq!(emit(&term, AtomStyle::Latin1), bytes);
}

#[test]
fn old_notations_are_read() {
    let mut float = vec![VERSION, 99];
    float.extend(b"1.50000000000000000000e+00\0\0\0\0\0");
    assert_eq!(decode(&float).unwrap().0, Term::Float(1.5));
    assert_eq!(decode(&[VERSION, 115, 1, 0xe9]).unwrap().0, Term::atom("é"));
    assert_eq!(
        decode(&[VERSION, 110, 2, 1, 1, 0]).unwrap().0,
        Term::Integer(-1)
    );
}

#[test]
fn compressed_terms_are_read() {
    let term = Term::string(&"abc".repeat(100));
    let plain = &emit(&term, AtomStyle::Utf8)[1..];
    let mut bytes = vec![VERSION, 80];
    bytes.extend((plain.len() as u32).to_be_bytes());
    bytes.extend(miniz_oxide::deflate::compress_to_vec_zlib(plain, 6));
    assert_eq!(decode(&bytes).unwrap().0, term);
    bytes[5] += 1;
    assert_eq!(reason(&bytes), Reason::Compression);
    bytes[2] = 0xff;
    assert_eq!(reason(&bytes), Reason::TooLarge);
}

#[test]
fn hostile_bytes_are_refused() {
    assert_eq!(reason(b""), Reason::Version);
    assert_eq!(reason(&[VERSION]), Reason::Truncated { needed: 1 });
    assert_eq!(reason(&[VERSION, 106, 0]), Reason::Trailing(1));
    assert_eq!(reason(&[VERSION, 103]), Reason::Tag(103));
    let lie = [VERSION, 108, 0xff, 0xff, 0xff, 0xff, 106];
    assert!(matches!(reason(&lie), Reason::Truncated { .. }));
    let nested: Vec<u8> = [VERSION]
        .into_iter()
        .chain([104, 1].repeat(100_000))
        .collect();
    assert_eq!(reason(&nested), Reason::TooDeep);
    assert_eq!(
        reason(&[VERSION, 70, 0x7f, 0xf0, 0, 0, 0, 0, 0, 0]),
        Reason::Malformed("float")
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn decode_undoes_emit(term in any_term(), utf8 in any::<bool>()) {
        let style = if utf8 { AtomStyle::Utf8 } else { AtomStyle::Latin1 };
        let bytes = emit(&term, style);
        let (decoded, found) = decode(&bytes).unwrap();
        prop_assert_eq!(&decoded, &term);
        if found == style {
            prop_assert_eq!(emit(&decoded, found), bytes);
        }
    }

    #[test]
    fn any_bytes_are_survived(mut bytes in prop::collection::vec(any::<u8>(), 1..200)) {
        bytes[0] = VERSION;
        let _ = decode(&bytes);
    }

    #[test]
    fn a_changed_byte_is_survived(term in any_term(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut bytes = emit(&term, AtomStyle::Utf8);
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let _ = decode(&bytes);
    }
}
