use super::super::registers::fake::FakeRegisters;
use super::fake::Fake;
use super::{
    BaseAddress, Capability, ConfigSpace, Msix, base_address, capabilities, functions,
    interrupt_line,
};

#[test]
fn finds_functions_behind_bridges_once() {
    let fake = Fake::default();
    fake.add((0, 0, 0), &[(0, 0x1237_8086)]);
    fake.add((0, 1, 0), &[(0, 0x7000_8086), (0x0c, 0x0080_0000)]);
    fake.add((0, 1, 3), &[(0, 0x7113_8086)]);
    fake.add((0, 2, 5), &[(0, 0x1111_1111)]); // not looked at: the device has one function
    fake.add((0, 3, 0), &[(0, 1), (8, 0x0604_0000), (0x18, 0x0005_0500)]);
    fake.add((5, 0, 0), &[(0, 0x1041_1af4)]);
    fake.add((5, 1, 0), &[(0, 2), (8, 0x0604_0000), (0x18, 0x0000_0005)]); // back to bus 0
    let found = functions(&fake);
    let places: Vec<_> = found
        .iter()
        .map(|f| (f.address.bus, f.address.device))
        .collect();
    assert_eq!(places, [(0, 0), (0, 1), (0, 1), (0, 3), (5, 0), (5, 1)]);
    assert_eq!((found[4].vendor, found[4].device), (0x1af4, 0x1041));
    assert!(functions(&Fake::default()).is_empty());
}

#[test]
fn walks_capabilities_and_ends_in_a_circle() {
    let fake = Fake::default();
    let list = [
        (4, 1 << 20),
        (0x34, 0x43),
        (0x40, 0x8001_5011),
        (0x50, 0x1010_4009),
    ];
    let address = fake.add((0, 1, 0), &list);
    let found: Vec<_> = capabilities(&fake, address).collect();
    assert_eq!(
        found[0],
        Capability {
            id: 0x11,
            offset: 0x40,
            header: 0x8001
        }
    );
    assert_eq!(
        found[1],
        Capability {
            id: 0x09,
            offset: 0x50,
            header: 0x1010
        }
    );
    assert_eq!(found.len(), 48);
}

#[test]
fn no_list_no_capabilities() {
    let fake = Fake::default();
    let address = fake.add((0, 1, 0), &[(0x34, 0x40), (0x40, 0x0000_0011)]);
    assert_eq!(capabilities(&fake, address).count(), 0);
}

#[test]
fn reads_base_addresses_of_every_kind() {
    let fake = Fake::default();
    let bars = [
        (0x10, 0xc001),
        (0x14, 0xfebd_0000),
        (0x18, 0x0000_400c),
        (0x1c, 0x80),
        (0x24, 0x4),
    ];
    let address = fake.add((0, 1, 0), &bars);
    let bar = |index| base_address(&fake, address, index);
    assert_eq!(bar(0), Some(BaseAddress::Ports(0xc000)));
    assert_eq!(bar(1), Some(BaseAddress::Memory(0xfebd_0000)));
    assert_eq!(bar(2), Some(BaseAddress::Memory(0x80_0000_4000)));
    assert_eq!((bar(4), bar(5), bar(6)), (None, None, None));
}

#[test]
fn interrupt_lines_need_a_pin() {
    let fake = Fake::default();
    let line = |device, word| interrupt_line(&fake, fake.add((0, device, 0), &[(0x3c, word)]));
    assert_eq!(
        [line(1, 0x010b), line(2, 0x000b), line(3, 0x01ff)],
        [Some(11), None, None]
    );
}

#[test]
fn enables_messages_after_filling_the_entry() {
    let fake = Fake::default();
    let words = [
        (4, 1 << 20),
        (0x14, 0xfebd_0000),
        (0x34, 0x98),
        (0x98, 0x0002_0011),
        (0x9c, 0x0000_0801),
    ];
    let address = fake.add((0, 1, 0), &words);
    let msix = Msix::find(&fake, address).unwrap();
    assert_eq!(msix.table, 0xfebd_0800);
    let entry = FakeRegisters::new(16);
    entry.set(12, &[1]);
    msix.enable(&fake, &entry, 0x31, 2);
    assert_eq!(
        entry.writes(),
        [(0, 4, 0xfee0_2000), (4, 4, 0), (8, 4, 0x31), (12, 4, 0)]
    );
    assert_eq!(fake.read(address, 0x98), 0x8002_0011);
    assert_eq!(fake.read(address, 4) & 0xffff, 1 << 10);
}
