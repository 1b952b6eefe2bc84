//! A guest that serves clients of this host: OpenSSL, curl, OpenSSH, another Erlang node.

use crate::otp::{
    CERTIFICATES, LONG, PLAIN_IMAGE, SECURE_IMAGE, distribution, forward, machine, with_flags,
};
use crate::talk::Talk;
use boot_contract::events::APPLICATION_STARTED;
use qemu::{Forward, Guest, HostPort};
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use tests::{scratch, succeed};

const TLS: u16 = 4433;
const HTTPS: u16 = 8443;
const SSH: u16 = 2222;
const DISTRIBUTION: u16 = 4370;
/// Where the guest reaches this host (QEMU's user network).
const HOST: &str = "10.0.2.2";

/// A guest that serves, and is the node `guest@127.0.0.1` for this host.
fn server() -> Guest {
    let machine = machine(&PLAIN_IMAGE, "serve").kernel_word("env.CERTIFICATES=/tls");
    let machine = forward(machine, &[TLS, HTTPS, SSH, DISTRIBUTION]);
    let mut guest = with_flags(machine, "-name guest@127.0.0.1")
        .start()
        .unwrap();
    guest
        .wait_console("otp_apps: serving", LONG)
        .unwrap_or_else(|error| panic!("{error}"));
    guest
}

fn certificate(name: &str) -> String {
    CERTIFICATES.join(name).display().to_string()
}

/// `curl` asks the guest for a page; TLS of this version.
fn page(guest: &Guest, path: &str, version: &str) -> String {
    let port = guest.host_port(HTTPS).unwrap();
    let mut curl = Command::new("curl");
    curl.args([
        "--silent",
        "--show-error",
        "--fail",
        "--max-time",
        "100",
        "--cacert",
    ]);
    curl.arg(certificate("ca.pem"));
    curl.args([&format!("--tlsv{version}"), "--tls-max", version]);
    succeed(curl.arg(format!("https://localhost:{port}{path}")))
}

fn openssl_is_served(guest: &Guest, version: &str, name: &str) {
    let mut openssl = Command::new("openssl");
    let address = format!("127.0.0.1:{}", guest.host_port(TLS).unwrap());
    openssl.args([
        "s_client", "-quiet", version, "-alpn", "echo", "-connect", &address,
    ]);
    openssl.args(["-CAfile", &certificate("ca.pem"), "-verify_return_error"]);
    openssl
        .args(["-verify_hostname", "localhost"])
        .stderr(Stdio::null());
    let mut client = Talk::start(&mut openssl);
    client.wait(&format!("'{name}' {{ok,<<\"echo\">>}}\n"));
    client.say("hello\n");
    client.wait("hello\n");
}

/// `openssl s_server`, which answers a line with the same line backwards.
fn guest_is_served_by_openssl(guest: &Guest) {
    let mut openssl = Command::new("openssl");
    openssl.args([
        "s_server",
        "-accept",
        "127.0.0.1:0",
        "-rev",
        "-alpn",
        "echo",
    ]);
    openssl.args([
        "-cert",
        &certificate("cert.pem"),
        "-key",
        &certificate("key.pem"),
    ]);
    // Demands the guest's certificate, too.
    openssl.args([
        "-Verify",
        "1",
        "-CAfile",
        &certificate("ca.pem"),
        "-verify_return_error",
    ]);
    let mut server = Talk::start(openssl.stderr(Stdio::null()));
    server.wait("ACCEPT 127.0.0.1:");
    let port = server.wait("\n");
    for version in ["1.3", "1.2"] {
        let path = format!("/connect?host={HOST}&port={port}&version=tlsv{version}");
        let answer = page(guest, &path, version);
        assert_eq!(answer.trim(), "{{ok,<<\"olleh\\n\">>},{ok,<<\"echo\">>}}");
    }
}

/// An OpenSSH program with the guest's password.
fn ssh(program: &str, guest: &Guest, folder: &Path) -> Command {
    let answer = folder.join("password");
    fs::write(&answer, "#!/bin/sh\necho secret\n").unwrap();
    fs::set_permissions(&answer, fs::Permissions::from_mode(0o700)).unwrap();
    let mut command = Command::new(program);
    let port = format!("-oPort={}", guest.host_port(SSH).unwrap());
    command
        .env("SSH_ASKPASS", &answer)
        .env("SSH_ASKPASS_REQUIRE", "force");
    command.args([
        &port,
        "-oStrictHostKeyChecking=no",
        "-oUserKnownHostsFile=/dev/null",
    ]);
    command.args([
        "-F/dev/null",
        "-oLogLevel=ERROR",
        "-oPubkeyAuthentication=no",
    ]);
    command
}

fn openssh_is_served(guest: &Guest) {
    let folder = scratch();
    let mut command = ssh("ssh", guest, folder.path());
    let answer = succeed(command.args(["guest@127.0.0.1", "lists:reverse([c, b, a])."]));
    assert_eq!(answer.trim(), "[a,b,c]");

    let (file, back) = (folder.path().join("file"), folder.path().join("back"));
    let bytes: Vec<u8> = (0..300_000_u32)
        .map(|number| (number % 251) as u8)
        .collect();
    fs::write(&file, &bytes).unwrap();
    let mut files = Talk::start(ssh("sftp", guest, folder.path()).arg("guest@127.0.0.1"));
    let (from, to) = (file.display(), back.display());
    files.say(&format!("put {from} /tmp/file\nget /tmp/file {to}\nbye\n"));
    assert!(files.wait_end().success());
    assert!(fs::read(&back).unwrap() == bytes);
}

/// Erlang's shell, given by the guest's SSH daemon to a terminal.
fn a_shell_over_ssh(guest: &Guest) {
    let folder = scratch();
    let mut command = ssh("ssh", guest, folder.path());
    let mut shell = Talk::start(command.args(["-tt", "guest@127.0.0.1"]));
    shell.wait("1> ");
    shell.say("6 * 7.\r");
    shell.wait("42");
    shell.say("exit().\r");
    shell.wait_end();
}

/// `erl` on this host as a hidden node that reaches others at this port.
fn erl(name: &str) -> Command {
    let mut erl = Command::new("erl");
    erl.args([
        "-name",
        name,
        "-setcookie",
        "otp_apps",
        "-dist_listen",
        "false",
    ]);
    erl.args(["-start_epmd", "false"]);
    erl
}

/// What the node of this host asks of `guest@127.0.0.1`.
const QUESTIONS: &str = "Guest = 'guest@127.0.0.1', \
    Answers = [net_adm:ping(Guest), rpc:call(Guest, erlang, node, []), \
               erpc:call(Guest, lists, sum, [[1, 2, 3]]), length(nodes(hidden))], \
    io:format(\"~0p~n\", [Answers]), halt().";
const ANSWERS: &str = "[pong,'guest@127.0.0.1',6,1]";

fn a_node_without_epmd(guest: &Guest) {
    let port = guest.host_port(DISTRIBUTION).unwrap().to_string();
    let mut node = erl("host@127.0.0.1");
    node.args(["-erl_epmd_port", &port]);
    let answers = succeed(node.args(["-noinput", "-eval", QUESTIONS]));
    assert_eq!(answers.trim(), ANSWERS);

    let remote = format!(
        "erl -name remote@127.0.0.1 -setcookie otp_apps -dist_listen false \
        -start_epmd false -erl_epmd_port {port} -remsh guest@127.0.0.1"
    );
    // A remote shell wants a terminal.
    let mut terminal = Command::new("script");
    let mut shell = Talk::start(terminal.args(["-qc", &remote, "/dev/null"]));
    shell.wait("(guest@127.0.0.1)1> ");
    shell.say("{node(), os:getpid()}.\r");
    shell.wait("{'guest@127.0.0.1',\"1\"}");

    let mut call = Command::new("erl_call");
    let address = format!("127.0.0.1:{port}");
    call.args(["-address", &address, "-c", "otp_apps", "-R"]);
    let node = succeed(call.args(["-a", "erlang node"]));
    assert_eq!(node.trim(), "'guest@127.0.0.1'");
}

#[test]
fn clients_of_this_host_are_served() {
    let mut guest = server();
    openssl_is_served(&guest, "-tls1_3", "tlsv1.3");
    openssl_is_served(&guest, "-tls1_2", "tlsv1.2");
    for version in ["1.2", "1.3"] {
        assert_eq!(page(&guest, "/", version), "OTP 25 over TLS\n");
    }
    guest_is_served_by_openssl(&guest);
    openssh_is_served(&guest);
    a_shell_over_ssh(&guest);
    a_node_without_epmd(&guest);
    assert_eq!(page(&guest, "/stop", "1.3"), "stopping\n");
    let end = guest.wait_end(LONG).unwrap();
    assert!(end.is_success(), "{end}\n{}", guest.console());
}

/// The guest's epmd tells this host's node a port, which must be the same here.
#[test]
fn a_node_of_this_host_comes_over_tls_with_epmd() {
    let folder = scratch();
    let options = folder.path().join("distribution.conf");
    fs::write(&options, distribution(&CERTIFICATES)).unwrap();
    let port = free_port();
    let machine = forward(machine(&SECURE_IMAGE, "wait"), &[4369]);
    let machine = machine.forward(Forward {
        host: HostPort::Fixed(port),
        guest: port,
    });
    let flags = format!(
        "-name guest@127.0.0.1 -kernel inet_dist_listen_min {port} -kernel inet_dist_listen_max {port}"
    );
    let mut guest = with_flags(machine, &flags).start().unwrap();
    guest
        .wait_event(APPLICATION_STARTED, LONG)
        .unwrap_or_else(|error| panic!("{error}"));

    let mut node = erl("host@127.0.0.1");
    node.env("ERL_EPMD_PORT", guest.host_port(4369).unwrap().to_string());
    node.args(["-proto_dist", "inet_tls", "-ssl_dist_optfile"])
        .arg(&options);
    let answers = succeed(node.args(["-noinput", "-eval", QUESTIONS]));
    assert_eq!(answers.trim(), ANSWERS);
    guest.press_power_button();
    assert!(
        guest.wait_end(LONG).unwrap().is_success(),
        "{}",
        guest.console()
    );
}

/// A port of this host that nobody uses, now.
fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}
