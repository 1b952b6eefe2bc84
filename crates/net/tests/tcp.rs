//! TCP between two machines and within one.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod world;

use std::net::Ipv4Addr;

use vfs::{Errno, Events, Shutdown};
use world::{AF_INET6, B, Bell, Handle, STREAM, World, pattern, transfer};

#[test]
fn a_request_and_its_answer_cross_the_wire() {
    let mut world = World::new();
    let listener = world.b.listen(80, 5);
    let (client, server) = world.connect(&listener, 80);
    assert_eq!(client.write(b"GET /"), Ok(5));
    world.run(5);
    assert_eq!(server.read(100), Ok(b"GET /".to_vec()));
    assert_eq!(server.write(b"200 OK"), Ok(6));
    world.run(5);
    assert_eq!(client.read(100), Ok(b"200 OK".to_vec()));
    assert_eq!(client.read(100), Err(Errno::EAGAIN));
    assert_eq!(client.local().ip(), world::A);
    assert_eq!(server.local(), (B, 80).into());
}

#[test]
fn a_megabyte_survives_loss_and_reordering() {
    let mut world = World::new();
    world.loss_percent = 5;
    world.reorder_percent = 5;
    let listener = world.b.listen(80, 5);
    let (client, server) = world.connect(&listener, 80);
    transfer(&mut world, &client, &server, &pattern(1 << 20));
}

#[test]
fn both_directions_and_both_ends_survive_many_links() {
    for seed in 1..40 {
        let mut world = World::new();
        world.seed(seed * 7919);
        world.loss_percent = seed % 20;
        world.reorder_percent = seed % 13;
        world.latency = 100 + u64::from(seed) * 700;
        let listener = world.b.listen(80, 5);
        let (client, server) = world.connect(&listener, 80);
        transfer(&mut world, &client, &server, &pattern(40_000));
        transfer(&mut world, &server, &client, &pattern(40_000));
        client.socket().shutdown(Shutdown::Write).unwrap();
        world.run_until(300_000, |_| server.read(1) == Ok(vec![]));
        drop(server);
        world.run_until(300_000, |_| client.read(1) == Ok(vec![]));
        drop((client, listener));
        world.run(200_000);
        assert_eq!(world.a.stack.counters().tcp_sockets, 0);
        assert_eq!(world.b.stack.counters().tcp_sockets, 0);
    }
}

#[test]
fn loopback_connects_at_once_and_carries_bulk_data() {
    let mut world = World::new();
    let listener = world.a.listen(4369, 5);
    let client = world.a.socket(STREAM);
    assert_eq!(client.connect(Ipv4Addr::LOCALHOST, 4369), Ok(()));
    let server = listener.accept().unwrap();
    let start = world.clock.now();
    transfer(&mut world, &client, &server, &pattern(1 << 20));
    assert!(
        world.clock.now() - start < 100_000,
        "{} µs",
        world.clock.now() - start
    );
}

#[test]
fn half_close_lets_the_other_direction_go_on() {
    let mut world = World::new();
    let listener = world.b.listen(80, 5);
    let (client, server) = world.connect(&listener, 80);
    client.socket().shutdown(Shutdown::Write).unwrap();
    assert_eq!(client.write(b"x"), Err(Errno::EPIPE));
    world.run(5);
    assert!(server.events().contains(Events::IN | Events::RDHUP));
    assert_eq!(server.read(10), Ok(vec![]));
    assert_eq!(server.write(b"late"), Ok(4));
    world.run(5);
    assert_eq!(client.read(10), Ok(b"late".to_vec()));
}

#[test]
fn a_port_nobody_listens_at_refuses() {
    let mut world = World::new();
    let client = world.a.socket(STREAM);
    assert_eq!(client.connect(B, 81), Err(Errno::EINPROGRESS));
    world.run(5);
    assert!(client.events().contains(Events::ERR | Events::HUP));
    assert_eq!(client.error(), i32::from(Errno::ECONNREFUSED.number()));
    assert_eq!(client.error(), 0);
    let local = world.a.socket(STREAM);
    assert_eq!(
        local.connect(Ipv4Addr::LOCALHOST, 81),
        Err(Errno::ECONNREFUSED)
    );
}

#[test]
fn a_reset_shows_as_an_error_on_the_other_side() {
    let mut world = World::new();
    let listener = world.b.listen(80, 5);
    let (client, server) = world.connect(&listener, 80);
    let linger = [1, 0, 0, 0, 0, 0, 0, 0];
    client.socket().set_option(1, 13, &linger).unwrap();
    drop(client);
    world.run(5);
    assert!(server.events().contains(Events::ERR | Events::HUP));
    assert_eq!(server.read(10), Err(Errno::ECONNRESET));
    assert_eq!(server.read(10), Ok(vec![]));
    assert_eq!(server.write(b"x"), Err(Errno::EPIPE));
    assert_eq!(world.a.stack.counters().tcp_connections, 0);
}

#[test]
fn closing_with_unread_data_resets() {
    let mut world = World::new();
    let listener = world.b.listen(80, 5);
    let (client, server) = world.connect(&listener, 80);
    client.write(b"nobody reads this").unwrap();
    world.run(5);
    drop(server);
    world.run(5);
    assert_eq!(client.read(10), Err(Errno::ECONNRESET));
}

#[test]
fn the_backlog_limits_connections_that_wait_for_accept() {
    let mut world = World::new();
    let listener = world.b.listen(80, 2);
    let clients: Vec<_> = (0..6).map(|_| world.a.socket(STREAM)).collect();
    for client in &clients {
        assert_eq!(client.connect(B, 80), Err(Errno::EINPROGRESS));
    }
    world.run(400);
    let mut accepted = Vec::new();
    while let Ok(socket) = listener.accept() {
        accepted.push(socket);
    }
    // As on Linux, one more than the backlog.
    assert_eq!(accepted.len(), 3);
    // The others were not refused: their repeated requests succeed now.
    world.run(5_000);
    while let Ok(socket) = listener.accept() {
        accepted.push(socket);
    }
    assert_eq!(accepted.len(), 6);
    assert!(clients.iter().all(|client| client.error() == 0));
}

#[test]
fn closing_a_listener_resets_who_was_not_accepted() {
    let mut world = World::new();
    let listener = world.b.listen(80, 5);
    let client = world.a.socket(STREAM);
    let _ = client.connect(B, 80);
    world.run(5);
    assert!(client.events().contains(Events::OUT));
    drop(listener);
    world.run(5);
    assert_eq!(client.read(1), Err(Errno::ECONNRESET));
    assert_eq!(world.b.stack.counters().tcp_sockets, 0);
    assert_eq!(world.b.stack.counters().tcp_ports, 0);
}

#[test]
fn a_thousand_connections_at_once_and_each_packet_touches_one() {
    let mut world = World::new();
    world.latency = 10;
    let listener = world.b.listen(80, 1000);
    let pairs: Vec<_> = (0..1000).map(|_| world.connect(&listener, 80)).collect();
    world.run(100);
    let polls = |world: &World| world.b.stack.counters().connection_polls;
    let before = polls(&world);
    for (number, (client, _)) in pairs.iter().enumerate() {
        client.write(&number.to_le_bytes()).unwrap();
        world.run(1);
    }
    for (number, (_, server)) in pairs.iter().enumerate() {
        assert_eq!(server.read(100), Ok(number.to_le_bytes().to_vec()));
    }
    // One packet: taken in, looked at for sending, and once more for the delayed acknowledgement.
    // At most once each, a timer left from the handshake fires too.
    let used = polls(&world) - before;
    assert!(used <= 4 * 1000, "{used} polls for 1000 packets");
    drop(pairs);
    world.run(20_000);
    let counters = world.b.stack.counters();
    assert_eq!((counters.tcp_sockets, counters.tcp_connections), (1, 0));
    assert_eq!((counters.tcp_memory, counters.time_wait), (0, 0));
}

#[test]
fn keep_alive_requests_cost_few_polls() {
    let mut world = World::new();
    let listener = world.b.listen(80, 5);
    let (client, server) = world.connect(&listener, 80);
    world.run(100);
    let before = world.b.stack.counters();
    for _ in 0..100 {
        client.write(b"GET / HTTP/1.1\r\n\r\n").unwrap();
        world.run(1);
        server.read(1000).unwrap();
        server.write(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
        world.run(1);
        client.read(1000).unwrap();
    }
    let after = world.b.stack.counters();
    let polls = after.connection_polls - before.connection_polls;
    // Request in and its egress, answer out, acknowledgement in (on the next request).
    assert!(polls <= 450, "{polls} polls for 100 requests");
    assert!(after.frames - before.frames <= 210);
}

#[test]
fn orphans_finish_alone_and_leave_nothing_behind() {
    let mut world = World::new();
    world.loss_percent = 20;
    let listener = world.b.listen(80, 100);
    for _ in 0..20 {
        let (client, server) = world.connect(&listener, 80);
        client.write(&pattern(5000)).unwrap();
        drop(client);
        let mut received = Vec::new();
        let limit = world.clock.now() + 120_000_000;
        loop {
            match server.read(10_000) {
                Ok(bytes) if bytes.is_empty() => break,
                Ok(bytes) => received.extend(bytes),
                Err(error) => {
                    assert_eq!(error, Errno::EAGAIN);
                    assert!(world.step(limit));
                }
            }
        }
        assert!(received == pattern(5000));
    }
    drop(listener);
    world.run(1_000_000);
    for machine in [&world.a, &world.b] {
        let counters = machine.stack.counters();
        assert_eq!(counters.tcp_sockets, 0);
        assert_eq!(counters.tcp_orphans, 0);
        assert_eq!(counters.tcp_memory, 0);
        assert_eq!(counters.tcp_ports, 0);
        assert_eq!(machine.platform.deadline(), None, "nothing is left to do");
    }
}

#[test]
fn an_orphan_whose_peer_vanished_is_given_up() {
    let mut world = World::new();
    let listener = world.b.listen(80, 5);
    let (client, _server) = world.connect(&listener, 80);
    world.loss_percent = 100;
    client.write(b"lost").unwrap();
    drop(client);
    world.run(200_000);
    assert_eq!(world.a.stack.counters().tcp_sockets, 0);
}

#[test]
fn a_silent_destination_times_out() {
    let mut world = World::new();
    world.only_arp = true;
    let client = world.a.socket(STREAM);
    assert_eq!(client.connect(B, 80), Err(Errno::EINPROGRESS));
    assert_eq!(client.connect(B, 80), Err(Errno::EALREADY));
    world.run(50_000);
    assert_eq!(client.events(), Events::empty());
    world.run(80_000);
    assert_eq!(client.error(), i32::from(Errno::ETIMEDOUT.number()));
}

#[test]
fn a_connect_gives_up_as_its_options_say() {
    let (tcp, retries, user_timeout) = (6, 7, 18);
    for (name, value, limit) in [(retries, 1, 3_000), (user_timeout, 5_000, 5_000)] {
        let mut world = World::new();
        world.only_arp = true;
        let client = world.a.socket(STREAM);
        client.set_option(tcp, name, value).unwrap();
        assert_eq!(client.connect(B, 80), Err(Errno::EINPROGRESS));
        world.run(limit - 500);
        assert_eq!(client.events(), Events::empty());
        world.run(2_000);
        assert_eq!(client.error(), i32::from(Errno::ETIMEDOUT.number()));
    }
}

#[test]
fn unacknowledged_data_times_out_as_the_option_says() {
    let mut world = World::new();
    let listener = world.b.listen(80, 5);
    let (client, _server) = world.connect(&listener, 80);
    let (tcp, user_timeout) = (6, 18);
    client.set_option(tcp, user_timeout, 30_000).unwrap();
    world.loss_percent = 100;
    client.write(b"lost").unwrap();
    world.run(29_000);
    assert!(!client.events().contains(Events::ERR));
    world.run(35_000);
    assert_eq!(client.error(), i32::from(Errno::ETIMEDOUT.number()));
}

#[test]
fn a_lingering_close_ends_when_everything_is_acknowledged() {
    let mut world = World::new();
    let listener = world.b.listen(80, 5);
    let (client, server) = world.connect(&listener, 80);
    assert_eq!(client.socket().linger(), None, "the option is off");
    let (socket, linger) = (1, 13);
    let five_seconds = [1, 0, 0, 0, 5, 0, 0, 0];
    client
        .socket()
        .set_option(socket, linger, &five_seconds)
        .unwrap();
    world.loss_percent = 100;
    client.write(b"on its way").unwrap();
    let limit = client.socket().linger();
    assert_eq!(limit, Some(std::time::Duration::from_secs(5)));
    world.run(1_500);
    assert_eq!(client.events(), Events::empty());
    world.loss_percent = 0;
    let bell = Bell::on(&client);
    world.run_until(60_000, |_| client.events().contains(Events::HUP));
    assert!(bell.rings() > 0);
    assert_eq!(server.read(100), Ok(b"on its way".to_vec()));
}

#[test]
fn tcp_info_tells_the_state() {
    let mut world = World::new();
    let listener = world.b.listen(80, 5);
    let (client, server) = world.connect(&listener, 80);
    let state = |handle: &Handle| handle.socket().option(6, 11, 104).unwrap();
    assert_eq!((state(&client)[0], state(&listener)[0]), (1, 10));
    assert_eq!(state(&client)[84..88], 1460_u32.to_le_bytes());
    drop(server);
    world.run(10);
    assert_eq!((state(&client)[0], state(&client).len()), (8, 104));
}

#[test]
fn an_absent_neighbour_is_unreachable_soon() {
    let mut world = World::new();
    let client = world.a.socket(STREAM);
    let absent = Ipv4Addr::new(10, 0, 0, 77);
    assert_eq!(client.connect(absent, 80), Err(Errno::EINPROGRESS));
    let listener = world.b.listen(80, 5);
    world.run(500);
    let start = world.clock.now();
    world.connect(&listener, 80);
    assert!(
        world.clock.now() - start < 1000,
        "others are found meanwhile"
    );
    world.run(4_000);
    assert_eq!(client.error(), i32::from(Errno::EHOSTUNREACH.number()));
    let far = world.a.socket(STREAM);
    assert_eq!(
        far.connect(Ipv4Addr::new(8, 8, 8, 8), 80),
        Err(Errno::EINPROGRESS)
    );
}

#[test]
fn keep_alive_notices_a_vanished_peer() {
    let mut world = World::new();
    let listener = world.b.listen(80, 5);
    let (client, _server) = world.connect(&listener, 80);
    client.set_option(1, 9, 1).unwrap();
    client.set_option(6, 4, 10).unwrap();
    client.set_option(6, 5, 2).unwrap();
    client.set_option(6, 6, 3).unwrap();
    world.run(60_000);
    assert!(!client.events().contains(Events::ERR), "the peer answers");
    world.loss_percent = 100;
    world.run(20_000);
    assert_eq!(client.error(), i32::from(Errno::ETIMEDOUT.number()));
}

#[test]
fn keep_alive_probes_come_at_the_idle_time() {
    let mut world = World::new();
    let listener = world.b.listen(80, 5);
    let (client, server) = world.connect(&listener, 80);
    client.set_option(1, 9, 1).unwrap();
    client.set_option(6, 4, 100).unwrap();
    client.set_option(6, 5, 2).unwrap();
    server.write(b"data, so that timers are left over").unwrap();
    world.run(10_000);
    let before = world.delivered;
    world.run(1_000_000);
    // A probe and its answer every hundred seconds, and ARP now and then.
    let frames = world.delivered - before;
    assert!((18..=60).contains(&frames), "{frames} frames");
}

#[test]
fn an_idle_connection_without_keep_alive_stays() {
    let mut world = World::new();
    let listener = world.b.listen(80, 5);
    let (client, server) = world.connect(&listener, 80);
    client.write(b"before").unwrap();
    world.run(3 * 3600 * 1000);
    assert_eq!(client.write(b"after"), Ok(5));
    world.run(5);
    assert_eq!(server.read(100), Ok(b"beforeafter".to_vec()));
}

#[test]
fn addresses_are_reused_as_linux_does() {
    let mut world = World::new();
    let first = world.b.listen(80, 5);
    let second = world.b.socket(STREAM);
    second.set_option(1, 2, 1).unwrap();
    assert_eq!(
        second.bind(Ipv4Addr::UNSPECIFIED, 80),
        Err(Errno::EADDRINUSE)
    );
    // Server closes first: its port has a connection in TIME-WAIT.
    let (client, server) = world.connect(&first, 80);
    drop(server);
    world.run(1);
    drop(client);
    drop(first);
    world.run(100);
    assert_eq!(world.b.stack.counters().time_wait, 1);
    let plain = world.b.socket(STREAM);
    assert_eq!(plain.bind(B, 80), Err(Errno::EADDRINUSE));
    assert_eq!(second.bind(Ipv4Addr::UNSPECIFIED, 80), Ok(()));
    drop(second);
    world.run(11_000);
    assert_eq!(plain.bind(B, 80), Ok(()));
    let elsewhere = world.b.socket(STREAM);
    assert_eq!(
        elsewhere.bind(Ipv4Addr::new(1, 2, 3, 4), 80),
        Err(Errno::EADDRNOTAVAIL)
    );
}

#[test]
fn a_repeated_fin_in_time_wait_is_acknowledged() {
    let mut world = World::new();
    let listener = world.b.listen(80, 5);
    let (client, server) = world.connect(&listener, 80);
    world.run(50);
    drop(server);
    world.run(1);
    drop(client);
    world.collect();
    world.run(0);
    // A's FIN is on its way. B answers it; that answer is lost, so A repeats the FIN.
    world.loss_percent = 100;
    world.run(10);
    world.loss_percent = 0;
    assert_eq!(world.b.stack.counters().time_wait, 1);
    assert_eq!(
        world.a.stack.counters().tcp_sockets,
        1,
        "A waits in LAST-ACK"
    );
    world.run(5_000);
    assert_eq!(world.a.stack.counters().tcp_sockets, 0);
}

#[test]
fn waiters_ring_exactly_when_readiness_rises() {
    let mut world = World::new();
    let listener = world.b.listen(80, 5);
    let accepts = Bell::on(&listener);
    let (client, server) = world.connect(&listener, 80);
    assert_eq!(accepts.rings(), 1);
    let bell = Bell::on(&server);
    client.write(b"one").unwrap();
    world.run(50);
    assert_eq!(bell.rings(), 1);
    client.write(b"two").unwrap();
    world.run(50);
    assert_eq!(bell.rings(), 1, "it was readable before");
    assert_eq!(server.read(100), Ok(b"onetwo".to_vec()));
    assert!(!server.events().contains(Events::IN));
    client.write(b"three").unwrap();
    world.run(50);
    assert_eq!(bell.rings(), 2);
    world.run(10_000);
    assert_eq!(bell.rings(), 2);
    drop(client);
    world.run(50);
    assert_eq!(bell.rings(), 3);
    assert!(server.events().contains(Events::IN | Events::RDHUP));
}

#[test]
fn a_writer_is_woken_when_there_is_room_again() {
    let mut world = World::new();
    let listener = world.b.listen(80, 5);
    let (client, server) = world.connect(&listener, 80);
    while client.write(&[7; 4096]).is_ok() || world.step(world.clock.now() + 50_000) {}
    assert_eq!(client.write(b"x"), Err(Errno::EAGAIN));
    assert!(!client.events().contains(Events::OUT));
    let bell = Bell::on(&client);
    world.run(1_000);
    assert_eq!(bell.rings(), 0, "nobody reads");
    while server.read(4096).is_ok() {}
    world.run(1_000);
    assert_eq!(bell.rings(), 1);
    assert!(client.events().contains(Events::OUT));
}

#[test]
fn peeking_leaves_the_data() {
    let mut world = World::new();
    let listener = world.b.listen(80, 5);
    let (client, server) = world.connect(&listener, 80);
    client.write(b"hello").unwrap();
    world.run(5);
    assert_eq!(server.peek(3), Ok(b"hel".to_vec()));
    assert_eq!(net::readable_bytes(&*server.0), Some(5));
    assert_eq!(server.read(100), Ok(b"hello".to_vec()));
    assert_eq!(server.peek(3), Err(Errno::EAGAIN));
}

#[test]
fn misuse_gets_the_errors_of_linux() {
    let world = World::new();
    let socket = world.a.socket(STREAM);
    assert_eq!(socket.events(), Events::OUT | Events::HUP);
    assert_eq!(socket.read(1), Err(Errno::ENOTCONN));
    assert_eq!(socket.write(b"x"), Err(Errno::EPIPE));
    assert_eq!(socket.accept().err(), Some(Errno::EINVAL));
    assert_eq!(
        socket.socket().shutdown(Shutdown::Both),
        Err(Errno::ENOTCONN)
    );
    assert_eq!(socket.socket().peer_address().err(), Some(Errno::ENOTCONN));
    assert_eq!(socket.socket().bind(&[2, 0, 0]), Err(Errno::EINVAL));
    assert_eq!(
        socket.connect(Ipv4Addr::BROADCAST, 80),
        Err(Errno::ENETUNREACH)
    );
    socket.bind(Ipv4Addr::LOCALHOST, 0).unwrap();
    assert_ne!(socket.local().port(), 0);
    assert_eq!(socket.bind(Ipv4Addr::LOCALHOST, 0), Err(Errno::EINVAL));
    assert_eq!(
        socket.connect(B, 80),
        Err(Errno::EINVAL),
        "bound to loopback"
    );
    socket.socket().listen(1).unwrap();
    assert_eq!(socket.option(1, 30), 1);
    assert_eq!(socket.connect(Ipv4Addr::LOCALHOST, 80), Err(Errno::EISCONN));
    assert_eq!(
        world.a.stack.socket(1, 1, 0).err(),
        Some(Errno::EAFNOSUPPORT)
    );
    assert_eq!(
        world.a.stack.socket(2, 1, 17).err(),
        Some(Errno::EPROTONOSUPPORT)
    );
}

#[test]
fn ipv6_sockets_serve_both_families() {
    let world = World::new();
    let any = |port: u16| net::emit_address(&(std::net::Ipv6Addr::UNSPECIFIED, port).into());
    let listener = Handle(world.a.stack.socket(AF_INET6, STREAM, 0).unwrap());
    listener.socket().bind(&any(80)).unwrap();
    listener.socket().listen(5).unwrap();
    let four = world.a.socket(STREAM);
    assert_eq!(four.connect(Ipv4Addr::LOCALHOST, 80), Ok(()));
    let server = listener.accept().unwrap();
    let mapped = Ipv4Addr::LOCALHOST.to_ipv6_mapped();
    assert_eq!(server.local(), (mapped, 80).into());
    let six = Handle(world.a.stack.socket(AF_INET6, STREAM, 0).unwrap());
    let localhost = net::emit_address(&(std::net::Ipv6Addr::LOCALHOST, 80).into());
    assert_eq!(six.socket().connect(&localhost), Ok(()));
    let server = listener.accept().unwrap();
    six.write(b"six").unwrap();
    assert_eq!(server.read(10), Ok(b"six".to_vec()));
}

#[test]
fn a_full_device_delays_but_loses_nothing() {
    let mut world = World::new();
    let listener = world.b.listen(80, 5);
    let (client, server) = world.connect(&listener, 80);
    world
        .a
        .port
        .room
        .store(2, std::sync::atomic::Ordering::Relaxed);
    assert_eq!(client.write(&pattern(12_000)), Ok(12_000));
    world.run(50);
    assert!(server.read(20_000).unwrap().len() < 4000);
    let frames = world.delivered;
    world
        .a
        .port
        .room
        .store(u32::MAX, std::sync::atomic::Ordering::Relaxed);
    world.run(5);
    assert_eq!(server.read(20_000).unwrap().len(), 12_000 - 2 * 1460);
    assert!(world.delivered - frames < 20, "nothing was sent twice");
}

#[test]
fn our_own_address_is_reached_without_the_wire() {
    let mut world = World::new();
    let listener = world.a.listen(80, 5);
    let client = world.a.socket(STREAM);
    assert_eq!(client.connect(world::A, 80), Ok(()));
    let server = listener.accept().unwrap();
    assert_eq!(client.local().ip(), world::A);
    client.write(b"self").unwrap();
    assert_eq!(server.read(10), Ok(b"self".to_vec()));
    world.run(100);
    assert_eq!(world.delivered, 0);
}

#[test]
fn an_orderly_end_takes_no_repeated_segments() {
    let mut world = World::new();
    let listener = world.b.listen(80, 5);
    let (client, server) = world.connect(&listener, 80);
    world.run(100);
    drop(client);
    world.run(1);
    assert_eq!(server.read(1), Ok(vec![]));
    drop(server);
    world.run(1);
    assert_eq!(world.a.stack.counters().tcp_sockets, 0);
    assert_eq!(world.a.stack.counters().time_wait, 1);
    assert_eq!(world.b.stack.counters().tcp_connections, 0);
}

#[test]
fn the_port_range_serves_many_short_connections() {
    let world = World::new();
    let listener = world.a.listen(80, 5);
    for _ in 0..40_000 {
        let client = world.a.socket(STREAM);
        assert_eq!(client.connect(Ipv4Addr::LOCALHOST, 80), Ok(()));
        let server = listener.accept().unwrap();
        // The server closes first, so that it holds the reservation.
        drop(server);
        drop(client);
        world.clock.advance_to(world.clock.now() + 500);
        world.a.stack.poll();
    }
    let counters = world.a.stack.counters();
    assert_eq!((counters.tcp_sockets, counters.tcp_connections), (1, 0));
    assert!(
        (5_000..=16_384).contains(&counters.time_wait),
        "{counters:?}"
    );
}
