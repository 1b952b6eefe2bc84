//! A release made by `mix release`: our start against that of its own script.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use release::{Flavour, Note, Release, StartOptions};

use support::{mix_release, need, run};

/// `erl` that shows what the script passes, after `erlexec` sorted it.
const STUB: &str = "#!/bin/sh\nBINDIR=$(cd \"$(dirname \"$0\")\" && pwd -P)\n\
    export BINDIR ROOTDIR=\"${BINDIR%/erts-*}\" EMU=beam PROGNAME=erl\n\
    env -0 >\"$STUB_ENV\"\nexec \"$BINDIR/erlexec\" -emu_args_exit \"$@\"\n";

/// Arguments and environment that the release's own script passes, with its root replaced.
fn real(root: &Path, env: &[(&str, &str)]) -> (Vec<String>, BTreeMap<String, String>) {
    let dir = tempfile::tempdir().unwrap();
    let env_file = dir.path().join("env");
    let text = run(Command::new(root.join("bin/plain"))
        .arg("start")
        .env_clear()
        .envs([
            ("HOME", "/root"),
            ("PATH", "/usr/local/bin:/usr/bin:/bin"),
            ("LANG", "C.UTF-8"),
        ])
        .env("STUB_ENV", &env_file)
        .envs(env.iter().copied()));
    let replace = |text: &str| text.replace(root.to_str().unwrap(), "/release");
    let pairs = fs::read_to_string(env_file).unwrap();
    let pairs = pairs.split('\0').filter_map(|pair| pair.split_once('='));
    (
        text.lines().map(replace).collect(),
        pairs
            .map(|(name, value)| (name.into(), replace(value)))
            .collect(),
    )
}

fn install_stub(root: &Path) {
    let erts = fs::read_dir(root)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let erts = erts
        .into_iter()
        .find(|path| path.to_str().unwrap().contains("/erts-"))
        .unwrap();
    let erl = erts.join("bin/erl");
    fs::write(&erl, STUB).unwrap();
    fs::set_permissions(&erl, fs::Permissions::from_mode(0o755)).unwrap();
}

/// Takes the flags away that only an image adds.
fn without_distribution(mut arguments: Vec<String>) -> Vec<String> {
    let ours = ["-start_epmd", "false", "-erl_epmd_port", "4370"];
    if let Some(at) = arguments.windows(4).position(|window| window == ours) {
        arguments.drain(at..at + 4);
    }
    arguments
}

fn check(root: &Path, env: &[(&str, &str)]) -> release::Start {
    let release = Release::open(root).unwrap();
    let owned = |(name, value): &(&str, &str)| (name.to_string(), value.to_string());
    let options = StartOptions {
        env: env.iter().map(owned).collect(),
        ..StartOptions::default()
    };
    let start = release.start(&options).unwrap();
    let (real_arguments, real_env) = real(root, env);
    let mut ours = without_distribution(start.init.args.clone());
    ours.remove(0);
    assert_eq!(without_time_stamp(ours), without_time_stamp(real_arguments));
    let ours: BTreeMap<_, _> = start.init.env.iter().cloned().collect();
    for (name, value) in real_env {
        let compared = name.starts_with("RELEASE_")
            || ["BINDIR", "ROOTDIR", "EMU", "PROGNAME", "HOME"].contains(&name.as_str());
        // A name with date and chance.
        if compared && name != "RELEASE_SYS_CONFIG" {
            assert_eq!(ours.get(&name), Some(&value), "{name}");
        }
    }
    start
}

/// The copy of `sys.config` is named by date and chance; ours is not.
fn without_time_stamp(arguments: Vec<String>) -> Vec<String> {
    let strip = |argument: String| {
        if !argument.ends_with(".runtime") {
            return argument;
        }
        assert!(
            argument.starts_with("/release/tmp/plain-0.1.0"),
            "{argument}"
        );
        "the copy".into()
    };
    arguments.into_iter().map(strip).collect()
}

#[test]
fn the_start_is_that_of_the_releases_own_script() {
    need("mix");
    need("erl");
    let dir = tempfile::tempdir().unwrap();
    let root = mix_release(dir.path(), false).canonicalize().unwrap();
    install_stub(&root);
    let release = Release::open(&root).unwrap();
    assert_eq!((release.name(), release.version()), ("plain", "0.1.0"));
    assert_eq!(release.flavour(), Flavour::Mix);

    let start = check(&root, &[]);
    assert_eq!(start.notes, [Note::NoEpmd { port: 4370 }]);
    let none = [
        ("RELEASE_DISTRIBUTION", "none"),
        ("RELEASE_MODE", "interactive"),
    ];
    assert_eq!(check(&root, &none).notes, []);

    let version = root.join("releases/0.1.0");
    fs::write(
        version.join("vm.args"),
        "+S 1:1\n-env A B\n-kernel x 1 # c\n+P 5000\n",
    )
    .unwrap();
    let env_sh = "#!/bin/sh\nexport RELEASE_DISTRIBUTION=name\n\
        export RELEASE_NODE=\"app@${HOST:-127.0.0.1}\"\nexport ELIXIR_ERL_OPTIONS=\"-x y\"\n";
    fs::write(version.join("env.sh"), env_sh).unwrap();
    let start = check(&root, &[]);
    assert!(start.init.args.contains(&"app@127.0.0.1".into()));
    assert!(start.init.env.contains(&("A".into(), "B".into())));

    let config = version.join("sys.config");
    let text = fs::read_to_string(&config).unwrap();
    let text = text.replace("RUNTIME_CONFIG=false", "RUNTIME_CONFIG=true");
    fs::write(&config, &text).unwrap();
    let start = check(&root, &[]);
    let copy = start
        .files
        .iter()
        .find(|entry| entry.path.to_string() == "/release/tmp/plain-0.1.0.runtime.config");
    assert_eq!(copy.unwrap().content().unwrap().unwrap(), text.as_bytes());

    fs::write(
        version.join("env.sh"),
        "if x; then\nexport RELEASE_MODE=$(y)\nfi\n",
    )
    .unwrap();
    let notes = Release::open(&root)
        .unwrap()
        .start(&StartOptions::default())
        .unwrap()
        .notes;
    assert_eq!(notes.len(), 4, "{notes:?}");
}
