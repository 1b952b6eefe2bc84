//! Distributed Erlang: two guests in one cluster, without and with epmd, in the clear and over TLS.

use crate::otp::{LONG, PLAIN_IMAGE, SECURE_IMAGE, machine, results, with_flags};
use qemu::{Machine, Profile};
use std::path::Path;
use tests::scratch;

/// A guest on a wire to another, `number` 1 or 2.
fn wired(machine: Machine, number: u8, wire: &Path) -> Machine {
    let role = if number == 1 { "on" } else { "off" };
    let wire = wire.display();
    let network = Profile::named("microvm").unwrap().network;
    let machine = machine
        .network(false)
        .kernel_word(&format!("ip=10.9.0.{number}/24"))
        .argument("-netdev")
        .argument(&format!(
            "stream,id=wire,server={role},addr.type=unix,addr.path={wire}"
        ))
        .argument("-device")
        .argument(&format!(
            "{network},netdev=wire,mac=52:54:00:09:00:0{number}"
        ));
    with_flags(machine, &format!("-name node{number}@10.9.0.{number}"))
}

/// Two guests of one image; gives what the second's checks said of the first.
fn cluster(image: &Path) -> Vec<String> {
    let folder = scratch();
    let wire = folder.path().join("wire");
    let mut first = wired(machine(image, "wait"), 1, &wire).start().unwrap();
    let second = machine(image, "peer").kernel_word("env.PEER=node1@10.9.0.1");
    let mut second = wired(second, 2, &wire).start().unwrap();
    let found = results(&mut second);
    let end = first.wait_end(LONG).unwrap();
    assert!(end.is_success(), "{end}\n{}", first.console());
    found
}

/// Demands that a check had this result.
fn demand(found: &[String], check: &str, value: &str) {
    let line = format!("otp_apps: distribution: {check}: {value}");
    assert!(found.contains(&line), "no {line:?} in {found:#?}");
}

#[test]
fn two_guests_are_a_cluster_without_epmd() {
    let found = cluster(&PLAIN_IMAGE);
    demand(&found, "ping", "pong");
    demand(&found, "transport", "tcp");
    demand(&found, "epmd", "{error,address}");
    demand(&found, "global names and locks", "{true,locked,true}");
}

#[test]
fn two_guests_are_a_cluster_over_tls_with_epmd() {
    let found = cluster(&SECURE_IMAGE);
    demand(&found, "ping", "pong");
    demand(&found, "transport", "tls");
    demand(&found, "epmd", "{ok,[\"node1\"]}");
    demand(&found, "global names and locks", "{true,locked,true}");
}
