//! Devices that complete checksums and cut TCP packets.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod world;

use net::Abilities;
use world::{World, pattern, transfer};

fn cutting() -> Abilities {
    Abilities {
        checksums: true,
        segments: [true, true],
        longest: 32 << 10,
    }
}

fn completing() -> Abilities {
    Abilities {
        checksums: true,
        ..Abilities::default()
    }
}

#[test]
fn data_arrives_whatever_is_left_to_the_device() {
    for abilities in [completing(), cutting()] {
        for loss in [0, 5] {
            let mut world = World::of(abilities);
            world.loss_percent = loss;
            let listener = world.b.listen(80, 5);
            let (client, server) = world.connect(&listener, 80);
            transfer(&mut world, &client, &server, &pattern(300_000));
            transfer(&mut world, &server, &client, &pattern(300_000));
        }
    }
}

#[test]
fn a_device_that_cuts_is_given_packets_to_cut() {
    let frames = |abilities| {
        let mut world = World::of(abilities);
        let listener = world.b.listen(80, 5);
        let (client, server) = world.connect(&listener, 80);
        transfer(&mut world, &client, &server, &pattern(300_000));
        world.a.port.handed_over()
    };
    // Nine frames of 1460 bytes go into one packet of 16 KiB, the send buffer's size.
    assert!(frames(cutting()) * 3 < frames(completing()));
}

#[test]
fn udp_datagrams_get_their_checksums() {
    let world = &mut World::of(completing());
    let (a, b) = (world.a.socket(world::DGRAM), world.b.socket(world::DGRAM));
    b.bind(world::B, 53).unwrap();
    // Whole, and in parts, for which the device cannot.
    for length in [8, 4000] {
        a.send_to(&pattern(length), world::B, 53).unwrap();
        world.run(1000);
        assert_eq!(b.receive_from(5000).unwrap().0, pattern(length));
    }
}
