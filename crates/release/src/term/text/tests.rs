use super::{Reason, emit, parse, parse_one};
use crate::term::Term;
use crate::term::testing::any_term;

use proptest::prelude::{ProptestConfig, any, prop, prop_assert_eq, proptest};

fn one(text: &str) -> Term {
    parse_one(text.as_bytes()).unwrap()
}

#[test]
fn reads_a_rel_file() {
    let text = "%% coding: utf-8\n{release, {\"hello\",\"1.0\"}, {erts,\"13.1.5\"},\n [{kernel,\"8.5.3\"}]}.";
    let expected = Term::Tuple(vec![
        Term::atom("release"),
        Term::Tuple(vec![Term::string("hello"), Term::string("1.0")]),
        Term::Tuple(vec![Term::atom("erts"), Term::string("13.1.5")]),
        Term::List(vec![Term::Tuple(vec![
            Term::atom("kernel"),
            Term::string("8.5.3"),
        ])]),
    ]);
    assert_eq!(one(text), expected);
}

#[test]
fn reads_numbers() {
    assert_eq!(one("16#fF."), Term::Integer(255));
    assert_eq!(one("1_000."), Term::Integer(1000));
    assert_eq!(one("-2#101."), Term::Integer(-5));
    assert_eq!(one("$\\n."), Term::Integer(10));
    assert_eq!(one("$a."), Term::Integer(97));
    assert_eq!(one("-1.5e-3."), Term::Float(-0.0015));
    assert_eq!(one("9223372036854775807."), Term::Integer(i64::MAX));
    assert_eq!(one("-9223372036854775808."), Term::Integer(i64::MIN));
    assert_eq!(
        emit(&one("-36893488147419103232.")),
        "-36893488147419103232.\n"
    );
}

#[test]
fn reads_strings_atoms_and_binaries() {
    assert_eq!(one(r#""a" "b\x{e9}\101"."#), Term::string("abéA"));
    assert_eq!(one(r"'a b\'\s'."), Term::atom("a b' "));
    assert_eq!(
        one(r#"<<"ab", 1, 255>>."#),
        Term::Binary(b"ab\x01\xff".into())
    );
    assert_eq!(one(r#"<<"é"/utf8>>."#), Term::Binary("é".into()));
    assert_eq!(one("<<258:16>>."), Term::Binary(vec![1, 2]));
    let bits = Term::BitString {
        bytes: vec![0b1010_0000],
        bits: 3,
    };
    assert_eq!(one("<<5:3>>."), bits);
}

#[test]
fn reads_compound_terms() {
    assert_eq!(one("[1,2|[3]]."), one("[1,2,3]."));
    assert_eq!(
        one("[1|2]."),
        Term::Improper(vec![Term::Integer(1)], Box::new(Term::Integer(2)))
    );
    assert_eq!(
        one("#{a => {}, a => []}."),
        Term::Map(vec![(Term::atom("a"), Term::List(vec![]))])
    );
    assert_eq!(
        one("fun lists:map/2."),
        Term::Fun {
            module: "lists".into(),
            function: "map".into(),
            arity: 2
        }
    );
}

#[test]
fn reads_several_terms_and_latin1() {
    assert_eq!(parse(b"a. b.% end\n").unwrap().len(), 2);
    assert_eq!(parse(b"").unwrap(), []);
    let latin1 = parse_one(b"%% -*- coding: latin-1 -*-\n\"\xe9\".").unwrap();
    assert_eq!(latin1, Term::string("é"));
}

#[test]
fn errors_have_their_place() {
    let error = parse(b"{a,\n  B}.").unwrap_err();
    assert_eq!((error.offset, error.line, error.column), (6, 2, 3));
    assert_eq!(
        error.to_string(),
        "2:3: found the variable `B`, expected a term"
    );
    let cases: [(&[u8], Reason); 5] = [
        (b"\"abc", Reason::Unclosed("string")),
        (b"\"\\x{110000}\".", Reason::Escape),
        (b"37#1.", Reason::Number),
        (b"<<1.5>>.", Reason::Segment),
        (b"a.\xff", Reason::NotUtf8),
    ];
    for (text, reason) in cases {
        assert_eq!(parse(text).unwrap_err().reason, reason, "{text:?}");
    }
}

#[test]
fn depth_is_limited() {
    let text = "[".repeat(100_000);
    assert_eq!(parse(text.as_bytes()).unwrap_err().reason, Reason::TooDeep);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn parse_undoes_emit(term in any_term()) {
        let text = emit(&term);
        prop_assert_eq!(parse_one(text.as_bytes()), Ok(term));
    }

    #[test]
    fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse(&bytes);
    }

    #[test]
    fn any_text_of_signs_is_survived(text in "[\\[\\]{}<>,|.#=\"'$\\\\a-c0-9_ :/%\n-]{0,60}") {
        if let Ok(terms) = parse(text.as_bytes()) {
            for term in terms {
                prop_assert_eq!(parse_one(emit(&term).as_bytes()), Ok(term));
            }
        }
    }
}
