//! A release made by rebar3: our start against that of its own script.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use release::{Flavour, Note, Release, Start, StartOptions};

use support::{need, run};

/// `erlexec` that shows what the script gives it: its environment, and what it makes of the flags.
const STUB: &str = "#!/bin/sh\nenv -0 >\"$STUB_ENV\"\n\
    exec \"$0.real\" -emu_args_exit \"$@\" >\"$STUB_ARGUMENTS\"\n";

/// The example's release, with a stub in the place of `erlexec`.
fn relx_release(directory: &Path) -> PathBuf {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let example = repository.join("examples/relx_check");
    for part in ["config", "src", "rebar.config"] {
        run(Command::new("cp")
            .arg("-r")
            .arg(example.join(part))
            .arg(directory));
    }
    run(Command::new(repository.join("scripts/rebar3"))
        .arg("release")
        .current_dir(directory)
        .env("QUIET", "1")
        .env("REBAR_CACHE_DIR", directory.join("cache")));
    let root = directory.join("_build/default/rel/relx_check");
    let erlexec = root.join(format!("erts-{}/bin/erlexec", support::otp().1));
    fs::rename(&erlexec, erlexec.with_extension("real")).unwrap();
    fs::write(&erlexec, STUB).unwrap();
    fs::set_permissions(&erlexec, fs::Permissions::from_mode(0o755)).unwrap();
    root.canonicalize().unwrap()
}

/// What a start comes to.
#[derive(Debug, PartialEq)]
struct Outcome {
    arguments: Vec<String>,
    env: BTreeMap<String, String>,
    /// `vm.args` and `sys.config` as they are then.
    files: Vec<String>,
}

/// Variables that are compared.
fn is_compared(name: &str) -> bool {
    let prefixes = ["REL_", "RELEASE_", "RELX_", "RUN_ERL_"];
    let names = ["BINDIR", "ROOTDIR", "EMU", "HOME"];
    prefixes.iter().any(|prefix| name.starts_with(prefix)) || names.contains(&name)
}

const FILES: [&str; 2] = ["releases/1.0.0/vm.args", "releases/1.0.0/sys.config"];

/// What the release's own script makes of these variables, with its root replaced.
fn real(root: &Path, env: &[(&str, &str)]) -> Outcome {
    let scratch = tempfile::tempdir().unwrap();
    let [arguments, variables] = ["arguments", "env"].map(|name| scratch.path().join(name));
    // By this name: a part of it is PROGNAME.
    run(Command::new("bin/relx_check")
        .current_dir(root)
        .args(["foreground", "one"])
        .env_clear()
        .envs([("HOME", "/root"), ("LANG", "C.UTF-8"), ("TERM", "xterm")])
        .env("PATH", "/usr/bin:/bin")
        .env("STUB_ENV", &variables)
        .env("STUB_ARGUMENTS", &arguments)
        .envs(env.iter().copied()));
    let replace = |text: &str| text.replace(root.to_str().unwrap(), "/release");
    let read = |path: &Path| replace(&fs::read_to_string(path).unwrap());
    let outcome = Outcome {
        arguments: read(&arguments).lines().map(Into::into).collect(),
        env: read(&variables)
            .split('\0')
            .filter_map(|pair| pair.split_once('='))
            .filter(|(name, _)| is_compared(name))
            .map(|(name, value)| (name.into(), value.into()))
            .collect(),
        files: FILES.map(|file| read(&root.join(file))).into(),
    };
    for file in FILES {
        fs::remove_file(root.join(file)).unwrap();
    }
    outcome
}

fn start(root: &Path, env: &[(&str, &str)]) -> Start {
    let owned = |(name, value): &(&str, &str)| ((*name).into(), (*value).into());
    let options = StartOptions {
        env: env.iter().map(owned).collect(),
        args: vec!["one".into()],
        ..StartOptions::default()
    };
    Release::open(root).unwrap().start(&options).unwrap()
}

fn ours(root: &Path, env: &[(&str, &str)]) -> Outcome {
    let start = start(root, env);
    let text = |name: &str| {
        let path = format!("/release/{name}");
        let mut files = start.files.iter();
        let found = files.find(|file| file.path.to_string() == path).unwrap();
        String::from_utf8(found.content().unwrap().unwrap()).unwrap()
    };
    // The older name of SYSTEM_LIB_DIR, for older releases; flags that only an image adds.
    let more = [
        vec!["-boot_var", "ERTS_LIB_DIR", "/release/lib"],
        vec!["-start_epmd", "false", "-erl_epmd_port", "4370"],
    ];
    let mut arguments = start.init.args[1..].to_vec();
    for words in more {
        let at = arguments.windows(words.len()).position(|w| w == words);
        if let Some(at) = at {
            arguments.drain(at..at + words.len());
        }
    }
    Outcome {
        arguments,
        env: start
            .init
            .env
            .iter()
            .filter(|(name, _)| is_compared(name))
            .cloned()
            .collect(),
        files: FILES.map(text).into(),
    }
}

#[test]
fn the_start_is_that_of_the_releases_own_script() {
    need("erl");
    need("awk");
    let folder = tempfile::tempdir().unwrap();
    let root = relx_release(folder.path());
    assert_eq!(Release::open(&root).unwrap().flavour(), Flavour::Relx);
    let needed = [("PORT", "80"), ("COOKIE", "c&d")];
    let more: [&[(&str, &str)]; 6] = [
        &[],
        &[
            ("NODE", "a@b.c"),
            ("GREETING", "${COOKIE} & \\ ü"),
            ("SCHEDULERS", ""),
        ],
        &[("MORE_FLAGS", "+P 5000 -env A 'b c' # no")],
        &[
            ("ERL_DIST_PORT", "8001"),
            ("CODE_LOADING_MODE", "interactive"),
        ],
        &[
            ("ERL_DIST_PORT", "8001"),
            ("MORE_FLAGS", "\n-start_epmd false"),
            ("NODETOOL_TIMEOUT", "5000"),
        ],
        &[
            ("ERL_FLAGS", "+S 3"),
            ("ERL_ZFLAGS", "-a b"),
            ("RELX_RPC_TIMEOUT", "7"),
        ],
    ];
    for env in more {
        let env = [&needed, env].concat();
        assert_eq!(ours(&root, &env), real(&root, &env), "{env:?}");
    }
}

#[test]
fn files_that_are_no_templates_are_filled_if_that_is_asked_for() {
    need("erl");
    let folder = tempfile::tempdir().unwrap();
    let root = relx_release(folder.path());
    for file in FILES {
        fs::rename(root.join(format!("{file}.src")), root.join(file)).unwrap();
    }
    let env = [
        ("PORT", "80"),
        ("COOKIE", "c"),
        ("RELX_REPLACE_OS_VARS", "1"),
    ];
    assert_eq!(ours(&root, &env), real(&root, &env));
}

#[test]
fn hooks_are_reported() {
    need("erl");
    let folder = tempfile::tempdir().unwrap();
    let root = relx_release(folder.path());
    let script = root.join("bin/relx_check");
    let text = fs::read_to_string(&script).unwrap();
    let hooks = "PRE_START_HOOKS=\"hooks/first|a hooks/second\"";
    fs::write(&script, text.replace("PRE_START_HOOKS=\"\"", hooks)).unwrap();
    let notes = start(&root, &[("PORT", "80"), ("COOKIE", "c")]).notes;
    let hook = |hook: &str| Note::Hook {
        path: script.clone(),
        hook: hook.into(),
    };
    assert!(notes.contains(&hook("hooks/first a")), "{notes:?}");
    assert!(notes.contains(&hook("hooks/second")), "{notes:?}");
}
