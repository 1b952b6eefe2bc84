//! Random terms for property tests.

use proptest::prelude::{BoxedStrategy, Just, Strategy, any, prop, prop_oneof};

use super::{Big, Term};

/// Any term, of limited depth and size.
pub(crate) fn any_term() -> BoxedStrategy<Term> {
    leaf()
        .prop_recursive(4, 40, 6, |inner| {
            let list = || prop::collection::vec(inner.clone(), 0..6);
            prop_oneof![
                list().prop_map(Term::List),
                list().prop_map(Term::Tuple),
                (prop::collection::vec(inner.clone(), 1..4), leaf())
                    .prop_map(|(elements, tail)| Term::cons(elements, tail)),
                prop::collection::vec((inner.clone(), inner.clone()), 0..4).prop_map(map),
            ]
        })
        .boxed()
}

fn leaf() -> BoxedStrategy<Term> {
    prop_oneof![
        any::<i64>().prop_map(Term::Integer),
        (any::<bool>(), prop::collection::vec(any::<u8>(), 9..20))
            .prop_map(|(negative, magnitude)| Big::term(negative, magnitude)),
        any::<f64>()
            .prop_filter("finite", |value| value.is_finite())
            .prop_map(Term::Float),
        "\\PC{0,8}".prop_map(Term::Atom),
        any::<String>().prop_map(|text| Term::string(&text)),
        prop::collection::vec(any::<u8>(), 0..12).prop_map(Term::Binary),
        (prop::collection::vec(any::<u8>(), 1..4), 1_u8..8).prop_map(bit_string),
        Just(Term::List(Vec::new())),
        ("[a-z]{1,5}", "\\PC{0,5}", any::<u8>()).prop_map(|(module, function, arity)| {
            Term::Fun {
                module,
                function,
                arity,
            }
        }),
    ]
    .boxed()
}

fn bit_string((mut bytes, bits): (Vec<u8>, u8)) -> Term {
    if let Some(last) = bytes.last_mut() {
        *last &= 0xff << (8 - bits);
    }
    Term::BitString { bytes, bits }
}

fn map(pairs: Vec<(Term, Term)>) -> Term {
    let mut unique: Vec<(Term, Term)> = Vec::new();
    for (key, value) in pairs {
        if unique.iter().all(|(known, _)| *known != key) {
            unique.push((key, value));
        }
    }
    Term::Map(unique)
}
