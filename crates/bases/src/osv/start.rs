//! The kernel's command line that starts a release.

use boot_contract::init::Init;

use super::command_line::CommandLine;
use super::root::INETRC;
use super::{LaunchMode, OsvError, SHIM};
use crate::content::Settings;
use crate::network::{Address, Network};

/// Variables that a release needs on OSv: everything but `/tmp` is read-only, and no program beside
/// the emulator resolves names.
pub(super) const ENVIRONMENT: [(&str, &str); 2] = [("HOME", "/tmp"), ("ERL_INETRC", INETRC)];

/// Linux's dynamic linker, where every program for x86-64 names it (System V ABI, AMD64 supplement).
const LD_LINUX: &str = "/lib64/ld-linux-x86-64.so.2";

/// The emulator's flag for how names of files and variables are encoded. OSv's C library has no
/// locale that would say UTF-8, as the C library of an image does (erl(1), `+fnu`).
const NAMES: &str = "-fn";

/// The flag of a node's secret.
const COOKIE: &str = "-setcookie";

/// Everything the kernel is told.
pub(super) fn command_line(
    init: &Init,
    mode: LaunchMode,
    settings: &Settings,
) -> Result<CommandLine, OsvError> {
    let mut options = vec!["--rootfs=rofs".into(), format!("--cwd={}", init.cwd)];
    options.extend(network_options(&settings.network)?);
    options.extend(settings.kernel_words.iter().cloned());
    let loader = match mode {
        LaunchMode::Kernel => Vec::new(),
        LaunchMode::LdLinux => [LD_LINUX, "--preload", SHIM].map(String::from).to_vec(),
    };
    let mut arguments: Vec<String> = init.args.iter().skip(1).cloned().collect();
    let mut flags = arguments.iter().take_while(|word| *word != "--");
    if mode == LaunchMode::Kernel && !flags.any(|word| word.starts_with(NAMES)) {
        arguments.insert(0, format!("{NAMES}u"));
    }
    let arguments = with_cookie(arguments, settings.cookie.as_deref())?;
    Ok(CommandLine {
        options,
        env: init.env.clone(),
        command: [loader, vec![init.exec.clone()], arguments].concat(),
    })
}

/// The network in options of the kernel (osv: loader.cc, `do_main_thread`).
fn network_options(network: &Network) -> Result<Vec<String>, OsvError> {
    let mut options = Vec::new();
    match network.address {
        Address::Dhcp if network.gateway.is_some() => return Err(OsvError::GatewayWithDhcp),
        Address::Dhcp | Address::None => {}
        Address::Static { address, prefix } => {
            let mask = Address::mask(prefix);
            options.push(format!("--ip=eth0,{address},{mask}"));
            options.extend(
                network
                    .gateway
                    .map(|gateway| format!("--defaultgw={gateway}")),
            );
            let server = network.dns.iter().find(|server| server.is_ipv4());
            options.extend(server.map(|server| format!("--nameserver={server}")));
        }
    }
    Ok(options)
}

/// The arguments with the secret. A distributed node without one would make one up and keep it in a
/// file whose rights it cannot set, as OSv has no `chmod` (otp: lib/kernel/src/auth.erl).
fn with_cookie(mut arguments: Vec<String>, cookie: Option<&str>) -> Result<Vec<String>, OsvError> {
    let has = |name: &str| arguments.iter().any(|word| word == name);
    let distributed = has("-name") || has("-sname");
    match cookie {
        None if distributed && !has(COOKIE) && !has("-nocookie") => Err(OsvError::NoCookie),
        None => Ok(arguments),
        Some(cookie) => {
            remove_flag(&mut arguments, COOKIE);
            // Behind `-extra`, nothing is a flag.
            let end = arguments.iter().position(|word| word == "-extra");
            let end = end.unwrap_or(arguments.len());
            arguments.splice(end..end, [COOKIE.into(), cookie.into()]);
            Ok(arguments)
        }
    }
}

/// Removes a flag wherever it is, with its value.
fn remove_flag(arguments: &mut Vec<String>, flag: &str) {
    while let Some(at) = arguments.iter().position(|word| word == flag) {
        let end = arguments.len().min(at + 2);
        arguments.drain(at..end);
    }
}

#[cfg(test)]
mod tests {
    use super::{command_line, network_options, with_cookie};
    use crate::content::Settings;
    use crate::network::Network;
    use crate::osv::{LaunchMode, OsvError};
    use boot_contract::init::Init;

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(Into::into).collect()
    }

    #[test]
    fn the_emulator_is_started_by_either_linker() {
        let init = Init {
            exec: "/release/erts-13/bin/beam.smp".into(),
            args: words("/release/erts-13/bin/beam.smp -- -root /release"),
            env: vec![("HOME".into(), "/tmp".into())],
            cwd: "/release".into(),
            ..Init::default()
        };
        let line = |mode| {
            let line = command_line(&init, mode, &Settings::default()).unwrap();
            line.emit().unwrap()
        };
        let start = "--rootfs=rofs --cwd=/release --env=HOME=/tmp ";
        let emulator = r#""/release/erts-13/bin/beam.smp""#;
        let rest = r#""--" "-root" "/release""#;
        assert_eq!(
            line(LaunchMode::Kernel),
            format!("{start}{emulator} \"-fnu\" {rest}")
        );
        let linker = r#""/lib64/ld-linux-x86-64.so.2" "--preload" "/usr/lib/libunibeam.so""#;
        assert_eq!(
            line(LaunchMode::LdLinux),
            format!("{start}{linker} {emulator} {rest}")
        );
    }

    #[test]
    fn a_network_is_told_in_options_of_the_kernel() {
        let options = |network: &Network| network_options(network);
        assert_eq!(options(&Network::default()), Ok(Vec::new()));
        let mut network = Network {
            address: "10.0.2.15/24".parse().unwrap(),
            gateway: Some([10, 0, 2, 2].into()),
            dns: vec!["::1".parse().unwrap(), [10, 0, 2, 3].into()],
        };
        let expected =
            "--ip=eth0,10.0.2.15,255.255.255.0 --defaultgw=10.0.2.2 --nameserver=10.0.2.3";
        assert_eq!(options(&network), Ok(words(expected)));
        network.address = "dhcp".parse().unwrap();
        assert_eq!(options(&network), Err(OsvError::GatewayWithDhcp));
    }

    #[test]
    fn a_distributed_node_has_a_cookie() {
        let cookie = |text, cookie| with_cookie(words(text), cookie);
        let none = "-- -noshell";
        assert_eq!(cookie(none, None), Ok(words(none)));
        assert_eq!(cookie("-- -name a@b.c", None), Err(OsvError::NoCookie));
        let own = "-- -sname a -setcookie x";
        assert_eq!(cookie(own, None), Ok(words(own)));
        let given = cookie("-- -sname a -setcookie x -extra b", Some("y"));
        assert_eq!(given, Ok(words("-- -sname a -setcookie y -extra b")));
    }
}
