//! Getting and keeping an address from a DHCP server.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod world;

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use net::{Addressing, Config};
use vfs::{Events, Waiter};
use world::{Clock, Machine, checksum};

const SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 2);
const LEASED: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 15);
const DNS: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 3);
const SERVER_MAC: [u8; 6] = [2, 0, 0, 0, 0, 99];
/// Seconds.
const LEASE: u32 = 600;

/// A server written from RFC 2131 alone, without smoltcp.
struct Server {
    clock: Arc<Clock>,
    client: Machine,
    silent: bool,
    /// Hears only broadcasts, as another server than the one that gave the lease.
    only_broadcasts: bool,
    /// Seconds.
    lease: u32,
    requests: Vec<Request>,
}

struct Request {
    kind: u8,
    hostname: Option<Vec<u8>>,
    broadcast: bool,
    at: u64,
}

impl Server {
    fn new() -> Self {
        let clock = Arc::new(Clock::default());
        clock.advance_to(1_000_000);
        let config = Config {
            addressing: Addressing::Dhcp,
            hostname: "beam".into(),
            ..Config::default()
        };
        Self {
            client: Machine::new(&clock, 1, config),
            clock,
            silent: false,
            only_broadcasts: false,
            lease: LEASE,
            requests: Vec::new(),
        }
    }

    /// Lets virtual time pass, answering what comes.
    fn run(&mut self, seconds: u64) {
        let limit = self.clock.now() + seconds * 1_000_000;
        loop {
            self.serve();
            let Some(next) = self.client.platform.deadline().filter(|at| *at <= limit) else {
                break;
            };
            self.clock.advance_to(next);
            self.client.stack.poll();
        }
        self.clock.advance_to(limit);
    }

    fn serve(&mut self) {
        loop {
            let frame = self.client.port.sent.lock().unwrap().pop_front();
            let Some(frame) = frame else { return };
            let Some(reply) = self.answer(&frame) else {
                continue;
            };
            self.client.port.received.lock().unwrap().push_back(reply);
            self.client.stack.poll();
        }
    }

    fn answer(&mut self, frame: &[u8]) -> Option<Vec<u8>> {
        if frame[12..14] == [8, 6] {
            return arp_reply(frame);
        }
        // Ethernet 14, IPv4 20, UDP 8 bytes; BOOTP 240 bytes to the first option.
        if frame[36..38] != 67_u16.to_be_bytes() {
            return None;
        }
        let bootp = &frame[42..];
        let options = options(&bootp[240..]);
        let find = |code| options.iter().find(|(known, _)| *known == code);
        let kind = find(53)?.1[0];
        self.requests.push(Request {
            kind,
            hostname: find(12).map(|(_, value)| value.clone()),
            broadcast: frame[..6] == [0xff; 6],
            at: self.clock.now(),
        });
        let reply = if kind == 1 { 2 } else { 5 };
        let deaf = self.only_broadcasts && frame[..6] != [0xff; 6];
        (!self.silent && !deaf).then(|| reply_frame(bootp, reply, self.lease))
    }
}

fn options(mut bytes: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut found = Vec::new();
    while let [code, rest @ ..] = bytes {
        match code {
            0 => bytes = rest,
            255 => break,
            _ => {
                let length = usize::from(rest[0]);
                found.push((*code, rest[1..=length].to_vec()));
                bytes = &rest[1 + length..];
            }
        }
    }
    found
}

fn arp_reply(frame: &[u8]) -> Option<Vec<u8>> {
    if frame[38..42] != SERVER.octets() || frame[21] != 1 {
        return None;
    }
    let mut reply = [&frame[6..12], &SERVER_MAC[..], &frame[12..20], &[0, 2][..]].concat();
    reply.extend([&SERVER_MAC[..], &SERVER.octets()[..], &frame[22..32]].concat());
    Some(reply)
}

fn reply_frame(request: &[u8], kind: u8, lease: u32) -> Vec<u8> {
    let mut bootp = vec![0; 240];
    bootp[0] = 2;
    bootp[1..12].copy_from_slice(&request[1..12]);
    bootp[16..20].copy_from_slice(&LEASED.octets());
    bootp[28..44].copy_from_slice(&request[28..44]);
    bootp[236..240].copy_from_slice(&[99, 130, 83, 99]);
    let mut option = |code: u8, value: &[u8]| {
        bootp.extend([code, value.len() as u8]);
        bootp.extend(value);
    };
    option(53, &[kind]);
    option(54, &SERVER.octets());
    option(51, &lease.to_be_bytes());
    option(1, &[255, 255, 255, 0]);
    option(3, &SERVER.octets());
    option(6, &DNS.octets());
    bootp.push(255);
    let udp_length = (bootp.len() + 8) as u16;
    let mut ip = vec![0x45, 0];
    ip.extend((udp_length + 20).to_be_bytes());
    ip.extend([0, 0, 0, 0, 64, 17, 0, 0]);
    ip.extend(SERVER.octets());
    ip.extend(LEASED.octets());
    let checksum = checksum(&ip, 0);
    ip[10..12].copy_from_slice(&checksum.to_be_bytes());
    // A UDP checksum of zero means none.
    let udp = [67_u16, 68, udp_length, 0].map(u16::to_be_bytes).concat();
    [
        &request[28..34],
        &SERVER_MAC[..],
        &[8, 0],
        &ip,
        &udp,
        &bootp,
    ]
    .concat()
}

#[derive(Default)]
struct Bell(AtomicU32);

impl Waiter for Bell {
    fn wake(&self, _events: Events) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn an_address_is_leased_announced_and_renewed() {
    let mut server = Server::new();
    let bell = Arc::new(Bell::default());
    let waiter: Arc<dyn Waiter> = bell.clone();
    server
        .client
        .stack
        .status_queue()
        .add(Arc::downgrade(&waiter));
    server.run(5);
    let status = server.client.stack.status();
    assert_eq!(status.address, Some((LEASED, 24)));
    assert_eq!(status.gateway, Some(SERVER));
    assert_eq!(status.dns, [std::net::IpAddr::V4(DNS)]);
    assert_eq!(status.dhcp_server, Some(SERVER));
    assert_eq!(bell.0.load(Ordering::Relaxed), 1);
    let kinds: Vec<_> = server.requests.iter().map(|request| request.kind).collect();
    assert_eq!(kinds, [1, 3]);
    let mut names = server.requests.iter().map(|request| &request.hostname);
    assert!(names.all(|name| name.as_deref() == Some(b"beam")));

    let leased_at = server.requests[1].at;
    server.run(u64::from(LEASE) * 3);
    assert_eq!(
        server.client.stack.status(),
        status,
        "renewal changes nothing"
    );
    let renewal = (server.requests[2].at - leased_at) / 1_000_000;
    assert_eq!(renewal, u64::from(LEASE / 2));
}

#[test]
fn a_lost_lease_takes_the_address_away_and_asks_again() {
    let mut server = Server::new();
    server.run(5);
    server.silent = true;
    server.run(u64::from(LEASE) + 10);
    let status = server.client.stack.status();
    assert_eq!((status.address, status.generation), (None, 2));
    server.silent = false;
    server.run(30);
    assert_eq!(server.client.stack.status().address, Some((LEASED, 24)));
}

#[test]
fn a_server_that_comes_late_is_found() {
    let mut server = Server::new();
    server.silent = true;
    server.run(60);
    let tries = server.requests.len();
    assert!((20..40).contains(&tries), "{tries} requests in a minute");
    server.silent = false;
    server.run(5);
    assert_eq!(server.client.stack.status().address, Some((LEASED, 24)));
}

#[test]
fn a_lease_is_rebound_by_another_server() {
    let mut server = Server::new();
    server.run(5);
    let status = server.client.stack.status();
    let leased_at = server.requests[1].at;
    server.only_broadcasts = true;
    server.run(u64::from(LEASE) * 2);
    assert_eq!(server.client.stack.status(), status, "the address stays");
    let asked: Vec<_> = server.requests[2..].iter().collect();
    assert!(!asked[0].broadcast, "the server is asked first");
    let rebinding = asked.iter().find(|request| request.broadcast).unwrap();
    assert_eq!(
        (rebinding.at - leased_at) / 1_000_000,
        u64::from(LEASE) * 7 / 8
    );
}

#[test]
fn a_short_lease_is_kept_for_long() {
    let mut server = Server::new();
    server.lease = 10;
    server.run(5);
    let generation = server.client.stack.status().generation;
    server.run(1000);
    let status = server.client.stack.status();
    assert_eq!(
        (status.address, status.generation),
        (Some((LEASED, 24)), generation)
    );
    let renewals = server.requests.len() - 2;
    assert!((100..=250).contains(&renewals), "{renewals} renewals");
}
