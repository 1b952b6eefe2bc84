//! The emulator's program, `argv` and environment, as `erlexec` makes them
//! (otp: erts/etc/common/erlexec.c, `main`).

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use boot_contract::init::Init;

use crate::GUEST_ROOT;
use crate::erlexec::CommandLine;
use crate::otp::Otp;
use crate::start::{Env, guest_file};

/// `PATH` behind the release's own directories.
const BASE_PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// Bytes of a crash dump that are shown on the console: what happened, and what each of a few
/// schedulers was doing.
const CRASH_DUMP_HEAD: usize = 4096;

/// The emulator of the type and flavour that the flags name.
pub(crate) fn program(bin: &str, line: &CommandLine) -> String {
    let kind = match line.emulator_type.as_str() {
        "" | "opt" => String::new(),
        kind => format!(".{kind}"),
    };
    let flavour = match line.emulator_flavour.as_str() {
        "" => "smp",
        flavour => flavour,
    };
    format!("{bin}/beam{kind}.{flavour}")
}

/// `argv`.
pub(crate) fn arguments(
    otp: Otp,
    exec: &str,
    line: &CommandLine,
    distribution: &[String],
    script: &Env,
    home: &str,
) -> Vec<String> {
    let mut args = Vec::from([exec.to_string()]);
    args.extend(line.emulator.iter().cloned());
    args.extend(["--", "-root", GUEST_ROOT].map(String::from));
    if otp.erlexec.tells_bindir {
        let bin = exec.rsplit_once('/').map_or("", |(bin, _)| bin);
        args.extend(["-bindir", bin].map(String::from));
    }
    let progname = script.get("PROGNAME").map_or("erl", String::as_str);
    let fixed = ["-progname", progname, "--", "-home", home];
    args.extend(fixed.map(String::from));
    if let Some(port) = script.get("ERL_EPMD_PORT") {
        args.extend(["-epmd_port".into(), port.clone()]);
    }
    args.push("--".into());
    args.extend(distribution.iter().cloned());
    args.extend(line.arguments.iter().cloned());
    args
}

/// What `erlexec` sets, what the script exports, and `-env`, each over the ones before; what the
/// user wants and the script left alone is over all.
pub(crate) fn environment(
    bin: &str,
    line: &CommandLine,
    script: &Env,
    wanted: &Init,
) -> Vec<(String, String)> {
    let mut env = Env::from([
        (
            "PATH".into(),
            format!("{bin}:{}:{BASE_PATH}", guest_file(GUEST_ROOT, "bin")),
        ),
        ("BINDIR".into(), bin.into()),
        ("ROOTDIR".into(), GUEST_ROOT.into()),
        ("EMU".into(), "beam".into()),
        ("PROGNAME".into(), "erl".into()),
        ("LANG".into(), "C.UTF-8".into()),
    ]);
    let left_alone = |(name, value): &&(String, String)| script.get(name) == Some(value);
    let wanted: Vec<_> = wanted.env.iter().filter(left_alone).cloned().collect();
    env.extend(script.clone());
    env.extend(line.env.clone());
    env.extend(wanted);
    // A crash dump in a file would fill the guest's memory and be lost with it: its head goes
    // to the console (erl(1)). A release that says where its dump goes keeps its word.
    if !env.contains_key("ERL_CRASH_DUMP") && !env.contains_key("ERL_CRASH_DUMP_SECONDS") {
        env.insert("ERL_CRASH_DUMP".into(), "/dev/console".into());
        env.entry("ERL_CRASH_DUMP_BYTES".into())
            .or_insert_with(|| CRASH_DUMP_HEAD.to_string());
    }
    env.into_iter().collect()
}
