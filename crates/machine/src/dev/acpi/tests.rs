use proptest::collection::vec;
use proptest::prelude::{any, proptest};

use super::{
    Acpi, EventBlocks, EventDevice, Fadt, GenericAddress, IoApicEntry, Madt, Memory,
    SourceOverride, SpaceId, aml,
};

/// Memory that holds some tables and nothing else.
#[derive(Default)]
struct Machine(Vec<(u64, Vec<u8>)>);

impl Memory for Machine {
    fn read(&self, paddr: u64, out: &mut [u8]) -> bool {
        let found = self.0.iter().find_map(|(start, bytes)| {
            let offset = usize::try_from(paddr.checked_sub(*start)?).ok()?;
            bytes.get(offset..offset.checked_add(out.len())?)
        });
        found.map(|bytes| out.copy_from_slice(bytes)).is_some()
    }
}

fn seal(mut table: Vec<u8>, checksum_at: usize) -> Vec<u8> {
    table[checksum_at] = 0;
    table[checksum_at] = table.iter().fold(0u8, |sum, &byte| sum.wrapping_sub(byte));
    table
}

fn table(signature: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let mut table = vec![0; 36];
    table[..4].copy_from_slice(signature);
    table[4..8].copy_from_slice(&(36 + body.len() as u32).to_le_bytes());
    table.extend(body);
    seal(table, 9)
}

fn root_pointer(version: u8, rsdt: u32, xsdt: u64) -> Vec<u8> {
    let mut pointer = b"RSD PTR \0UNITES".to_vec();
    pointer.push(version);
    pointer.extend(rsdt.to_le_bytes());
    pointer = seal(pointer, 8);
    pointer.extend(36u32.to_le_bytes());
    pointer.extend(xsdt.to_le_bytes());
    pointer.extend([0; 4]);
    seal(pointer, 32)
}

fn fadt_body(edit: impl Fn(&mut [u8])) -> Vec<u8> {
    let mut body = vec![0; 276 - 36];
    edit(&mut body);
    body
}

fn put(body: &mut [u8], table_offset: usize, bytes: &[u8]) {
    body[table_offset - 36..][..bytes.len()].copy_from_slice(bytes);
}

const S5: &[u8] = b"\x10\x05\x08_S5_\x12\x06\x04\x0a\x05\x01\x00\x00";

fn machine(version: u8) -> Machine {
    let fadt = fadt_body(|body| {
        put(body, 40, &0x3000u32.to_le_bytes());
        put(body, 64, &0x604u32.to_le_bytes());
        put(body, 76, &0x608u32.to_le_bytes());
        put(body, 108, &[0x32]);
    });
    let madt = [
        0xfee0_0000u32.to_le_bytes().as_slice(),
        &[1, 0, 0, 0],
        &[0, 8, 0, 0, 1, 0, 0, 0],
        &[0, 8, 1, 1, 0, 0, 0, 0],
        &[1, 12, 0, 0, 0, 0, 0xc0, 0xfe, 0, 0, 0, 0],
        &[1, 12, 1, 0, 0, 0x10, 0xc0, 0xfe, 24, 0, 0, 0],
        &[2, 10, 0, 0, 2, 0, 0, 0, 0, 0],
        &[2, 10, 0, 9, 9, 0, 0, 0, 0x0d, 0],
        &[9, 16, 0, 0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0],
    ]
    .concat();
    let addresses = [0x1000u64, 0x2000];
    let xsdt: Vec<u8> = addresses.iter().flat_map(|at| at.to_le_bytes()).collect();
    let rsdt: Vec<u8> = addresses
        .iter()
        .flat_map(|&at| (at as u32).to_le_bytes())
        .collect();
    Machine(vec![
        (0xf_5a50, root_pointer(version, 0x4000, 0x5000)),
        (0x1000, table(b"FACP", &fadt)),
        (0x2000, table(b"APIC", &madt)),
        (0x3000, table(b"DSDT", S5)),
        (0x4000, table(b"RSDT", &rsdt)),
        (0x5000, table(b"XSDT", &xsdt)),
    ])
}

#[test]
fn reads_a_machine_through_either_root_table() {
    for (version, rsdp) in [
        (0, None),
        (2, None),
        (0, Some(0xf_5a50)),
        (2, Some(0xf_5a50)),
    ] {
        let acpi = Acpi::read(&machine(version), rsdp).unwrap();
        assert_eq!(acpi.soft_off, Some((5, 1)));
        let fadt = acpi.fadt.unwrap();
        assert_eq!((fadt.pm1a_control, fadt.pm1b_control), (Some(0x604), None));
        assert_eq!(
            (fadt.timer, fadt.century),
            (Some((0x608, false)), Some(0x32))
        );
        assert_eq!(acpi.madt.unwrap().processors, [0, 256]);
    }
}

#[test]
fn a_wrong_given_pointer_falls_back_to_the_scan() {
    assert!(Acpi::read(&machine(2), Some(0x1000)).is_some());
    assert!(Acpi::read(&machine(2), Some(u64::MAX)).is_some());
    assert!(Acpi::read(&Machine::default(), None).is_none());
}

#[test]
fn finds_the_root_pointer_in_the_extended_bios_data_area() {
    let mut machine = machine(0);
    machine.0[0].0 = 0x9_fc00 + 1008 - 32;
    machine.0.push((0x40e, vec![0xc0, 0x9f]));
    assert!(Acpi::read(&machine, None).is_some());
}

#[test]
fn a_table_with_a_wrong_checksum_is_absent() {
    let mut machine = machine(2);
    machine.0[2].1[40] ^= 1;
    assert_eq!(Acpi::read(&machine, None).unwrap().madt, None);
}

#[test]
fn madt_lists_controllers_and_overrides() {
    let acpi = Acpi::read(&machine(2), None).unwrap();
    let expected = Madt {
        local_apic: 0xfee0_0000,
        has_pics: true,
        processors: vec![0, 256],
        io_apics: vec![
            IoApicEntry {
                address: 0xfec0_0000,
                first_gsi: 0,
            },
            IoApicEntry {
                address: 0xfec0_1000,
                first_gsi: 24,
            },
        ],
        overrides: vec![
            SourceOverride {
                irq: 0,
                gsi: 2,
                level: None,
                active_low: None,
            },
            SourceOverride {
                irq: 9,
                gsi: 9,
                level: Some(true),
                active_low: Some(false),
            },
        ],
    };
    assert_eq!(acpi.madt, Some(expected));
}

#[test]
fn fadt_of_a_hardware_reduced_machine() {
    let body = fadt_body(|body| {
        put(body, 112, &(1u32 << 20 | 1 << 10).to_le_bytes());
        put(body, 116, &[0, 8, 0, 1, 2, 2, 0, 0xfe, 0, 0, 0, 0, 0x42]);
        put(body, 140, &0x1_0000_0000u64.to_le_bytes());
        put(body, 244, &[0, 8, 0, 1, 0, 2, 0, 0xfe, 0, 0, 0, 0]);
    });
    let fadt = Fadt::parse(&table(b"FACP", &body)).unwrap();
    let register = |address| GenericAddress {
        space: SpaceId::Memory,
        address,
    };
    assert!(fadt.hardware_reduced);
    assert_eq!(fadt.dsdt, 0x1_0000_0000);
    assert_eq!(fadt.reset, Some((register(0xfe00_0202), 0x42)));
    assert_eq!(fadt.sleep_control, Some(register(0xfe00_0200)));
    assert_eq!(fadt.pm1a_control, None);
}

#[test]
fn fadt_names_the_power_button_unless_it_is_a_device() {
    let body = |flags: u32| {
        fadt_body(|body| {
            put(body, 46, &9u16.to_le_bytes());
            put(body, 56, &0x600u32.to_le_bytes());
            put(body, 88, &[4]);
            put(body, 112, &flags.to_le_bytes());
        })
    };
    let button = |flags| {
        let fadt = Fadt::parse(&table(b"FACP", &body(flags)));
        fadt.unwrap().power_button
    };
    let expected = EventBlocks {
        interrupt: 9,
        ports: [Some(0x600), None],
        length: 4,
    };
    assert_eq!(button(0), Some(expected));
    assert_eq!(button(1 << 4), None);
}

#[test]
fn finds_the_event_device() {
    let crs = b"\x0dACPI0013\0\x08_CRS\x11\x0e\x0a\x0b\x89\x06\0\x01\x01\x09\0\0\0\x79\0";
    let region = b"\x5b\x80EREG\0\x0c\0\0\xa0\xfe\x0a\x04";
    let found = |code: &[u8]| EventDevice::find(&table(b"DSDT", code));
    let expected = EventDevice {
        interrupt: 9,
        register: 0xfea0_0000,
    };
    assert_eq!(found(&[&crs[..], region].concat()), Some(expected));
    assert_eq!(found(crs), None);
    assert_eq!(found(region), None);
}

#[test]
fn soft_off_needs_a_definition_and_small_numbers() {
    let found = |code: &[u8]| aml::soft_off(&table(b"DSDT", code));
    assert_eq!(
        found(b"\x08\\_S5_\x12\x0a\x04\x0a\x07\x0a\x06\x00\x00"),
        Some((7, 6))
    );
    assert_eq!(found(b"\x08_S5_\x12\x06\x01\x00"), Some((0, 0)));
    assert_eq!(found(b"\x70_S5_\x12\x06\x01\x00"), None);
    assert_eq!(found(b"\x08_S5_\x12\x06\x02\x0a\x09\x00"), None);
    assert_eq!(found(b"\x08_S5_"), None);
}

proptest! {
    /// Whatever the bytes: no panic, and no more than the bytes can hold.
    #[test]
    fn foreign_tables_do_not_panic(body in vec(any::<u8>(), 0..400)) {
        let madt = Madt::parse(&table(b"APIC", &body));
        assert!(madt.processors.len() * 8 <= body.len());
        let _ = Fadt::parse(&table(b"FACP", &body));
        let _ = aml::soft_off(&table(b"DSDT", &body));
        let _ = EventDevice::find(&table(b"DSDT", &[b"ACPI0013", &body[..]].concat()));
    }

    #[test]
    fn damaged_machines_do_not_panic(
        which in 0usize..6,
        at in any::<proptest::sample::Index>(),
        value in any::<u8>(),
        cut in any::<bool>(),
    ) {
        let mut machine = machine(2);
        let bytes = &mut machine.0[which].1;
        let at = at.index(bytes.len());
        if cut {
            bytes.truncate(at);
        } else {
            bytes[at] = value;
            let checksum = if which == 0 { 8 } else { 9 };
            *bytes = seal(bytes.clone(), checksum);
        }
        let _ = Acpi::read(&machine, None);
    }
}
