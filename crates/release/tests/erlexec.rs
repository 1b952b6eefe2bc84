//! Our command lines against those of the real `erlexec`.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod support;

use std::fs;
use std::path::Path;
use std::process::Command;

use release::erlexec::{FlagError, FlagWords, expand, sort_flags};
use release::otp::Otp;
use release::vm_args;

use support::{need, otp, run};

/// What the real `erlexec` would pass: emulator flags and the rest.
fn real(directory: &Path, env: &[(&str, &str)], words: &[&str]) -> (Vec<String>, Vec<String>) {
    let (root, erts) = otp();
    let bin = root.join(format!("erts-{erts}/bin"));
    let text = run(Command::new(bin.join("erlexec"))
        .arg("-emu_args_exit")
        .args(words)
        .current_dir(directory)
        .env_clear()
        .env("BINDIR", &bin)
        .env("ROOTDIR", &root)
        .env("EMU", "beam")
        .env("HOME", "/root")
        .envs(env.iter().copied()));
    let lines: Vec<String> = text.lines().map(Into::into).collect();
    let fixed = [
        "--",
        "-root",
        "*",
        "-bindir",
        "*",
        "-progname",
        "erl",
        "--",
        "-home",
        "/root",
        "--",
    ];
    let matches = |window: &[String]| {
        window
            .iter()
            .zip(fixed)
            .all(|(found, wanted)| wanted == "*" || found == wanted)
    };
    let at = lines.windows(fixed.len()).position(matches).unwrap();
    (lines[..at].to_vec(), lines[at + fixed.len()..].to_vec())
}

fn ours(directory: &Path, env: &[(&str, &str)], words: &[&str]) -> (Vec<String>, Vec<String>) {
    let flags = |name: &str| {
        let found = env.iter().find(|(known, _)| *known == name);
        found.map_or_else(Vec::new, |(_, text)| vm_args::parse_variable(text).unwrap())
    };
    let sources = FlagWords {
        before: flags("ERL_AFLAGS"),
        words: words.iter().map(|word| (*word).into()).collect(),
        after: [flags("ERL_FLAGS"), flags("ERL_ZFLAGS")],
    };
    let otp = Otp::nearest(&otp().1);
    let words = expand(sources, otp, &mut |name| {
        let bytes = fs::read(directory.join(name)).unwrap();
        Ok::<_, FlagError>(vm_args::parse(&bytes).unwrap())
    });
    let line = sort_flags(&words.unwrap(), otp).unwrap();
    (line.emulator, line.arguments)
}

fn compare(files: &[(&str, &str)], words: &[&str]) {
    compare_in(&[], files, words);
}

fn compare_in(env: &[(&str, &str)], files: &[(&str, &str)], words: &[&str]) {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(dir.path().join(name), text).unwrap();
    }
    assert_eq!(
        ours(dir.path(), env, words),
        real(dir.path(), env, words),
        "{env:?} {words:?}"
    );
}

#[test]
fn command_lines_agree() {
    need("erl");
    compare(
        &[],
        &[
            "-noshell", "-boot", "start", "a", "-extra", "+S", "1", "-noinput",
        ],
    );
    compare(
        &[],
        &[
            "-noinput",
            "-detached",
            "-env",
            "A",
            "B",
            "-sname",
            "x",
            "-start_epmd",
            "false",
            "",
            "b c",
        ],
    );
    compare(
        &[],
        &[
            "-smp",
            "auto",
            "-emu_type",
            "opt",
            "-mode",
            "embedded",
            "--",
            "x",
            "--",
            "y",
        ],
    );
}

#[test]
fn arguments_files_agree() {
    need("erl");
    let vm_args = "## A relx file\n-name hello@127.0.0.1\n\n-setcookie 'a b'\n-start_epmd false\n\
        +K true\n+A 30 # threads\n-kernel inet_dist_use_interface {127,0,0,1}\n\
        -env ERL_MAX_PORTS 4096\n-heart x\\ y\"z\"'\\' \"\" end#comment\n";
    compare(
        &[("vm.args", vm_args)],
        &[
            "-noinput",
            "+Bd",
            "-boot",
            "x",
            "-args_file",
            "vm.args",
            "--",
            "arg",
        ],
    );
    let files = [
        ("a", "-a 1\n-args_file b\n-after\n-extra in a"),
        ("b", "-b 2 +sbwt none -extra in b\n"),
        ("empty", ""),
        ("comment", "# nothing\n   "),
    ];
    compare(
        &files,
        &[
            "-x",
            "-args_file",
            "a",
            "-y",
            "-args_file",
            "empty",
            "-args_file",
            "comment",
            "-extra",
            "end",
        ],
    );
    compare(&files, &["-args_file", "comment"]);
    compare(&files, &["-x", "-extra", "-args_file", "a"]);
}

#[test]
fn flags_of_the_environment_agree() {
    need("erl");
    let env = [
        ("ERL_AFLAGS", "-a 'b c' +S 1 -extra first"),
        ("ERL_FLAGS", "-args_file more #x +K true"),
        ("ERL_ZFLAGS", "-z \"\" -extra last"),
    ];
    let files = [("more", "-m # not x\n-extra from file")];
    for end in 0..=env.len() {
        compare_in(&env[..end], &files, &["-x", "-extra", "y"]);
        compare_in(&env[..end], &files, &["-x", "-args_file", "more"]);
    }
    compare_in(&[("ERL_FLAGS", "  ")], &[], &["-x"]);
}

/// Every flag of erl(1) with and without a value.
#[test]
fn emulator_flags_agree() {
    need("erl");
    let flags = "+a 1,+A 5,+Bd,+Bi,+B i,+c,+c true,+c x,+C no_time_warp,+d,+dcg 4,+e 100,+ec,+fnu,\
        +fnui,+fnl,+hms 1,+hmbs 2,+hpds 3,+hmax 4,+hmaxel true,+hmaxk true,+hmqd off_heap,+h 5,+hq,\
        +IOp 1,+IOs true,+IOt 2,+IOPp 3,+IOPt 4,+IOt2,+JPperf true,+JDdump true,+JMsingle true,+K true,+l,\
        +L,+MBas bf,+MBacful 0,+Mdai max,+D,+Dibpl true,+pad true,+MMlp on,+Mumadtn true,+zhft 1,+hmaxib true,+MIscs 128,+MYe false,+Mea min,+Mumbcgs 1,+Mxx y,+MHe true,+P 100000,\
        +pc unicode,+pcx,+Q 65536,+R 13,+r,+rg 4,+rx,+S 1:1,+S4,+SP 50:50,+SP50,+SDcpu 2:2,\
        +SDPcpu 50,+SDio 4,+SDio4,+sbt db,+sbwt none,+sbwtdcpu none,+sbwtdio none,+scl false,\
        +sct L0,+secio true,+sfwi 500,+spp true,+sss 20,+sssdcpu 20,+sssdio 20,+stbt u,+sub true,\
        +swct eager,+sws default,+swt medium,+swtdcpu low,+swtdio low,+sxx 1,+t 1048576,+T 5,+v,\
        +V,+W w,+Ww,+zdbbl 1024,+zdntgc 60,+zebwt none,+zosrl 8,+zhft,+zz 1";
    for flag in flags.split(',') {
        let words: Vec<&str> = flag.split_whitespace().chain(["-last"]).collect();
        compare(&[], &words);
    }
}
