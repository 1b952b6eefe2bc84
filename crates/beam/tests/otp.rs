//! All modules of this machine's OTP and Elixir, judged by `beam_lib` itself.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

#[path = "../../release/tests/support/mod.rs"]
mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use beam::{Beam, Export, Import, is_compressed, uncompressed};
use release::term::Term;
use release::term::etf::{self, AtomStyle};

use support::{need, otp, run};

/// Writes what `beam_lib` knows of each module in `modules` into a file of its own, whose name is
/// the module's number.
const KNOWN: &str = r#"
    {ok, Text} = file:read_file("modules"),
    Files = string:lexemes(binary_to_list(Text), "\n"),
    Plain = fun(<<"FOR1", _/binary>> = B) -> B; (B) -> zlib:gunzip(B) end,
    Literals = fun
        (missing_chunk) -> [];
        (<<0:32, _:32, T/binary>>) -> [B || <<N:32, B:N/binary>> <= T];
        (<<_:32, Z/binary>>) -> <<_:32, T/binary>> = zlib:uncompress(Z), [B || <<N:32, B:N/binary>> <= T]
    end,
    Has = fun
        ({debug_info_v1, _, {none, _}}) -> false;
        ({debug_info_v1, _, none}) -> false;
        (no_debug_info) -> false;
        ({debug_info_v1, _, _}) -> true
    end,
    Known = fun(File) ->
        {ok, Bytes} = file:read_file(File),
        {ok, {Module, Stripped}} = beam_lib:strip(Bytes),
        {ok, {Module, [{"ImpT", _}, {indexed_imports, I}, {labeled_exports, E}, {"LitT", L}, {debug_info, D}]}} =
            beam_lib:chunks(Bytes, ["ImpT", indexed_imports, labeled_exports, "LitT", debug_info], [allow_missing_chunks]),
        {Module, Plain(Stripped), [{M, F, A} || {_, M, F, A} <- lists:sort(I)], lists:sort(E), Literals(L), Has(D)}
    end,
    lists:foldl(fun(File, N) ->
        ok = file:write_file(integer_to_list(N), term_to_binary(Known(File))), N + 1
    end, 0, Files),
    halt().
"#;

/// Whether each pair of terms in `pairs` is one term.
const EQUAL: &str = r#"
    {ok, Bytes} = file:read_file("pairs"),
    Equal = [true || {A, B} <- binary_to_term(Bytes), binary_to_term(A) =:= binary_to_term(B)],
    io:format("~p", [length(Equal)]),
    halt().
"#;

fn erl(directory: &Path, code: &str) -> String {
    run(Command::new("erl")
        .current_dir(directory)
        .args(["-noshell", "-eval", code]))
}

/// The `.beam` files below a directory.
fn modules(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            modules(&path, found);
        } else if path
            .extension()
            .is_some_and(|extension| extension == "beam")
        {
            found.push(path);
        }
    }
}

fn all_modules() -> Vec<PathBuf> {
    need("erl");
    need("elixir");
    let code = "IO.puts(Path.dirname(:code.lib_dir(:elixir)))";
    let elixir = run(Command::new("elixir")
        .args(["-e", code])
        .env("LANG", "C.UTF-8"));
    let mut found = Vec::new();
    modules(&otp().0.join("lib"), &mut found);
    modules(Path::new(elixir.trim()), &mut found);
    found.sort();
    found
}

fn atom(text: &str) -> Term {
    Term::atom(text)
}

fn number(value: u32) -> Term {
    Term::Integer(value.into())
}

/// What `beam_lib` would say of a module, and its constants once more as pairs of encoded terms.
fn known(beam: &Beam<'_>, pairs: &mut Vec<Term>) -> Term {
    let import = |call: &Import| {
        let names = [atom(&call.module), atom(&call.function)];
        Term::Tuple([&names[..], &[number(call.arity)]].concat())
    };
    let export = |e: Export| Term::Tuple(vec![atom(&e.function), number(e.arity), number(e.label)]);
    let mut exports = beam.exports().unwrap();
    exports.sort();
    let literals = beam.literals().unwrap();
    for (encoded, term) in literals.encoded.iter().zip(literals.terms()) {
        let again = etf::emit(&term.unwrap(), AtomStyle::Utf8);
        let pair = [encoded.clone(), again].map(Term::Binary);
        pairs.push(Term::Tuple(pair.into()));
    }
    let encoded = literals.encoded.into_iter().map(Term::Binary).collect();
    Term::Tuple(vec![
        atom(&beam.module().unwrap()),
        Term::Binary(beam.strip().unwrap().emit()),
        Term::List(beam.imports().unwrap().iter().map(import).collect()),
        Term::List(exports.into_iter().map(export).collect()),
        Term::List(encoded),
        atom(&beam.has_debug_info().to_string()),
    ])
}

#[test]
fn beam_lib_agrees_on_every_module() {
    let files = all_modules();
    assert!(files.len() > 500, "{} modules", files.len());
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let lines: Vec<_> = files.iter().map(|file| file.to_str().unwrap()).collect();
    fs::write(at.join("modules"), lines.join("\n")).unwrap();
    erl(at, KNOWN);
    let mut pairs = Vec::new();
    let mut with_debug_info = 0;
    for (index, file) in files.iter().enumerate() {
        let bytes = fs::read(file).unwrap();
        let plain = uncompressed(&bytes).unwrap();
        let beam = Beam::parse(&plain).unwrap();
        assert_eq!(beam.emit(), *plain, "{}", file.display());
        let expected = fs::read(at.join(index.to_string())).unwrap();
        let (expected, _) = etf::decode(&expected).unwrap();
        // No `assert_eq`: these terms are megabytes.
        assert!(
            known(&beam, &mut pairs) == expected,
            "{} differs",
            file.display()
        );
        with_debug_info += usize::from(beam.has_debug_info());
    }
    assert!(with_debug_info > 0, "the other answer is tested below");
    let count = pairs.len();
    let pairs = etf::emit(&Term::List(pairs), AtomStyle::Utf8);
    fs::write(at.join("pairs"), pairs).unwrap();
    assert_eq!(erl(at, EQUAL), count.to_string());
}

/// Compiles a module and returns the file.
fn compile(directory: &Path, options: &[&str]) -> Vec<u8> {
    let source = "-module(m).\n-export([f/0]).\nf() -> os:cmd([\"ls -l\", <<\"x\">>]).\n";
    fs::write(directory.join("m.erl"), source).unwrap();
    run(Command::new("erlc")
        .current_dir(directory)
        .args(options)
        .arg("m.erl"));
    fs::read(directory.join("m.beam")).unwrap()
}

#[test]
fn compressed_and_stripped_files_run_after_they_were_rewritten() {
    need("erlc");
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let compressed = compile(at, &["+compressed", "+debug_info"]);
    assert!(is_compressed(&compressed));
    let plain = uncompressed(&compressed).unwrap();
    let beam = Beam::parse(&plain).unwrap();
    assert!(beam.has_debug_info());
    let without = compile(at, &[]);
    let without = Beam::parse(&without).unwrap();
    assert!(!without.has_debug_info());
    assert_eq!(without.strip(), beam.strip());
    assert!(beam.imports().unwrap().iter().any(|c| c.is("os", "cmd", 1)));
    let expected = [Term::List(vec![
        Term::string("ls -l"),
        Term::Binary(b"x".into()),
    ])];
    let literals = beam.literals().unwrap();
    let terms: Vec<_> = literals.terms().map(Result::unwrap).collect();
    assert_eq!(terms, expected);

    fs::write(at.join("m.beam"), beam.strip().unwrap().emit()).unwrap();
    let code = "io:format(\"~p\", [{m:module_info(exports), beam_lib:chunks(\"m.beam\", [debug_info])}]), halt().";
    let said = erl(at, code);
    assert!(said.contains("{f,0}"), "{said}");
    assert!(said.contains("missing_chunk"), "{said}");
}
