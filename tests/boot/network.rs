//! The network as Erlang sees it: the example `net_check` prints the same on this host's Erlang and
//! in the guest, and reaches servers on this host through QEMU's user network, by both families.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpListener, UdpSocket};
use std::process::{Command, Stdio};
use std::thread;
use tests::{image, output, release, succeed, unibeam};

/// The example.
pub(crate) const NET_CHECK: &str = "net_check";

/// A server that sends back what it gets until the other side ends; gives its port.
fn echo_stream(address: IpAddr) -> u16 {
    let listener = TcpListener::bind((address, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut bytes = Vec::new();
            stream.read_to_end(&mut bytes).unwrap();
            stream.write_all(&bytes).unwrap();
        }
    });
    port
}

/// As [`echo_stream`], of datagrams.
fn echo_datagrams() -> u16 {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = socket.local_addr().unwrap().port();
    thread::spawn(move || {
        let mut bytes = vec![0; 65_536];
        loop {
            let (count, from) = socket.recv_from(&mut bytes).unwrap();
            socket.send_to(&bytes[..count], from).unwrap();
        }
    });
    port
}

/// The example's lines in a console.
fn lines(console: &str) -> Vec<&str> {
    let lines = console.lines().map(str::trim_end);
    lines.filter(|line| line.starts_with("net: ")).collect()
}

/// What this host's Erlang prints.
fn on_this_host() -> String {
    let program = release(NET_CHECK).parent().unwrap().join("ebin");
    let mut erl = Command::new("erl");
    erl.arg("-noinput").arg("-pa").arg(program);
    succeed(erl.args(["-s", NET_CHECK, "main"]))
}

/// What the guest prints, with further flags for `unibeam run`.
fn in_the_guest(flags: &[&str]) -> String {
    let mut command = unibeam();
    command
        .arg("run")
        .arg(image(NET_CHECK))
        .args(["--quiet", "--timeout", "240"])
        .args(flags)
        .env("UNIBEAM_ACCEL", "tcg")
        .stdin(Stdio::null());
    let result = output(&mut command);
    let console = String::from_utf8_lossy(&result.stdout).into_owned();
    let errors = String::from_utf8_lossy(&result.stderr);
    assert!(result.status.success(), "{console}\n{errors}");
    console
}

#[test]
fn sockets_behave_as_on_this_host() {
    let (host, guest) = (on_this_host(), in_the_guest(&["--machine", "microvm"]));
    let (host, guest) = (lines(&host), lines(&guest));
    for (expected, found) in host.iter().zip(&guest) {
        assert_eq!(expected, found);
    }
    assert_eq!(host.len(), guest.len());
}

#[test]
fn sockets_behave_as_on_this_host_with_two_processors() {
    let guest = in_the_guest(&["--machine", "microvm", "--smp", "2"]);
    assert_eq!(lines(&on_this_host()), lines(&guest));
}

#[test]
fn the_outside_is_reached_by_both_families() {
    let ports = [
        echo_stream(Ipv4Addr::LOCALHOST.into()),
        echo_stream(Ipv6Addr::LOCALHOST.into()),
        echo_datagrams(),
    ];
    let ports = ports.map(|port| port.to_string()).join(",");
    let console = in_the_guest(&[
        "--env",
        &format!("NET_CHECK={ports}"),
        "--kernel-arg",
        // The example is its own name server.
        "dns=127.0.0.1",
    ]);
    let outside: Vec<_> = lines(&console)
        .into_iter()
        .filter_map(|line| line.strip_prefix("net: outside: "))
        .collect();
    let expected = "\
addresses [[broadcast,multicast,running,up],6,[{10,0,2,15},{65152,0,0,0,20564,255,65042,13398},{65216,0,0,0,20564,255,65042,13398}]]
TCP by IPv4 {true,{error,closed}}
TCP by IPv6 {true,{error,closed}}
datagrams of each length [{1,true},{1472,true},{1473,true},{4000,true},{9000,true}]
refused {error,econnrefused}
group by the card <<\"all\">>
group of IPv6 by the card {65152,2,<<\"all\">>}
names [{ok,{hostent,\"four.test\",[],inet,4,[{192,0,2,4}]}},{ok,{8193,3512,0,0,0,0,0,6}},{error,nxdomain},[{{127,0,0,1},53}],[{192,0,2,4}]]";
    assert_eq!(outside.join("\n"), expected);
}
