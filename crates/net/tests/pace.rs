//! Connections whose ends read and write at their own pace: nothing waits for long for a timer.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod world;

use std::net::Ipv4Addr;
use vfs::Errno;
use world::{Handle, STREAM, World, pattern};

/// Writes until there is no room; gives how much that was.
fn fill(handle: &Handle, data: &[u8]) -> usize {
    let mut sent = 0;
    loop {
        match handle.write(&data[sent..]) {
            Ok(count) => sent += count,
            Err(error) => {
                assert_eq!(error, Errno::EAGAIN);
                return sent;
            }
        }
    }
}

/// Reads what is there.
fn drain(handle: &Handle) -> usize {
    let mut count = 0;
    while let Ok(bytes) = handle.read(4000) {
        count += bytes.len();
    }
    count
}

/// Both ends read until all bytes under way are there. Gives how long that takes, in microseconds.
fn drain_all(world: &mut World, ends: [&Handle; 2], under_way: usize) -> u64 {
    let start = world.clock.now();
    let limit = start + 300_000_000;
    let mut read = 0;
    while read < under_way {
        read += ends.map(drain).iter().sum::<usize>();
        assert!(
            read == under_way || world.step(limit),
            "{read} of {under_way} bytes arrived"
        );
    }
    world.clock.now() - start
}

/// Both ends write and nobody reads, for long enough that both probe the other's closed window;
/// then both read. Gives how long it takes until everything is there, in microseconds.
fn time_to_drain(world: &mut World, ends: [&Handle; 2], pause: u64) -> u64 {
    let data = pattern(400_000);
    let mut under_way = 0;
    let limit = world.clock.now() + pause * 1000;
    loop {
        under_way += ends.map(|end| fill(end, &data)).iter().sum::<usize>();
        if !world.step(limit) {
            break;
        }
    }
    drain_all(world, ends, under_way)
}

#[test]
fn both_ends_may_probe_at_once() {
    // Probes come after 1, 3, 7, … seconds; around these times they are under way.
    for pause in (0..2000).step_by(40).chain((2900..7200).step_by(50)) {
        let mut world = World::new();
        world.latency = 20_000;
        let listener = world.b.listen(80, 1);
        let (a, b) = world.connect(&listener, 80);
        let time = time_to_drain(&mut world, [&a, &b], pause);
        assert!(time < 2_000_000, "after a pause of {pause} ms: {time} us");
    }
}

/// Who writes to a closed window probes it at once.
#[test]
fn both_ends_may_write_to_closed_windows() {
    for pause in (0..100).step_by(5) {
        let mut world = World::new();
        world.latency = 20_000;
        let listener = world.b.listen(80, 1);
        let (a, b) = world.connect(&listener, 80);
        let window = pattern(16_384);
        let mut under_way = 0;
        for data in [&window[..], b"and more"] {
            under_way += 2 * data.len();
            for end in [&a, &b] {
                assert_eq!(end.write(data), Ok(data.len()));
            }
            world.run(if data.len() > 100 { 1000 } else { pause });
        }
        let time = drain_all(&mut world, [&a, &b], under_way);
        assert!(time < 2_000_000, "after a pause of {pause} ms: {time} us");
    }
}

#[test]
fn both_ends_may_probe_at_once_on_the_loopback_interface() {
    for pause in (0..7000).step_by(100) {
        let mut world = World::new();
        let listener = world.a.listen(80, 1);
        let client = world.a.socket(STREAM);
        client.connect(Ipv4Addr::LOCALHOST, 80).unwrap_or_default();
        world.run(10);
        let server = listener.accept().unwrap();
        let time = time_to_drain(&mut world, [&client, &server], pause);
        assert!(time < 2_000_000, "after a pause of {pause} ms: {time} us");
    }
}
