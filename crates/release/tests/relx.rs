//! A release with the files of relx: started as its extended start script does it.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod support;

use std::fs;

use release::{CodeLoading, Error, Flavour, Note, Release, Start, StartOptions};

use support::{need, otp, systools_release};

fn options(env: &[(&str, &str)]) -> StartOptions {
    let owned = |(name, value): &(&str, &str)| ((*name).into(), (*value).into());
    StartOptions {
        env: env.iter().map(owned).collect(),
        args: vec!["one".into()],
        hostname: "box".into(),
        ..StartOptions::default()
    }
}

#[test]
fn templates_are_filled_and_flags_passed() {
    need("erl");
    let dir = tempfile::tempdir().unwrap();
    let root = systools_release(dir.path(), &[]);
    let version = root.join("releases/1.0");
    fs::rename(version.join("start.boot"), version.join("hello.boot")).unwrap();
    let vm_args = "-name hello@${HOST:-127.0.0.1}\n-setcookie ${COOKIE}\n+K true\n\
        -start_epmd false\n-env ERL_CRASH_DUMP /data/dump\n";
    fs::write(version.join("vm.args.src"), vm_args).unwrap();
    fs::write(
        version.join("sys.config.src"),
        "[{hello,[{port,${PORT}}]}].\n",
    )
    .unwrap();
    let release = Release::open(&root).unwrap();
    assert_eq!(release.flavour(), Flavour::Relx);

    let start = release.start(&options(&[("COOKIE", "c")])).unwrap();
    let unset = Note::Unset {
        path: version.canonicalize().unwrap().join("sys.config.src"),
        line: 1,
        name: "PORT".into(),
    };
    assert_eq!(start.notes, [unset]);
    let written = |start: &Start| {
        let mut files = start.files.iter();
        files.any(|file| file.path.to_string().ends_with("/sys.config"))
    };
    assert!(!written(&start), "nobody knows yet what is in it");
    let error = release
        .start(&options(&[("COOKIE", "c"), ("PORT", "}")]))
        .unwrap_err();
    assert!(
        error.to_string().contains("sys.config.src:1:16: found `}`"),
        "{error}"
    );

    let start = release
        .start(&options(&[("COOKIE", "c"), ("PORT", "80")]))
        .unwrap();
    let (_, erts) = otp();
    let bin = format!("/release/erts-{erts}/bin");
    let expected = format!(
        "{bin}/beam.smp -Bd -K true -- -root /release -bindir {bin} -progname hello \
         -- -home /root -- -noshell -noinput -boot /release/releases/1.0/hello -mode embedded \
         -boot_var SYSTEM_LIB_DIR /release/lib -boot_var ERTS_LIB_DIR /release/lib \
         -config /release/releases/1.0/sys.config -name hello@127.0.0.1 -setcookie c \
         -start_epmd false -- -- foreground one --"
    );
    assert_eq!(start.init.args.join(" "), expected);
    assert_eq!(
        (start.init.cwd.as_str(), start.init.hostname.as_str()),
        ("/release", "box")
    );
    let env = |name: &str| {
        start
            .init
            .env
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, v)| v.as_str())
    };
    assert_eq!(env("RELEASE_NAME"), Some("hello"));
    assert_eq!(env("ERL_CRASH_DUMP"), Some("/data/dump"));
    assert_eq!(
        env("ERL_CRASH_DUMP_SECONDS"),
        None,
        "the release wants its dump"
    );
    let config = start
        .files
        .iter()
        .find(|f| f.path.to_string().ends_with("/sys.config"))
        .unwrap();
    assert_eq!(
        config.content().unwrap().unwrap(),
        b"[{hello,[{port,80}]}].\n"
    );
    assert_eq!(start.notes, []);
    let options = StartOptions {
        console: true,
        ..options(&[("COOKIE", "c"), ("PORT", "80")])
    };
    let init = release.start(&options).unwrap().init;
    let quiet = |arg: &String| matches!(arg.as_str(), "-noshell" | "-noinput" | "-Bd");
    assert!(!init.args.iter().any(quiet), "{:?}", init.args);
    assert!(init.env.contains(&("TERM".into(), "xterm".into())));
    let mode = |variable: &str, code_loading| {
        let options = StartOptions {
            code_loading,
            ..self::options(&[
                ("COOKIE", "c"),
                ("PORT", "80"),
                ("CODE_LOADING_MODE", variable),
            ])
        };
        let args = release.start(&options).unwrap().init.args;
        let mut pairs = args.windows(2).filter(|pair| pair[0] == "-mode");
        pairs.next().unwrap()[1].clone()
    };
    assert_eq!(mode("interactive", None), "interactive");
    assert_eq!(mode("interactive", Some(CodeLoading::Embedded)), "embedded");
    assert_eq!(
        mode("embedded", Some(CodeLoading::Interactive)),
        "interactive"
    );
    let plan = boot_contract::init::Init::parse(start.plan.emit().as_bytes());
    assert_eq!(plan, Ok(start.plan));
}

#[test]
fn files_outside_the_release_are_refused() {
    need("erl");
    let dir = tempfile::tempdir().unwrap();
    let root = systools_release(dir.path(), &[]);
    let vm_args = root.join("releases/1.0/vm.args");
    let start = || {
        Release::open(&root)
            .unwrap()
            .start(&StartOptions::default())
    };
    for name in ["/etc/passwd", "../../etc/passwd"] {
        fs::write(&vm_args, format!("-args_file {name}\n")).unwrap();
        let error = start().unwrap_err();
        assert!(matches!(error, Error::OutsideRelease(_)), "{error}");
    }
    fs::write(&vm_args, "-args_file releases/1.0/more\n").unwrap();
    let error = start().unwrap_err();
    assert!(
        matches!(&error, Error::Read { path, .. } if path.ends_with("releases/1.0/more")),
        "{error}"
    );
    fs::write(root.join("releases/1.0/more"), "-a\n'open").unwrap();
    let error = start().unwrap_err().to_string();
    assert!(
        error.ends_with("releases/1.0/more:2: this quote is never closed"),
        "{error}"
    );
}

#[test]
fn a_project_is_not_a_release() {
    let dir = tempfile::tempdir().unwrap();
    let built = dir.path().join("_build/prod/rel/app");
    fs::create_dir_all(built.join("releases")).unwrap();
    fs::create_dir_all(built.join("lib")).unwrap();
    let error = Release::open(dir.path()).unwrap_err();
    assert!(error.to_string().contains("did you mean"), "{error}");
    assert!(error.to_string().contains("_build/prod/rel/app"), "{error}");
    let error = Release::open(&built).unwrap_err();
    assert!(matches!(error, Error::NotARelease { .. }), "{error}");
    let error = Release::open(&dir.path().join("nothing")).unwrap_err();
    assert!(matches!(error, Error::Read { .. }), "{error}");
}

/// What an image sets for a release, the release and the user set otherwise.
#[test]
fn defaults_of_the_guest_yield() {
    need("erl");
    let dir = tempfile::tempdir().unwrap();
    let root = systools_release(dir.path(), &[]);
    let start = |vm_args: &str, env: &[(&str, &str)]| {
        fs::write(root.join("releases/1.0/vm.args"), vm_args).unwrap();
        let release = Release::open(&root).unwrap();
        release.start(&options(env)).unwrap()
    };
    let value = |start: &Start, name: &str| {
        let mut env = start.init.env.iter();
        env.find(|(found, _)| found == name)
            .map(|(_, value)| value.clone())
    };
    let names = [
        "HOME",
        "LANG",
        "ERL_CRASH_DUMP",
        "ERL_CRASH_DUMP_BYTES",
        "ERL_CRASH_DUMP_SECONDS",
    ];
    let values = |start: &Start| names.map(|name| value(start, name).unwrap_or_default());
    let default = start("", &[]);
    assert_eq!(
        values(&default),
        ["/root", "C.UTF-8", "/dev/console", "4096", ""]
    );
    let own = "-env HOME /data\n-env LANG C\n-env ERL_CRASH_DUMP /data/dump\n";
    let by_release = start(own, &[]);
    assert_eq!(values(&by_release), ["/data", "C", "/data/dump", "", ""]);
    let by_user = start(own, &[("HOME", "/srv"), ("ERL_CRASH_DUMP_SECONDS", "0")]);
    assert_eq!(values(&by_user), ["/srv", "C", "/data/dump", "", "0"]);
    for (start, home) in [(default, "/root"), (by_release, "/data"), (by_user, "/srv")] {
        let args = start.init.args;
        assert!(args.windows(2).any(|pair| pair == ["-home", home]));
        let is_home = |entry: &release::TreeEntry| entry.path.to_string() == home;
        assert!(start.files.iter().any(is_home), "{home}");
    }
    let epmd = |vm_args: &str| {
        let args = start(vm_args, &[]).init.args;
        let mut pairs = args.windows(2).filter(|pair| pair[0] == "-start_epmd");
        pairs.next().map(|pair| pair[1].clone())
    };
    assert_eq!(epmd("-sname a\n").as_deref(), Some("false"));
    assert_eq!(
        epmd("-sname a\n-start_epmd true\n").as_deref(),
        Some("true")
    );
}
