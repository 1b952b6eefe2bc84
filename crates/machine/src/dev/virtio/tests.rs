use std::cell::RefCell;
use std::rc::Rc;

use virtio_drivers::transport::{DeviceStatus, DeviceType, Transport};
use virtio_drivers::{Error, PAGE_SIZE};

use super::super::pci::fake::Fake;
use super::super::registers::fake::FakeRegisters;
use super::fake::{Device, FakeHal, FakeTransport, shared};
use super::net::Net;
use super::pci_legacy::{self, LegacyPci};
use super::pci_modern::{ModernPci, Place, Places};

const RX: usize = 0;
const TX: usize = 1;
const VERSION_1: u64 = 1 << 32;
const MAC: u64 = 1 << 5;
const MTU: u64 = 1 << 3;
const ANY_LAYOUT: u64 = 1 << 27;
const ADDRESS: [u8; 6] = [0x52, 0x54, 0, 1, 2, 3];

type Card = Net<FakeHal, FakeTransport>;

fn start(features: u64, queue_size: u32) -> Result<(Card, Rc<RefCell<Device>>), Error> {
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

fn modern() -> (Card, Rc<RefCell<Device>>) {
    start(VERSION_1 | MAC, 256).unwrap()
}

/// The device receives a frame for the driver, behind a header of `header` bytes.
fn arrive(device: &RefCell<Device>, header: usize, frame: &[u8]) {
    let mut device = device.borrow_mut();
    let chain = device.take(RX).expect("a receive buffer");
    let packet = [&vec![0; header], frame].concat();
    Device::scatter(&chain, &packet);
    device.give_back(RX, chain.0, packet.len() as u32);
}

/// The next frame that the driver sent, header included; given back at once.
fn departed(device: &RefCell<Device>) -> Option<Vec<u8>> {
    let mut device = device.borrow_mut();
    let chain = device.take(TX)?;
    let packet = Device::gather(&chain);
    device.give_back(TX, chain.0, 0);
    Some(packet)
}

fn received(card: &mut Card) -> Option<Vec<u8>> {
    let mut frame = None;
    let any = card.receive(|bytes| frame = Some(bytes.to_vec()));
    assert_eq!(any, frame.is_some());
    frame
}

#[test]
fn starts_with_address_and_size_from_the_device() {
    let (card, device) = start(u64::MAX, 1024).unwrap();
    assert_eq!((card.mac(), card.mtu()), (ADDRESS, 1400));
    let device = device.borrow();
    assert_eq!(device.accepted, VERSION_1 | MAC | MTU | ANY_LAYOUT);
    assert!(device.status.contains(DeviceStatus::DRIVER_OK));
    assert!(device.may_interrupt(RX) && !device.may_interrupt(TX));
}

#[test]
fn a_device_that_names_nothing_gets_defaults() {
    let (card, _) = start(VERSION_1, 256).unwrap();
    assert_eq!((card.mac()[0] & 3, card.mtu()), (2, 1500));
}

#[test]
fn every_received_buffer_goes_back() {
    let (mut card, device) = modern();
    for round in 0..70_000u32 {
        arrive(&device, 12, &round.to_le_bytes());
        assert_eq!(received(&mut card).unwrap(), round.to_le_bytes());
    }
    assert_eq!(received(&mut card), None);
    let offered = core::iter::from_fn(|| device.borrow_mut().take(RX)).count();
    assert_eq!(offered, 128);
}

#[test]
fn frames_are_sent_behind_an_empty_header() {
    let (mut card, device) = modern();
    for round in 0..70_000u32 {
        assert!(card.transmit(60, |frame| {
            frame.fill(0);
            frame[..4].copy_from_slice(&round.to_le_bytes());
        }));
        let packet = departed(&device).unwrap();
        assert_eq!((packet.len(), &packet[..12]), (72, &[0; 12][..]));
        assert_eq!(packet[12..16], round.to_le_bytes());
    }
    assert_eq!(
        device
            .borrow()
            .notified
            .iter()
            .filter(|&&queue| queue == 1)
            .count(),
        70_000
    );
}

#[test]
fn a_full_queue_refuses_and_asks_for_an_interrupt() {
    let (mut card, device) = modern();
    let sent = (0..1000)
        .take_while(|_| card.transmit(14, |frame| frame.fill(1)))
        .count();
    assert_eq!(sent, 128);
    assert!(device.borrow().may_interrupt(TX));
    assert!(!card.can_transmit());
    departed(&device).unwrap();
    assert!(card.can_transmit());
    assert!(!device.borrow().may_interrupt(TX));
}

#[test]
fn frames_of_a_wrong_length_are_refused() {
    let (mut card, device) = modern();
    for length in [0, 2037, usize::MAX - 64] {
        assert!(!card.transmit(length, |_| panic!("must not be called")));
    }
    assert!(card.transmit(2036, |frame| frame.fill(7)));
    assert_eq!(departed(&device).unwrap().len(), 2048);
}

#[test]
fn interrupts_can_be_turned_off() {
    let (mut card, device) = modern();
    card.set_interrupts_enabled(false);
    assert!(!device.borrow().may_interrupt(RX));
    card.set_interrupts_enabled(true);
    assert!(device.borrow().may_interrupt(RX));
}

#[test]
fn an_old_device_gets_the_header_on_its_own() {
    let (mut card, device) = start(MAC, 256).unwrap();
    assert!(card.transmit(20, |frame| frame.fill(9)));
    let chain = device.borrow_mut().take(TX).unwrap();
    let lengths: Vec<_> = chain.1.iter().map(|part| part.1).collect();
    assert_eq!(lengths, [10, 20]);
    device.borrow_mut().give_back(TX, chain.0, 0);
    arrive(&device, 10, b"hello");
    assert_eq!(received(&mut card).unwrap(), b"hello");
}

#[test]
fn an_old_device_with_any_layout_gets_one_buffer() {
    let (mut card, device) = start(MAC | ANY_LAYOUT, 256).unwrap();
    assert!(card.transmit(20, |frame| frame.fill(9)));
    assert_eq!(device.borrow_mut().take(TX).unwrap().1.len(), 1);
}

#[test]
fn queues_of_a_wrong_size_are_refused() {
    assert_eq!(start(MAC, 512).err(), Some(Error::InvalidParam));
    assert_eq!(start(VERSION_1, 128).err(), Some(Error::InvalidParam));
}

#[test]
fn a_device_that_breaks_the_rules_is_left_alone() {
    for token in [0xffff, 200] {
        let (mut card, device) = modern();
        device.borrow_mut().give_back(RX, token, 100);
        assert_eq!(received(&mut card), None);
        assert!(!card.transmit(60, |_| {}));
    }
    let (mut card, device) = modern();
    let chain = device.borrow_mut().take(RX).unwrap();
    device.borrow_mut().give_back(RX, chain.0, u32::MAX);
    assert_eq!(received(&mut card).unwrap().len(), 2048 - 12);
    let chain = device.borrow_mut().take(RX).unwrap();
    device.borrow_mut().give_back(RX, chain.0, 5);
    assert_eq!(received(&mut card).unwrap(), b"");
}

#[test]
fn the_device_holds_nothing_but_the_receive_buffers() {
    let (mut card, device) = modern();
    for _ in 0..3 {
        assert!(card.transmit(60, |_| {}));
        departed(&device).unwrap();
    }
    assert!(card.can_transmit());
    assert_eq!(shared(), 128);
}

/// Capabilities as QEMU's modern devices have them, but in I/O ports as OpenBSD's have.
fn places() -> Option<Places> {
    let fake = Fake::default();
    let words = [
        (0x04, 1 << 20),
        (0x34, 0x40),
        (0x40, 0x0110_5009),
        (0x44, 0x0000_0000),
        (0x48, 0x0000_0000),
        (0x4c, 0x0000_0038),
        (0x50, 0x0214_6809),
        (0x54, 0x0000_0000),
        (0x58, 0x0000_0038),
        (0x5c, 0x0000_0008),
        (0x60, 0x0000_0004),
        (0x68, 0x0310_7809),
        (0x70, 0x0000_0040),
        (0x74, 0x0000_0001),
        (0x78, 0x0410_0009),
        (0x80, 0x0000_0044),
        (0x84, 0x0000_000c),
    ];
    let address = fake.add((0, 1, 0), &words);
    Places::find(&fake, address)
}

/// The transport over one block of registers, each structure a block of its own.
fn modern_pci() -> (ModernPci<Rc<FakeRegisters>>, [Rc<FakeRegisters>; 4]) {
    let blocks = [0x38, 8, 1, 12].map(|size| Rc::new(FakeRegisters::new(size)));
    let open = |place: Place| {
        let index = [0, 0x38, 0x40, 0x44]
            .iter()
            .position(|&at| at == place.offset)?;
        Some(Rc::clone(&blocks[index]))
    };
    let transport = ModernPci::new(DeviceType::Network, &places().unwrap(), open).unwrap();
    (transport, blocks)
}

#[test]
fn finds_the_structures_and_their_places() {
    let (mut transport, [common, notify, isr, device]) = modern_pci();
    common.set(0x1e, &[1, 0]);
    transport.queue_set(1, 256, 0x1_0000_2000, 0x3000, 0x4000);
    transport.notify(1);
    assert_eq!(notify.writes(), [(4, 2, 1)]);
    let addresses: Vec<_> = common
        .writes()
        .into_iter()
        .filter(|w| w.0 >= 0x20)
        .collect();
    assert_eq!(
        addresses[..3],
        [(0x20, 4, 0x2000), (0x24, 4, 1), (0x28, 4, 0x3000)]
    );
    isr.set(0, &[1]);
    assert_eq!(transport.ack_interrupt().bits(), 1);
    device.set(0, &ADDRESS);
    device.set(10, &[0xdc, 5]);
    assert_eq!(transport.read_config_space::<[u8; 6]>(0), Ok(ADDRESS));
    assert_eq!(transport.read_config_space::<u16>(10), Ok(1500));
    assert_eq!(
        transport.read_config_space::<u32>(12),
        Err(Error::ConfigSpaceTooSmall)
    );
}

#[test]
fn messages_need_the_consent_of_the_device() {
    let (mut transport, [common, ..]) = modern_pci();
    assert_eq!(transport.use_messages(0), Ok(()));
    assert_eq!(
        common.writes(),
        [(0x10, 2, 0xffff), (0x16, 2, 0), (0x1a, 2, 0)]
    );
}

#[test]
fn a_notification_out_of_range_stays_inside() {
    let (mut transport, [common, notify, ..]) = modern_pci();
    common.set(0x1e, &[0xff, 0xff]);
    transport.queue_set(0, 256, 0x1000, 0x2000, 0x3000);
    transport.notify(0);
    assert_eq!(notify.writes(), [(0, 2, 0)]);
}

#[test]
fn a_function_without_all_structures_is_not_modern() {
    let fake = Fake::default();
    let list = [
        (0x04, 1 << 20),
        (0x34, 0x40),
        (0x40, 0x0110_0009),
        (0x4c, 0x38),
    ];
    let address = fake.add((0, 1, 0), &list);
    assert_eq!(Places::find(&fake, address), None);
}

#[test]
fn legacy_registers() {
    let registers = Rc::new(FakeRegisters::new(pci_legacy::SIZE));
    registers.set(0x0c, &[0, 1]);
    registers.set(0x14, &ADDRESS);
    let mut transport = LegacyPci::new(DeviceType::Network, Rc::clone(&registers));
    transport.set_status(DeviceStatus::ACKNOWLEDGE | DeviceStatus::FEATURES_OK);
    assert_eq!(transport.read_config_space::<[u8; 6]>(0), Ok(ADDRESS));
    transport.queue_set(1, 128, 0x7000, 0, 0);
    assert!(!transport.queue_used(1));
    transport.queue_set(1, 256, 7 * PAGE_SIZE as u64, 0, 0);
    assert!(transport.queue_used(1));
    transport.notify(1);
    let writes = registers.writes();
    assert_eq!(writes[0], (0x12, 1, 1));
    assert!(writes.contains(&(0x08, 4, 7)));
    assert_eq!(writes.last(), Some(&(0x10, 2, 1)));
}
