//! A release made by OTP's own tools, opened, edited and started.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod support;

use std::fs;
use std::path::Path;
use std::process::Command;

use release::boot::BootScript;
use release::term::{Term, etf, text};
use release::{Error, Flavour, Release, Source, StartOptions};

use support::{need, otp, run, systools_release};

#[test]
fn a_release_is_opened_by_its_root_and_by_its_rel_file() {
    need("erl");
    let dir = tempfile::tempdir().unwrap();
    let root = systools_release(dir.path(), &["crypto"]);
    let (_, erts) = otp();
    for path in [
        root.clone(),
        root.join("releases/1.0/hello.rel"),
        root.join("releases/hello.rel"),
    ] {
        let release = Release::open(&path).unwrap();
        assert_eq!((release.name(), release.version()), ("hello", "1.0"));
        assert_eq!(release.erts_version(), erts);
        assert_eq!(release.flavour(), Flavour::Systools);
        let names = release.applications().iter().map(|a| a.app.name.as_str());
        assert_eq!(
            names.collect::<Vec<_>>(),
            ["kernel", "stdlib", "crypto", "hello"]
        );
    }
    let release = Release::open(&root).unwrap();
    let options = StartOptions::default();
    check_tree(&release, &erts);
    let start = release.start(&options).unwrap();
    let bin = format!("/release/erts-{erts}/bin");
    let expected = format!(
        "{bin}/beam.smp -- -root /release -bindir {bin} -progname erl -- -home /root -- \
         -noshell -noshell -noinput -boot /release/releases/1.0/start -mode embedded"
    );
    assert_eq!(start.init.args.join(" "), expected);
    assert_eq!(start.init.exec, format!("{bin}/beam.smp"));
    assert_eq!(start.notes, []);
}

fn check_tree(release: &Release, erts: &str) {
    let tree = release.tree(&StartOptions::default()).unwrap();
    assert!(
        tree.is_sorted_by(|a, b| a.path < b.path),
        "sorted, no path twice"
    );
    let find = |path: &str| tree.iter().find(|entry| entry.path.to_string() == path);
    for path in [
        format!("/release/erts-{erts}/bin/beam.smp"),
        "/release/lib/hello-1.0/ebin/hello.beam".into(),
    ] {
        assert!(
            matches!(find(&path).unwrap().source, Source::HostFile(_)),
            "{path}"
        );
    }
    assert_eq!(
        find(&format!("/release/erts-{erts}/bin/beam.smp"))
            .unwrap()
            .mode,
        0o755
    );
    let boot = find("/release/releases/1.0/start.boot").unwrap();
    let script = BootScript::parse(&boot.content().unwrap().unwrap()).unwrap();
    let last = text::emit(script.instructions.last().unwrap());
    assert!(
        last.starts_with("{apply,{prim_file,write_file,[<<\"/dev/unibeam\">>"),
        "{last}"
    );
    assert!(
        tree.iter()
            .any(|entry| entry.path.to_string().ends_with("priv/lib/crypto.so"))
    );
    assert_eq!(tree, release.tree(&StartOptions::default()).unwrap());
}

/// The application fails its start if `ready` exists too early, and the node ends with another
/// status than 3 if it never comes.
#[test]
fn readiness_is_reported_after_all_applications_are_started() {
    need("erl");
    let dir = tempfile::tempdir().unwrap();
    let root = systools_release(dir.path(), &[]);
    let boot = root.join("releases/1.0/start.boot");
    let mut script = BootScript::parse(&fs::read(&boot).unwrap()).unwrap();
    let started: Vec<_> = script.started_applications().collect();
    assert_eq!(started, ["kernel", "stdlib", "hello"]);
    script.report_ready(
        dir.path().join("ready").to_str().unwrap(),
        "application-started",
    );
    fs::write(&boot, script.emit()).unwrap();
    let (_, erts) = otp();
    let bin = root.join(format!("erts-{erts}/bin"));
    let output = Command::new("timeout")
        .arg("60")
        .arg(bin.join("erlexec"))
        .args(["-noshell", "-noinput", "-boot"])
        .arg(root.join("releases/1.0/start"))
        .env("BINDIR", &bin)
        .env("ROOTDIR", &root)
        .env("EMU", "beam")
        .current_dir(dir.path())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    assert_eq!(fs::read(dir.path().join("started")).unwrap(), b"yes");
    let line = fs::read(dir.path().join("ready")).unwrap();
    assert_eq!(line, b"application-started\n");
}

#[test]
fn boot_scripts_of_otp_survive_a_round_trip() {
    need("erl");
    let (root, _) = otp();
    let find = run(Command::new("find").arg(&root).args(["-name", "*.boot"]));
    assert!(find.lines().count() >= 4, "{find}");
    for path in find.lines() {
        let bytes = fs::read(path).unwrap();
        let script = BootScript::parse(&bytes).unwrap();
        assert_eq!(script.emit(), bytes, "{path}");
        let (term, _) = etf::decode(&bytes).unwrap();
        assert_eq!(text::parse_one(text::emit(&term).as_bytes()), Ok(term));
    }
}

/// Everything `term_to_binary/2` writes for terms on disk, and what OTP reads back.
#[test]
fn terms_agree_with_otp() {
    need("erl");
    let dir = tempfile::tempdir().unwrap();
    let terms = r#"{a,'B c','é','日',-1,0,255,256,-2147483648,2147483648,-9223372036854775809,
        1.0e300,-0.5,"text",[1000,2000],[],[a|b],<<>>,<<"bin">>,<<5:3>>,{},
        #{a => 1,"k" => #{}},fun lists:map/2,$\n,16#ffffffffffffffffffff}."#;
    fs::write(dir.path().join("terms"), terms).unwrap();
    let code = r#"{ok,[T]} = file:consult("terms"),
        ok = file:write_file("plain", term_to_binary(T)),
        ok = file:write_file("small", term_to_binary([T,T,T,T,T],[compressed])),
        ok = file:write_file("pretty", unicode:characters_to_binary(io_lib:format("~tp.~n", [T]))),
        halt()."#;
    let erl = |code: &str| {
        let mut command = Command::new("erl");
        run(command
            .current_dir(dir.path())
            .args(["-noshell", "-eval", code]))
    };
    erl(code);
    let read = |name: &str| fs::read(dir.path().join(name)).unwrap();
    let term = text::parse_one(terms.as_bytes()).unwrap();
    assert_eq!(text::parse_one(&read("pretty")), Ok(term.clone()));
    let (decoded, style) = etf::decode(&read("plain")).unwrap();
    assert_eq!(decoded, term);
    assert_eq!(etf::emit(&term, style), read("plain"));
    let (five, _) = etf::decode(&read("small")).unwrap();
    assert_eq!(five, Term::List(vec![term.clone(); 5]));
    assert_eq!(read("small")[1], 80, "it is compressed");

    fs::write(dir.path().join("emitted"), text::emit(&term)).unwrap();
    let code = r#"{ok,[A]} = file:consult("terms"), {ok,[B]} = file:consult("emitted"),
        A = B, io:format("same"), halt()."#;
    assert_eq!(erl(code), "same");
}

#[test]
fn what_is_wrong_is_named() {
    need("erl");
    let dir = tempfile::tempdir().unwrap();
    let root = systools_release(dir.path(), &[]);
    let (_, erts) = otp();
    let broken = |change: &dyn Fn(&Path)| {
        let copy = tempfile::tempdir().unwrap();
        run(Command::new("cp")
            .arg("-a")
            .arg(root.join("."))
            .arg(copy.path()));
        change(copy.path());
        let release = Release::open(copy.path());
        let result = release.and_then(|release| release.tree(&StartOptions::default()));
        result.unwrap_err()
    };
    let error = broken(&|root| fs::remove_dir_all(root.join("lib/hello-1.0")).unwrap());
    assert!(
        matches!(&error, Error::MissingApplication { name, .. } if name == "hello"),
        "{error}"
    );

    let error = broken(&|root| {
        fs::rename(root.join("lib/hello-1.0"), root.join("lib/hello-0.9")).unwrap();
    });
    assert!(error.to_string().contains("(found: 0.9)"), "{error}");

    let error = broken(&|root| fs::remove_dir_all(root.join(format!("erts-{erts}"))).unwrap());
    assert!(matches!(error, Error::NoErts { .. }), "{error}");

    let error = broken(&|root| {
        fs::rename(root.join(format!("erts-{erts}")), root.join("erts-9.0")).unwrap();
    });
    assert!(
        matches!(&error, Error::ErtsVersion { found, .. } if found == &["erts-9.0"]),
        "{error}"
    );

    let emulator = format!("erts-{erts}/bin/beam.smp");
    let error = broken(&|root| fs::write(root.join(&emulator), "#!/bin/sh\n").unwrap());
    assert!(
        error
            .to_string()
            .contains("is a script, expected an x86-64 ELF"),
        "{error}"
    );

    let error = broken(&|root| fs::remove_file(root.join("releases/1.0/start.boot")).unwrap());
    assert!(matches!(error, Error::NoBootScript { .. }), "{error}");

    let error = broken(&|root| {
        let path = root.join("releases/1.0/start.boot");
        let bytes = fs::read(&path).unwrap();
        fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
    });
    assert!(error.to_string().contains("cut off"), "{error}");

    let error =
        broken(&|root| fs::write(root.join("lib/hello-1.0/ebin/hello.app"), "{a,\n").unwrap());
    assert!(
        error
            .to_string()
            .contains("hello.app:2:1: found the end of the file"),
        "{error}"
    );

    let error =
        broken(&|root| fs::write(root.join("releases/1.0/sys.config"), "[{a,B}].").unwrap());
    assert!(
        error
            .to_string()
            .contains("sys.config:1:5: found the variable `B`"),
        "{error}"
    );

    let error = broken(&|root| {
        fs::create_dir(root.join("releases/2.0")).unwrap();
        fs::copy(
            root.join("releases/hello.rel"),
            root.join("releases/2.0/other.rel"),
        )
        .unwrap();
    });
    assert!(
        matches!(&error, Error::Ambiguous { candidates, .. } if candidates.len() == 2),
        "{error}"
    );
}

#[test]
fn what_lies_beside_the_usual_is_taken_but_for_the_release_itself() {
    need("erl");
    let dir = tempfile::tempdir().unwrap();
    let root = systools_release(dir.path(), &[]);
    fs::write(root.join("hello-1.0.tar.gz"), "as `rebar3 tar` leaves it").unwrap();
    fs::write(root.join("other-1.0.tar.gz"), "data").unwrap();
    let release = Release::open(&root).unwrap();
    let tree = release.tree(&StartOptions::default()).unwrap();
    let archives = tree.iter().map(|entry| entry.path.to_string());
    let archives: Vec<_> = archives.filter(|path| path.ends_with(".tar.gz")).collect();
    assert_eq!(archives, ["/release/other-1.0.tar.gz"]);
}

#[test]
fn symbolic_links_stay_inside() {
    use std::os::unix::fs::symlink;
    need("erl");
    let dir = tempfile::tempdir().unwrap();
    let root = systools_release(dir.path(), &[]);
    let link = root.join("lib/hello-1.0/ebin/link");
    let tree = || Release::open(&root).unwrap().tree(&StartOptions::default());
    for target in [
        "/etc/passwd",
        "../../../../outside",
        "../../../../hello/lib",
    ] {
        symlink(target, &link).unwrap();
        let inside = target.ends_with("hello/lib");
        match tree() {
            Err(Error::EscapingSymlink { path, .. }) if !inside => assert!(path.ends_with("link")),
            Ok(_) if inside => {}
            other => panic!("{target}: {other:?}"),
        }
        fs::remove_file(&link).unwrap();
    }
    for (target, problem) in [
        ("nothing", "does not exist"),
        ("link", "leads back to itself"),
    ] {
        symlink(target, &link).unwrap();
        let error = tree().unwrap_err().to_string();
        assert!(error.contains(problem), "{error}");
        fs::remove_file(&link).unwrap();
    }
    symlink("hello.beam", &link).unwrap();
    let tree = tree().unwrap();
    let entry = tree
        .iter()
        .find(|entry| entry.path.to_string().ends_with("/link"))
        .unwrap();
    assert_eq!(entry.source, Source::Symlink(b"hello.beam".to_vec()));
}

#[test]
fn odd_file_names_and_special_files() {
    use std::os::unix::ffi::OsStrExt;
    need("erl");
    let dir = tempfile::tempdir().unwrap();
    let root = systools_release(dir.path(), &[]);
    let ebin = root.join("lib/hello-1.0/ebin");
    fs::write(ebin.join(std::ffi::OsStr::from_bytes(b"odd\xff name")), "").unwrap();
    let tree = || Release::open(&root).unwrap().tree(&StartOptions::default());
    let found = tree()
        .unwrap()
        .iter()
        .any(|entry| entry.path.as_bytes().ends_with(b"/odd\xff name"));
    assert!(found);
    run(Command::new("mkfifo").arg(ebin.join("pipe")));
    let error = tree().unwrap_err().to_string();
    assert!(error.contains("pipe is a FIFO"), "{error}");
}
