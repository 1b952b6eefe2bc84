//! Releases of Debian 13 (OTP 27, Elixir 1.18), which need another C library and another OpenSSL than
//! this host's: `examples/otp27`.

use crate::releases::test_image;
use release::erlexec::{FlagError, FlagWords, expand, sort_flags};
use release::otp::Otp;
use release::vm_args;
use std::path::PathBuf;
use std::process::Command;
use tests::{make_image, otp_27, release_of_otp_27, succeed};

/// An image of an example, with libraries from the release's own system.
fn image(example: &str, programs: &[&str]) -> PathBuf {
    let sysroot = otp_27().join("sysroot");
    let mut flags = vec![format!("--sysroot={}", sysroot.display())];
    // Programs of that system, too.
    let added = programs
        .iter()
        .map(|program| format!("--add={}/usr{program}:{program}", sysroot.display()));
    flags.extend(added);
    let name = format!("{example}_27");
    make_image(&name, &release_of_otp_27(example), &flags)
}

#[test]
fn hello_runs_on_the_jit() {
    let flags = ["--http", "8080/", "--stop", "8080/stop?status=0"];
    let report = test_image(&image("hello", &[]), &flags);
    assert_eq!(report["ending"], "the release ended with status 0");
    let page = report["page"]["body"].as_str().unwrap().trim_end();
    let version = page.contains("\nOTP 27, ERTS 15.");
    assert!(version && page.ends_with(", jit"), "{page}");
}

#[test]
fn crypto_uses_the_openssl_of_the_sysroot() {
    let flags = ["--status", "0", "--expect", "crypto: OpenSSL 3.5"];
    test_image(&image("crypto_check", &[]), &flags);
}

#[test]
fn elixir_works_and_its_configuration_providers_start_it_again() {
    let image = image("elixir_check", &["/bin/cat", "/bin/sh"]);
    test_image(&image, &["--status", "0", "--expect", "elixir: 0 failed"]);
}

/// What the `erlexec` of OTP 27 passes behind the fixed part.
fn real(flags: &str, words: &[&str]) -> Vec<String> {
    let mut erlexec = Command::new(otp_27().join("bin/erlexec"));
    erlexec
        .env("BINDIR", "/bin")
        .env("ROOTDIR", "/root")
        .env("HOME", "/root")
        .env("ERL_FLAGS", flags)
        .arg("-emu_args_exit");
    let said = succeed(erlexec.args(words));
    let lines = said.lines().filter(|line| !line.is_empty());
    lines.map(Into::into).collect()
}

fn ours(flags: &str, words: &[&str]) -> Vec<String> {
    let sources = FlagWords {
        words: words.iter().map(|word| (*word).into()).collect(),
        after: [vm_args::parse_variable(flags).unwrap(), Vec::new()],
        ..FlagWords::default()
    };
    let otp = Otp::of_erts("15.2.7").unwrap();
    let nothing = &mut |_: &str| Ok::<_, FlagError>(Vec::new());
    let line = sort_flags(&expand(sources, otp, nothing).unwrap(), otp).unwrap();
    let fixed = "-- -root /root -bindir /bin -progname erl -- -home /root --";
    let fixed = fixed.split(' ').map(String::from);
    let all = line.emulator.into_iter().chain(fixed).chain(line.arguments);
    all.collect()
}

#[test]
fn command_lines_are_those_of_its_erlexec() {
    for words in [
        "-noshell -boot start a",
        "-noshell -x -extra +S 1 --",
        "-detached -env A B -sname x -start_epmd false",
        "+pad true +zhft 1 +MMlp on +hmaxib true +IOs true +D +Dibpl -z",
    ] {
        let words: Vec<_> = words.split(' ').collect();
        for flags in ["", "-a b +P 5000", "-a -extra c"] {
            assert_eq!(
                ours(flags, &words),
                real(flags, &words),
                "{flags} {words:?}"
            );
        }
    }
}
