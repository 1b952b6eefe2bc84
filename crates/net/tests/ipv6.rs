//! IPv6 over Ethernet: addresses, routers, neighbours, TCP and UDP.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod world;

use std::net::{IpAddr, Ipv6Addr, SocketAddrV6};

use net::{Addressing6, Config};
use vfs::{Errno, Events};
use world::{DGRAM, Handle, Machine, STREAM, World, checksum, pattern};

const A6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
const B6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 2);
/// Made from the hardware addresses of the test machines.
const LINK_A: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0xff, 0xfe00, 1);
const LINK_B: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0xff, 0xfe00, 2);
const SOL_IPV6: i32 = 41;

fn fixed(address: Ipv6Addr) -> Config {
    Config {
        addressing6: Addressing6::Static {
            address,
            prefix: 64,
            gateway: None,
        },
        ..Config::default()
    }
}

fn automatic() -> Config {
    Config {
        addressing6: Addressing6::Automatic,
        ..Config::default()
    }
}

/// Two machines whose addresses are ready.
fn world() -> World {
    let mut world = World::with(fixed(A6), fixed(B6));
    world.run(2000);
    world
}

fn listen(machine: &Machine, port: u16) -> Handle {
    let listener = machine.socket6(STREAM);
    listener.bind(Ipv6Addr::UNSPECIFIED, port).unwrap();
    listener.socket().listen(5).unwrap();
    listener
}

fn udp_pair(world: &World) -> (Handle, Handle) {
    let (a, b) = (world.a.socket6(DGRAM), world.b.socket6(DGRAM));
    a.bind(Ipv6Addr::UNSPECIFIED, 1000).unwrap();
    b.bind(Ipv6Addr::UNSPECIFIED, 53).unwrap();
    (a, b)
}

#[test]
fn addresses_are_used_once_nobody_objects() {
    let mut world = World::with(fixed(A6), fixed(B6));
    world.run(900);
    assert_eq!(world.a.stack.status().addresses6, []);
    world.run(200);
    let expected = [(LINK_A, 64), (A6, 64)];
    assert_eq!(world.a.stack.status().addresses6, expected);
}

#[test]
fn an_address_that_somebody_has_is_not_taken() {
    let mut world = World::with(fixed(A6), Config::default());
    world.run(2000);
    // The second machine comes later and wants the same.
    world.b = Machine::new(&world.clock, 2, fixed(A6));
    world.run(5000);
    let has = |machine: &Machine| {
        let addresses = machine.stack.status().addresses6;
        addresses.iter().any(|(address, _)| *address == A6)
    };
    assert_eq!((has(&world.a), has(&world.b)), (true, false));
    assert_eq!(world.b.stack.status().addresses6, [(LINK_B, 64)]);
}

#[test]
fn of_two_that_want_the_same_at_once_none_gets_it() {
    let mut world = World::with(fixed(A6), fixed(A6));
    world.run(5000);
    assert_eq!(world.a.stack.status().addresses6, [(LINK_A, 64)]);
    assert_eq!(world.b.stack.status().addresses6, [(LINK_B, 64)]);
}

#[test]
fn connections_cross_the_wire() {
    let mut world = world();
    let listener = listen(&world.b, 80);
    let client = world.a.socket6(STREAM);
    assert_eq!(client.connect(B6, 80), Err(Errno::EINPROGRESS));
    world.run_until(1000, |_| listener.events().contains(Events::IN));
    let server = listener.accept().unwrap();
    let data = pattern(10_000);
    client.write(&data).unwrap();
    world.run(1000);
    assert_eq!(server.read(20_000), Ok(data));
    assert_eq!(server.local(), (B6, 80).into());
    assert_eq!(client.local().ip(), IpAddr::V6(A6));
}

#[test]
fn link_local_addresses_need_and_show_their_interface() {
    let mut world = world();
    let listener = listen(&world.b, 80);
    let client = world.a.socket6(STREAM);
    let without = net::emit_address(&(LINK_B, 80).into());
    assert_eq!(client.socket().connect(&without), Err(Errno::EINVAL));
    let elsewhere = net::emit_address(&SocketAddrV6::new(LINK_A, 80, 0, 7).into());
    assert_eq!(client.socket().bind(&elsewhere), Err(Errno::ENODEV));
    assert_eq!(client.connect(LINK_B, 80), Err(Errno::EINPROGRESS));
    world.run_until(1000, |_| listener.events().contains(Events::IN));
    let server = listener.accept().unwrap();
    assert_eq!(server.local(), SocketAddrV6::new(LINK_B, 80, 0, 2).into());
}

#[test]
fn datagrams_of_any_length_go_both_ways() {
    let mut world = world();
    let (a, b) = udp_pair(&world);
    for length in [0, 1, 1452, 1453, 65_527] {
        a.send_to(&pattern(length), B6, 53).unwrap();
        world.run(10);
        let (bytes, from) = b.receive_from(70_000).unwrap();
        assert_eq!((bytes, from), (pattern(length), (A6, 1000).into()));
    }
    assert_eq!(a.send_to(&pattern(65_528), B6, 53), Err(Errno::EMSGSIZE));
    b.send_to(b"answer", A6, 1000).unwrap();
    world.run(10);
    assert_eq!(a.receive_from(10).unwrap().0, b"answer");
}

#[test]
fn closed_ports_and_absent_hosts_are_told() {
    let mut world = world();
    let closed = world.a.socket6(DGRAM);
    closed.connect(B6, 99).unwrap();
    closed.write(b"x").unwrap();
    world.run(10);
    assert_eq!(closed.error(), i32::from(Errno::ECONNREFUSED.number()));
    let absent = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 77);
    let datagram = world.a.socket6(DGRAM);
    datagram.connect(absent, 99).unwrap();
    datagram.write(b"x").unwrap();
    let client = world.a.socket6(STREAM);
    assert_eq!(client.connect(absent, 80), Err(Errno::EINPROGRESS));
    world.run(5000);
    let unreachable = i32::from(Errno::EHOSTUNREACH.number());
    assert_eq!(
        (client.error(), datagram.error()),
        (unreachable, unreachable)
    );
    let far = Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 1);
    assert_eq!(client.connect(far, 80), Err(Errno::ENETUNREACH));
}

#[test]
fn a_socket_for_both_families_and_one_for_each_share_a_port() {
    let world = world();
    let six = world.a.socket6(STREAM);
    six.set_option(SOL_IPV6, 26, 1).unwrap();
    six.bind(Ipv6Addr::UNSPECIFIED, 80).unwrap();
    six.socket().listen(1).unwrap();
    let four = world.a.listen(80, 1);
    let both = world.a.socket6(STREAM);
    assert_eq!(both.bind(Ipv6Addr::UNSPECIFIED, 80), Err(Errno::EADDRINUSE));
    drop((six, four));
    assert_eq!(both.bind(Ipv6Addr::UNSPECIFIED, 80), Ok(()));
}

#[test]
fn groups_are_joined_heard_and_left() {
    let mut world = world();
    let (a, b) = udp_pair(&world);
    let group = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0x1234, 0x5678);
    let mut membership = group.octets().to_vec();
    membership.extend(2_u32.to_le_bytes());
    let (join, leave) = (20, 21);
    a.send_to(b"early", group, 53).unwrap();
    world.run(10);
    b.socket().set_option(SOL_IPV6, join, &membership).unwrap();
    a.send_to(b"hello", group, 53).unwrap();
    world.run(10);
    assert_eq!(b.receive_from(10).unwrap().0, b"hello");
    b.socket().set_option(SOL_IPV6, leave, &membership).unwrap();
    a.send_to(b"late", group, 53).unwrap();
    world.run(10);
    assert_eq!(b.receive_from(10).err(), Some(Errno::EAGAIN));
}

#[test]
fn everyone_on_the_link_hears_all_nodes() {
    let mut world = world();
    let (a, b) = udp_pair(&world);
    world.log = Some(Vec::new());
    a.send_to(b"nobody", ALL_NODES, 54).unwrap();
    a.send_to(b"all", ALL_NODES, 53).unwrap();
    world.run(10);
    assert_eq!(world.log.as_ref().unwrap().len(), 2, "no complaint");
    let (bytes, from) = b.receive_from(10).unwrap();
    assert_eq!(bytes, b"all");
    assert_eq!(from, SocketAddrV6::new(LINK_A, 1000, 0, 2).into());
}

/// A router written from RFC 4861 alone: it answers nothing by itself.
const ROUTER: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0xffff);
const ROUTER_MAC: [u8; 6] = [2, 0, 0, 0, 0, 99];

struct Advertisement {
    router_lifetime: u16,
    valid: u32,
    preferred: u32,
    server_lifetime: u32,
}

const DAY: u32 = 86_400;
const USUAL: Advertisement = Advertisement {
    router_lifetime: 1800,
    valid: DAY,
    preferred: DAY,
    server_lifetime: 600,
};

impl Advertisement {
    fn frame(&self) -> Vec<u8> {
        let mut message = vec![134, 0, 0, 0, 64, 0];
        message.extend(self.router_lifetime.to_be_bytes());
        message.extend([0; 8]);
        message.extend([&[1, 1][..], &ROUTER_MAC].concat());
        message.extend([3, 4, 64, 0xc0]);
        message.extend(
            [
                self.valid.to_be_bytes(),
                self.preferred.to_be_bytes(),
                [0; 4],
            ]
            .concat(),
        );
        message.extend(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0).octets());
        message.extend([25, 3, 0, 0]);
        message.extend(self.server_lifetime.to_be_bytes());
        message.extend(B6.octets());
        icmp_frame(ROUTER, ALL_NODES, message)
    }
}

const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

fn icmp_frame(from: Ipv6Addr, to: Ipv6Addr, mut message: Vec<u8>) -> Vec<u8> {
    let mut covered = [from.octets(), to.octets()].concat();
    covered.extend((message.len() as u32).to_be_bytes());
    covered.extend([0, 0, 0, 58]);
    covered.extend(&message);
    let sum = checksum(&covered, 0);
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    let mut frame = vec![0x33, 0x33, 0, 0, 0, 1];
    frame.extend(ROUTER_MAC);
    frame.extend([0x86, 0xdd, 0x60, 0, 0, 0]);
    frame.extend((message.len() as u16).to_be_bytes());
    frame.extend([58, 255]);
    frame.extend([from.octets(), to.octets()].concat());
    frame.extend(message);
    frame
}

fn inject(world: &World, frame: Vec<u8>) {
    world.a.port.received.lock().unwrap().push_back(frame);
    world.a.stack.poll();
}

/// A machine that configures itself, on a wire with nobody else.
fn alone() -> World {
    let mut world = World::with(automatic(), Config::default());
    world.run(1500);
    world
}

const OWN: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0xff, 0xfe00, 1);

#[test]
fn routers_are_asked_three_times() {
    let mut world = World::with(automatic(), Config::default());
    world.log = Some(Vec::new());
    world.run(30_000);
    let log = world.log.unwrap();
    let is_solicitation = |frame: &&Vec<u8>| frame[12..14] == [0x86, 0xdd] && frame[54] == 133;
    let solicitations: Vec<_> = log.iter().filter(is_solicitation).collect();
    assert_eq!(solicitations.len(), 3);
    assert_eq!(solicitations[0][22..38], LINK_A.octets());
}

#[test]
fn an_advertisement_configures_everything() {
    let mut world = alone();
    inject(&world, USUAL.frame());
    world.run(1500);
    let status = world.a.stack.status();
    assert_eq!(status.addresses6, [(LINK_A, 64), (OWN, 64)]);
    assert_eq!(status.gateway6, Some(ROUTER));
    assert_eq!(status.dns, [IpAddr::V6(B6)]);
    // A stranger's packet leaves by the router.
    world.log = Some(Vec::new());
    let socket = world.a.socket6(DGRAM);
    socket
        .send_to(b"x", Ipv6Addr::new(0x2001, 1, 2, 3, 4, 5, 6, 7), 53)
        .unwrap();
    world.run(10);
    let frame = &world.log.unwrap()[0];
    assert_eq!(
        (&frame[..6], &frame[22..38]),
        (&ROUTER_MAC[..], &OWN.octets()[..])
    );
}

#[test]
fn what_was_advertised_ends_in_its_time() {
    let mut world = alone();
    inject(&world, USUAL.frame());
    world.run(601_000);
    let status = world.a.stack.status();
    assert_eq!((status.dns, status.gateway6), (vec![], Some(ROUTER)));
    world.run(1_200_000);
    assert_eq!(world.a.stack.status().gateway6, None);
    world.run(u64::from(DAY) * 1000);
    assert_eq!(world.a.stack.status().addresses6, [(LINK_A, 64)]);
}

#[test]
fn a_renewed_advertisement_keeps_the_address() {
    let mut world = alone();
    for _ in 0..30 {
        inject(&world, USUAL.frame());
        world.run(u64::from(DAY) * 100);
    }
    assert_eq!(world.a.stack.status().addresses6, [(LINK_A, 64), (OWN, 64)]);
}

#[test]
fn a_forged_end_leaves_the_address_two_hours() {
    let mut world = alone();
    inject(&world, USUAL.frame());
    world.run(1500);
    let withdrawn = Advertisement {
        router_lifetime: 0,
        valid: 0,
        preferred: 0,
        server_lifetime: 0,
    };
    inject(&world, withdrawn.frame());
    world.run(10);
    let status = world.a.stack.status();
    assert_eq!((status.gateway6, status.dns.len()), (None, 0));
    assert_eq!(status.addresses6.len(), 2);
    world.run(7200 * 1000);
    assert_eq!(world.a.stack.status().addresses6, [(LINK_A, 64)]);
}

#[test]
fn advertisements_from_elsewhere_are_not_believed() {
    let mut world = alone();
    let mut frame = USUAL.frame();
    frame[21] = 254;
    inject(&world, frame);
    let mut frame = USUAL.frame();
    frame[60] ^= 1;
    inject(&world, frame);
    inject(
        &world,
        icmp_frame(B6, ALL_NODES, USUAL.frame().split_off(54)),
    );
    world.run(1500);
    assert_eq!(world.a.stack.status().addresses6, [(LINK_A, 64)]);
}

#[test]
fn echo_requests_are_answered() {
    let mut world = world();
    let (a, b) = udp_pair(&world);
    a.send_to(b"so that they know each other", B6, 53).unwrap();
    b.send_to(b"so that they know each other", A6, 1000)
        .unwrap();
    world.run(10);
    world.log = Some(Vec::new());
    let request = icmp_frame(A6, B6, b"\x80\0\0\0\0\x01\0\x01ping".to_vec());
    world.b.port.received.lock().unwrap().push_back(request);
    world.b.stack.poll();
    world.run(10);
    let reply = &world.log.unwrap()[0];
    assert_eq!(
        (reply[54], &reply[38..54], &reply[62..]),
        (129, &A6.octets()[..], &b"ping"[..])
    );
}

/// A host with several addresses may answer for one from another (RFC 4861 §7.2.4 does not say
/// which).
#[test]
fn neighbours_may_answer_from_another_address() {
    let mut world = World::with(fixed(A6), Config::default());
    world.run(2000);
    let (asked, other) = (B6, Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 3));
    let client = world.a.socket6(STREAM);
    assert_eq!(client.connect(asked, 80), Err(Errno::EINPROGRESS));
    world.run(10);
    let mut message = vec![136, 0, 0, 0, 0x60, 0, 0, 0];
    message.extend(asked.octets());
    message.extend([&[2, 1][..], &ROUTER_MAC].concat());
    world.log = Some(Vec::new());
    inject(&world, icmp_frame(other, A6, message));
    world.run(10);
    let request = &world.log.unwrap()[0];
    assert_eq!(
        (&request[..6], &request[38..54]),
        (&ROUTER_MAC[..], &asked.octets()[..])
    );
    assert_eq!(request[20], 6, "TCP");
}

#[test]
fn our_own_addresses_are_reached_without_the_wire() {
    let mut world = world();
    world.log = Some(Vec::new());
    for (own, port) in [(A6, 80), (LINK_A, 81)] {
        let listener = world.a.socket6(STREAM);
        listener.bind(own, port).unwrap();
        listener.socket().listen(1).unwrap();
        let client = world.a.socket6(STREAM);
        assert_eq!(client.connect(own, port), Ok(()));
        client.write(b"self").unwrap();
        assert_eq!(listener.accept().unwrap().read(10), Ok(b"self".to_vec()));
    }
    world.run(10);
    assert_eq!(world.log.unwrap().len(), 0);
}
