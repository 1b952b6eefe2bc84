use std::cell::RefCell;
use std::rc::Rc;

use proptest::collection::vec;
use proptest::prelude::*;
use virtio_drivers::Error;
use virtio_drivers::transport::DeviceStatus;

use super::fake::{Device, FakeHal, FakeTransport, allocated};
use super::header::{Checksum, Offload, Segments};
use super::net::{BUFFER_SIZE, BUFFERS, Net};

const RX: usize = 0;
const TX: usize = 1;
const CSUM: u64 = 1;
const GUEST_CSUM: u64 = 1 << 1;
const MTU: u64 = 1 << 3;
const MAC: u64 = 1 << 5;
const GUEST_TSO4: u64 = 1 << 7;
const HOST_TSO4: u64 = 1 << 11;
const HOST_TSO6: u64 = 1 << 12;
const MRG_RXBUF: u64 = 1 << 15;
const ANY_LAYOUT: u64 = 1 << 27;
const EVENT_IDX: u64 = 1 << 29;
const VERSION_1: u64 = 1 << 32;
const ADDRESS: [u8; 6] = [0x52, 0x54, 0, 1, 2, 3];

type Card = Net<FakeHal, FakeTransport>;
type Shared = Rc<RefCell<Device>>;

fn start(features: u64, queue_size: u32) -> Result<(Card, Shared), Error> {
    let mut config = ADDRESS.to_vec();
    config.extend([1, 0, 1, 0]);
    config.extend(1400u16.to_le_bytes());
    let device = Rc::new(RefCell::new(Device::new(features, config)));
    let transport = FakeTransport {
        device: Rc::clone(&device),
        queue_size,
        is_legacy: features & VERSION_1 == 0,
    };
    Ok((Net::new(transport, |_| {})?, device))
}

fn modern() -> (Card, Shared) {
    start(VERSION_1 | MAC, 256).unwrap()
}

/// Every combination of features that changes how packets lie in the queues, with its header.
fn layouts() -> Vec<(u64, usize)> {
    let base = [
        (0, 10),
        (ANY_LAYOUT, 10),
        (MRG_RXBUF, 12),
        (MRG_RXBUF | ANY_LAYOUT, 12),
        (VERSION_1, 12),
        (VERSION_1 | MRG_RXBUF, 12),
    ];
    let events = [0, EVENT_IDX];
    base.into_iter()
        .flat_map(|(bits, header)| events.map(|event| (bits | event | MAC, header)))
        .collect()
}

/// The device receives a packet for the driver, as many buffers as it takes, behind a header that
/// starts with `flags`.
fn arrive_flagged(device: &Shared, header: usize, flags: u8, frame: &[u8]) {
    let mut device = device.borrow_mut();
    let mut packet = [&vec![0; header], frame].concat();
    let count = packet.len().div_ceil(BUFFER_SIZE);
    packet[0] = flags;
    if header == 12 {
        packet[10..12].copy_from_slice(&(count as u16).to_le_bytes());
    }
    for part in packet.chunks(BUFFER_SIZE) {
        let chain = device.take(RX).expect("a receive buffer");
        assert!(Device::scatter(&chain, part).is_empty());
        device.give_back(RX, chain.0, part.len() as u32);
    }
}

fn arrive(device: &Shared, header: usize, frame: &[u8]) {
    arrive_flagged(device, header, 0, frame);
}

/// The next packet that the driver sent, header included; given back at once.
fn departed(device: &Shared) -> Option<Vec<u8>> {
    let mut device = device.borrow_mut();
    let chain = device.take(TX)?;
    let packet = Device::gather(&chain);
    device.give_back(TX, chain.0, 0);
    Some(packet)
}

fn received(card: &mut Card) -> Option<(Vec<u8>, bool)> {
    let mut frame = Vec::new();
    let verified = card.receive(|bytes| frame.extend_from_slice(bytes))?;
    Some((frame, verified))
}

fn send(card: &mut Card, frame: &[u8]) -> bool {
    let sent = card.transmit(frame.len(), |buffer| {
        buffer.copy_from_slice(frame);
        Offload::default()
    });
    card.flush();
    sent
}

#[test]
fn starts_with_what_the_device_offers() {
    let (card, device) = start(u64::MAX, 1024).unwrap();
    assert_eq!((card.mac(), card.mtu()), (ADDRESS, 1400));
    assert!(card.abilities().checksums);
    assert_eq!(card.abilities().segments, [true, true]);
    let device = device.borrow();
    let guest_tso = 3 << 7;
    assert_eq!(
        device.accepted,
        CSUM | GUEST_CSUM
            | MTU
            | MAC
            | guest_tso
            | HOST_TSO4
            | HOST_TSO6
            | MRG_RXBUF
            | ANY_LAYOUT
            | EVENT_IDX
            | VERSION_1
    );
    assert!(device.status.contains(DeviceStatus::DRIVER_OK));
    assert!(device.may_interrupt(RX));
}

#[test]
fn features_are_not_taken_without_those_they_need() {
    let (card, device) = start(VERSION_1 | GUEST_TSO4 | GUEST_CSUM | HOST_TSO4, 256).unwrap();
    assert_eq!(device.borrow().accepted, VERSION_1 | GUEST_CSUM);
    assert_eq!(card.abilities().segments, [false, false]);
    let (_, device) = start(VERSION_1 | GUEST_TSO4 | MRG_RXBUF, 256).unwrap();
    assert_eq!(device.borrow().accepted, VERSION_1 | MRG_RXBUF);
}

#[test]
fn a_device_that_names_nothing_gets_defaults() {
    let (card, _) = start(VERSION_1, 256).unwrap();
    assert_eq!((card.mac()[0] & 3, card.mtu()), (2, 1500));
}

#[test]
fn every_received_buffer_goes_back_whatever_the_layout() {
    for (features, header) in layouts() {
        let (mut card, device) = start(features, 256).unwrap();
        for round in 0..70_000u32 {
            let interrupts = device.borrow().may_interrupt(RX);
            assert!(interrupts, "round {round} with {features:#x}");
            arrive(&device, header, &round.to_le_bytes());
            let frame = received(&mut card).unwrap();
            assert_eq!(frame, (round.to_le_bytes().to_vec(), false));
            assert_eq!(received(&mut card), None);
            card.flush();
        }
        let offered = core::iter::from_fn(|| device.borrow_mut().take(RX)).count();
        assert_eq!(offered, usize::from(BUFFERS));
    }
}

#[test]
fn there_is_one_interrupt_for_a_batch() {
    for events in [0, EVENT_IDX] {
        let (mut card, device) = start(VERSION_1 | events, 256).unwrap();
        arrive(&device, 12, b"one");
        received(&mut card).unwrap();
        arrive(&device, 12, b"two");
        assert!(
            !device.borrow().may_interrupt(RX),
            "the driver looks anyway"
        );
        received(&mut card).unwrap();
        assert_eq!(received(&mut card), None);
        assert!(device.borrow().may_interrupt(RX));
    }
}

#[test]
fn frames_are_sent_behind_a_header_whatever_the_layout() {
    for (features, header) in layouts() {
        let (mut card, device) = start(features, 256).unwrap();
        for round in 0..70_000u32 {
            device.borrow_mut().want_notifications(TX, round % 3 != 0);
            device.borrow_mut().notified.clear();
            assert!(send(&mut card, &round.to_le_bytes()));
            let packet = departed(&device).unwrap();
            assert_eq!(packet[..header], vec![0; header]);
            assert_eq!(packet[header..], round.to_le_bytes());
            let notified = device.borrow().notified.contains(&1);
            assert_eq!(notified, round % 3 != 0, "round {round} with {features:#x}");
        }
    }
}

#[test]
fn frames_that_leave_together_take_one_notification() {
    for events in [0, EVENT_IDX] {
        let (mut card, device) = start(VERSION_1 | events, 256).unwrap();
        device.borrow_mut().want_notifications(TX, true);
        device.borrow_mut().notified.clear();
        for _ in 0..3 {
            assert!(card.transmit(60, |frame| {
                frame.fill(0);
                Offload::default()
            }));
        }
        assert!(device.borrow().notified.is_empty());
        card.flush();
        card.flush();
        assert_eq!(device.borrow().notified, [1]);
    }
}

#[test]
fn a_full_queue_refuses_and_asks_for_an_interrupt() {
    for events in [0, EVENT_IDX] {
        let (mut card, device) = start(VERSION_1 | events, 256).unwrap();
        let sent = (0..1000).take_while(|_| send(&mut card, &[1; 14])).count();
        assert_eq!(sent, usize::from(BUFFERS));
        assert!(device.borrow().may_interrupt(TX));
        departed(&device).unwrap();
        assert!(send(&mut card, &[1; 14]));
        assert!(!device.borrow().may_interrupt(TX));
    }
}

#[test]
fn a_full_queue_is_announced_before_anyone_waits_for_it() {
    let (mut card, device) = modern();
    device.borrow_mut().notified.clear();
    while card.transmit(14, |frame| {
        frame.fill(1);
        Offload::default()
    }) {}
    assert_eq!(device.borrow().notified, [1]);
}

#[test]
fn frames_of_a_wrong_length_are_refused() {
    let (mut card, device) = modern();
    for length in [0, 2037, usize::MAX - 4, usize::MAX] {
        assert!(!card.transmit(length, |_| panic!("must not be called")));
    }
    assert!(send(&mut card, &[7; 2036]));
    assert_eq!(departed(&device).unwrap().len(), 2048);
}

#[test]
fn an_old_device_gets_the_header_on_its_own() {
    let (mut card, device) = start(MAC, 256).unwrap();
    assert!(send(&mut card, &[9; 20]));
    let chain = device.borrow_mut().take(TX).unwrap();
    let lengths: Vec<_> = chain.1.iter().map(|part| part.1).collect();
    assert_eq!(lengths, [10, 20]);
}

#[test]
fn queues_of_any_size_will_do() {
    for size in [1024, 256, 64, 4] {
        for features in [MAC, MAC | EVENT_IDX | MRG_RXBUF, VERSION_1] {
            let (mut card, device) = start(features, size).unwrap();
            assert!(send(&mut card, b"hi"));
            assert!(departed(&device).unwrap().ends_with(b"hi"));
        }
    }
    assert_eq!(start(MAC, 0).err(), Some(Error::InvalidParam));
    assert_eq!(start(MAC, 100).err(), Some(Error::InvalidParam));
}

#[test]
fn the_device_completes_checksums_and_cuts_packets() {
    let (mut card, device) = start(VERSION_1 | CSUM | HOST_TSO4 | HOST_TSO6, 256).unwrap();
    let offload = Offload {
        checksum: Some(Checksum {
            start: 34,
            offset: 16,
        }),
        segments: Some(Segments {
            is_ipv6: true,
            header: 66,
            payload: 1440,
        }),
    };
    let longest = card.abilities().longest;
    assert!(card.transmit(longest, |frame| {
        frame.fill(3);
        offload
    }));
    let packet = departed(&device).unwrap();
    assert_eq!(packet[..12], [1, 4, 66, 0, 0xa0, 5, 34, 0, 16, 0, 0, 0]);
    assert_eq!(packet[12..], vec![3; longest]);
    assert!(!card.transmit(longest + 1, |_| panic!("must not be called")));
    // The next frame from the same buffer wants nothing.
    let large = (0..100).take_while(|_| send(&mut card, &[4; 3000])).count();
    assert_eq!(large, 8);
    assert_eq!(departed(&device).unwrap()[..12], [0; 12]);
}

#[test]
fn a_large_packet_is_spread_over_buffers() {
    let features = VERSION_1 | GUEST_CSUM | GUEST_TSO4 | MRG_RXBUF;
    let (mut card, device) = start(features, 256).unwrap();
    let frame: Vec<u8> = (0..65_000u32).map(|index| index as u8).collect();
    for flags in [0, 1, 2] {
        arrive_flagged(&device, 12, flags, &frame);
        assert_eq!(received(&mut card), Some((frame.clone(), flags != 0)));
    }
    assert_eq!(received(&mut card), None);
}

#[test]
fn a_device_that_breaks_the_rules_is_left_alone() {
    for head in [0xffff, 200] {
        let (mut card, device) = modern();
        device.borrow_mut().give_back(RX, head, 100);
        assert_eq!(received(&mut card), None);
        assert!(!send(&mut card, &[0; 60]));
    }
    let (mut card, device) = modern();
    let chain = device.borrow_mut().take(RX).unwrap();
    device.borrow_mut().give_back(RX, chain.0, u32::MAX);
    assert_eq!(received(&mut card).unwrap().0.len(), 2048 - 12);
    let chain = device.borrow_mut().take(RX).unwrap();
    device.borrow_mut().give_back(RX, chain.0, 5);
    assert_eq!(received(&mut card), Some((vec![], false)));
}

#[test]
fn a_packet_whose_parts_are_missing_is_the_last() {
    let (mut card, device) = start(VERSION_1 | MRG_RXBUF, 256).unwrap();
    let chain = device.borrow_mut().take(RX).unwrap();
    let mut packet = [0; 20];
    packet[10] = 2;
    Device::scatter(&chain, &packet);
    device.borrow_mut().give_back(RX, chain.0, 20);
    assert_eq!(received(&mut card), Some((vec![0; 8], false)));
    assert!(!send(&mut card, &[0; 60]));
}

#[test]
fn memory_is_given_back() {
    let before = allocated();
    drop(modern());
    assert_eq!(allocated(), before);
}

/// What a hostile device says about a used buffer.
#[derive(Clone, Debug)]
struct Lie {
    queue: usize,
    head: u16,
    length: u32,
    /// Written into the memory of a buffer that the device was given, if it has one.
    content: Vec<u8>,
}

fn lies() -> impl Strategy<Value = Lie> {
    let head = prop_oneof![0..300u16, any::<u16>()];
    let length = prop_oneof![0..4096u32, any::<u32>()];
    let parts = (0..2usize, head, length, vec(any::<u8>(), 0..20));
    parts.prop_map(|(queue, head, length, content)| Lie {
        queue,
        head,
        length,
        content,
    })
}

proptest! {
    #[test]
    fn nothing_that_a_device_says_brings_the_driver_down(
        layout in proptest::sample::select(layouts()),
        lies in vec(lies(), 1..40),
    ) {
        let (mut card, device) = start(layout.0 | GUEST_CSUM | CSUM, 256).unwrap();
        for lie in lies {
            {
                let mut device = device.borrow_mut();
                if lie.queue == RX && lie.head % 2 == 0 && let Some(chain) = device.take(RX) {
                    Device::scatter(&chain, &lie.content);
                    device.give_back(RX, chain.0, lie.length);
                } else {
                    device.give_back(lie.queue, lie.head, lie.length);
                }
            }
            while let Some((frame, _)) = received(&mut card) {
                prop_assert!(frame.len() <= usize::from(BUFFERS) * BUFFER_SIZE);
            }
            send(&mut card, &[0; 60]);
        }
    }

    #[test]
    fn packets_of_all_sizes_arrive_as_they_were(
        packets in vec((14..9000usize, any::<u8>()), 1..60),
        events in any::<bool>(),
    ) {
        let events = if events { EVENT_IDX } else { 0 };
        let features = VERSION_1 | GUEST_CSUM | GUEST_TSO4 | MRG_RXBUF | events;
        let (mut card, device) = start(features, 256).unwrap();
        for (length, byte) in packets {
            let frame = vec![byte; length];
            arrive(&device, 12, &frame);
            prop_assert_eq!(received(&mut card), Some((frame, false)));
        }
    }
}
