//! Foreign bytes: addresses, random frames and damaged frames.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod world;

use std::net::{Ipv6Addr, SocketAddr};

use net::{Addressing6, Config, emit_address, parse_address};
use proptest::prelude::*;
use vfs::Errno;
use world::{A, B, DGRAM, Handle, STREAM, World, checksum, static_config};

const A6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
const B6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 2);

proptest! {
    #[test]
    fn addresses_survive_a_round_trip(address: SocketAddr) {
        let raw = emit_address(&address);
        prop_assert_eq!(raw.len(), if address.is_ipv4() { 16 } else { 28 });
        prop_assert_eq!(parse_address(&raw), Ok(address));
    }

    #[test]
    fn any_address_bytes_are_parsed_or_refused(raw in prop::collection::vec(any::<u8>(), 0..40)) {
        if let Ok(address) = parse_address(&raw) {
            prop_assert_eq!(parse_address(&emit_address(&address)), Ok(address));
        }
    }

    #[test]
    fn any_option_is_answered(level in -1..300, name in -1..300, value in prop::collection::vec(any::<u8>(), 0..24)) {
        let world = World::new();
        for kind in [STREAM, DGRAM] {
            let socket = world.a.socket(kind);
            let set = socket.socket().set_option(level, name, &value);
            let got = socket.socket().option(level, name, value.len());
            if set.is_ok() {
                prop_assert!(got.is_ok() || (35..=36).contains(&name), "{} {} can be set but not read", level, name);
            }
            prop_assert!(got.map_or(0, |bytes| bytes.len()) <= value.len());
        }
    }
}

/// Traffic of every kind, as frames from A to B and the sockets at B that expect it.
fn conversation() -> (World, Vec<Vec<u8>>, Vec<Handle>) {
    let both = |four, six| Config {
        addressing6: Addressing6::Static {
            address: six,
            prefix: 64,
            gateway: None,
        },
        ..static_config(four)
    };
    let mut world = World::with(both(A, A6), both(B, B6));
    world.run(2000);
    let listener = world.b.listen(80, 5);
    let datagrams = world.b.socket6(DGRAM);
    datagrams.bind(Ipv6Addr::UNSPECIFIED, 53).unwrap();
    world.log = Some(Vec::new());
    let client = world.a.socket(STREAM);
    assert_eq!(client.connect(B, 80), Err(Errno::EINPROGRESS));
    let sender = world.a.socket(DGRAM);
    sender.connect(B, 54).unwrap();
    let sender6 = world.a.socket6(DGRAM);
    for _ in 0..40 {
        world.run(1);
        let _ = client.write(b"some data that crosses the wire");
        let _ = sender.write(b"unexpected");
        let _ = sender.send_to(b"expected", B, 53);
        let _ = sender6.send_to(b"expected", B6, 53);
        let _ = sender6.send_to(b"unexpected", B6, 54);
        let _ = sender6.send_to(&[7; 3000], B6, 53);
    }
    let frames = world.log.take().unwrap();
    let server = listener.accept().unwrap();
    assert!(frames.len() > 50);
    (world, frames, vec![listener, datagrams, server])
}

#[test]
fn damaged_frames_do_no_harm() {
    let (mut world, frames, sockets) = conversation();
    let random = world::Random::new(7);
    for round in 0..60_000 {
        let mut frame = frames[random.next() as usize % frames.len()].clone();
        for _ in 0..=random.next() % 4 {
            // Mostly in the headers.
            let at = random.next() as usize % frame.len().min(70);
            frame[at] = random.next() as u8;
        }
        if random.percent(20) {
            frame.truncate(random.next() as usize % (frame.len() + 1));
        }
        if random.percent(50) {
            fix_checksums(&mut frame);
        }
        world.b.port.received.lock().unwrap().push_back(frame);
        world.b.stack.poll();
        world.b.port.sent.lock().unwrap().clear();
        if round % 100 == 0 {
            world.clock.advance_to(world.clock.now() + 1_000_000);
            for socket in &sockets {
                let _ = socket.read(10_000);
                let _ = socket.write(b"x");
                let _ = socket.accept();
            }
        }
    }
    assert!(world.b.stack.counters().frames > 60_000);
    // The machine still works.
    let fresh = world.b.listen(81, 5);
    world.run(200_000);
    let (client, server) = world.connect(&fresh, 81);
    client.write(b"alive").unwrap();
    world.run(10);
    assert_eq!(server.read(10), Ok(b"alive".to_vec()));
}

/// Makes the checksums right again so that damage gets past them.
fn fix_checksums(frame: &mut [u8]) {
    match frame.get(12..14) {
        Some([8, 0]) if frame.len() >= 54 => fix_checksums_v4(frame),
        Some([0x86, 0xdd]) if frame.len() >= 74 => fix_checksums_v6(frame),
        _ => {}
    }
}

fn fix_checksums_v6(frame: &mut [u8]) {
    frame[14] = 0x60;
    let length = (frame.len() - 54) as u16;
    frame[18..20].copy_from_slice(&length.to_be_bytes());
    let protocol = frame[20];
    let at = match protocol {
        6 => 70,
        17 => 60,
        58 => 56,
        _ => return,
    };
    frame[at..at + 2].fill(0);
    let pseudo = !checksum(&frame[22..54], u32::from(protocol) + u32::from(length));
    let message = checksum(&frame[54..], u32::from(pseudo));
    frame[at..at + 2].copy_from_slice(&message.to_be_bytes());
}

fn fix_checksums_v4(frame: &mut [u8]) {
    frame[14] = 0x45;
    let length = (frame.len() - 14) as u16;
    frame[16..18].copy_from_slice(&length.to_be_bytes());
    frame[24..26].fill(0);
    let header = checksum(&frame[14..34], 0);
    frame[24..26].copy_from_slice(&header.to_be_bytes());
    let (protocol, payload) = (frame[23], frame.len() - 34);
    let at = match protocol {
        6 => 50,
        17 => 40,
        _ => return,
    };
    frame[at..at + 2].fill(0);
    let pseudo = !checksum(&frame[26..34], u32::from(protocol) + payload as u32);
    let message = checksum(&frame[34..], u32::from(pseudo));
    frame[at..at + 2].copy_from_slice(&message.to_be_bytes());
}

#[test]
fn random_bytes_do_no_harm() {
    let (mut world, ..) = conversation();
    let random = world::Random::new(99);
    for _ in 0..20_000 {
        let length = random.next() as usize % 120;
        let mut frame: Vec<u8> = (0..length).map(|_| random.next() as u8).collect();
        if let Some(header) = frame.get_mut(..14) {
            header[..6].copy_from_slice(&[2, 0, 0, 0, 0, 2]);
            let kind = [[8, 0], [8, 6], [0x86, 0xdd]][random.next() as usize % 3];
            header[12..14].copy_from_slice(&kind);
        }
        world.b.port.received.lock().unwrap().push_back(frame);
        world.b.stack.poll();
    }
    world.run(1000);
}

#[test]
fn a_flood_of_requests_is_bounded() {
    let (mut world, frames, _sockets) = conversation();
    let is_request =
        |frame: &&Vec<u8>| frame.len() >= 54 && frame[23] == 6 && frame[47] & 0x12 == 2;
    let request = frames.iter().find(is_request).unwrap().clone();
    for number in 0..10_000_u16 {
        let mut frame = request.clone();
        frame[34..36].copy_from_slice(&number.to_be_bytes());
        fix_checksums(&mut frame);
        world.b.port.received.lock().unwrap().push_back(frame);
        world.b.stack.poll();
    }
    let counters = world.b.stack.counters();
    assert!(counters.tcp_connections <= 70, "{counters:?}");
    assert!(counters.tcp_connections >= 60, "the flood is real");
    world.loss_percent = 100;
    world.run(100_000);
    assert_eq!(
        world.b.stack.counters().tcp_connections,
        1,
        "handshakes are given up"
    );
}
