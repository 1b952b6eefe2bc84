//! Instructions, judged by `beam_disasm` itself: for every function of many modules, how many there
//! are, and which functions of other modules they call.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

#[path = "../../release/tests/support/mod.rs"]
mod support;

use std::fs;
use std::path::Path;
use std::process::Command;

use beam::code::{Operand, op};
use beam::{Beam, Import, uncompressed};
use release::term::{Term, etf};

use support::{need, otp, run};

/// Writes for each module in `modules` what `beam_disasm` knows of its functions, to a file whose
/// name is the module's number.
const KNOWN: &str = r#"
    {ok, Text} = file:read_file("modules"),
    Calls = fun(Code) -> lists:append([case tuple_to_list(I) of
        [O, _, {extfunc, M, F, A} | _] when O =:= call_ext; O =:= call_ext_only; O =:= call_ext_last -> [{M, F, A}];
        _ -> []
    end || I <- Code, is_tuple(I)]) end,
    Known = fun(File) ->
        {beam_file, _, _, _, _, Functions} = beam_disasm:file(File),
        [{F, A, length(Code), Calls(Code)} || {function, F, A, _, Code} <- Functions]
    end,
    lists:foldl(fun(File, N) ->
        ok = file:write_file(integer_to_list(N), term_to_binary(Known(binary_to_list(File)))), N + 1
    end, 0, binary:split(Text, <<"\n">>, [global])),
    halt().
"#;

fn number(operand: &Operand) -> i64 {
    match operand {
        Operand::Unsigned(number) | Operand::Atom(number) => (*number).try_into().unwrap(),
        other => panic!("{other:?} is no number"),
    }
}

fn call(import: &Import) -> Term {
    let arity = Term::Integer(import.arity.into());
    Term::Tuple(vec![
        Term::atom(&import.module),
        Term::atom(&import.function),
        arity,
    ])
}

/// What we know of a module, as [`KNOWN`] writes it.
fn known(beam: &Beam<'_>) -> Term {
    let (atoms, imports) = (beam.atoms().unwrap(), beam.imports().unwrap());
    let mut functions: Vec<(String, i64, i64, Vec<Term>)> = Vec::new();
    // The label before `func_info` belongs to the function; so does a line between the two.
    let mut before = 0;
    for instruction in beam.code().unwrap().instructions() {
        let instruction = instruction.unwrap();
        match (instruction.opcode, instruction.operands.as_slice()) {
            (op::INT_CODE_END, _) => break,
            (op::FUNC_INFO, [_, name, arity]) => {
                let name = atoms
                    .get(number(name).try_into().unwrap())
                    .unwrap()
                    .to_string();
                if let Some(last) = functions.last_mut() {
                    last.2 -= before;
                }
                functions.push((name, number(arity), before + 1, Vec::new()));
                continue;
            }
            (op::CALL_EXT | op::CALL_EXT_ONLY | op::CALL_EXT_LAST, [_, import, ..]) => {
                let import = &imports[usize::try_from(number(import)).unwrap()];
                functions.last_mut().unwrap().3.push(call(import));
            }
            _ => {}
        }
        // Only labels and lines can stand before `func_info`.
        const LINE: u8 = 153;
        before = match instruction.opcode {
            op::LABEL => 1,
            LINE if before > 0 => before + 1,
            _ => 0,
        };
        if let Some(last) = functions.last_mut() {
            last.2 += 1;
        }
    }
    let function = |(name, arity, count, calls): (String, i64, i64, Vec<Term>)| {
        let numbers = [Term::Integer(arity), Term::Integer(count)];
        Term::Tuple(
            [
                vec![Term::Atom(name)],
                numbers.into(),
                vec![Term::List(calls)],
            ]
            .concat(),
        )
    };
    Term::List(functions.into_iter().map(function).collect())
}

#[test]
fn beam_disasm_agrees_on_every_function() {
    need("erl");
    let (root, _) = otp();
    let mut files = Vec::new();
    for application in fs::read_dir(root.join("lib")).unwrap() {
        let path = application.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_string();
        let wanted = ["kernel-", "stdlib-", "ssl-", "compiler-"];
        if let Ok(ebin) = fs::read_dir(path.join("ebin"))
            && wanted.iter().any(|start| name.starts_with(start))
        {
            let beams = ebin.map(|entry| entry.unwrap().path());
            files.extend(beams.filter(|path| path.extension().is_some_and(|e| e == "beam")));
        }
    }
    assert!(files.len() > 250, "{} modules", files.len());
    compare(&files);
}

fn compare(files: &[std::path::PathBuf]) {
    let directory = tempfile::tempdir().unwrap();
    let at: &Path = directory.path();
    let lines: Vec<_> = files.iter().map(|file| file.to_str().unwrap()).collect();
    fs::write(at.join("modules"), lines.join("\n")).unwrap();
    run(Command::new("erl")
        .current_dir(at)
        .args(["-noshell", "-eval", KNOWN]));
    for (index, file) in files.iter().enumerate() {
        let bytes = fs::read(file).unwrap();
        let plain = uncompressed(&bytes).unwrap();
        let (expected, _) = etf::decode(&fs::read(at.join(index.to_string())).unwrap()).unwrap();
        let found = known(&Beam::parse(&plain).unwrap());
        let (found, expected) = (found.as_list().unwrap(), expected.as_list().unwrap());
        assert_eq!(found.len(), expected.len(), "{}", file.display());
        for (found, expected) in found.iter().zip(expected) {
            assert_eq!(found, expected, "{}", file.display());
        }
    }
}
