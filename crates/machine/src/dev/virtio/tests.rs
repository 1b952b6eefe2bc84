use std::rc::Rc;

use virtio_drivers::transport::{DeviceStatus, DeviceType, Transport};
use virtio_drivers::{Error, PAGE_SIZE};

use super::super::pci::fake::Fake;
use super::super::registers::fake::FakeRegisters;
use super::pci_legacy::{self, LegacyPci};
use super::pci_modern::{ModernPci, Place, Places};

const ADDRESS: [u8; 6] = [0x52, 0x54, 0, 1, 2, 3];

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
