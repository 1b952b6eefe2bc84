//! Real releases, made at test time with the tools of this machine.
#![allow(dead_code, reason = "each test program uses a part of it")]
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// Demands an installed program.
pub(crate) fn need(program: &str) {
    let found = Command::new("sh")
        .args(["-c", &format!("command -v {program}")])
        .output()
        .is_ok_and(|output| output.status.success());
    assert!(found, "{program} is missing; scripts/setup installs it");
}

/// Runs a program to its good end and returns what it printed.
pub(crate) fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{command:?}: {text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    text
}

/// A tiny shared library or program made with the host's C compiler.
pub(crate) fn compile(directory: &Path, name: &str, flags: &[&str]) -> PathBuf {
    let source = directory.join("source.c");
    fs::write(
        &source,
        "int f(void) { return 1; }\nint main(void) { return 0; }\n",
    )
    .unwrap();
    let out = directory.join(name);
    fs::create_dir_all(out.parent().unwrap()).unwrap();
    run(Command::new("cc")
        .current_dir(directory)
        .args(["-o"])
        .arg(&out)
        .arg(&source)
        .args(flags));
    out
}

/// The host's OTP, as its root directory and the version of its run-time system.
pub(crate) fn otp() -> (PathBuf, String) {
    static OTP: OnceLock<(PathBuf, String)> = OnceLock::new();
    OTP.get_or_init(|| {
        let code = "io:format(\"~s~n~s~n\",[code:root_dir(),erlang:system_info(version)]),halt().";
        let text = run(Command::new("erl").args(["-noshell", "-eval", code]));
        let (root, version) = text.split_once('\n').unwrap();
        (root.into(), version.trim().into())
    })
    .clone()
}

/// An application that proves the order of things: its start takes a while, checks that the
/// file `ready` does not exist yet, and writes `started`; then it waits for `ready` and stops.
const HELLO: &str = r#"
-module(hello).
-behaviour(application).
-export([start/2, stop/1]).

start(_, _) ->
    timer:sleep(300),
    {error, enoent} = file:read_file("ready"),
    ok = file:write_file("started", "yes"),
    Pid = spawn(fun() -> wait(100) end),
    {ok, Pid}.

stop(_) -> ok.

wait(0) -> halt(7);
wait(N) ->
    case file:read_file("ready") of
        {ok, <<_, _/binary>>} -> init:stop(3);
        _ -> timer:sleep(50), wait(N - 1)
    end.
"#;

const HELLO_APP: &str = "{application,hello,[{description,\"says hello\"},{vsn,\"1.0\"},\
    {modules,[hello]},{registered,[]},{applications,[kernel,stdlib]},{mod,{hello,[]}}]}.\n";

/// Makes a release of `hello` and these applications with systools, run-time system included.
/// Returns its root directory.
pub(crate) fn systools_release(directory: &Path, more: &[&str]) -> PathBuf {
    let ebin = directory.join("src/lib/hello-1.0/ebin");
    fs::create_dir_all(&ebin).unwrap();
    fs::write(ebin.join("hello.app"), HELLO_APP).unwrap();
    fs::write(ebin.join("hello.erl"), HELLO).unwrap();
    run(Command::new("erlc").current_dir(&ebin).arg("hello.erl"));
    fs::remove_file(ebin.join("hello.erl")).unwrap();
    let apps = ["kernel", "stdlib"].iter().chain(more);
    let apps: Vec<_> = apps.map(|app| format!("App({app})")).collect();
    let code = format!(
        r#"App = fun(A) -> application:load(A), {{ok, V}} = application:get_key(A, vsn), {{A, V}} end,
        Rel = {{release, {{"hello", "1.0"}}, {{erts, erlang:system_info(version)}},
               [{}, {{hello, "1.0"}}]}},
        ok = file:write_file("hello.rel", io_lib:format("~p.~n", [Rel])),
        Path = [{{path, ["{}"]}}],
        ok = systools:make_script("hello", Path),
        ok = systools:make_tar("hello", [{{erts, code:root_dir()}} | Path]),
        halt()."#,
        apps.join(", "),
        ebin.display()
    );
    run(Command::new("erl")
        .current_dir(directory)
        .args(["-noshell", "-eval", &code]));
    let root = directory.join("hello");
    fs::create_dir_all(&root).unwrap();
    run(Command::new("tar")
        .args(["xzf", "hello.tar.gz", "-C", "hello"])
        .current_dir(directory));
    root
}

/// Makes a release of a plain Elixir project with `mix release`, which reads `runtime.exs` at
/// boot and, if `reboot`, writes the result and boots again. Returns its root directory.
pub(crate) fn mix_release(directory: &Path, reboot: bool) -> PathBuf {
    mix_release_with(directory, &format!("reboot_system_after_config: {reboot}"))
}

/// The same with these settings of the release.
pub(crate) fn mix_release_with(directory: &Path, settings: &str) -> PathBuf {
    let mix = |arguments: &[&str], directory: &Path| {
        run(Command::new("mix")
            .args(arguments)
            .current_dir(directory)
            .env("MIX_ENV", "prod")
            .env("LANG", "C.UTF-8"));
    };
    mix(&["new", "plain"], directory);
    let project = directory.join("plain");
    let mixfile = project.join("mix.exs");
    let text = fs::read_to_string(&mixfile).unwrap();
    let releases = format!("releases: [plain: [{settings}]],");
    let text = text.replacen("app: :plain,", &format!("app: :plain, {releases}"), 1);
    fs::write(mixfile, text).unwrap();
    fs::create_dir(project.join("config")).unwrap();
    let runtime = "import Config\nconfig :plain, answer: System.fetch_env!(\"ANSWER\")\n";
    fs::write(project.join("config/runtime.exs"), runtime).unwrap();
    mix(&["release", "--quiet"], &project);
    project.join("_build/prod/rel/plain")
}
