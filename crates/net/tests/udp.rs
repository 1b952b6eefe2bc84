//! UDP between two machines and within one.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod world;

use std::net::Ipv4Addr;

use vfs::{Errno, Events, RecvFlags, VecSink};
use world::{A, B, Bell, DGRAM, EPOCH, Handle, World, checksum, pattern};

fn pair() -> (World, Handle, Handle) {
    let world = World::new();
    let (a, b) = (world.a.socket(DGRAM), world.b.socket(DGRAM));
    b.bind(Ipv4Addr::UNSPECIFIED, 53).unwrap();
    (world, a, b)
}

#[test]
fn datagrams_go_both_ways() {
    let (mut world, a, b) = pair();
    let bell = Bell::on(&b);
    assert_eq!(a.send_to(b"question", B, 53), Ok(8));
    world.run(10);
    assert_eq!(bell.rings(), 1);
    let (bytes, from) = b.receive_from(100).unwrap();
    assert_eq!((bytes, from.ip()), (b"question".to_vec(), A.into()));
    assert_eq!(from.port(), a.local().port());
    assert_eq!(b.receive_from(100).err(), Some(Errno::EAGAIN));
    b.send_to(b"answer", A, from.port()).unwrap();
    world.run(10);
    let (bytes, from) = a.receive_from(100).unwrap();
    assert_eq!((bytes, from), (b"answer".to_vec(), (B, 53).into()));
}

#[test]
fn datagrams_keep_their_bounds() {
    let (mut world, a, b) = pair();
    let lengths = [0, 1, 1472, 1473, 2953, 65_507];
    for length in lengths {
        a.send_to(&pattern(length), B, 53).unwrap();
    }
    assert_eq!(a.send_to(&pattern(65_508), B, 53), Err(Errno::EMSGSIZE));
    world.run(10);
    assert_eq!(net::readable_bytes(&*b.0), Some(0));
    for length in lengths {
        assert_eq!(b.receive_from(70_000).unwrap().0, pattern(length));
    }
}

#[test]
fn parts_come_in_any_order_and_lost_ones_spoil_only_their_datagram() {
    let (mut world, a, b) = pair();
    world.reorder_percent = 50;
    world.loss_percent = 2;
    for _ in 0..100 {
        a.send_to(&pattern(8000), B, 53).unwrap();
        world.run(10);
    }
    let mut arrived = 0;
    while let Ok((bytes, _)) = b.receive_from(10_000) {
        assert_eq!(bytes, pattern(8000));
        arrived += 1;
    }
    // The receive buffer holds no more than 25 of them.
    assert_eq!(arrived, 25);
}

#[test]
fn strict_path_discovery_sends_no_parts() {
    let (_, a, _) = pair();
    let (ip, mtu_discover, strict) = (0, 10, 2);
    a.set_option(ip, mtu_discover, strict).unwrap();
    assert_eq!(a.send_to(&pattern(1472), B, 53), Ok(1472));
    assert_eq!(a.send_to(&pattern(1473), B, 53), Err(Errno::EMSGSIZE));
}

#[test]
fn a_short_buffer_truncates_and_says_so() {
    let (mut world, a, b) = pair();
    for _ in 0..2 {
        a.send_to(b"0123456789", B, 53).unwrap();
    }
    world.run(10);
    let mut sink = VecSink::new(4);
    let received = b.socket().receive(&mut sink, RecvFlags::PEEK).unwrap();
    assert_eq!((received.length, received.flags), (4, RecvFlags::TRUNC));
    let mut sink = VecSink::new(4);
    let received = b.socket().receive(&mut sink, RecvFlags::TRUNC).unwrap();
    assert_eq!(received.length, 10);
    assert_eq!(b.receive_from(100).unwrap().0, b"0123456789");
}

#[test]
fn loopback_carries_large_datagrams() {
    let world = World::new();
    let (from, to) = (world.a.socket(DGRAM), world.a.socket(DGRAM));
    to.bind(Ipv4Addr::LOCALHOST, 99).unwrap();
    let data = pattern(65_507);
    assert_eq!(from.send_to(&data, Ipv4Addr::LOCALHOST, 99), Ok(data.len()));
    let (bytes, sender) = to.receive_from(70_000).unwrap();
    assert!(bytes == data);
    assert_eq!(sender.ip(), Ipv4Addr::LOCALHOST);
    assert_eq!(
        from.send_to(&pattern(65_508), Ipv4Addr::LOCALHOST, 99),
        Err(Errno::EMSGSIZE)
    );
}

#[test]
fn a_connected_socket_hears_of_closed_ports() {
    let mut world = World::new();
    for (target, port) in [(B, 9), (Ipv4Addr::LOCALHOST, 9)] {
        let socket = world.a.socket(DGRAM);
        socket.connect(target, port).unwrap();
        socket.write(b"anyone?").unwrap();
        world.run(10);
        assert!(socket.events().contains(Events::ERR));
        assert_eq!(socket.read(10), Err(Errno::ECONNREFUSED));
        assert_eq!(socket.read(10), Err(Errno::EAGAIN));
    }
}

#[test]
fn others_hear_of_closed_ports_if_they_want() {
    let (mut world, a, _) = pair();
    for wanted in [0, 1] {
        let (ip, recverr) = (0, 11);
        a.set_option(ip, recverr, wanted).unwrap();
        a.send_to(b"x", B, 99).unwrap();
        world.run(10);
        let refused = i32::from(Errno::ECONNREFUSED.number());
        assert_eq!(a.error(), refused * wanted);
    }
}

#[test]
fn a_connected_socket_hears_only_its_peer() {
    let (mut world, a, b) = pair();
    a.bind(Ipv4Addr::UNSPECIFIED, 1000).unwrap();
    a.connect(B, 53).unwrap();
    assert_eq!(a.local(), (A, 1000).into());
    let stranger = world.b.socket(DGRAM);
    stranger.send_to(b"psst", A, 1000).unwrap();
    b.send_to(b"hello", A, 1000).unwrap();
    world.run(10);
    assert_eq!(a.read(100), Ok(b"hello".to_vec()));
    assert_eq!(a.read(100), Err(Errno::EAGAIN));
    a.socket().connect(&[0, 0]).unwrap();
    assert_eq!(a.write(b"x"), Err(Errno::EDESTADDRREQ));
    stranger.send_to(b"psst", A, 1000).unwrap();
    world.run(10);
    assert_eq!(a.read(100), Ok(b"psst".to_vec()));
}

#[test]
fn an_unknown_neighbour_does_not_hold_up_others() {
    let (mut world, a, b) = pair();
    let nobody = Ipv4Addr::new(10, 0, 0, 77);
    a.send_to(b"lost", nobody, 53).unwrap();
    world.run(1100);
    a.send_to(b"found", B, 53).unwrap();
    world.run(1500);
    assert_eq!(b.receive_from(100).unwrap().0, b"found");
    let connected = world.a.socket(DGRAM);
    connected.connect(nobody, 53).unwrap();
    connected.write(b"lost").unwrap();
    world.run(5000);
    assert_eq!(connected.error(), i32::from(Errno::EHOSTUNREACH.number()));
    world.run(5000);
    assert_eq!(world.a.platform.deadline(), None);
}

#[test]
fn broadcasts_need_permission_and_reach_every_socket() {
    let (mut world, a, b) = pair();
    let everyone = Ipv4Addr::new(10, 0, 0, 255);
    assert_eq!(a.send_to(b"x", everyone, 53), Err(Errno::EACCES));
    a.set_option(1, 6, 1).unwrap();
    let own = world.a.socket(DGRAM);
    own.bind(Ipv4Addr::UNSPECIFIED, 53).unwrap();
    a.send_to(b"x", everyone, 53).unwrap();
    assert_eq!(
        own.receive_from(100).unwrap().0,
        b"x",
        "the sender's machine, too"
    );
    a.send_to(b"y", Ipv4Addr::BROADCAST, 53).unwrap();
    world.run(10);
    assert_eq!(b.receive_from(100).unwrap().0, b"x");
    assert_eq!(b.receive_from(100).unwrap().0, b"y");
}

#[test]
fn groups_are_joined_heard_and_left() {
    let (mut world, a, b) = pair();
    let group = Ipv4Addr::new(230, 1, 1, 251);
    let membership = [230, 1, 1, 251, 0, 0, 0, 0];
    a.send_to(b"early", group, 53).unwrap();
    world.run(10);
    b.socket().set_option(0, 35, &membership).unwrap();
    a.send_to(b"hello", group, 53).unwrap();
    b.send_to(b"to myself too", group, 53).unwrap();
    world.run(10);
    assert_eq!(b.receive_from(100).unwrap().0, b"to myself too");
    assert_eq!(b.receive_from(100).unwrap().0, b"hello");
    b.socket().set_option(0, 36, &membership).unwrap();
    assert_eq!(
        b.socket().set_option(0, 36, &membership),
        Err(Errno::EADDRNOTAVAIL)
    );
    a.send_to(b"late", group, 53).unwrap();
    world.run(10);
    assert_eq!(b.receive_from(100).err(), Some(Errno::EAGAIN));
}

#[test]
fn control_messages_come_when_asked_for() {
    let (mut world, a, b) = pair();
    a.set_option(0, 2, 33).unwrap();
    for name in [8, 12, 13] {
        b.set_option(0, name, 1).unwrap();
    }
    let (socket, timestamp) = (1, 29);
    b.set_option(socket, timestamp, 1).unwrap();
    a.send_to(b"x", B, 53).unwrap();
    world.run(10);
    let mut sink = VecSink::new(10);
    let received = b.socket().receive(&mut sink, RecvFlags::empty()).unwrap();
    let info = vec![2, 0, 0, 0, 10, 0, 0, 2, 10, 0, 0, 2];
    let expected = [(0, 2, vec![33, 0, 0, 0]), (0, 1, vec![0]), (0, 8, info)];
    assert_eq!(received.control[1..], expected);
    let (level, name, time) = &received.control[0];
    assert_eq!((*level, *name, time.len()), (socket, timestamp, 16));
    let part = |at: usize| u64::from_le_bytes(time[at..at + 8].try_into().unwrap());
    let came_at = part(0) * 1_000_000 + part(8) - EPOCH;
    assert!((1_000_000..=world.clock.now()).contains(&came_at));
}

#[test]
fn a_full_receive_buffer_drops_and_ports_come_back() {
    let (mut world, a, b) = pair();
    b.set_option(1, 8, 4000).unwrap();
    for _ in 0..20 {
        a.send_to(&pattern(1000), B, 53).unwrap();
    }
    world.run(10);
    let mut count = 0;
    while b.receive_from(2000).is_ok() {
        count += 1;
    }
    assert_eq!(count, 8000 / 1256);
    let taken = world.b.socket(DGRAM);
    assert_eq!(taken.bind(B, 53), Err(Errno::EADDRINUSE));
    drop(b);
    assert_eq!(taken.bind(B, 53), Ok(()));
    drop(taken);
    let counters = world.b.stack.counters();
    assert_eq!((counters.udp_sockets, counters.udp_ports), (0, 0));
}

#[test]
fn echo_requests_are_answered() {
    let (mut world, a, _b) = pair();
    a.send_to(b"so that they know each other", B, 53).unwrap();
    world.run(10);
    let mut frame = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0];
    frame.extend([0x45, 0, 0, 32, 0, 0, 0, 0, 64, 1, 0, 0]);
    frame.extend([A.octets(), B.octets()].concat());
    frame.extend([8, 0, 0, 0, 0, 1, 0, 2]);
    frame.extend(b"ping");
    let (header, message) = (checksum(&frame[14..34], 0), checksum(&frame[34..], 0));
    frame[24..26].copy_from_slice(&header.to_be_bytes());
    frame[36..38].copy_from_slice(&message.to_be_bytes());
    world.b.port.received.lock().unwrap().push_back(frame);
    world.b.stack.poll();
    let reply = world.b.port.sent.lock().unwrap().pop_front().unwrap();
    assert_eq!((reply[23], reply[34]), (1, 0));
    assert_eq!(reply[30..34], A.octets());
    assert_eq!(reply[38..46], *b"\0\x01\0\x02ping");
}

#[test]
fn nobody_on_the_wire_can_pretend_to_be_us() {
    let (mut world, _a, b) = pair();
    world.log = Some(Vec::new());
    let sender = world.a.socket(DGRAM);
    sender.send_to(b"x", B, 53).unwrap();
    world.run(10);
    assert!(b.receive_from(10).is_ok());
    let frame = world.log.take().unwrap().pop().unwrap();
    let stranger = Ipv4Addr::new(10, 0, 0, 3);
    for (sender, heard) in [(stranger, true), (Ipv4Addr::LOCALHOST, false), (B, false)] {
        let mut frame = frame.clone();
        frame[26..30].copy_from_slice(&sender.octets());
        frame[24..26].fill(0);
        // No UDP checksum.
        frame[40..42].fill(0);
        let header = checksum(&frame[14..34], 0);
        frame[24..26].copy_from_slice(&header.to_be_bytes());
        world.b.port.received.lock().unwrap().push_back(frame);
        world.b.stack.poll();
        assert_eq!(b.receive_from(10).is_ok(), heard, "from {sender}");
    }
}

#[test]
fn a_socket_bound_to_an_interface_uses_no_other() {
    let (mut world, a, _) = pair();
    let (socket, bind_to_device) = (1, 25);
    let set =
        |handle: &Handle, name: &[u8]| handle.socket().set_option(socket, bind_to_device, name);
    let (card, inside) = (world.b.socket(DGRAM), world.b.socket(DGRAM));
    assert_eq!(set(&card, b"eth7"), Err(Errno::ENODEV));
    set(&card, b"eth0").unwrap();
    set(&inside, b"lo\0").unwrap();
    assert_eq!(
        card.socket().option(socket, bind_to_device, 16).unwrap(),
        b"eth0\0"
    );
    for handle in [&card, &inside] {
        handle.bind(Ipv4Addr::UNSPECIFIED, 60).unwrap();
    }
    a.send_to(b"from afar", B, 60).unwrap();
    let near = world.b.socket(DGRAM);
    near.send_to(b"from here", Ipv4Addr::LOCALHOST, 60).unwrap();
    world.run(10);
    assert_eq!(card.receive_from(20).unwrap().0, b"from afar");
    assert_eq!(inside.receive_from(20).unwrap().0, b"from here");
    assert_eq!(
        card.send_to(b"x", Ipv4Addr::LOCALHOST, 60),
        Err(Errno::ENETUNREACH)
    );
    set(&inside, b"").unwrap();
    assert_eq!(inside.send_to(b"x", A, 1), Ok(1));
}
